"""Options of sources that divide one heap of samples, or one series."""

from __future__ import annotations

import dataclasses
from typing import Literal


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fractions:
    """What is held out of data that no one has divided.

    Attributes:
        validation: fraction that is held out to prove files, where that split is not given.
        test: fraction that is held out and looked at once, where that split is not given.
    """

    validation: float = 0.1
    test: float = 0.2

    def __post_init__(self) -> None:
        for name, value in (("validation", self.validation), ("test", self.test)):
            if not 0 < value < 1:
                raise ValueError(f"data.options.{name} = {value!r} must be above 0 and below 1")
        if not self.validation + self.test < 1:
            total = self.validation + self.test
            raise ValueError(f"data.options.validation + data.options.test = {total:g} must be below 1")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Divided(Fractions):
    """Of samples, whose classes each have their share in each part.

    Attributes:
        split_seed: draws which samples are held out.
    """

    split_seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.split_seed < 0:
            raise ValueError(f"data.options.split_seed = {self.split_seed} must be at least 0")


@dataclasses.dataclass(frozen=True, kw_only=True)
class InSplits(Divided):
    """Of samples that may come in splits already.

    Attributes:
        copies: what is done about equal samples in two given splits: "refuse" names them, "skip" leaves them out of
            the earlier of the two, in the order of training, validation and test.
    """

    copies: Literal["refuse", "skip"] = "refuse"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Filed(InSplits):
    """Of a folder of files.

    Attributes:
        path: the folder; from where dlkit is started, if it is not absolute.
        broken: what is done about files that cannot be read: "refuse" names them, "skip" leaves them out.
    """

    path: str
    broken: Literal["refuse", "skip"] = "refuse"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Windowed(Fractions):
    """Of one series, which is divided in the order of time: first what is trained on, last what tests.

    Attributes:
        steps: of a window, which are read.
        horizon: steps that come after it, which are to be forecast.
        stride: steps between the beginnings of two windows.
        season: steps after which the series is alike, such as 12 of months; forecasts are held against the value of a
            season before too. 0 if it has none, else at most `steps`.
    """

    steps: int = 48
    horizon: int = 12
    stride: int = 1
    season: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("steps", "horizon", "stride"):
            if getattr(self, name) < 1:
                raise ValueError(f"data.options.{name} = {getattr(self, name)} must be at least 1")
        if self.season and not 2 <= self.season <= self.steps:
            raise ValueError(
                f"data.options.season = {self.season} must be 0, for none, or from 2 to data.options.steps "
                f"= {self.steps}"
            )

    def parts(self, length: int) -> dict[str, tuple[int, int]]:
        """Part → where it begins and ends, in a series of so many steps."""
        tested, validated = round(self.test * length), round(self.validation * length)
        trained = length - tested - validated
        borders = {"train": (0, trained), "validation": (trained, trained + validated)}
        return borders | {"test": (trained + validated, length)}
