"""An export to a device of one's own: its facts decide, and travel in the bundle."""

from __future__ import annotations

from pathlib import Path

import pytest
from board import write_board

from dlkit.bundle.loading import load_bundle
from dlkit.errors import VerificationRefused
from dlkit.pipeline import export


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
