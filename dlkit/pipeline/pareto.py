"""The Pareto front: what nothing else beats in one thing without losing in another."""

from __future__ import annotations

from collections.abc import Mapping


def front(points: Mapping[str, tuple[float, float]]) -> tuple[str, ...]:
    """Names of the points that no other beats, from the cheapest to the best.

    Of equal points all are on it. One with NaN is not.

    Args:
        points: name → (cost, worth): less is better of the one, more of the other.

    >>> front({"int8": (98.0, 0.99), "int4": (60.0, 0.95), "float32": (312.0, 0.99)})
    ('int4', 'int8')
    """
    good = {name: point for name, point in points.items() if point[0] == point[0] and point[1] == point[1]}
    on_it = [name for name, point in good.items() if not any(_beats(other, point) for other in good.values())]
    return tuple(sorted(on_it, key=lambda name: good[name]))


def _beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether `one` is no worse in both, and better in one of them."""
    return one[0] <= other[0] and one[1] >= other[1] and one != other
