"""Which operations the model is made of, in which number formats, and where they run on the device."""

from __future__ import annotations

from dlkit.pages.html import Child, element, joined
from dlkit.pages.parts import Cell, Section, bar, name, table
from dlkit.pages.reading import Facts
from dlkit.report import TFLITE


def operations(facts: Facts) -> Section | None:
    """Two tables."""
    report = facts.report
    if not report.ops and not report.tensors:
        return None
    device = report.device.verdict if report.device else None
    places: dict[str, str] = {}
    for placement in device.placements if device else ():
        known = places.get(placement.operation)
        told = name(placement.place) or "nowhere"
        places[placement.operation] = told if known in (None, told) else f"{known}, {told}"
    total = max(report.ops.values(), default=0)
    head = ["operation", "count", "", *(["runs on"] if places else [])]
    rows: list[list[Child | Cell]] = [
        [name(operation), f"{count:,}", Cell(bar(count / total if total else 0)),
         *([places.get(operation, "–")] if places else [])]
        for operation, count in sorted(report.ops.items(), key=lambda item: -item[1])
    ]  # fmt: skip
    parts = [table(None, head, rows, numbers=(1,), label="Operations", tall=len(rows) > 14)] if rows else []
    if report.tensors:
        called = "tensors of" if report.runtime == TFLITE else "weights of"
        formats: list[list[Child | Cell]] = [[name(d), f"{n:,}"] for d, n in report.tensors.items()]
        parts.append(table(None, (called, "count"), formats, numbers=(1,), label="Number formats"))
    since = report.minimum_runtime
    if report.runtime == TFLITE:
        told = f"Needs TFLite {name(since)} or later." if since else "It is not known which TFLite it needs."
        if report.unknown_versions:
            told += f" Not known of: {', '.join(map(name, report.unknown_versions))}."
    else:
        told = f"Run by {name(report.runtime)}, measured with {name(since)}."
    return Section(
        "operations", "Operations", "Operations", joined(*parts, element("p", told, class_="hint")), half=True
    )
