"""El Niño: how warm the sea is off Peru and Ecuador, month by month from 1950 to 2010, kept inside the package (10 kB).

`el_nino.csv` has the months in the order of time, in degrees Celsius: the mean of the Niño 1+2 region, 0° to 10° south
and 90° to 80° west.
"""

from __future__ import annotations

import dataclasses
import functools
from importlib.resources import files

from dlkit.datasets import Dataset, Wanted, source
from dlkit.datasets._fractions import Windowed


@dataclasses.dataclass(frozen=True, kw_only=True)
class ElNinoOptions(Windowed):
    """Of the sea's temperatures, whose season is the year."""

    validation: float = 0.15
    steps: int = 36
    horizon: int = 12
    season: int = 12


@source(ElNinoOptions, gives="monthly temperatures of the sea off Peru, 1950 to 2010: windows, with what comes after")
def el_nino(options: ElNinoOptions, wanted: Wanted) -> Dataset:
    """Windows (N, steps, 1) float32 in degrees Celsius, and after them (N, horizon, 1)."""
    return _read(options)


@functools.lru_cache(maxsize=1)
def _read(options: ElNinoOptions) -> Dataset:
    from dlkit.datasets._windows import dataset_of_series, series_of_columns

    lines = files("dlkit.datasets").joinpath("el_nino.csv").read_text(encoding="utf-8").splitlines()
    months = [float(line.split(",")[1]) for line in lines[1:]]
    where = "ERSST.V3B, Niño 1+2, NOAA's National Weather Service, as statsmodels has it"
    return dataset_of_series(series_of_columns("el_nino", where, [months], options, "public domain"), options)
