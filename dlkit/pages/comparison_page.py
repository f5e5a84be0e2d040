"""Several bundles on one page: what each takes, what it is worth, and which is best in what."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable, Sequence
from urllib.parse import quote

from dlkit.bundle.loading import Bundle
from dlkit.pages.charts import Point, scatter
from dlkit.pages.html import Child, Html, element, joined
from dlkit.pages.latency import Latencies, Latency, told_ms
from dlkit.pages.metrics import is_own, told
from dlkit.pages.page import whole_page
from dlkit.pages.parts import Cell, Section, bar, box, facts, name, table
from dlkit.pages.sections.headline import main_comparison
from dlkit.quantities import size
from dlkit.report import Comparison, Report

MOST_LETTERS, FEW_NAMES = 26, 2


@dataclasses.dataclass(frozen=True)
class Compared:
    """One bundle among others.

    Attributes:
        bundle: itself.
        report: what was measured when it was made.
        latencies: measured here, one after the other.
        link: to its own page, from where this one is written, as parts of a path; () where it has none.
    """

    bundle: Bundle
    report: Report
    latencies: Latencies
    link: tuple[str, ...]

    @property
    def comparison(self) -> Comparison:
        return main_comparison(self.report)

    @property
    def latency(self) -> Latency | None:
        """Of its model; None where it was not timed."""
        return self.latencies.measured[0] if self.latencies.measured else None


def comparison_page(compared: Sequence[Compared]) -> bytes:
    """The content of the HTML file. Bundles are marked with letters, in their order."""
    names = sorted({name(each.bundle.manifest["name"]) for each in compared})
    of_few = f"{', '.join(names)}: {len(compared)} bundles"
    title = of_few if len(names) <= FEW_NAMES else f"{len(compared)} bundles of {len(names)} models"
    sections = [_table(compared), *_pictures(compared), _details(compared), _about(compared)]
    head = element(
        "header",
        element("p", "dlkit report", class_="kind"),
        element("h1", title),
        element("div", element("dl", *_winners(compared), class_="tiles"), class_="verdict"),
    )
    return whole_page(f"{title} – dlkit report", head, [section for section in sections if section])


def letter(place: int) -> str:
    """What a bundle is called in a picture: A … Z, then 27, 28 …"""
    return chr(ord("A") + place) if place < MOST_LETTERS else str(place + 1)


def _called(each: Compared) -> str:
    return name(each.bundle.name)


def _groups(compared: Sequence[Compared]) -> list[list[Compared]]:
    """Those that can be held against one another: measured by the same metric, on as many samples of one split."""
    groups: dict[tuple[str, str, int], list[Compared]] = {}
    for each in compared:
        c = each.comparison
        groups.setdefault((c.metric, c.split, c.samples), []).append(each)
    return list(groups.values())


def _best(compared: Sequence[Compared], value: Callable[[Compared], float | None], *, low: bool) -> list[Compared]:
    """Those with the best value, none where no two can be told apart."""
    known = [(found, each) for each in compared if (found := value(each)) is not None]
    if len({found for found, _ in known}) < 2:
        return []
    best = (min if low else max)(found for found, _ in known)
    return [each for found, each in known if found == best]


def _smallest(compared: Sequence[Compared]) -> list[Compared]:
    return _best(compared, lambda each: each.report.bytes, low=True)


def _fastest(compared: Sequence[Compared]) -> list[Compared]:
    return _best(compared, lambda each: each.latency.timing.median_ms if each.latency else None, low=True)


def _truest(group: Sequence[Compared]) -> list[Compared]:
    return _best(group, lambda each: each.comparison.exported, low=False)


def _winners(compared: Sequence[Compared]) -> list[Html]:
    tiles = []
    if small := _smallest(compared):
        tiles.append(_tile("Smallest", size(small[0].report.bytes), ", ".join(map(_called, small))))
    if fast := [(each, each.latency.timing.median_ms) for each in _fastest(compared) if each.latency]:
        tiles.append(_tile("Fastest here", told_ms(fast[0][1]), ", ".join(_called(each) for each, _ in fast)))
    for group in _groups(compared):
        metric, found = told(group[0].comparison.metric), _truest(group)
        if found:
            value = metric.of(found[0].comparison.exported)
            tiles.append(_tile(f"Best: {metric.name}", value, ", ".join(map(_called, found))))
        elif len(group) > 1:
            value = metric.of(group[0].comparison.exported)
            tiles.append(_tile(metric.name, value, f"the same of {len(group)} bundles"))
    return tiles or [_tile("Bundles", str(len(compared)), "with nothing that could be held against one another")]


def _tile(title: str, value: str, note: str) -> Html:
    inside = (element("span", value, class_="value"), element("br"), element("span", note, class_="note"))
    return element("div", element("dt", title), element("dd", *inside))


def _table(compared: Sequence[Compared]) -> Section:
    smallest, fastest = _smallest(compared), _fastest(compared)
    truest = [each for group in _groups(compared) for each in _truest(group)]
    largest = max(each.report.bytes for each in compared)
    rows: list[list[Child | Cell]] = []
    for place, each in enumerate(compared):
        comparison, report, latency = each.comparison, each.report, each.latency
        metric = told(comparison.metric)
        rows.append([
            Cell(joined(element("span", letter(place), class_="key c0"), " ", _linked(each)), "bundle"),
            Cell(_marked(size(report.bytes), each in smallest)),
            Cell(bar(report.bytes / largest if largest else 0.0, "size")),
            size(report.gzip_bytes) if report.gzip_bytes else "–",
            metric.name,
            metric.of(comparison.float) if is_own(comparison) else "–",
            Cell(_marked(metric.of(comparison.exported), each in truest)),
            f"{comparison.agreement:.4f}" if comparison.agreement is not None else "–",
            f"{comparison.sqnr_db:.1f} dB",
            Cell(_marked(told_ms(latency.timing.median_ms), each in fastest)) if latency else "–",
            told_ms(latency.timing.p95_ms) if latency else "–",
        ])  # fmt: skip
    head = (
        "bundle",
        "size",
        "",
        "by gzip",
        "metric",
        "float",
        "exported",
        "agreement",
        "above noise",
        "median",
        "95 %",
    )
    whole = table("each name leads to the bundle's own page; the best of a column is marked ★", head, rows,
                  numbers=(1, 3, 5, 6, 7, 8, 9, 10), label="Bundles side by side")  # fmt: skip
    return Section("table", "Side by side", "Table", whole)


def _marked(text: str, best: bool) -> Child:
    return element("span", f"★ {text}", class_="best") if best else text


def _linked(each: Compared) -> Html:
    if not each.link:
        return element("span", _called(each))
    return element("a", _called(each), href="/".join(quote(part, safe="") for part in each.link))


def _pictures(compared: Sequence[Compared]) -> list[Section]:
    """Quality by size, and by time, of those that can be held against one another."""
    sections = []
    places = {id(each): place for place, each in enumerate(compared)}
    for number, group in enumerate(_groups(compared)):
        metric, first = told(group[0].comparison.metric), group[0].comparison
        charts = []
        by_size = {id(each): each.report.bytes / 1e3 for each in group}
        by_time = {id(each): each.latency.timing.median_ms for each in group if each.latency}
        unit, factor = ("ms", 1.0) if max(by_time.values(), default=1.0) >= 1.0 else ("µs", 1e3)
        by_time = {key: factor * milliseconds for key, milliseconds in by_time.items()}
        for title, x_label, costs in (("by size", "kB", by_size), ("by time", unit, by_time)):
            spots = [(each, costs[id(each)], each.comparison.exported) for each in group if id(each) in costs]
            points = [
                Point(_called(e), x, y, letter(places[id(e)]), not any(_beats(o, (x, y)) for o in spots))
                for e, x, y in spots
            ]
            charts.append(scatter(f"{metric.name} {title}", points, x_label, metric.name))
        drawn = [element("div", chart) for chart in charts if chart]
        if drawn:
            hint = element("p", f"On {first.samples:,} samples ({name(first.split)}); letters are those of the table. "
                           "Filled: no other is better in both.", class_="hint")  # fmt: skip
            sections.append(Section(f"picture{number}", f"{metric.name}, size and time", metric.name,
                                    joined(hint, element("div", *drawn, class_="pair"))))  # fmt: skip
    return sections


def _beats(other: tuple[Compared, float, float], spot: tuple[float, float]) -> bool:
    """Whether `other` costs no more and is worth no less, and is better in one."""
    _, x, y = other
    return x <= spot[0] and y >= spot[1] and (x < spot[0] or y > spot[1])


def _details(compared: Sequence[Compared]) -> Section:
    """Targets, formats, what runs them."""
    rows: list[list[Child | Cell]] = []
    for place, each in enumerate(compared):
        report, device = each.report, each.report.device
        fits: Child = "proven by its own runtime"
        if device is not None:
            good = device.verdict.fits
            fits = element("span", "✓ fits" if good else "✗ does not fit", class_="ok" if good else "no")
        memory = (
            "; ".join(f"{name(b.what)} {size(max(0, b.used_bytes))}" for b in device.verdict.budgets) if device else ""
        )
        rows.append([
            joined(element("span", letter(place), class_="key c0"), " ", _called(each)),
            name(report.target),
            name(report.scheme),
            fits,
            memory or "–",
            f"{name(report.runtime)} {name(report.minimum_runtime) if report.minimum_runtime else ''}".strip(),
            f"{sum(report.ops.values()):,}",
        ])  # fmt: skip
    head = ("bundle", "target", "scheme", "on the device", "memory there", "runtime since", "operations")
    return Section("targets", "Targets", "Targets", table(None, head, rows, numbers=(6,), label="Targets"))


def _about(compared: Sequence[Compared]) -> Section:
    """Where and how times were measured."""
    timed = [each.latency for each in compared if each.latency]
    parts: list[Child] = []
    if timed:
        first = timed[0]
        parts.append(facts([
            ("machine", f"{first.processor}, {first.cores} cores, {first.system}"),
            ("how", f"one bundle after the other, each in a process of its own, {first.timing.threads} thread, up to "
                    f"{max(latency.timing.runs for latency in timed):,} inferences of one sample after a warm-up"),
            ("when", first.date),
        ]))  # fmt: skip
    problems = [f"{_called(each)}: {each.latencies.problem}" for each in compared if each.latencies.problem]
    parts += [element("p", f"Not timed: {problem}", class_="hint") for problem in problems]
    commands = "\n".join(f"dlkit predict {shlex.quote(f'exported/{each.bundle.name}')} --check" for each in compared)
    parts.append(element("h3", "Check them"))
    parts.append(box(element("pre", element("code", commands)), "Commands"))
    return Section("about", "How this was measured", "Method", joined(*parts))
