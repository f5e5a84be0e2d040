"""What a report says of the device: a line for the proof, and one for each budget and figure."""

from __future__ import annotations

from dlkit.quantities import size
from dlkit.report import DeviceProof
from dlkit.verdict import Budget, Figure, Verdict


def device_lines(proof: DeviceProof) -> list[str]:
    """Aligned lines of a report."""
    lines = [f"device       {proof.verdict.target}: {proof.verdict.how}"]
    if proof.samples:
        steps = "" if proof.steps is None else f" ({proof.steps:.2g} steps of the 8-bit output)"
        lines.append(
            f"run there    {proof.samples} samples, largest gap {proof.largest_gap:.3g}{steps} from what the file "
            "computes"
        )
    return [*lines, *verdict_lines(proof.verdict)]


def verdict_lines(verdict: Verdict) -> list[str]:
    """Where operations run, memory, figures and notes."""
    lines = [f"runs         {places(verdict)}"] if verdict.placements else []
    lines += [_budget_line(budget) for budget in verdict.budgets]
    lines += [f"{figure.name:<12} {_told(figure)}" for figure in verdict.figures]
    lines += [f"note         {note}" for note in verdict.notes]
    return lines


def places(verdict: Verdict) -> str:
    """How many operations run where, most first: "14 on the NPU, 2 on the CPU"."""
    counts: dict[str, int] = {}
    for placement in verdict.placements:
        counts[placement.place] = counts.get(placement.place, 0) + placement.count
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{count} operations on the {place}" if place else f"{count} nowhere" for place, count in ordered)


def _budget_line(budget: Budget) -> str:
    """ "flash        97,777 bytes of 1.0 MB (the file)" """
    what, _, counted = budget.what.partition(" (")
    return f"{what:<12} {_of(budget)}{f' ({counted}' if counted else ''}"


def _of(budget: Budget) -> str:
    if budget.limit_bytes is None:
        return f"{budget.used_bytes:,} bytes"
    beyond = "" if budget.kept else ": too much"
    return f"{budget.used_bytes:,} bytes of {size(budget.limit_bytes)}{beyond}"


def _told(figure: Figure) -> str:
    number = f"{figure.value:,.0f}" if figure.value == round(figure.value) else f"{figure.value:,.4g}"
    return f"{number} {figure.unit}".rstrip()
