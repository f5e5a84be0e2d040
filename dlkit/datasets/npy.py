"""Two .npy files, samples and class numbers; the samples stay in their file and may be larger than the memory."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import TYPE_CHECKING

from dlkit.datasets import Dataset, Wanted, source
from dlkit.datasets._fractions import Divided
from dlkit.errors import DataError

if TYPE_CHECKING:
    from dlkit.runtime.rows import Rows


@dataclasses.dataclass(frozen=True, kw_only=True)
class NpyOptions(Divided):
    """Of two .npy files.

    Attributes:
        samples: the file of (N, …) numbers.
        labels: the file of (N,) class numbers.
        raw_range, classes: as of `npz`.
    """

    samples: str
    labels: str
    raw_range: tuple[float, float] | None = None
    classes: tuple[str, ...] = ()


@source(NpyOptions, gives="two .npy files, samples (N, …) and class numbers (N,); they need not fit into memory")
def npy(options: NpyOptions, wanted: Wanted) -> Dataset:
    """Samples mapped from their file; bytes (N, height, width) are grey images."""
    from dlkit.datasets._arrays import stamp

    return _opened(options, stamp(options.samples, options.labels))


@functools.lru_cache(maxsize=1)
def _opened(options: NpyOptions, stamp: object) -> Dataset:
    from dlkit.datasets._arrays import Given, Labelled, dataset_of_arrays
    from dlkit.runtime.arrays import read_npy
    from dlkit.runtime.inputs import content_of

    where = f"data.options.labels = {options.labels!r}"
    labels = read_npy(content_of(Path(options.labels)), where)
    called = f"data.options.samples = {options.samples!r}"
    parts = {"": Labelled(_mapped(Path(options.samples), called), labels, called)}
    return dataset_of_arrays(Given("npy", options.samples, parts, options, options.raw_range, options.classes))


def _mapped(path: Path, where: str) -> Rows:
    """The array of a file, which is not read. Raises DataError if it is none."""
    import numpy as np

    from dlkit.runtime.arrays import mapped_npy
    from dlkit.runtime.rows import StoredRows

    stored = mapped_npy(path, where)
    if not stored.ndim:
        raise DataError(f"{where}: is not an array of samples (N, …); save one with numpy.save")
    if stored.dtype == np.uint8 and stored.ndim == 3:
        stored = stored[..., np.newaxis]
    return StoredRows(stored)
