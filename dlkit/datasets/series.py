"""A table that is a series: a step a line, in the order of time, a column for each of its features."""

from __future__ import annotations

import dataclasses
import functools

from dlkit.datasets import Dataset, Wanted, source
from dlkit.datasets._fractions import Windowed
from dlkit.errors import DataError


@dataclasses.dataclass(frozen=True, kw_only=True)
class SeriesOptions(Windowed):
    """Of a series.

    Attributes:
        path: the file, UTF-8; its first line names the columns.
        columns: the features, which are read and forecast; by default all that begin with a number.
        separator: between columns.
        raw_range: as of `npz`.
    """

    path: str
    columns: tuple[str, ...] = ()
    separator: str = ","
    raw_range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.separator) != 1:
            raise ValueError(f"data.options.separator = {self.separator!r} must be one character")
        if len(set(self.columns)) < len(self.columns):
            raise ValueError(f"data.options.columns = {list(self.columns)} names one twice")


@source(SeriesOptions, gives="a .csv table that is a series, a step a line: windows, with what comes after to forecast")
def series(options: SeriesOptions, wanted: Wanted) -> Dataset:
    """Windows (N, steps, features) float32, and after them (N, horizon, features)."""
    from dlkit.datasets._arrays import stamp

    return _opened(options, stamp(options.path))


@functools.lru_cache(maxsize=1)
def _opened(options: SeriesOptions, stamp: object) -> Dataset:
    import numpy as np

    from dlkit.datasets._arrays import statistics_of
    from dlkit.datasets._table import as_number, read_table
    from dlkit.datasets._windows import Series, dataset_of_series

    where = f"data.options.path = {options.path!r}"
    table = read_table(options.path, options.separator, where)
    if options.columns:
        places = [table.place(name, "columns") for name in options.columns]
    else:
        first = table.lines[0][1] if table.lines else []
        places = [place for place, cell in enumerate(first) if as_number(cell) is not None]
    values = np.asarray(table.numbers(places, "leave '{}' out of data.options.columns"), np.float32)
    if not values.size:
        raise DataError(
            f"{where}: has {len(table.lines)} lines of {len(places)} columns of numbers; there is nothing to forecast"
        )
    if options.raw_range is not None:
        _check_range(float(values.min()), float(values.max()), options.raw_range, where)
    start, end = options.parts(len(values))["train"]
    trained, lag = values[start:end].astype(np.float64), options.season or 1
    apart = np.abs(trained[lag:] - trained[:-lag]).sum(axis=0) / max(1, len(trained) - lag)
    facts = Series(
        name="series",
        where=where,
        length=len(values),
        features=values.shape[1],
        statistics=statistics_of(values[start:end]),
        naive_errors=tuple(apart.tolist()),
        load=lambda: values,
        raw_range=options.raw_range,
    )
    return dataset_of_series(facts, options)


def _check_range(lowest: float, highest: float, raw_range: tuple[float, float], where: str) -> None:
    low, high = raw_range
    if not low < high:
        raise DataError(f"{where}: data.options.raw_range = [{low:g}, {high:g}] must rise")
    if not (lowest >= low and highest <= high):
        found = f"{lowest:g} to {highest:g}"
        raise DataError(f"{where}: values from {found}, but data.options.raw_range = [{low:g}, {high:g}]")
