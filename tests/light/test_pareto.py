"""The Pareto front, and its picture."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest

from dlkit.drawing.pareto import Marked, draw_pareto
from dlkit.pipeline.pareto import front


def test_what_nothing_beats_is_on_the_front() -> None:
    """From the cheapest to the best; equal points all are."""
    points = {"a": (1.0, 0.5), "b": (2.0, 0.9), "c": (3.0, 0.9), "d": (2.0, 0.9), "e": (4.0, 1.0), "f": (5.0, 0.1)}
    assert front(points) == ("a", "b", "d", "e")


def test_no_number_is_on_no_front() -> None:
    """A file without a quality is not the best there is."""
    assert front({"a": (1.0, math.nan), "b": (math.nan, 1.0), "c": (9.0, 0.1)}) == ("c",)
    assert front({}) == ()


def test_a_front_is_what_its_definition_says() -> None:
    """Of random points: nothing beats one on it, and something on it beats each that is not."""
    drawn = random.Random(0)
    points = {str(n): (drawn.randrange(20) / 1.0, drawn.randrange(20) / 1.0) for n in range(200)}
    on_it = front(points)

    def beats(a: str, b: str) -> bool:
        (cost, worth), (other_cost, other_worth) = points[a], points[b]
        return cost <= other_cost and worth >= other_worth and points[a] != points[b]

    for name in points:
        assert (name in on_it) != any(beats(other, name) for other in on_it)


@pytest.mark.parametrize("timed", [True, False])
def test_the_picture_is_the_same_for_the_same_files(tmp_path: Path, timed: bool) -> None:
    """With a panel for time where files were timed."""
    files = [
        Marked("int8", 98_000, 0.03 if timed else None, 0.99, True, True),
        Marked("$odd_name^", 312_000, 0.09 if timed else None, 0.99, False, False),
    ]
    for name in ("one.png", "two.png"):
        draw_pareto(files, "accuracy", "digits", tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert (tmp_path / "one.png").read_bytes()[:4] == b"\x89PNG"
