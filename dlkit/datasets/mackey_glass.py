"""The Mackey-Glass series, a standard of forecasting: chaos by a delay. Computed, so that it needs no file.

Mackey & Glass 1977, doi:10.1126/science.267326: the concentration of blood cells, which are made by how many there
were a while ago.
"""

from __future__ import annotations

import dataclasses
import functools

from dlkit.datasets import Dataset, Wanted, source
from dlkit.datasets._fractions import Windowed

SUBSTEPS = 10
"""Of Euler's method in a unit of time."""
SETTLING = 300
"""Units of time before the series begins."""
BETA, GAMMA = 0.2, 0.1
START, APART = 1.2, 0.01
"""What was before the first feature begins, and how much more before each other: chaos drives them apart."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MackeyGlassOptions(Windowed):
    """Of a computed series.

    Attributes:
        length: steps of the series, a unit of time each.
        delay: τ in units of time; chaotic from 17 on.
        features: series of different beginnings, side by side.
    """

    length: int = 3000
    delay: int = 17
    features: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("length", "delay", "features"):
            if getattr(self, name) < 1:
                raise ValueError(f"data.options.{name} = {getattr(self, name)} must be at least 1")


@source(MackeyGlassOptions, gives="a chaotic series that is computed: windows, with what comes after to forecast")
def mackey_glass(options: MackeyGlassOptions, wanted: Wanted) -> Dataset:
    """Windows (N, steps, features) float32, and after them (N, horizon, features); values from 0.2 to 1.4."""
    return _computed(options)


@functools.lru_cache(maxsize=1)
def _computed(options: MackeyGlassOptions) -> Dataset:
    from dlkit.datasets._windows import dataset_of_series, series_of_columns

    columns = [_series(options.length, options.delay, START + APART * n) for n in range(options.features)]
    where = "computed; Mackey & Glass 1977, doi:10.1126/science.267326"
    return dataset_of_series(series_of_columns("mackey_glass", where, columns, options, "none needed"), options)


def _series(length: int, delay: int, start: float) -> list[float]:
    """dx/dt = β x(t - τ) / (1 + x(t - τ)¹⁰) - γ x(t), a value for each unit of time.

    The power is a product: sums, products and quotients round alike on every machine, and chaos keeps no others.
    """
    lag = delay * SUBSTEPS
    values = [start] * (lag + 1)
    for step in range((SETTLING + length) * SUBSTEPS):
        past, now = values[step], values[-1]
        square = past * past
        fourth = square * square
        made = BETA * past / (1.0 + fourth * fourth * square)
        values.append(now + (made - GAMMA * now) / SUBSTEPS)
    return values[-length * SUBSTEPS :: SUBSTEPS]
