"""What is found of a file on a device: which operation runs where, what it takes, and what stands in the way."""

from __future__ import annotations

import dataclasses
import math
from typing import Any


@dataclasses.dataclass(frozen=True)
class Placement:
    """Operations of one kind that run in one place.

    Attributes:
        operation: as the file's schema calls it, "CONV_2D".
        count: of them.
        place: "CPU", "GPU", "NPU"; "" where the device has nothing that runs it.
        reason: why it is not where the others are; "" if it is.
    """

    operation: str
    count: int
    place: str
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class Budget:
    """Memory that a file takes, in bytes, and what there is; None where nobody said.

    Attributes:
        what: "flash", "RAM", …; with what is counted.
    """

    what: str
    used_bytes: int
    limit_bytes: int | None = None

    @property
    def kept(self) -> bool:
        """Whether it is there."""
        return self.limit_bytes is None or self.used_bytes <= self.limit_bytes


@dataclasses.dataclass(frozen=True)
class Figure:
    """A number that was measured or estimated, with its unit; what it is says its name."""

    name: str
    value: float
    unit: str = ""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What a target makes of a .tflite file, or of a SavedModel.

    Attributes:
        target: its name.
        how: what was asked, and how: "compiled by vela 5.2.0", "static check, nothing was run".
        placements: which operations run where; those that run nowhere are also in `blocks`.
        budgets: memory.
        figures: cycles, inferences a second, … ; what is no finite number is left out.
        blocks: what keeps the file from running there, a sentence each, with what to type next; empty if it runs.
        notes: what else a user should know.
        layers: a row for each layer where the device's tool tells them apart: column → value.
    """

    target: str
    how: str
    placements: tuple[Placement, ...]
    budgets: tuple[Budget, ...] = ()
    figures: tuple[Figure, ...] = ()
    blocks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    layers: tuple[dict[str, Any], ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "figures", tuple(each for each in self.figures if math.isfinite(each.value)))

    @property
    def is_static(self) -> bool:
        """Whether it was found by reading the file alone, and neither device nor its compiler said a word."""
        return self.how.startswith("static check")

    @property
    def fits(self) -> bool:
        """Whether the file runs there."""
        return not self.obstacles

    @property
    def obstacles(self) -> tuple[str, ...]:
        """`blocks`, and a sentence for each memory that is too small."""
        beyond = tuple(
            f"{budget.what} {budget.used_bytes:,} bytes, but {self.target} has {budget.limit_bytes:,}"
            for budget in self.budgets
            if not budget.kept
        )
        advice = ("take a smaller scheme (dlkit list schemes) or a smaller network",) if beyond else ()
        return (*self.blocks, *beyond, *advice)

    def as_dict(self) -> dict[str, Any]:
        """As nested dictionaries, ready for JSON."""
        return dataclasses.asdict(self)
