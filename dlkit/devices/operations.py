"""What a target's TOML says of a file's operations, before anything is run."""

from __future__ import annotations

from dlkit.runtime.inspection import CONTROL_FLOW, Inspection
from dlkit.targets import Target
from dlkit.verdict import Placement


def placed(inspection: Inspection, target: Target, place: str) -> tuple[tuple[Placement, ...], tuple[str, ...]]:
    """Every operation in `place`, or nowhere where the target does not have it; and a sentence for each of those."""
    placements, blocks = [], []
    for operation, count in inspection.ops.items():
        lacking = lacks(target, operation)
        placements.append(Placement(operation, count, "" if lacking else place, lacking))
        if lacking:
            blocks.append(f"{count} {operation}: {lacking}")
    return tuple(placements), tuple(blocks)


def lacks(target: Target, operation: str) -> str:
    """Why the target does not run an operation; "" if it does."""
    if operation in CONTROL_FLOW:
        return "" if operation in target.control_flow else f"control flow, which {target.name} cannot run"
    if operation.startswith("CUSTOM"):
        return "a custom operation, which the runtime does not have"
    if operation in target.lacks or (target.operations and operation not in target.operations):
        return f"{target.name} does not have it"
    return ""


def promised(inspection: Inspection, target: Target) -> tuple[str, ...]:
    """A sentence for each other thing that no target runs."""
    if inspection.resized:
        return (f"the shape of {inspection.resized[0]} is only known at run time; fix it before the conversion",)
    return ()
