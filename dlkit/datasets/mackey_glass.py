"""The Mackey-Glass series, a standard of forecasting: chaos by a delay. Computed, so that it needs no file.

Mackey & Glass 1977, doi:10.1126/science.267326: the concentration of blood cells, which are made by how many there
were a while ago.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import TYPE_CHECKING

from dlkit.datasets import Dataset, Wanted, source
from dlkit.datasets._fractions import Windowed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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
    from dlkit.datasets._windows import Series, dataset_of_series

    columns = [_series(options.length, options.delay, START + APART * n) for n in range(options.features)]
    start, end = options.parts(options.length)["train"]
    means, deviations = zip(*(_statistics(column[start:end]) for column in columns), strict=True)

    def load() -> NDArray[np.float32]:
        import numpy as np

        return np.asarray(columns, np.float32).T

    facts = Series(
        name="mackey_glass",
        where="computed; Mackey & Glass 1977, doi:10.1126/science.267326",
        length=options.length,
        features=options.features,
        statistics=(means, deviations),
        load=load,
        licence="none needed",
    )
    return dataset_of_series(facts, options)


def _statistics(values: list[float]) -> tuple[float, float]:
    """Mean and deviation, without numpy, so that recipes can be listed without; 1 where nothing varies."""
    count = max(1, len(values))
    mean = math.fsum(values) / count
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / count) or 1.0


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
