"""Which files reach the goals of a search, and which of them is the best."""

from __future__ import annotations

import dataclasses
import math

import pytest

from dlkit.pipeline.goals import PREFERENCES, Goals, Measured, best, misses
from dlkit.report import Comparison


def gate(exported: float = 0.98, metric: str = "accuracy", float_: float = 0.99, sqnr_db: float = 30.0) -> Comparison:
    return Comparison("validation", 180, metric, float_, exported, 1.0, 1.0, 1.0, 0.01, sqnr_db)


def measured(size: int = 1000, packed: int = 800, exported: float = 0.98, **more) -> Measured:
    return Measured(size, packed, (gate(exported),), **more)


@pytest.mark.parametrize(
    ("goals", "limit", "text"),
    [
        (Goals(max_drop=0.005), "drop", "drops 0.0100 (limit 0.005)"),
        (Goals(max_bytes=900), "size", "is 100 B too large"),
        (Goals(max_gzip_bytes=500), "gzip", "is 300 B too large when compressed"),
        (Goals(max_latency_ms=1.5), "latency", "is 0.5 ms too slow"),
        (Goals(max_arena_bytes=3000), "arena", "is 1.0 kB of arena too much"),
    ],
)
def test_every_limit_is_held(goals: Goals, limit: str, text: str) -> None:
    """One that is missed is named with how far."""
    [miss] = misses(goals, measured(latency_ms=2.0, arena_bytes=4000))
    assert (miss.limit, miss.text) == (limit, text)


def test_what_is_exactly_at_its_limits_is_within_them() -> None:
    """Limits are the most that may be."""
    goals = Goals(0.01 + 1e-12, 1000, 800, 2.0, 4000)
    assert misses(goals, measured(latency_ms=2.0, arena_bytes=4000)) == []


def test_a_drop_that_is_no_number_is_beyond_every_limit() -> None:
    """NaN passes nothing."""
    assert [miss.limit for miss in misses(Goals(max_drop=1.0), measured(exported=math.nan))] == ["drop"]


def test_what_is_not_known_is_beyond_its_limit() -> None:
    """A file whose arena the runtime cannot tell does not fit one; one too large for gzip neither."""
    found = misses(Goals(max_arena_bytes=1, max_gzip_bytes=1), measured(packed=0))
    assert [miss.limit for miss in found] == ["gzip", "arena"]


def test_what_a_file_must_not_be_is_a_miss() -> None:
    """A float16 file far from the model, for instance, whatever its accuracy."""
    [miss] = misses(Goals(), measured(wrong=("its outputs are up to 3 from the model's",)))
    assert miss.text.startswith("its outputs")


def test_the_worst_output_decides_on_the_drop() -> None:
    """Of several outputs each has to keep it."""
    found = Measured(1, 1, (gate(0.99), gate(0.90)))
    assert found.drop == pytest.approx(0.09)
    assert Measured(1, 1, (gate(metric="sqnr_db"),)).drop is None


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_limits_are_numbers(value: float) -> None:
    """None of them may be negative or no number."""
    with pytest.raises(ValueError, match="must be at least 0"):
        Goals(max_drop=value)


def test_the_recipes_drop_holds_where_none_is_given() -> None:
    """Of metrics with right answers; those of noise have limits of their own."""
    assert Goals().settled("accuracy", 0.02).max_drop == 0.02
    assert Goals(max_drop=0.1).settled("accuracy", 0.02).max_drop == 0.1
    assert Goals().settled("psnr_db", 0.02).max_drop is None


FILES = {
    "small": measured(100, 90, 0.97, latency_ms=3.0),
    "packed": measured(200, 50, 0.97, latency_ms=2.0),
    "fast": measured(300, 290, 0.98, latency_ms=1.0),
    "good": measured(400, 390, 0.99, latency_ms=2.5),
}


@pytest.mark.parametrize(("prefer", "name"), [*zip(PREFERENCES, ["small", "packed", "fast", "good"], strict=True)])
def test_what_is_preferred_decides(prefer, name: str) -> None:
    """The smallest, the smallest by gzip, the fastest, the one that loses least."""
    assert best(list(FILES), FILES.get, prefer) == name


def test_sizes_that_hardly_differ_count_as_equal() -> None:
    """Then the size by gzip decides, then the loss, then the noise, then who came first."""
    files = {"first": measured(1000, 500), "equal": measured(1000, 500), "a little less": measured(995, 600)}
    assert best(list(files), files.get, "size") == "first"
    files["better"] = measured(1001, 501, 0.985)
    assert best(list(files), files.get, "size") == "better"
    quiet = dataclasses.replace(files["better"], gates=(gate(0.985, sqnr_db=40.0),))
    files["quiet"] = quiet
    assert best(list(files), files.get, "size") == "quiet"


def test_a_file_that_was_not_timed_is_not_the_fastest() -> None:
    """Only what was measured counts."""
    files = {"unknown": measured(1, 1), "known": measured(1000, 1000, latency_ms=9.0)}
    assert best(list(files), files.get, "latency") == "known"
