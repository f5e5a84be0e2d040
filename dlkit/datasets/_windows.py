"""A series → windows of it, each with what comes after; divided in time, so that nothing of a later part is seen.

train │ validation │ test        no window reaches over a border
├──steps──┼─horizon─┤
  ├──steps──┼─horizon─┤          stride later
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from dlkit.datasets import NO_RANGE, Dataset, Split, Splits
from dlkit.datasets._fractions import Windowed
from dlkit.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True, kw_only=True)
class Series:
    """What is known of a series before its windows are made.

    Attributes:
        name: of its source.
        where: it is, or what it is, for messages.
        length: number of steps.
        features: of each.
        statistics, naive_errors: see `Dataset`; of the steps that `Windowed.parts` leaves to train on.
        load: it as (length, features) float32.
        licence: as of `Dataset`.
        raw_range: smallest and largest value; None if no one says.
    """

    name: str
    where: str
    length: int
    features: int
    statistics: tuple[tuple[float, ...], tuple[float, ...]]
    naive_errors: tuple[float, ...]
    load: Callable[[], NDArray[np.float32]]
    licence: str = "the user's own"
    raw_range: tuple[float, float] | None = None


def dataset_of_series(series: Series, options: Windowed) -> Dataset:
    """Windows of a series. Raises DataError if a part is shorter than a window with what comes after it."""
    least = options.steps + options.horizon
    parts = options.parts(series.length)
    for part, (start, end) in parts.items():
        if end - start < least:
            raise DataError(
                f"{series.where}: a series of {series.length} steps, of which {part} has {end - start}; a window takes "
                f"{least}, data.options.steps = {options.steps} and data.options.horizon = {options.horizon}"
            )

    def load() -> Splits:
        values = series.load()
        return Splits(**{part: _windows(values[start:end], options) for part, (start, end) in parts.items()})

    train, validation, test = ((end - start - least) // options.stride + 1 for start, end in parts.values())
    return Dataset(
        name=series.name,
        shape=(options.steps, series.features),
        labels=(),
        raw_range=series.raw_range or NO_RANGE,
        samples=(train, validation, test),
        source=series.where,
        licence=series.licence,
        load=load,
        statistics=series.statistics,
        kept="yours",
        horizon=options.horizon,
        season=options.season,
        naive_errors=series.naive_errors,
    )


def series_of_columns(
    name: str, where: str, columns: Sequence[Sequence[float]], options: Windowed, licence: str
) -> Series:
    """Of a feature a column, all of one length. Without numpy, so that recipes can be listed without."""
    length = len(columns[0])
    start, end = options.parts(length)["train"]
    trained = [column[start:end] for column in columns]
    means, deviations = zip(*(_statistics(column) for column in trained), strict=True)

    def load() -> NDArray[np.float32]:
        import numpy as np

        return np.asarray(columns, np.float32).T

    return Series(
        name=name,
        where=where,
        length=length,
        features=len(columns),
        statistics=(means, deviations),
        naive_errors=tuple(_naive_error(column, options.season or 1) for column in trained),
        load=load,
        licence=licence,
    )


def _statistics(values: Sequence[float]) -> tuple[float, float]:
    """Mean and deviation; 1 where nothing varies."""
    count = max(1, len(values))
    mean = math.fsum(values) / count
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / count) or 1.0


def _naive_error(values: Sequence[float], lag: int) -> float:
    apart = [abs(value - before) for before, value in zip(values, values[lag:], strict=False)]
    return math.fsum(apart) / max(1, len(apart))


def _windows(values: NDArray[np.float32], options: Windowed) -> Split:
    import numpy as np

    whole = np.lib.stride_tricks.sliding_window_view(values, options.steps + options.horizon, axis=0)
    found: NDArray[Any] = np.ascontiguousarray(whole[:: options.stride].swapaxes(1, 2))  # (N, both, features)
    labels = np.zeros(len(found), np.int64)
    return Split(found[:, : options.steps], labels, targets=found[:, options.steps :])
