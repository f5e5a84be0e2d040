"""Layer by layer: what each loses when it is quantized, and how much of the file it is."""

from __future__ import annotations

import dataclasses

from dlkit.conversion.layer_errors import EXACT_DB, STANDS_OUT
from dlkit.pages.charts import strip
from dlkit.pages.html import Child, Html, element, joined
from dlkit.pages.parts import Cell, Section, bar, name, table
from dlkit.pages.reading import Facts
from dlkit.quantities import size
from dlkit.report import LayerError, keep_float_advice

WORST = 3
"""As many are named of those that add most to the error."""
HIGHEST_DB = 60.0
"""A full bar."""
LARGEST = 6
"""Layers that a picture of the sizes tells apart."""
MANY = 14


@dataclasses.dataclass(frozen=True)
class _Row:
    """A layer with what is known of it."""

    layer: str
    operation: str
    error: LayerError | None
    bytes: int | None


def layers(facts: Facts) -> Section | None:
    """Errors and sizes in one table, in the order of the network."""
    errors, sizes = facts.report.layers, facts.sizes
    rows = _rows(facts)
    if not rows:
        return None
    worst = {error.layer for error in errors[:WORST] if error.added > 0}
    parts: list[Child] = []
    if sizes is not None:
        parts.append(_picture(facts))
    has_errors, has_sizes = bool(errors), sizes is not None
    head = ["layer", "operation", *(["above noise", ""] if has_errors else []), *(["bytes", ""] if has_sizes else [])]
    largest = max((row.bytes or 0 for row in rows), default=0)
    lines = []
    for row in rows:
        line: list[Child | Cell] = [name(row.layer), name(row.operation)]
        if has_errors:
            line += _error_cells(row.error, row.layer in worst)
        if has_sizes:
            line += [f"{row.bytes or 0:,}", Cell(bar((row.bytes or 0) / largest if largest else 0.0, "size"))]
        lines.append(line)
    if sizes is not None and sizes.rest:
        rest: list[Child | Cell] = ["the rest", "structure, names, labels", *(["", ""] if has_errors else [])]
        lines.append([*rest, f"{sizes.rest:,}", Cell(bar(sizes.rest / largest if largest else 0.0, "size"))])
    caption = "in the order of the network"
    if has_errors:
        caption += (
            "; decibels of a layer's output above the noise of all that was quantized up to there, more is better"
        )
    parts.append(table(caption, head, lines, numbers=(2, 4) if has_errors else (2,), label="Layers",
                       tall=len(lines) > MANY))  # fmt: skip
    if facts.report.keep_float:
        advice = keep_float_advice([name(layer) for layer in facts.report.keep_float]).removeprefix("; ")
        parts.append(element("p", f"What stands out: {advice}", class_="hint"))
    return Section("layers", "Layer by layer", "Layers", joined(*parts))


def _rows(facts: Facts) -> list[_Row]:
    errors = {error.layer: error for error in facts.report.layers}
    sizes = {each.layer: each for each in facts.sizes.layers} if facts.sizes else {}
    ordered = sorted(facts.report.layers, key=lambda error: error.place)
    if facts.sizes is None:
        return [_Row(error.layer, error.operation, error, None) for error in ordered]
    names = [*sizes, *(error.layer for error in ordered if error.layer not in sizes)]
    # The file's order where it knows a layer, the float file's place for those that became part of another there.
    found = []
    for layer in names:
        own, error = sizes.get(layer), errors.get(layer)
        operation = error.operation if error else own.operation if own else ""
        found.append(_Row(layer, operation, error, own.bytes if own else 0))
    return found


def _error_cells(error: LayerError | None, worst: bool) -> list[Child | Cell]:
    if error is None:
        return ["–", ""]
    told, stands_out = f"{error.sqnr_db:.1f} dB", error.added >= STANDS_OUT
    if error.sqnr_db >= EXACT_DB:
        told = "exact"
    mark = element("span", "✗ stands out ", class_="no") if stands_out else None
    if worst and not stands_out:
        mark = element("span", "▼ adds most ", class_="soft")
    return [Cell(joined(mark, told)), Cell(bar(error.sqnr_db / HIGHEST_DB, "over" if stands_out else ""))]


def _picture(facts: Facts) -> Html:
    assert facts.sizes is not None
    ordered = sorted(facts.sizes.layers, key=lambda each: -each.bytes)
    whole = sum(each.bytes for each in ordered) + facts.sizes.rest
    large = [each for each in ordered[:LARGEST] if each.bytes >= 0.01 * whole]
    shown = [(each.layer, each.bytes) for each in large]
    others = [each.bytes for each in ordered[len(large) :] if each.bytes]
    if sum(others) >= 0.005 * whole:
        shown.append((f"{len(others)} other layer{'s' if len(others) > 1 else ''}", sum(others)))
    if facts.sizes.rest:
        shown.append(("structure, names, labels", facts.sizes.rest))
    texts = [f"{size(count)}, {count / whole:.0%}" for _, count in shown]
    return strip("Where the bytes of the model are", [(n, float(count)) for n, count in shown], texts)
