"""What an export that searches is to reach, and which of the files that reach it is the best."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Literal, TypeVar, get_args

from dlkit.quantities import size
from dlkit.report import Comparison
from dlkit.verify import LABELLED

Prefer = Literal["size", "gzip", "latency", "quality"]
PREFERENCES: tuple[Prefer, ...] = get_args(Prefer)
SAME_SIZE, SAME_TIME = 0.01, 0.05
"""Sizes that differ by less, and times, count as the same: the next measure decides."""
T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Goals:
    """Limits that a file must keep, and what counts among those that do.

    Attributes:
        max_drop: largest loss of the metric against the float model on the validation split, in the metric's own unit
            (fractions; of "psnr_db" decibels; of "agreement" from 1); None where nothing is asked of it.
        max_bytes: of the file.
        max_gzip_bytes: of the file when gzip has compressed it.
        max_latency_ms: median wall time of an inference here, with one thread.
        max_arena_bytes: memory for tensors that TensorFlow Lite for Microcontrollers takes.
        prefer: "size" is the smallest file, "gzip" the smallest when compressed, "latency" the fastest here, "quality"
            the one that loses least.
    """

    max_drop: float | None = None
    max_bytes: int | None = None
    max_gzip_bytes: int | None = None
    max_latency_ms: float | None = None
    max_arena_bytes: int | None = None
    prefer: Prefer = "size"

    def __post_init__(self) -> None:
        for key in ("max_drop", "max_bytes", "max_gzip_bytes", "max_latency_ms", "max_arena_bytes"):
            value = getattr(self, key)
            if value is not None and not 0 <= value < math.inf:
                raise ValueError(f"{key} = {value!r} must be at least 0")
        if self.prefer not in PREFERENCES:
            raise ValueError(f"prefer = {self.prefer!r} must be one of {', '.join(PREFERENCES)}")

    @property
    def needs_latency(self) -> bool:
        return self.max_latency_ms is not None or self.prefer == "latency"

    def settled(self, metric: str, recipe_drop: float) -> Goals:
        """The same with the recipe's largest drop where none is given and the metric has right answers."""
        has_its_own = self.max_drop is not None or metric not in LABELLED
        return self if has_its_own else dataclasses.replace(self, max_drop=recipe_drop)


@dataclasses.dataclass(frozen=True)
class Measured:
    """What was measured of a file.

    Attributes:
        bytes, gzip_bytes: of the file, and of it when gzip has compressed it; 0 where it is too large for that.
        gates: against the float model on the samples that decide, for each output.
        wrong: what besides a drop it must not be; empty if nothing.
        arena_bytes: None where it was not asked for or cannot be told.
        latency_ms: median of the quietest of several rounds; None where it was not asked for.
        times_float: how many times as long as the float file an inference takes, measured in turns; None likewise.
    """

    bytes: int
    gzip_bytes: int
    gates: tuple[Comparison, ...]
    wrong: tuple[str, ...] = ()
    arena_bytes: int | None = None
    latency_ms: float | None = None
    times_float: float | None = None

    @property
    def drop(self) -> float | None:
        """The largest loss of an output's metric; None where the metric is the noise alone."""
        drops = [gate.float - gate.exported for gate in self.gates if gate.metric != "sqnr_db"]
        return None if not drops else math.nan if any(map(math.isnan, drops)) else max(drops)

    @property
    def quality(self) -> float:
        """The metric of the first output."""
        return self.gates[0].exported


@dataclasses.dataclass(frozen=True)
class Miss:
    """A limit that a file is beyond.

    Attributes:
        limit: "drop", "size", "gzip", "latency", "arena" or "file".
        by: how far, as a part of the limit, for telling which file is nearest.
        text: what to say after the name of the file: "is 12.0 kB too large".
    """

    limit: str
    by: float
    text: str


def misses(goals: Goals, found: Measured) -> list[Miss]:
    """Every limit that `found` is beyond, or of which nothing is known; [] if it is within all."""
    missed = [Miss("file", math.inf, text) for text in found.wrong]
    if goals.max_drop is not None:
        drop = found.drop
        if drop is None:
            missed.append(Miss("drop", math.inf, "has no metric that could drop"))
        elif not drop <= goals.max_drop:
            missed.append(Miss("drop", drop - goals.max_drop, f"drops {drop:.4f} (limit {goals.max_drop:g})"))
    for limit, most, value, what in (
        ("size", goals.max_bytes, found.bytes, "too large"),
        ("gzip", goals.max_gzip_bytes, found.gzip_bytes, "too large when compressed"),
        ("arena", goals.max_arena_bytes, found.arena_bytes, "of arena too much"),
    ):
        if most is None:
            continue
        if not value:
            missed.append(Miss(limit, math.inf, f"is of a size that cannot be told ({limit})"))
        elif not value <= most:
            missed.append(Miss(limit, value / max(most, 1) - 1, f"is {size(value - most)} {what}"))
    if goals.max_latency_ms is not None and found.latency_ms is not None:
        over = found.latency_ms - goals.max_latency_ms
        if not over <= 0:
            missed.append(Miss("latency", over / max(goals.max_latency_ms, 1e-9), f"is {over:.4g} ms too slow"))
    return missed


def best(files: Sequence[T], measured: Callable[[T], Measured], prefer: Prefer) -> T:
    """Of files within the limits the one that is preferred; there is at least one.

    Each measure leaves those that are as good as the best by it, and the next one chooses among them; at last it is
    the first of them.
    """
    left = list(files)
    for measure, tolerance in _ORDERS[prefer]:
        values = [measure(measured(file)) for file in left]
        least = min(values)
        left = [file for file, value in zip(left, values, strict=True) if value <= least + tolerance * abs(least)]
    return left[0]


def _latency(found: Measured) -> float:
    return math.inf if found.latency_ms is None else found.latency_ms


def _compressed(found: Measured) -> float:
    return found.gzip_bytes or found.bytes


def _drop(found: Measured) -> float:
    return found.drop or 0.0


def _noise(found: Measured) -> float:
    """By which files are told apart that are alike else: how near the noise is to the scores."""
    return -min(gate.sqnr_db for gate in found.gates)


_Measure = tuple[Callable[[Measured], float], float]
_SIZE: _Measure = (lambda found: found.bytes, SAME_SIZE)
_GZIP: _Measure = (_compressed, SAME_SIZE)
_LOSS: tuple[_Measure, ...] = ((_drop, 0.0), (_noise, 0.0))
_ORDERS: dict[Prefer, tuple[_Measure, ...]] = {
    "size": (_SIZE, _GZIP, *_LOSS),
    "gzip": (_GZIP, _SIZE, *_LOSS),
    "latency": ((_latency, SAME_TIME), _SIZE, _GZIP, *_LOSS),
    "quality": ((_drop, 0.0), _SIZE, _GZIP, *_LOSS),
}
