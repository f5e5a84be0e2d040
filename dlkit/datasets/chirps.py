"""Made-up sounds of ten kinds, computed, so that a recipe for sounds needs no file."""

from __future__ import annotations

import dataclasses
import functools

from dlkit.datasets import Dataset, Splits, Wanted, source
from dlkit.datasets._sounds import SoundOptions, dataset_of_sounds

KINDS = (
    "tone", "rising", "falling", "arch", "trill", "tremolo", "clicks", "hiss", "vowel_a", "vowel_u",
)  # fmt: skip
"""The classes; see `_synthesis` for what each sounds like."""
SLOWEST_HZ = 8000
"""Of a rate at which all of them are heard."""
SHORTEST_S = 0.5
"""Into which the longest of them fit with a start of their own."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ChirpOptions(SoundOptions):
    """Of made-up sounds, and of the front-end that makes features of them.

    Attributes:
        sounds: all of them; 70 % to train, 10 % to validate, 20 % to test.
        snr_db: least and largest power of a sound over that of the noise it is in, while it is heard.
        data_seed: draws pitch, length, start, timbre and noise.
    """

    sounds: int = 4000
    snr_db: tuple[float, float] = (-5.0, 20.0)
    data_seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for key, holds, wanted in (
            ("sounds", self.sounds >= 10 * len(KINDS), f"at least {10 * len(KINDS)}, ten of each class"),
            ("snr_db", -100 <= self.snr_db[0] <= self.snr_db[1] <= 100, "rising, from -100 to 100 (dB)"),
            ("data_seed", self.data_seed >= 0, "at least 0"),
            ("sample_rate", self.sample_rate >= SLOWEST_HZ, f"at least {SLOWEST_HZ} (Hz) for these sounds"),
            ("seconds", self.seconds >= SHORTEST_S, f"at least {SHORTEST_S} for these sounds"),
        ):
            if not holds:
                value = getattr(self, key)
                shown = list(value) if isinstance(value, tuple) else value
                raise ValueError(f"data.options.{key} = {shown!r} must be {wanted}")


@source(ChirpOptions, gives="made-up sounds of ten kinds in noise; their MFCC or log-mel features are what is read")
def chirps(options: ChirpOptions, wanted: Wanted) -> Dataset:
    """Features (N, frames, features) of sounds that are made as they are asked for."""
    test, validation = options.sounds // 5, options.sounds // 10
    counts = options.sounds - validation - test, validation, test
    return dataset_of_sounds(
        options.front_end,
        functools.partial(_loaded, options, counts),
        _statistics(options, counts) if wanted.standard else None,
        name="chirps",
        labels=KINDS,
        samples=counts,
        source="drawn by a seeded generator",
        licence="none needed",
    )


@functools.lru_cache(maxsize=1)  # which keeps what has been made
def _loaded(options: ChirpOptions, counts: tuple[int, int, int]) -> Splits:
    from dlkit.datasets._synthesis import split_of_chirps

    starts = 0, counts[0], counts[0] + counts[1]
    train, validation, test = (
        split_of_chirps(options, start, count) for start, count in zip(starts, counts, strict=True)
    )
    return Splits(train, validation, test)


@functools.lru_cache(maxsize=1)
def _statistics(options: ChirpOptions, counts: tuple[int, int, int]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    from dlkit.datasets._arrays import statistics_of

    return statistics_of(_loaded(options, counts).train.samples)
