"""What sections of a page are made of: tables, bars, figures, a section itself."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from dlkit.pages.html import Child, Html, element, joined, shortened

LONGEST_NAME = 80


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of a page.

    Attributes:
        anchor: what a link inside the page names.
        title: its heading; `short` the link's text.
        body: what stands under the heading.
        half: whether it takes half the width of a wide screen.
    """

    anchor: str
    title: str
    short: str
    body: Html
    half: bool = False

    @property
    def html(self) -> Html:
        heading = element("h2", self.title, id=f"{self.anchor}-title")
        style = "half" if self.half else None
        return element(
            "section", heading, self.body, id=self.anchor, class_=style, aria_labelledby=f"{self.anchor}-title"
        )


@dataclasses.dataclass(frozen=True)
class Cell:
    """Of a table, where it is more than a text."""

    body: Child
    style: str | None = None


def table(
    caption: Child,
    head: Sequence[str],
    rows: Sequence[Sequence[Child | Cell]],
    *,
    numbers: Sequence[int] = (),
    label: str = "",
    tall: bool = False,
    style: str | None = None,
) -> Html:
    """A table in a box of its own, which scrolls where it is too wide; the first column names the rows.

    Args:
        numbers: columns that are aligned to the right.
        label: what the box is called for those who cannot see it.
        tall: whether it also scrolls where it is too high.
    """
    columns = [
        element("th", text, scope="col", class_="n" if i in numbers else None) if text else element("td")
        for i, text in enumerate(head)
    ]
    lines = [element("tr", *(_cell(cell, i, numbers) for i, cell in enumerate(row))) for row in rows]
    whole = element(
        "table",
        element("caption", caption) if caption else None,
        element("thead", element("tr", *columns)),
        element("tbody", *lines),
        class_=style,
    )
    return box(whole, label or str(caption), tall=tall)


def box(content: Child, label: str, *, tall: bool = False) -> Html:
    """Content that scrolls by itself, by keys too."""
    return element(
        "div", content, class_="box tall" if tall else "box", tabindex="0", role="group",
        aria_label=shortened(label, LONGEST_NAME),
    )  # fmt: skip


def bar(share: float, style: str = "") -> Html:
    """A bar of a part of 1; the number stands beside it in text."""
    part = 100 * min(1.0, max(0.0, share)) if math.isfinite(share) else 0.0
    return element("span", element("i", style=f"width:{part:.1f}%"), class_=f"bar {style}".strip(), aria_hidden="true")


def facts(pairs: Sequence[tuple[str, Child]]) -> Html:
    """Names and what they are, one under the other."""
    return element("dl", *(joined(element("dt", name), element("dd", value)) for name, value in pairs), class_="facts")


def name(text: str) -> str:
    """A label or the name of a layer, cut where it is very long; one that would not be seen is said to be empty."""
    return shortened(text, LONGEST_NAME) if text.strip() else "(empty)"


def _cell(cell: Child | Cell, column: int, numbers: Sequence[int]) -> Html:
    body, style = (cell.body, cell.style) if isinstance(cell, Cell) else (cell, None)
    classes = " ".join(filter(None, ["n" if column in numbers else "name" if column == 0 else "", style]))
    if column == 0:
        return element("th", body, scope="row", class_=classes or None)
    return element("td", body, class_=classes or None)
