"""The picture of a training."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from dlkit.drawing import draw_training

HISTORY = [{"loss": 2.0 / n, "accuracy": 1 - 0.5 / n, "val_loss": 2.1 / n, "val_accuracy": 0.5} for n in range(1, 9)]


@pytest.mark.parametrize(("history", "classes", "panels"), [(HISTORY, 3, 3), (HISTORY, 0, 2), (HISTORY[:1], 40, 3)])
def test_a_panel_for_each_quantity_and_one_for_the_classes(
    history: list[dict[str, float]], classes: int, panels: int, tmp_path: Path
) -> None:
    """Of equal width; without classes no matrix, with too many no names."""
    labels = [f"class {n}" for n in range(classes)]
    draw_training(history, [[n + 1] * classes for n in range(classes)], labels, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.width == round(4.4 * panels * 160)


def test_the_same_training_gives_the_same_bytes(tmp_path: Path) -> None:
    """No date, no version."""
    for name in ("a.png", "b.png"):
        draw_training(HISTORY, [[3, 0], [1, 2]], ["$a", "b"], tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
