"""Charts as SVG inside a page: lines, bars of a distribution, points; each with a title and a text that tells it.

Colours are classes of the page's style, `c0` to `c7`; what they tell, a text or a dash tells too.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from dlkit.pages.html import Html, element, joined, shortened

WIDTH = 360.0
"""Of a chart in its own units: as wide as a phone, so that texts of 12 units can be read there."""
MARK_RADIUS = 9.0
MOST_POINTS = 300
"""Of a line; of longer ones every so many are drawn."""


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of a chart.

    Attributes:
        values: from left to right, each one step further; NaN is a gap.
        first: the step of the first value.
        dashed: how it is told apart without its colour.
    """

    name: str
    values: Sequence[float]
    first: int = 0
    dashed: bool = False


@dataclasses.dataclass(frozen=True)
class Point:
    """One point of a scatter.

    Attributes:
        mark: a letter or number drawn in it, that a table explains.
        best: whether it is on the front that nothing beats.
    """

    name: str
    x: float
    y: float
    mark: str
    best: bool


@dataclasses.dataclass(frozen=True)
class _Frame:
    """Where values lie in a chart.

    Attributes:
        low, high: of the values, as (x, y).
        logarithmic: whether x is.
    """

    low: tuple[float, float]
    high: tuple[float, float]
    height: float
    left: float = 52.0
    logarithmic: bool = False

    def x(self, value: float) -> float:
        low, high, value = (math.log(v) if self.logarithmic else v for v in (self.low[0], self.high[0], value))
        return self.left + (WIDTH - 12 - self.left) * _share(value, low, high)

    def y(self, value: float) -> float:
        return self.height - 38 - (self.height - 50) * _share(value, self.low[1], self.high[1])


def line_chart(title: str, lines: Sequence[Line], x_label: str, unit: str = "", height: float = 210.0) -> Html:
    """Lines over the same steps, with what each is called at the top; nothing where there is no number."""
    known = [value for line in lines for value in line.values if math.isfinite(value)]
    if not known:
        return Html("")
    last = max(line.first + len(line.values) - 1 for line in lines)
    first = min(line.first for line in lines)
    low, high = _widened(min(known), max(known))
    frame = _Frame((float(first), low), (float(max(last, first + 1)), high), height)
    drawn = [_drawn_line(frame, line, number) for number, line in enumerate(lines)]
    told = "; ".join(
        f"{line.name} from {short(line.values[0])} to {short(line.values[-1])}" for line in lines if line.values
    )
    body = [*_y_axis(frame, unit), *_x_axis(frame, x_label, whole=True), *drawn]
    return joined(_legend(lines), _svg(title, f"{title}: {told}, over {x_label} {first} to {last}.", height, body))


def sparkline(title: str, lines: Sequence[Line], height: float = 90.0) -> Html:
    """Lines without axes, in a small picture."""
    known = [value for line in lines for value in line.values if math.isfinite(value)]
    if not known:
        return Html("")
    last = max(line.first + len(line.values) - 1 for line in lines)
    first = min(line.first for line in lines)
    low, high = _widened(min(known), max(known))
    frame = _Frame((float(first), low), (float(max(last, first + 1)), high), height + 44, left=6.0)
    drawn = [_drawn_line(frame, line, number) for number, line in enumerate(lines)]
    return _svg(title, f"{title}: from {short(min(known))} to {short(max(known))}.", height + 8, drawn, "spark")


def histogram(title: str, values: Sequence[float], unit: str, marks: Sequence[tuple[str, float]]) -> Html:
    """How often values occur, with lines at the `marks`, a name and a value each; the far end of long tails is cut."""
    known = sorted(value for value in values if math.isfinite(value))
    if len(known) < 2 or not 0 < known[-1] - known[0] < math.inf:
        return Html("")
    end = known[min(len(known) - 1, math.ceil(0.99 * (len(known) - 1)))]
    low, high = known[0], end if end > known[0] else known[-1]
    bins = min(36, max(6, round(math.sqrt(len(known)) * 2)))
    counts = [0] * bins
    for value in known:
        if value <= high:
            counts[min(bins - 1, int((value - low) / (high - low) * bins))] += 1
    height = 170.0
    frame = _Frame((low, 0.0), (high, float(max(counts))), height, left=14.0)
    bars = []
    for number, count in enumerate(counts):
        left, right = (frame.x(low + (high - low) * (number + end) / bins) for end in (0, 1))
        top = frame.y(count)
        bars.append(_rect(left + 0.5, top, max(0.5, right - left - 1), frame.y(0) - top, "c0 fill"))
    lines = []
    for number, (name, value) in enumerate(marks):
        if low <= value <= high:
            x, y = frame.x(value), 12.0 + 13 * number
            side = {"x": x + 3} if x < WIDTH - 70 else {"x": x - 3, "text_anchor": "end"}
            lines += [_path([(x, y - 8), (x, frame.y(0))], "mark"), element("text", name, y=f"{y:.0f}", **side)]
    told = ", ".join(f"{name} {short(value)} {unit}" for name, value in marks)
    body = [*bars, *lines, *_x_axis(frame, unit)]
    return _svg(title, f"{title}: {len(known)} values, {told}.", height, body)


