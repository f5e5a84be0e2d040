"""A table: one sample a line, a column that names its class, all others its numbers."""

from __future__ import annotations

import dataclasses
import functools
import math

from dlkit.datasets import Dataset, Wanted, source
from dlkit.datasets._fractions import Divided
from dlkit.errors import DataError


@dataclasses.dataclass(frozen=True, kw_only=True)
class CsvOptions(Divided):
    """Of a table.

    Attributes:
        path: the file, UTF-8; its first line names the columns.
        label: the column that holds the class, a number or a name.
        ignore: columns that are neither, for instance an identifier.
        shape: of a sample, whose numbers stand in the order of its rows, for instance [8, 8, 1] or [steps, features];
            by default one number a column, in one dimension.
        separator: between columns.
        raw_range: as of `npz`.
    """

    path: str
    label: str
    ignore: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    separator: str = ","
    raw_range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.separator) != 1:
            raise ValueError(f"data.options.separator = {self.separator!r} must be one character")
        if any(n < 1 for n in self.shape):
            raise ValueError(f"data.options.shape = {list(self.shape)} must be whole numbers from 1 on")


@source(CsvOptions, gives="a .csv table with a line of names: a sample a line, its class in the column `label`")
def csv(options: CsvOptions, wanted: Wanted) -> Dataset:
    """Samples (N, *shape) float32."""
    from dlkit.datasets._arrays import stamp

    return _opened(options, stamp(options.path))


@functools.lru_cache(maxsize=1)
def _opened(options: CsvOptions, stamp: object) -> Dataset:
    import numpy as np

    from dlkit.datasets._arrays import Given, Labelled, dataset_of_arrays
    from dlkit.datasets._table import read_table

    where = f"data.options.path = {options.path!r}"
    table = read_table(options.path, options.separator, where)
    label = table.place(options.label, "label")
    left_out = {label, *(table.place(name, "ignore") for name in options.ignore)}
    others = [place for place in range(len(table.names)) if place not in left_out]
    features = np.asarray(table.numbers(others, "data.options.ignore = ['{}']"), np.float32)
    if not features.size:
        raise DataError(
            f"{where}: has {len(table.lines)} lines of {len(others)} columns of numbers; there is nothing to learn"
        )
    shape = options.shape or features.shape[1:]
    if math.prod(shape) != features.shape[1]:
        raise DataError(
            f"{where}: {features.shape[1]} columns of numbers, but data.options.shape = {list(shape)} takes "
            f"{math.prod(shape)}"
        )
    classes = np.asarray([cells[label].strip() for _, cells in table.lines])
    labelled = Labelled(features.reshape(len(features), *shape), classes, where)
    return dataset_of_arrays(Given("csv", options.path, {"": labelled}, options, options.raw_range))
