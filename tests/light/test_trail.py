"""The trail of a search: what it says, and that it comes back from its file as it was."""

from __future__ import annotations

import math

import pytest

from dlkit.pipeline.candidates import Candidate
from dlkit.pipeline.goals import Goals, Measured
from dlkit.pipeline.trail import Trail, Tried, in_the_way, plain_json, trail_from, tried_from, verdict
from dlkit.report import Comparison


def tried(name: str, size: int, drop: float = 0.0, **more) -> Tried:
    gate = Comparison("validation", 180, "accuracy", 0.99, 0.99 - drop, 1.0, 1.0, 1.0, 0.01, 30.0)
    return Tried(Candidate(name), Measured(size, size // 2, (gate,), **more))


GOALS = Goals(max_drop=0.005, max_bytes=300_000)
SOME = (
    tried("int8", 312_000),
    tried("weights_int4", 160_000, 0.021),
    Tried(Candidate("int16x8"), None, "no form of X"),
)


def test_a_trail_comes_back_as_it_was() -> None:
    """From the file in a bundle, numbers that JSON does not know among them."""
    odd = tried("float16", 10, math.inf, latency_ms=math.inf)
    trail = Trail(GOALS, (*SOME, odd), Candidate("int8", "mse", ("a",), ("b",)), ("nothing else",))
    assert trail_from(trail.as_json()) == trail
    nan = tried("int8", 1, math.nan)
    assert str(tried_from(plain_json(nan))) == str(nan)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"goals": {}, "tried": 3, "chosen": null, "notes": []}'])
def test_what_is_no_trail_is_an_error(content: bytes) -> None:
    """One of those that are named."""
    with pytest.raises((ValueError, KeyError, TypeError)):
        trail_from(content)


def test_every_candidate_has_a_verdict() -> None:
    """What it misses, why there is none, whether it is the best."""
    assert [verdict(GOALS, each) for each in SOME] == [
        "is 12.0 kB too large", "drops 0.0210 (limit 0.005)", "no form of X",
    ]  # fmt: skip
    good = tried("int8_qat", 100)
    assert verdict(GOALS, good) == "within the limits"
    assert verdict(GOALS, good, good.candidate) == "best"


def test_what_stands_in_the_way_is_told_of_the_nearest() -> None:
    """Of each kind of miss the file that misses least, and of files that miss several things none."""
    worse = [tried("dynamic_int8", 320_000), tried("float32", 900_000), tried("int8_mixed", 400_000, 0.5)]
    assert in_the_way(GOALS, [*SOME, *worse]) == (
        "int8 (312.0 kB) is 12.0 kB too large; weights_int4 (160.0 kB) drops 0.0210 (limit 0.005)"
    )
    assert in_the_way(GOALS, [SOME[2]]) == "no file could be made"
