"""A folder of WAV files: a folder for each class, with or without folders for the splits above them."""

from __future__ import annotations

import dataclasses

from dlkit.datasets import Dataset, Wanted, source
from dlkit.datasets._fractions import Filed
from dlkit.datasets._sounds import SoundOptions


@dataclasses.dataclass(frozen=True, kw_only=True)
class AudioOptions(SoundOptions, Filed):
    """Of a folder of WAV files, and of the front-end that makes features of them."""

    def __post_init__(self) -> None:
        SoundOptions.__post_init__(self)
        Filed.__post_init__(self)


@source(AudioOptions, gives="WAV files, in a folder for each class; their MFCC or log-mel features are what is read")
def audio(options: AudioOptions, wanted: Wanted) -> Dataset:
    """The sounds at `path`; they are read as they are asked for, so that they need not fit into memory."""
    from dlkit.datasets._audio_folder import dataset_of_audio

    return dataset_of_audio(options, wanted)
