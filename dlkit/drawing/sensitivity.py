"""Picture of what quantizing costs, layer by layer: the noise of each alone, and what keeping it float wins."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlkit.drawing.canvas import DPI, INK, SOFT
from dlkit.extras import require
from dlkit.layer_costs import LayerSensitivity, Sensitivity, noise_of
from dlkit.quantities import size

ALONE, KEPT, ADVISED = "#4c78a8", "#54a24b", "#f58518"
MOST_SHOWN = 30
"""Layers; of more the ones that cost most."""
ROW, LONGEST_NAME = 0.24, 40
"""Inches of a layer, and letters of its name."""


def draw_sensitivity(found: Sensitivity, path: Path) -> None:
    """Write a PNG whose bytes depend on what is drawn alone.

    Raises:
        ExtraMissing: matplotlib is not installed.
    """
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it tells of building its font cache
    matplotlib = require("matplotlib")
    figures, agg = require("matplotlib.figure"), require("matplotlib.backends.backend_agg")
    rows = shown(found)
    names = [_short(row.layer) for row in rows]
    width, height = 8.4 + 0.075 * max(map(len, names), default=0), 1.5 + ROW * max(4, len(rows))
    with matplotlib.rc_context(matplotlib.rcParamsDefault):
        figure = figures.Figure(figsize=(width, height), dpi=DPI, facecolor="white", layout="constrained")
        agg.FigureCanvasAgg(figure)
        figure.suptitle(title(found, len(rows)), color=INK, fontsize=10, parse_math=False)
        left, right = figure.subplots(1, 2, sharey=True)
        _bars(left, [_cost(row) for row in rows], [_cost_text(found, row) for row in rows], ALONE)
        left.set_title("quantized alone", color=INK, fontsize=9)
        left.set_xlabel("noise, % of the scores' signal", color=SOFT, fontsize=8)
        _bars(right, [_gain(found, row) for row in rows], [_gain_text(found, row) for row in rows], KEPT)
        right.set_title("kept float alone", color=INK, fontsize=9)
        right.set_xlabel("of the noise with all layers quantized, % that is gone", color=SOFT, fontsize=8)
        left.set_yticks(range(len(rows)), names, parse_math=False)
        left.set_ylim(max(4, len(rows)) - 0.4, -0.6)
        kept = found.advice.layers if found.advice else ()
        for row, label in zip(rows, left.get_yticklabels(), strict=True):
            label.set_color(ADVISED if row.layer in kept else INK)
        figure.savefig(path, format="png", dpi=DPI, metadata={"Software": None})


def shown(found: Sensitivity) -> Sequence[LayerSensitivity]:
    """The layers in the picture, the one that costs most first; and the file's ends where it has any."""
    ends = [found.ends] if found.ends else []
    return [*found.layers[: MOST_SHOWN - len(ends)], *ends]


def title(found: Sensitivity, rows: int) -> str:
    """What was measured; of how many layers only some are shown."""
    layers = rows - bool(found.ends)
    which = f"{layers} of {len(found.layers)} layers, those that cost most" if layers < len(found.layers) else ""
    said = f"{found.model}, {found.scheme}: scores {found.all_sqnr_db:.1f} dB above their noise"
    said += f", {_metric(found)} {found.all_metric:.4f} ({found.float_metric:.4f} float)"
    return f"{said}\n{which}" if which else said


def _bars(panel: Any, values: Sequence[float], texts: Sequence[str], colour: str) -> None:
    panel.barh(range(len(values)), values, color=colour, height=0.72)
    for place, (value, text) in enumerate(zip(values, texts, strict=True)):
        panel.annotate(
            text, (max(value, 0.0), place), xytext=(3, 0), textcoords="offset points", va="center", fontsize=6.5,
            color=SOFT, parse_math=False,
        )  # fmt: skip
    reach = max([*values, 1e-9])
    panel.set_xlim(min([*values, 0.0]) * 1.05, reach * 1.45)  # with room for the longest text
    panel.tick_params(labelsize=7, colors=SOFT, length=0)
    panel.grid(axis="x", alpha=0.3)
    panel.set_axisbelow(True)
    panel.spines[["top", "right", "left"]].set_visible(False)


def _cost(row: LayerSensitivity) -> float:
    """In percent; 0 where nothing was measured."""
    return 0.0 if row.alone_sqnr_db is None else 100 * noise_of(row.alone_sqnr_db)


def _gain(found: Sensitivity, row: LayerSensitivity) -> float:
    """In percent; below 0 where it grows, at most as much as there was."""
    if row.kept_sqnr_db is None:
        return 0.0
    return max(-100.0, 100 * (1 - noise_of(row.kept_sqnr_db) / noise_of(found.all_sqnr_db)))


def _cost_text(found: Sensitivity, row: LayerSensitivity) -> str:
    if row.alone_sqnr_db is None or row.alone_metric is None:
        return "not measured"
    return f"{row.alone_sqnr_db:.1f} dB{_change(found, row.alone_metric - found.float_metric)}"


def _gain_text(found: Sensitivity, row: LayerSensitivity) -> str:
    if row.kept_sqnr_db is None or row.kept_metric is None or row.kept_bytes is None:
        return "not measured"
    more = f", {'+' if row.kept_bytes >= 0 else '−'}{size(abs(row.kept_bytes))}"
    gain = row.kept_sqnr_db - found.all_sqnr_db
    return f"{_signed(gain, 1)} dB{_change(found, row.kept_metric - found.all_metric)}{more}"


def _change(found: Sensitivity, difference: float) -> str:
    """Of the metric, where there is one beside the decibels of the scores and it changes."""
    if found.metric == "sqnr_db" or abs(difference) < 5e-5:
        return ""
    return f", {_metric(found)} {_signed(difference, 4)}"


def _signed(value: float, places: int) -> str:
    text = f"{abs(value):.{places}f}"
    return f"{'−' if value < 0 and float(text) else '+'}{text}"


def _metric(found: Sensitivity) -> str:
    return found.metric.removesuffix("_db").replace("auc", "AUC").replace("psnr", "PSNR").replace("sqnr", "SQNR")


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
