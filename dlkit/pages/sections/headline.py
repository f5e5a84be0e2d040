"""What a page begins with: which network, in which form, for what, and how well it was proven."""

from __future__ import annotations

from dlkit.pages.html import Child, Html, element, joined
from dlkit.pages.latency import told_ms
from dlkit.pages.metrics import is_own, told
from dlkit.pages.parts import name
from dlkit.pages.reading import Facts
from dlkit.quantities import size
from dlkit.report import Comparison, Report

TASKS = {
    "classification": "classifier", "generation": "generator", "reconstruction": "auto-encoder",
    "forecasting": "forecaster",
}  # fmt: skip


def title_of(facts: Facts) -> str:
    """What the page is called in a window."""
    manifest = facts.bundle.manifest
    return f"{name(manifest['name'])}, {name(manifest['scheme'])} for {name(manifest['target'])}"


def header(facts: Facts) -> Html:
    """The name and the verdict."""
    manifest = facts.bundle.manifest
    return element(
        "header",
        element("p", "dlkit report", class_="kind"),
        element("h1", name(manifest["name"])),
        element("p", _under(facts), class_="under"),
        element("div", element("p", _verdict(facts)), element("dl", *_tiles(facts), class_="tiles"),
                *_warnings(facts), class_="verdict"),
    )  # fmt: skip


def main_comparison(report: Report) -> Comparison:
    """The one that a page speaks of: on the test split where there is one."""
    return report.test or report.gate


def _under(facts: Facts) -> str:
    manifest, recipe = facts.bundle.manifest, facts.bundle.manifest.get("recipe") or {}
    task = "detector of anomalies" if facts.bundle.detector else TASKS.get(facts.bundle.task, "model")
    if not facts.bundle.task and facts.bundle.labels:
        task = "classifier"
    network, data = manifest.get("network"), recipe.get("data")
    dataset = data.get("name") if isinstance(data, dict) else None
    what = f"an {task}" if task[0] in "aeiou" else f"a {task}"
    if not isinstance(network, str) or not network:
        what += " from elsewhere"
    else:
        what = f"{network}, {what}"
        if manifest.get("trained") and isinstance(dataset, str) and dataset:
            what += f" trained on {dataset}"
    return name(f"{manifest['scheme']} for {manifest['target']} · {what}")


def _verdict(facts: Facts) -> Child:
    comparison, report = main_comparison(facts.report), facts.report
    metric = told(comparison.metric)
    value = metric.of(comparison.exported)
    if is_own(comparison):
        value = f"{metric.of(comparison.float)} float → {value} exported"
    parts: list[Child] = [f" {metric.name} ", element("strong", value)]
    parts.append(f" on {comparison.samples:,} samples ({name(comparison.split)}); {size(report.bytes)}")
    parts.append(f", {report.bytes / report.float_bytes:.2f} of the float file." if report.float_bytes else ".")
    if not facts.bundle.manifest.get("trained", True):
        parts.append(" Its weights are random: this proves the conversion, not what the network knows.")
    if report.device is not None and not report.device.verdict.fits:
        return joined(element("span", "✗ Does not fit the device", class_="badge not"), *parts)
    return joined(element("span", "✓ Proven", class_="badge"), *parts)


def _tiles(facts: Facts) -> list[Html]:
    report, comparison = facts.report, main_comparison(facts.report)
    metric, tiles = told(comparison.metric), []
    if is_own(comparison):
        change = metric.change(comparison.float, comparison.exported)
        note = f"float {metric.of(comparison.float)}, {change}"
        tiles.append(_tile(f"{metric.name}, {name(comparison.split)}", metric.of(comparison.exported), note))
    beside = "of the model"
    if report.float_bytes:
        beside = f"float {size(report.float_bytes)}, {report.bytes / report.float_bytes:.2f} of it"
    tiles.append(_tile("Size", size(report.bytes), beside))
    if facts.latencies.measured:
        first = facts.latencies.measured[0]
        note = f"median here, 95 % within {told_ms(first.timing.p95_ms)}"
        tiles.append(_tile("Latency", told_ms(first.timing.median_ms), note))
    if comparison.agreement is not None:
        tiles.append(_tile("Agreement", f"{comparison.agreement:.4f}", "samples with the same class first"))
    tiles.append(_tile("Signal over noise", f"{comparison.sqnr_db:.1f} dB", "what quantization leaves of the outputs"))
    if report.detection:
        found = f"{report.detection.false_alarms:.4f} false alarms"
        tiles.append(_tile("Anomalies found", f"{report.detection.found:.4f}", found))
    return tiles


def _tile(title: str, value: str, note: str) -> Html:
    inside = (element("span", value, class_="value"), element("br"), element("span", note, class_="note"))
    return element("div", element("dt", title), element("dd", *inside))


def _warnings(facts: Facts) -> list[Html]:
    found = [element("p", element("strong", "Warning: "), text, class_="warning") for text in facts.report.warnings]
    return [*found, *(element("p", f"Note: {text}", class_="hint") for text in facts.report.notes)]
