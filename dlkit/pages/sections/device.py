"""What the target makes of the file: what runs where, what it takes, and how that is known."""

from __future__ import annotations

import re
from typing import Any

from dlkit.bundle.devices import places
from dlkit.pages.html import Child, Html, element, joined, shortened
from dlkit.pages.parts import Cell, Section, bar, facts, name, table
from dlkit.pages.reading import Facts
from dlkit.quantities import size
from dlkit.report import DeviceProof
from dlkit.verdict import Budget, Figure

MOST_LAYERS, LONGEST_CELL = 200, 36
_DIGITS = re.compile(r"-?[0-9]{1,15}\.[0-9]{1,20}")


def device(facts_: Facts) -> Section | None:
    """The target's own facts, and the proof on it where that was another than the file's."""
    described, proof = facts_.bundle.manifest.get("device"), facts_.report.device
    if not isinstance(described, dict):
        described = {}
    target = name(facts_.bundle.manifest["target"])
    pairs: list[tuple[str, Child]] = [("target", target)]
    for key, called in (("summary", "what it is"), ("processor", "processor"), ("source", "numbers are of")):
        if isinstance(described.get(key), str) and described[key]:
            pairs.append((called, described[key]))
    for key, called in (("flash_bytes", "flash"), ("ram_bytes", "RAM")):
        if _is_size(described.get(key)):
            pairs.append((called, size(described[key])))
    parts: list[Child] = [facts(pairs + (_proven(proof) if proof else []))]
    if proof is not None:
        parts += _verdict(proof)
    else:
        parts.append(element("p", "The file was proven by this target's own runtime.", class_="hint"))
    return Section(
        "device", f"On the device: {target}", "Device", joined(*parts), half=not (proof and proof.verdict.layers)
    )


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**63


def _proven(proof: DeviceProof) -> list[tuple[str, Child]]:
    pairs: list[tuple[str, Child]] = [("how", proof.verdict.how)]
    if proof.samples:
        steps = "" if proof.steps is None else f" ({proof.steps:.2g} steps of the 8-bit output)"
        told = f"{proof.samples:,} samples, largest gap {proof.largest_gap:.3g}{steps} of {proof.allowed:.3g} allowed"
        pairs.append(("run there", told))
    if proof.verdict.placements:
        pairs.append(("operations", places(proof.verdict)))
    verdict = element("span", "✓ fits", class_="ok") if proof.verdict.fits else element("span", "✗ no", class_="no")
    return [*pairs, ("verdict", verdict)]


def _verdict(proof: DeviceProof) -> list[Child]:
    verdict = proof.verdict
    parts: list[Child] = [element("p", text, class_="warning") for text in verdict.obstacles]
    if verdict.budgets:
        parts.append(table(None, ("memory", "takes", "of", ""), [_budget(b) for b in verdict.budgets], numbers=(1, 2),
                           label="Memory"))  # fmt: skip
    if verdict.figures:
        rows: list[list[Child | Cell]] = [[name(f.name), _figure(f)] for f in verdict.figures]
        parts.append(table(None, ("figure", "value"), rows, numbers=(1,), label="Figures"))
    odd = [p for p in verdict.placements if p.reason]
    if odd:
        lines: list[list[Child | Cell]] = [
            [name(p.operation), f"{p.count:,}", name(p.place) or "nowhere", p.reason] for p in odd
        ]
        parts.append(table("not where the others are", ("operation", "count", "runs on", "because"), lines,
                           numbers=(1,), label="Operations elsewhere"))  # fmt: skip
    if verdict.layers:
        parts.append(_layers(verdict.layers))
    return [*parts, *(element("p", f"Note: {note}", class_="hint") for note in verdict.notes)]


def _budget(budget: Budget) -> list[Child | Cell]:
    used = f"{budget.used_bytes:,} B"
    if budget.limit_bytes is None:
        return [name(budget.what), used, "–", ""]
    share = budget.used_bytes / budget.limit_bytes if budget.limit_bytes > 0 else 1.0
    told = joined(f"{share:.0%} ", bar(share, "" if budget.kept else "over"))
    return [name(budget.what), used, size(max(0, budget.limit_bytes)), Cell(told)]


def _figure(figure: Figure) -> str:
    whole = figure.value == round(figure.value) or abs(figure.value) >= 1000
    number = f"{figure.value:,.0f}" if whole else f"{figure.value:.4g}"
    return f"{number} {figure.unit}".rstrip()


def _layers(rows: tuple[dict[str, Any], ...]) -> Html:
    head = list(rows[0])[:8]
    lines: list[list[Child | Cell]] = [
        [shortened(_told(row.get(column)), LONGEST_CELL) for column in head] for row in rows[:MOST_LAYERS]
    ]
    return table(
        "by layer, as the device's tool tells",
        [name(column) for column in head],
        lines,
        label="Layers on the device",
        tall=True,
    )


def _told(value: Any) -> str:
    """A cell of a device's tool, which may write its numbers as texts."""
    if isinstance(value, str) and (found := _DIGITS.fullmatch(value)):
        return f"{float(found[0]):.4g}"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return name(value) if isinstance(value, str) else "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
