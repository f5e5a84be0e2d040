"""The course of the training: losses, and what else was measured after each epoch."""

from __future__ import annotations

from collections.abc import Sequence

from dlkit.pages.charts import Line, line_chart
from dlkit.pages.html import element, joined
from dlkit.pages.parts import Section, name
from dlkit.pages.reading import Facts, History

MOST_CHARTS = 6
HELD_OUT = "val_"


def training(facts: Facts) -> Section | None:
    """A chart for what is of one kind: of the training split and of the validation split."""
    history = facts.history
    if not history:
        return None
    charts = []
    for columns in _groups(history)[:MOST_CHARTS]:
        title = name(columns[0].removeprefix(HELD_OUT).replace("_", " "))
        lines = [Line(_called(c, columns), history[c], first=1, dashed=c.startswith(HELD_OUT)) for c in columns]
        chart = line_chart(title, lines, "epoch")
        if chart:
            charts.append(element("div", element("h3", title), chart))
    if not charts:
        return None
    epochs = len(next(iter(history.values())))
    hint = element("p", f"{epochs:,} epochs", class_="hint")
    return Section("training", "Training", "Training", joined(hint, element("div", *charts, class_="pair")))


def _groups(history: History) -> list[list[str]]:
    """Columns that belong into one chart; losses first."""
    losses = [c for c in history if c.removeprefix(HELD_OUT).endswith("loss")]
    groups: dict[str, list[str]] = {}
    for column in sorted(losses, key=lambda c: c.startswith(HELD_OUT)) + [c for c in history if c not in losses]:
        kind = "loss" if column in losses else column.removeprefix(HELD_OUT)
        groups.setdefault(kind, []).append(column)
    return [sorted(columns, key=lambda c: c.startswith(HELD_OUT)) for columns in groups.values()]


def _called(column: str, columns: Sequence[str]) -> str:
    if len(columns) == 2 and columns[1] == f"{HELD_OUT}{columns[0]}":
        return "validation" if column.startswith(HELD_OUT) else "training"
    return name(column.replace("_", " "))
