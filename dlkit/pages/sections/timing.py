"""How long the model takes on the machine that made the page."""

from __future__ import annotations

from dlkit.pages.charts import histogram
from dlkit.pages.html import Child, Html, element, joined
from dlkit.pages.latency import Latency, told_ms
from dlkit.pages.parts import Cell, Section, name, table
from dlkit.pages.reading import Facts
from dlkit.quantities import size

LEAST_RUNS = 30
"""Of a picture of how times are spread."""


def timing(facts: Facts) -> Section | None:
    """A table of quantiles and a picture of them."""
    found = facts.latencies
    if not found.measured and not found.problem:
        return None
    several = len(found.measured) > 1
    parts = [_one(latency, several) for latency in found.measured]
    if several:
        parts = [element("div", *(element("div", part) for part in parts), class_="pair")]
    if found.problem:
        parts.append(element("p", f"Not measured: {found.problem}", class_="hint"))
    elif facts.bundle.manifest["target"] not in ("cpu", "server"):
        parts.append(element("p", "These are times of this machine, not of the device.", class_="hint"))
    return Section("latency", "Latency on this machine", "Latency", joined(*parts), half=not several)


def _one(latency: Latency, named: bool) -> Html:
    timing = latency.timing
    threads = "1 thread" if timing.threads == 1 else f"{timing.threads} threads"
    runtime = f"{timing.backend} ({latency.runtime})" if latency.runtime else timing.backend
    where = (
        f"{timing.runs:,} inferences after a warm-up, one sample each, {threads} of {latency.cores} cores of "
        f"{timing.gpu or latency.processor}, {latency.system}, by {runtime}; {latency.date}"
    )
    quantiles = latency.quantiles_ms()
    rows: list[list[Child | Cell]] = [["fastest", told_ms(timing.min_ms)]]
    rows += [[_called(told), told_ms(value)] for told, value in quantiles]
    rows += [["slowest", told_ms(max(latency.times_ms))], ["first inference", told_ms(timing.first_ms)],
             ["loading", told_ms(timing.init_ms)], ["memory of the process", size(timing.peak_bytes)]]  # fmt: skip
    marks = [("median", dict(quantiles)["50 %"]), ("95 %", dict(quantiles)["95 %"])]
    unit, factor = ("ms", 1.0) if timing.median_ms >= 0.1 else ("µs", 1e3)
    picture = histogram("How the times are spread", [factor * t for t in latency.times_ms], unit,
                        [(told, factor * value) for told, value in marks])  # fmt: skip
    spread = picture if timing.runs >= LEAST_RUNS else None
    heading = element("h3", name(latency.file)) if named else None
    return joined(heading, element("p", where, class_="hint"), spread,
                  table(None, ("", "wall time"), rows, numbers=(1,), label=f"Times of {latency.file}"))  # fmt: skip


def _called(quantile: str) -> str:
    return "median" if quantile == "50 %" else f"{quantile} are within"
