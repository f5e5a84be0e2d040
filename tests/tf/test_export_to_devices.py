"""An export to a device of one's own: its facts decide, and travel in the bundle."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
from board import write_board
from short import short_recipe

from dlkit.bundle.loading import load_bundle
from dlkit.errors import ExtraMissing, VerificationRefused
from dlkit.pipeline import export, run, train


def test_a_board_with_room(trained, tmp_path: Path) -> None:
    """The bundle is called like the board, takes its best scheme and keeps its facts."""
    bundle, report = export(trained, target=str(write_board(tmp_path, flash_bytes=10**6)), out=tmp_path)
    assert bundle.folder == tmp_path / "short" / "my-board-int8"
    assert load_bundle(bundle.folder).manifest["device"]["flash_bytes"] == 10**6
    assert report.device is not None
    assert report.device.verdict.budgets[0].used_bytes == report.bytes


def test_a_board_without(trained, tmp_path: Path) -> None:
    """The file is refused with what it takes and what there is; nothing is written."""
    with pytest.raises(VerificationRefused, match=r"refused for my-board .* but my-board has 1,000"):
        export(trained, target=str(write_board(tmp_path, flash_bytes=1000)), out=tmp_path)
    assert not (tmp_path / "short" / "my-board-int8").exists()


@pytest.mark.slow
def test_a_model_whose_board_is_gone(tmp_path: Path) -> None:
    """A model that was trained for a board of one's own is exported to another target without that board's file."""
    board = write_board(tmp_path)
    recipe = short_recipe(training={"epochs": 1}, export={"target": str(board)})
    train(recipe, tmp_path)
    board.unlink()
    bundle, _ = export("short", target="cpu", out=tmp_path, force=True)
    assert bundle.folder.name == "cpu-int8"


def test_a_target_that_is_only_examined(trained, tmp_path: Path, dlkit) -> None:
    """The report has the verdict of a static check without a run; the bundle checks itself in LiteRT."""
    bundle, report = export(trained, target="edgetpu", out=tmp_path)
    assert report.device is not None
    assert (report.device.samples, report.device.verdict.how.split(" against")[0]) == (0, "static check")
    assert "static check" in (bundle.folder / "report.txt").read_text()
    assert dlkit("predict", bundle.folder, "--check").code == 0


@pytest.mark.parametrize(
    ("target", "module", "line"),
    [
        ("cortex-m4", "tflite_micro", "pip install 'dlkit[micro]'"),
        ("ethos-u55", "ethosu", "pip install 'dlkit[ethos-u]'"),
        ("ethos-u55", "tflite_micro", "pip install 'dlkit[micro]'"),
    ],
)
def test_a_missing_tool_is_told_before_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, module: str, line: str
) -> None:
    """With what to type; nothing was trained for nothing."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == module else find(name, *rest))
    with pytest.raises(ExtraMissing, match=re.escape(line)):
        run(short_recipe(export={"target": target}), tmp_path)
    assert not (tmp_path / "short").exists()
