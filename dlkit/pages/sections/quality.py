"""The exported file beside the float model, on each split and for each output."""

from __future__ import annotations

import dataclasses

from dlkit.pages.html import Child, Html, element, joined
from dlkit.pages.metrics import is_own, told
from dlkit.pages.parts import Cell, Section, bar, name, table
from dlkit.pages.reading import Facts
from dlkit.report import Comparison, Detection

BESIDE = (("top5", "Right class among five", 4), ("mse", "Mean squared error", 6),
          ("seasonal_skill", "Skill beside the last season", 4), ("mase", "Scaled error (MASE)", 4))  # fmt: skip
"""Further numbers of a comparison that the float model has too: its field, its name, decimals."""


def quality(facts: Facts) -> Section:
    """Tables side by side."""
    report = facts.report
    tables = [_comparison(c, "") for c in (*report.gates, *report.tests)]
    tables += [_comparison(c, "step by step, at the end of each sequence: ") for c in report.streamed]
    detection = _detection(report.detection) if report.detection else None
    hint = element("p", "The first split decides whether a file is kept; the test split is looked at once, after that.",
                   class_="hint") if report.tests else None  # fmt: skip
    return Section("quality", "Float and exported", "Quality",
                   joined(hint, element("div", *tables, class_="pair"), detection))  # fmt: skip


def _comparison(comparison: Comparison, before: str) -> Html:
    metric = told(comparison.metric)
    rows: list[list[Child | Cell]] = []
    if is_own(comparison):
        rows.append([metric.name, metric.of(comparison.float), metric.of(comparison.exported),
                     metric.change(comparison.float, comparison.exported)])  # fmt: skip
    for field, called, places in BESIDE:
        old, new = (getattr(comparison, f"{which}_{field}") for which in ("float", "exported"))
        if old is not None and new is not None:
            plain = dataclasses.replace(metric, places=places, unit="")
            rows.append([called, plain.of(old), plain.of(new), plain.change(old, new)])
    if comparison.agreement is not None:
        rows.append(["Same class first", "", f"{comparison.agreement:.4f}", ""])
        if comparison.score_agreement is not None and comparison.score_agreement != comparison.agreement:
            rows.append(["… by the scores", "", f"{comparison.score_agreement:.4f}", ""])
    gap = f"outputs up to {comparison.largest_output:.3g}"
    rows.append(["Largest difference", "", f"{comparison.largest_gap:.3g}", gap])
    rows.append(["Signal over noise", "", f"{comparison.sqnr_db:.1f} dB", Cell(bar(comparison.sqnr_db / 80))])
    output = f", output {name(comparison.output)}" if comparison.output else ""
    caption = f"{before}{name(comparison.split)}, {comparison.samples:,} samples{output}"
    notes = element("p", f"{metric.name}: {metric.note}.", class_="hint") if metric.note and rows else None
    label = f"Quality on {caption}"
    head = ("", "float", "exported", "change")
    return element("div", table(caption, head, rows, numbers=(1, 2), label=label), notes)


def _detection(detection: Detection) -> Html:
    normal = ", ".join(map(name, detection.normal))
    return joined(
        element("h3", "Anomalies"),
        element(
            "p",
            f"Normal is {normal}. A sample whose error is beyond {detection.threshold:.5f} is an anomaly: the "
            f"{1 - detection.wanted:.4g} quantile of the errors of {detection.samples:,} normal validation samples. On "
            f"the test split {detection.false_alarms:.4f} of the normal samples are beyond it, and "
            f"{detection.found:.4f} of the others.",
        ),
    )