def scatter(title: str, points: Sequence[Point], x_label: str, y_label: str) -> Html:
    """Points over a logarithmic axis, such as sizes; those on the front are filled."""
    good = [p for p in points if math.isfinite(p.x) and math.isfinite(p.y) and p.x > 0]
    if len(good) < 2:
        return Html("")
    low, high = _widened(min(p.y for p in good), max(p.y for p in good))
    ends = min(p.x for p in good) / 1.25, max(p.x for p in good) * 1.25
    height = 260.0
    frame = _Frame((ends[0], low), (ends[1], high), height, logarithmic=True)
    drawn = []
    places: list[tuple[float, float]] = []
    for p in good:
        x, y = frame.x(p.x), frame.y(p.y)
        place = _free_place(x, y, places)
        places.append(place)
        leader = _path([(x, y), place], "leader") if place != (x, y) else None
        circle = element(
            "circle", cx=f"{place[0]:.1f}", cy=f"{place[1]:.1f}", r=f"{MARK_RADIUS:.0f}",
            class_="front" if p.best else "behind",
        )  # fmt: skip
        inside = "on-front" if p.best else "on-behind"
        text = element(
            "text", p.mark, x=f"{place[0]:.1f}", y=f"{place[1] + 4:.1f}", text_anchor="middle", class_=inside
        )
        drawn.append(element("g", element("title", shortened(p.name, 80)), leader, circle, text))
    told = "; ".join(f"{p.mark} {shortened(p.name, 80)}: {short(p.x)}, {short(p.y)}" for p in good)
    body = [*_y_axis(frame, ""), *_x_axis(frame, x_label), *drawn]
    return joined(
        element("p", f"{y_label}, upwards is better; {x_label}, to the left is smaller", class_="hint"),
        _svg(title, f"{title}. {told}.", height, body),
    )


def strip(title: str, parts: Sequence[tuple[str, float]], told: Sequence[str]) -> Html:
    """Shares of a whole beside one another, with a list of what they are; `told` is the text for each part."""
    whole = sum(value for _, value in parts)
    if not whole > 0:
        return Html("")
    shares = [100 * value / whole for _, value in parts]
    drawn = [
        element("span", str(number + 1) if share > 4 else None, class_=f"c{number % 8}", style=f"flex:{share:.2f} 1 0")
        for number, share in enumerate(shares)
    ]
    named = "; ".join(f"{shortened(name, 80)} {text}" for (name, _), text in zip(parts, told, strict=True))
    legend = [
        element(
            "li",
            element("span", str(number + 1), class_=f"key c{number % 8}"), " ", shortened(name, 80), " ",
            element("span", text, class_="soft"),
        )
        for number, ((name, _), text) in enumerate(zip(parts, told, strict=True))
    ]  # fmt: skip
    picture = element("div", *drawn, class_="strip", role="img", aria_label=shortened(f"{title}: {named}", 1200))
    return joined(picture, element("ol", *legend, class_="legend"))


