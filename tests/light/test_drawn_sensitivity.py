"""The picture of what quantizing costs, layer by layer."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from dlkit.drawing import draw_sensitivity
from dlkit.drawing.sensitivity import MOST_SHOWN, ROW, shown, title
from dlkit.layer_costs import KeptFloat, LayerSensitivity, Sensitivity


def found(layers: int, ends: bool = True, metric: str = "accuracy") -> Sensitivity:
    rows = tuple(
        LayerSensitivity(f"layer_{n}", ("CONV_2D",), 0.9 + n * 1e-3, 20.0 + n, 0.95, 16.0 - n * 0.1, 1000 * n - 10)
        for n in range(layers)
    )
    return Sensitivity(
        model="net",
        scheme="int8",
        split="validation",
        samples=100,
        metric=metric,
        float_metric=0.97,
        all_metric=0.8,
        all_sqnr_db=14.0,
        float_bytes=4000,
        all_bytes=1000,
        layers=rows,
        ends=LayerSensitivity("input and output", (), None, None, None, None, None, "crashed") if ends else None,
        unaffected=(),
        kept_float=(),
        advice=KeptFloat(("layer_0",), 0.96, 30.0, 100),
        reason="why",
    )


@pytest.mark.parametrize(("layers", "ends", "rows"), [(1, False, 4), (5, True, 6), (54, True, 30), (200, False, 30)])
def test_a_row_for_each_layer_up_to_as_many_as_can_be_read(layers: int, ends: bool, rows: int, tmp_path: Path) -> None:
    """The picture is as high as its rows."""
    draw_sensitivity(found(layers, ends), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.height == pytest.approx((1.5 + ROW * rows) * 160, abs=1)


def test_the_layers_that_cost_most_are_shown_and_the_others_counted() -> None:
    """The ends of the file are among them."""
    many = found(54)
    assert [row.layer for row in shown(many)] == [f"layer_{n}" for n in range(MOST_SHOWN - 1)] + ["input and output"]
    assert title(many, MOST_SHOWN).endswith("\n29 of 54 layers, those that cost most")
    few = found(5)
    assert title(few, len(shown(few))) == "net, int8: scores 14.0 dB above their noise, accuracy 0.8000 (0.9700 float)"


def test_the_same_figures_give_the_same_bytes(tmp_path: Path) -> None:
    """No date, no version; a layer's name is no formula."""
    for name in ("a.png", "b.png"):
        draw_sensitivity(found(3, metric="sqnr_db"), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
