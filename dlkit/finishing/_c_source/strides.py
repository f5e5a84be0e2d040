"""Where the numbers of a tensor lie: how far apart two are along each dimension, in numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence


def steps_of(shape: Sequence[int]) -> list[int]:
    """Of a tensor whose last dimension is next to each other.

    >>> steps_of((2, 3, 4))
    [12, 4, 1]
    """
    return [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]


def broadcast_steps(shape: Sequence[int], result: Sequence[int]) -> list[int]:
    """Of `shape` repeated to `result`: 0 along what is repeated.

    >>> broadcast_steps((3, 1), (2, 3, 4))
    [0, 1, 0]

    Raises:
        ValueError: it cannot be repeated so.
    """
    padded = [1] * (len(result) - len(shape)) + list(shape)
    if len(padded) != len(result) or any(n not in (1, wanted) for n, wanted in zip(padded, result, strict=True)):
        raise ValueError(f"of shape {tuple(shape)} where {tuple(result)} is wanted")
    return [0 if n == 1 else step for n, step in zip(padded, steps_of(padded), strict=True)]


def fewer_dimensions(
    shape: Sequence[int], steps: Sequence[Sequence[int]], dimensions: int
) -> tuple[list[int], list[list[int]]]:
    """The same walk over exactly `dimensions`: those of 1 are left out, those that follow on each other joined.

    >>> fewer_dimensions((1, 2, 3, 4), [[24, 12, 4, 1], [0, 0, 0, 1]], 2)
    ([6, 4], [[4, 1], [0, 1]])

    Raises:
        ValueError: there are more.
    """
    kept: list[tuple[int, list[int]]] = []
    for axis, size in enumerate(shape):
        if size == 1:
            continue
        here = [walk[axis] for walk in steps]
        if kept and all(before == size * step for before, step in zip(kept[-1][1], here, strict=True)):
            kept[-1] = kept[-1][0] * size, here
        else:
            kept.append((size, here))
    missing = dimensions - len(kept)
    if missing < 0:
        raise ValueError(f"of {len(kept)} dimensions, not at most {dimensions}")
    sizes = [1] * missing + [size for size, _ in kept]
    return sizes, [[0] * missing + [here[walk] for _, here in kept] for walk in range(len(steps))]
