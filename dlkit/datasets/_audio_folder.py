"""A folder of WAV files as a dataset: each file becomes what a bundle's runner makes of it."""

from __future__ import annotations

from dlkit.datasets import Dataset, Wanted
from dlkit.datasets._arrays import statistics_of
from dlkit.datasets._labelled_files import LabelledFiles, Reading, labelled_files
from dlkit.datasets._sounds import Statistics, dataset_of_sounds
from dlkit.datasets.audio import AudioOptions
from dlkit.runtime.front_end import FrontEnd
from dlkit.runtime.inputs import SOUNDS
from dlkit.runtime.lazy_sounds import SoundFeatures, WavFiles, examined_sound
from dlkit.runtime.threads import mapped_in_threads


def dataset_of_audio(options: AudioOptions, wanted: Wanted) -> Dataset:
    """The dataset in a folder. Raises DataError if there are no WAV files, or not in folders of a class each."""
    files = labelled_files(options, _reading(options.front_end))
    return dataset_of_sounds(
        options.front_end,
        files.splits,
        _statistics(files, options) if wanted.standard else None,
        name="audio",
        labels=files.names,
        samples=None,
        source=str(files.root),
        licence="the user's own",
    )


def _reading(front_end: FrontEnd) -> Reading:
    return Reading(
        kind=SOUNDS,
        said=str(front_end),
        examined=lambda path, where: examined_sound(path, front_end, where),
        each=mapped_in_threads,
        rows=lambda paths, digests: SoundFeatures(WavFiles(paths, digests, front_end), front_end),
    )


def _statistics(files: LabelledFiles, options: AudioOptions) -> Statistics:
    """Of the training split; of files that have not changed since they are not computed again."""
    identity = f"{files.identity} {options}"
    if identity not in _LAST:
        found = statistics_of(files.splits().train.samples)
        _LAST.clear()
        _LAST[identity] = found
    return _LAST[identity]


_LAST: dict[str, Statistics] = {}
"""Those of the last folder."""
