"""Batches between processes, which need not fit into memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dlkit.conversion.batches import mapped_batch, read_batch, write_rows
from dlkit.runtime.arrays import write_npz
from dlkit.runtime.rows import batches_of

RNG = np.random.default_rng(0)
ARRAYS = {
    "images": RNG.normal(size=(7, 3, 2, 1)).astype(np.float32),
    "a longer name": RNG.integers(0, 9, (7, 5)),
    "ünïcode": RNG.normal(size=(7, 4)).astype(np.float32),
}


def test_rows_that_are_written_some_at_a_time_are_whole(tmp_path: Path) -> None:
    """As numpy reads them, and mapped, of several arrays and types."""
    write_rows(tmp_path / "x.npz", {name: batches_of(values, 3) for name, values in ARRAYS.items()}, 7)
    for found in (read_batch(tmp_path / "x.npz"), mapped_batch(tmp_path / "x.npz")):
        assert list(found) == list(ARRAYS)
        for name, values in ARRAYS.items():
            assert found[name].dtype == values.dtype
            assert np.array_equal(found[name], values)


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_mapped_archive_is_the_one_that_was_written(tmp_path: Path, order: str) -> None:
    """Whatever the order of its numbers, and still when it is deleted; nothing can be written to it."""
    write_npz(tmp_path / "x.npz", {name: np.asarray(values, order=order) for name, values in ARRAYS.items()})
    found = mapped_batch(tmp_path / "x.npz")
    (tmp_path / "x.npz").unlink()
    assert all(np.array_equal(found[name], values) for name, values in ARRAYS.items())
    with pytest.raises(ValueError, match="read-only"):
        found["images"][0] = 1
