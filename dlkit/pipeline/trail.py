"""The whole way of a search: every candidate with what was measured, the choice, and why it ended there."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

from dlkit.pipeline.candidates import Candidate
from dlkit.pipeline.goals import Goals, Measured, Miss, misses
from dlkit.quantities import size
from dlkit.report import Comparison

TRAIL = "trail.json"
"""The file of a bundle that tells how it was found."""
NEAREST = 3
"""Files that are named when none is within the limits."""
KEPT = ("keep_float", "keep_int8")
"""What in a candidate is a list in JSON."""
NO_NUMBERS = ("nan", "inf", "-inf")


@dataclasses.dataclass(frozen=True)
class Tried:
    """A candidate, and what came of it.

    Attributes:
        measured: of its file; None where none could be made.
        why_not: why there is none; "" where there is one.
        seconds: wall time of making and measuring it, others beside it.
    """

    candidate: Candidate
    measured: Measured | None
    why_not: str = ""
    seconds: float = 0.0

    @property
    def name(self) -> str:
        return self.candidate.name


@dataclasses.dataclass(frozen=True)
class Trail:
    """A search from its goals to its end.

    Attributes:
        goals: as they were given, with the recipe's largest drop where none was.
        tried: in the order in which they were.
        chosen: what was written; None where none is within the limits.
        notes: what was not tried, and by which rule.
    """

    goals: Goals
    tried: tuple[Tried, ...]
    chosen: Candidate | None = None
    notes: tuple[str, ...] = ()

    def as_json(self) -> bytes:
        """As a file of a bundle."""
        return json.dumps(plain_json(self), indent=1, allow_nan=False).encode() + b"\n"


def trail_from(content: bytes) -> Trail:
    """What `Trail.as_json` made. Raises ValueError, KeyError or TypeError if it is none."""
    table = json.loads(content)
    return Trail(
        goals=Goals(**table["goals"]),
        tried=tuple(tried_from(each) for each in table["tried"]),
        chosen=None if table["chosen"] is None else _candidate_from(table["chosen"]),
        notes=tuple(table["notes"]),
    )


def plain_json(value: Any) -> Any:
    """A dataclass as JSON has it; what is no number of JSON (NaN, infinity) is its name."""
    return _named(dataclasses.asdict(value))


def _named(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _named(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_named(each) for each in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _numbers(table: dict[str, Any]) -> dict[str, Any]:
    """The other way round."""
    return {key: float(value) if value in NO_NUMBERS else value for key, value in table.items() if key != "gates"}


def tried_from(table: dict[str, Any]) -> Tried:
    """What `dataclasses.asdict` made of a `Tried`, as JSON gives it back."""
    measured = table["measured"]
    return Tried(
        candidate=_candidate_from(table["candidate"]),
        measured=None
        if measured is None
        else Measured(
            **{
                **_numbers(measured),
                "gates": tuple(Comparison(**_numbers(gate)) for gate in measured["gates"]),
                "wrong": tuple(measured["wrong"]),
            }
        ),
        why_not=table["why_not"],
        seconds=table["seconds"],
    )


def _candidate_from(table: dict[str, Any]) -> Candidate:
    return Candidate(**{**table, **{key: tuple(table[key]) for key in KEPT}})


def verdict(goals: Goals, tried: Tried, chosen: Candidate | None = None) -> str:
    """One line on a candidate: the best, within the limits, or what it misses."""
    if tried.measured is None:
        return tried.why_not
    if missed := misses(goals, tried.measured):
        return "; ".join(miss.text for miss in missed)
    return "best" if tried.candidate == chosen else "within the limits"


def in_the_way(goals: Goals, tried: Iterable[Tried]) -> str:
    """What keeps each of the nearest candidates from the goals: those that are beyond one limit, and least so.

    >>> in_the_way(goals, tried)                                                            # doctest: +SKIP
    'int8 is 12.0 kB too large; weights_int4 drops 0.0210 (limit 0.005)'
    """
    missed = [(each, misses(goals, each.measured)) for each in tried if each.measured is not None]
    if not missed:
        return "no file could be made"
    fewest = min(len(each) for _, each in missed)
    nearest: dict[tuple[str, ...], tuple[float, Tried, Sequence[Miss]]] = {}
    for each, found in missed:
        kind, by = tuple(miss.limit for miss in found), max((miss.by for miss in found), default=0.0)
        if len(found) == fewest and (kind not in nearest or by < nearest[kind][0]):
            nearest[kind] = by, each, found
    told = [
        f"{each.name} ({size(each.measured.bytes)}) {' and '.join(miss.text for miss in found)}"
        for _, each, found in list(nearest.values())[:NEAREST]
        if each.measured is not None
    ]
    return "; ".join(told)
