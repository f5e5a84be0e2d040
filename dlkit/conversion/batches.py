"""Batches between processes: an archive of arrays, one for each input or output of a network."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Batch = Mapping[str, "NDArray[Any]"]
"""Inputs or outputs of a network by name, (N, *shape) each, with the same N."""


def read_batch(path: Path | str) -> dict[str, NDArray[Any]]:
    """What `arrays.write_npz` wrote: a file of our own, so numpy's reader will do."""
    with np.load(path) as stored:
        return dict(stored)


def count_of_samples(batch: Mapping[str, Sized]) -> int:
    """N, which is the same for every array."""
    return len(next(iter(batch.values())))
