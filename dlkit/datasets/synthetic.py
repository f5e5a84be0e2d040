"""Made-up samples: a pattern for each class, with noise. For tests, and to start recipes at full size without data."""

from __future__ import annotations

import dataclasses

from dlkit.datasets import Dataset, Splits, Wanted, source
from dlkit.errors import DataError

BYTES = (0.0, 255.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SyntheticOptions:
    """Of made-up samples.

    Attributes:
        samples: all of them; 70 % to train, 10 % to validate, 20 % to test.
        shape: of one; by default that of the images that the network reads.
        classes: how many.
        noise: its deviation, in units of the raw range; with 0.1 a small network tells all classes apart.
        data_seed: draws patterns and noise.
    """

    samples: int = 1000
    shape: tuple[int, ...] = ()
    classes: int = 10
    noise: float = 0.1
    data_seed: int = 0

    def __post_init__(self) -> None:
        if self.classes < 2:
            raise ValueError(f"data.options.classes = {self.classes} must be at least 2")
        if self.samples < 10 * self.classes:
            least = f"at least {10 * self.classes}, ten of each class"
            raise ValueError(f"data.options.samples = {self.samples} must be {least}")
        if any(n < 1 for n in self.shape):
            raise ValueError(f"data.options.shape = {list(self.shape)} must be whole numbers from 1 on")
        if not 0 <= self.noise <= 1:
            raise ValueError(f"data.options.noise = {self.noise} must be from 0 to 1")
        if self.data_seed < 0:
            raise ValueError(f"data.options.data_seed = {self.data_seed} must be at least 0")


@source(SyntheticOptions, gives="made-up samples, a noisy pattern for each class: for tests, and to start without data")
def synthetic(options: SyntheticOptions, wanted: Wanted) -> Dataset:
    """Bytes of any shape, made as they are asked for: any number of them takes no memory."""
    shape = options.shape or wanted.image
    if shape is None:
        raise DataError("the network reads no images; say what it reads: data.options.shape = [LENGTH, …]")
    test, validation = options.samples // 5, options.samples // 10
    counts = options.samples - validation - test, validation, test

    def load() -> Splits:
        from dlkit.datasets._patterns import split_of_patterns

        starts = 0, counts[0], counts[0] + counts[1]
        train, validation, test = (
            split_of_patterns(options, shape, start, count) for start, count in zip(starts, counts, strict=True)
        )
        return Splits(train, validation, test)

    return Dataset(
        name="synthetic",
        shape=shape,
        labels=tuple(f"pattern{number}" for number in range(options.classes)),
        raw_range=BYTES,
        samples=counts,
        source="drawn by a seeded generator",
        licence="none needed",
        load=load,
        kept="yours",
    )
