"""Results as Markdown: a table for each part, and a list of what dlkit loses."""

from __future__ import annotations

from collections.abc import Sequence

from results import CLOCK, CPU, MEMORY, Measurement, Results

QUANTITIES = {CLOCK: "clock", CPU: "processors", MEMORY: "memory"}


def table_of(measurements: Sequence[Measurement]) -> str:
    """A row for each thing and each other way that it was done; below, what could not be done."""
    shown = [quantity for quantity in QUANTITIES if any(quantity in each.taken for each in measurements)]
    heads = ["", "beside", *(f"{QUANTITIES[q]}: least, theirs, ratio" for q in shown), "rounds"]
    rows = [row for each in measurements if each.taken[CPU] for row in _rows(each, shown)]
    return f"{_lines(heads, rows)}{_endings(measurements)}"


def latency_table(measurements: Sequence[Measurement]) -> str:
    """A row for each network and scheme, a column for each other way; the processors' time."""
    others = [
        *dict.fromkeys(way for each in measurements for way in (*each.taken[CPU], *each.failed) if way != each.ours)
    ]
    rows = []
    for each in measurements:
        name, _, scheme = each.what.partition(", ")
        mine = each.taken[CPU].get(each.ours)
        cells = [_ratio_or_fact(each, other) for other in others]
        rows.append([name, scheme, f"{number(min(mine))}" if mine else "–", *cells])
    return f"{_lines(['network', 'scheme', 'ms', *others], rows)}{_endings(measurements)}"


def _ratio_or_fact(each: Measurement, other: str) -> str:
    if other in each.failed:
        return "none"
    ratio = each.ratio(CPU, other)
    if ratio is None:
        theirs = each.taken[CPU].get(other)
        return f"{number(min(theirs))} ms" if theirs else ""
    return str(ratio)


def _lines(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in [heads, ["---"] * len(heads), *rows])


def _rows(each: Measurement, shown: list[str]) -> list[list[str]]:
    rounds = str(max(map(len, each.taken[CPU].values())))
    if not each.others:
        return [[each.what, "–", *(_alone(each, quantity) for quantity in shown), rounds]]
    return [[each.what, other, *(_cell(each, quantity, other) for quantity in shown), rounds] for other in each.others]


def _cell(each: Measurement, quantity: str, other: str) -> str:
    ratio = each.ratio(quantity, other)
    if ratio is None:
        return "–"
    unit = "MB" if quantity == MEMORY else each.unit
    values = each.taken[quantity]
    return f"{number(min(values[each.ours]))} {unit}, {number(min(values[other]))} {unit}, {ratio}"


def _alone(each: Measurement, quantity: str) -> str:
    values = each.taken.get(quantity, {}).get(each.ours)
    return f"{number(min(values))} {'MB' if quantity == MEMORY else each.unit}" if values else "–"


def _endings(measurements: Sequence[Measurement]) -> str:
    """Below a table, how each way ended that came to nothing, and of what."""
    of: dict[str, list[str]] = {}
    for each in measurements:
        for way, why in each.failed.items():
            of.setdefault(f"{way} {why}".rstrip("."), []).append(each.what)
    return "".join(f"\n\nNone: {', '.join(f'`{what}`' for what in whats)}: {why}." for why, whats in of.items())


def number(value: float) -> str:
    """Three digits that count, without an exponent."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3g}"


def losses(results: Results) -> list[str]:
    """A line for each ratio that is more than 1 beyond the noise, by the processors' time or by memory."""
    lines = []
    for each in results.measurements:
        for quantity in (CPU, MEMORY):
            for other in each.others:
                ratio = each.ratio(quantity, other)
                if ratio and ratio.is_more:
                    lines.append(f"{each.part}: {each.what}, {QUANTITIES[quantity]}, beside {other}: {ratio}")
    return lines