def short(value: float) -> str:
    """A number in a few characters."""
    if not math.isfinite(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 and value == round(value) else f"{value:.4g}"


def _free_place(x: float, y: float, taken: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Where a mark for (x, y) covers no other: there, or up or down from it, as far as it takes."""
    for step in range(24):
        up = (step + 1) // 2 * (1 if step % 2 else -1) * (2 * MARK_RADIUS + 2)
        place = (x, y + up)
        if 10 <= place[1] <= 230 and all(math.dist(place, other) >= 2 * MARK_RADIUS for other in taken):
            return place
    return x, y


def _share(value: float, low: float, high: float) -> float:
    """Where `value` lies between `low` and `high`, 0 to 1; the middle where there is no between."""
    span = high - low
    if not (math.isfinite(span) and span > 0):
        return 0.5
    return min(1.0, max(0.0, (value - low) / span))


def _widened(low: float, high: float) -> tuple[float, float]:
    """A little more than from `low` to `high`, so that nothing lies on the edge."""
    span = high - low
    if not math.isfinite(span):
        return low, high
    room = 0.06 * span if span > 0 else max(abs(low) * 0.01, 1e-6)
    return low - room, high + room


def _thinned(line: Line) -> list[tuple[float, float]]:
    step = max(1, math.ceil(len(line.values) / MOST_POINTS))
    places = sorted({*range(0, len(line.values), step), len(line.values) - 1})
    return [(float(line.first + place), line.values[place]) for place in places if place >= 0]


def _drawn_line(frame: _Frame, line: Line, number: int) -> Html:
    parts: list[list[tuple[float, float]]] = [[]]
    for x, y in _thinned(line):
        if math.isfinite(y):
            parts[-1].append((frame.x(x), frame.y(y)))
        elif parts[-1]:
            parts.append([])
    style = f"c{number % 8} line{' dashed' if line.dashed else ''}"
    if sum(map(len, parts)) == 1:
        [(x, y)] = [spot for part in parts for spot in part]
        return element("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r="3", class_=f"c{number % 8} fill")
    return joined(*(_path(part, style) for part in parts if len(part) > 1))


def _path(spots: Sequence[tuple[float, float]], style: str) -> Html:
    text = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in spots)
    return element("path", d=text, class_=style)


def _rect(x: float, y: float, width: float, height: float, style: str) -> Html:
    return element("rect", x=f"{x:.1f}", y=f"{y:.1f}", width=f"{width:.1f}", height=f"{height:.1f}", class_=style)


def _y_axis(frame: _Frame, unit: str) -> list[Html]:
    drawn = []
    for value in _ticks(frame.low[1], frame.high[1], 4):
        y = frame.y(value)
        drawn.append(_path([(frame.left, y), (WIDTH - 12, y)], "grid"))
        drawn.append(element("text", short(value), x=f"{frame.left - 6:.0f}", y=f"{y + 4:.1f}", text_anchor="end"))
    if unit:
        drawn.append(element("text", unit, x="4", y="10"))
    return drawn


def _x_axis(frame: _Frame, label: str, *, whole: bool = False) -> list[Html]:
    bottom = frame.y(frame.low[1])
    drawn = [_path([(frame.left, bottom), (WIDTH - 12, bottom)], "axis")]
    low, high = frame.low[0], frame.high[0]
    values = _log_ticks(low, high) if frame.logarithmic else _ticks(low, high, 5)
    for value in values:
        if whole and value != round(value):
            continue
        x = frame.x(value)
        drawn.append(_path([(x, bottom), (x, bottom + 4)], "axis"))
        drawn.append(element("text", short(value), x=f"{x:.1f}", y=f"{bottom + 17:.1f}", text_anchor="middle"))
    middle = (frame.left + WIDTH - 12) / 2
    drawn.append(element("text", label, x=f"{middle:.0f}", y=f"{bottom + 32:.1f}", text_anchor="middle"))
    return drawn


def _ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers between `low` and `high`."""
    span = high - low
    if not (math.isfinite(span) and span > 0):
        return [low] if math.isfinite(low) else []
    rough = span / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next((power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough), power * 10)
    if not step > 0:
        return [low]
    first = math.ceil(low / step)
    found = [(first + number) * step for number in range(about + 3)]
    return [float(f"{value:.10g}") for value in found if low <= value <= high]


def _log_ticks(low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1, 2, 5) if high / low < 50 else (1,)
    found = [factor * 10.0**power for power in powers for factor in factors]
    inside = [value for value in found if low <= value <= high]
    return inside[:: max(1, math.ceil(len(inside) / 6))] if len(inside) >= 2 else [low * 1.25, high / 1.25]


def _legend(lines: Sequence[Line]) -> Html:
    items = []
    for number, line in enumerate(lines):
        key = element("svg", _path([(0, 5), (26, 5)], f"c{number % 8} line{' dashed' if line.dashed else ''}"),
                      viewBox="0 0 26 10", class_="swatch", aria_hidden="true")  # fmt: skip
        items.append(element("li", key, " ", line.name))
    return element("ul", *items, class_="legend")


def _svg(title: str, description: str, height: float, body: Sequence[Html], style: str = "chart") -> Html:
    return element(
        "svg",
        element("title", shortened(title)),
        element("desc", shortened(description, 1200)),
        *body,
        viewBox=f"0 0 {WIDTH:.0f} {height:.0f}",
        role="img",
        class_=style,
    )
