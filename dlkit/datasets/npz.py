"""An archive of arrays, as numpy.savez writes it: samples and class numbers, divided or not."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

from dlkit.datasets import Dataset, Wanted, source
from dlkit.datasets._fractions import InSplits
from dlkit.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dlkit.datasets._arrays import Labelled

ENDINGS = {"train": ("_train",), "validation": ("_validation", "_valid", "_val"), "test": ("_test",)}
"""Of the names of arrays that belong to a split."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class NpzOptions(InSplits):
    """Of an .npz archive.

    Attributes:
        path: the file, with arrays x_train and y_train, and x_validation (x_val), y_validation, x_test and y_test if
            there are such; or x and y, to be divided.
        raw_range: [lowest, highest] raw value; known of bytes, 0 to 255, and needed to scale other numbers to 0…1.
        classes: names of the classes 0, 1 …; by default they are called as they are numbered.
    """

    path: str
    raw_range: tuple[float, float] | None = None
    classes: tuple[str, ...] = ()


@source(NpzOptions, gives="arrays x_train, y_train, x_validation …, or x and y, in an .npz archive")
def npz(options: NpzOptions, wanted: Wanted) -> Dataset:
    """Samples (N, …) and labels (N,); bytes (N, height, width) are grey images."""
    from dlkit.datasets._arrays import stamp

    return _opened(options, stamp(options.path))


@functools.lru_cache(maxsize=1)
def _opened(options: NpzOptions, stamp: object) -> Dataset:
    from pathlib import Path

    from dlkit.datasets._arrays import Given, dataset_of_arrays
    from dlkit.runtime.arrays import read_npz
    from dlkit.runtime.inputs import content_of

    where = f"data.options.path = {options.path!r}"
    parts = _parts(read_npz(content_of(Path(options.path)), where), where)
    return dataset_of_arrays(Given("npz", options.path, parts, options, options.raw_range, options.classes))


def _parts(arrays: dict[str, NDArray[Any]], where: str) -> dict[str, Labelled]:
    """The arrays by split. Raises DataError for one that belongs to none, or has no other half."""
    from dlkit.datasets._arrays import Labelled

    known = {"": ("",)} if {"x", "y"} & arrays.keys() else ENDINGS
    parts, used = {}, set()
    for part, endings in known.items():
        for ending in endings:
            x, y = f"x{ending}", f"y{ending}"
            if not {x, y} & arrays.keys():
                continue
            if not {x, y} <= arrays.keys() or part in parts:
                raise DataError(f"{where}: has {', '.join(sorted(arrays))}; each x needs its y, once for each split")
            parts[part] = Labelled(arrays[x], arrays[y], f"{where}, {x} and {y}")
            used |= {x, y}
    if used != arrays.keys() or not {"", "train"} & parts.keys():
        found = ", ".join(sorted(arrays)) or "no arrays"
        raise DataError(
            f"{where}: has {found}; it takes x and y, or x_train and y_train with x_validation, y_validation, x_test "
            "and y_test as far as there are such"
        )
    return parts
