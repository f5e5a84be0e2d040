"""The compressed size of a file."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from dlkit import archive
from dlkit.archive import gzip_bytes


@pytest.mark.parametrize("size", [0, 1, 2**20 - 1, 2**20, 3 * 2**20 + 7])
def test_it_is_that_of_gzip(tmp_path: Path, size: int) -> None:
    """Of the standard library at level 9, of files of one piece and of several."""
    content = np.random.default_rng(0).integers(0, 9, size, np.uint8).tobytes()
    (tmp_path / "file").write_bytes(content)
    assert gzip_bytes(tmp_path / "file") == len(gzip.compress(content, 9, mtime=0))


def test_large_files_are_not_compressed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would take minutes."""
    (tmp_path / "file").write_bytes(b"0" * 11)
    monkeypatch.setattr(archive, "LARGEST_TO_COMPRESS", 10)
    assert gzip_bytes(tmp_path / "file") == 0
