"""Pictures of a training: each loss and metric by epoch, and the classes that a classifier takes for each other."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlkit.drawing.canvas import DPI, INK, SOFT
from dlkit.extras import require

TRAINING, VALIDATION = "#4c78a8", "#f58518"
MOST_NAMED = 24
"""Classes whose names and counts can be read in the matrix; more are shown by shade alone."""


def draw_training(
    history: Sequence[dict[str, float]], confusion: Sequence[Sequence[int]], labels: Sequence[str], path: Path
) -> None:
    """Write a PNG whose bytes depend on what is drawn alone.

    Args:
        history: one entry an epoch; `val_x` is drawn with `x`.
        confusion: a row for each class, a column for what its samples are taken for; () leaves the matrix out.
        labels: names of the classes.

    Raises:
        ExtraMissing: matplotlib is not installed.
    """
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it tells of building its font cache
    matplotlib = require("matplotlib")
    figures, agg = require("matplotlib.figure"), require("matplotlib.backends.backend_agg")
    shown = [key for key in history[0] if not key.startswith("val_")]
    panels = len(shown) + bool(confusion)
    with matplotlib.rc_context(matplotlib.rcParamsDefault):
        figure = figures.Figure(figsize=(4.4 * panels, 3.8), dpi=DPI, facecolor="white", layout="constrained")
        agg.FigureCanvasAgg(figure)
        axes = figure.subplots(1, panels, squeeze=False)[0]
        for panel, key in zip(axes, shown, strict=False):
            _curves(panel, history, key)
        if confusion:
            _matrix(axes[-1], confusion, labels)
        figure.savefig(path, format="png", dpi=DPI, metadata={"Software": None})


def _curves(panel: Any, history: Sequence[dict[str, float]], key: str) -> None:
    epochs = range(1, len(history) + 1)
    panel.plot(epochs, [entry[key] for entry in history], color=TRAINING, label="training")
    if f"val_{key}" in history[0]:
        panel.plot(epochs, [entry[f"val_{key}"] for entry in history], color=VALIDATION, label="validation")
    panel.set_title(key.replace("_", " "), color=INK, fontsize=10)
    panel.set_xlabel("epoch", color=SOFT, fontsize=8)
    panel.xaxis.get_major_locator().set_params(integer=True)
    panel.tick_params(labelsize=8, colors=SOFT)
    panel.grid(alpha=0.3)
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(frameon=False, fontsize=8)


def _matrix(panel: Any, confusion: Sequence[Sequence[int]], labels: Sequence[str]) -> None:
    shares = [[count / max(sum(row), 1) for count in row] for row in confusion]
    panel.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    panel.set_title("test split: class by what it is taken for", color=INK, fontsize=10)
    if len(labels) > MOST_NAMED:
        return
    places = range(len(labels))
    panel.set_xticks(places, labels, rotation=90 if max(map(len, labels)) > 2 else 0, parse_math=False)
    panel.set_yticks(places, labels, parse_math=False)
    panel.tick_params(labelsize=7, colors=SOFT, length=0)
    for row in places:
        for column in places:
            if count := confusion[row][column]:
                colour = "white" if shares[row][column] > 0.5 else INK
                panel.text(column, row, str(count), ha="center", va="center", fontsize=7, color=colour)
