"""Sounds as an array of features whose rows are computed when they are asked for, of files or of what makes sounds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dlkit.errors import DataError
from dlkit.runtime.front_end import FrontEnd
from dlkit.runtime.inputs import content_of
from dlkit.runtime.rows import ChosenRows, LazyRows
from dlkit.runtime.spectra import features_of, waveform_of
from dlkit.runtime.threads import mapped_in_threads

if TYPE_CHECKING:
    from numpy.typing import NDArray

SOUNDS_IN_MEMORY = 64
"""Whose waveforms are there together, however many features are asked for."""


class SoundFeatures(LazyRows):
    """(N, frames, features) float32 raw values, each as a bundle's runner makes it of the sound.

    Attributes:
        waveforms: (N, length) float32 from -1 to 1, what the features are of.
        front_end: how.
    """

    def __init__(self, waveforms: LazyRows, front_end: FrontEnd) -> None:
        super().__init__((len(waveforms), *front_end.shape), np.dtype(np.float32))
        self.waveforms, self.front_end = waveforms, front_end

    def read(self, positions: NDArray[np.int64]) -> NDArray[np.float32]:
        found = np.empty((len(positions), *self.shape[1:]), np.float32)
        for start in range(0, len(positions), SOUNDS_IN_MEMORY):
            some = slice(start, start + SOUNDS_IN_MEMORY)
            found[some] = features_of(self.waveforms.read(positions[some]), self.front_end)
        return found

    def identity(self) -> Iterator[bytes]:
        """The sounds, whatever features of them are computed."""
        yield from self.waveforms.identity()

    def chosen(self, positions: NDArray[np.int64]) -> SoundFeatures:
        """Those at these positions."""
        return SoundFeatures(ChosenRows(self.waveforms, positions), self.front_end)


class WavFiles(LazyRows):
    """(N, length) float32 waveforms of WAV files.

    Attributes:
        paths: of the files.
    """

    def __init__(self, paths: Sequence[Path], digests: Sequence[str], front_end: FrontEnd) -> None:
        """`digests` are sha256 of the files, in their order."""
        super().__init__((len(paths), front_end.length), np.dtype(np.float32))
        self.paths = tuple(paths)
        self._digests, self._front_end = tuple(digests), front_end

    def read(self, positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """Raises DataError for a file that is no longer there, or no longer the sound it was."""
        found = np.empty((len(positions), *self.shape[1:]), np.float32)

        def place(row: int) -> None:
            path = self.paths[positions[row]]
            found[row] = waveform_of(content_of(path), self._front_end, str(path))

        for _ in mapped_in_threads(place, range(len(positions))):
            pass
        return found

    def identity(self) -> Iterator[bytes]:
        """The files, not what is made of them."""
        yield f"{len(self)} sounds ".encode()
        for digest in self._digests:
            yield bytes.fromhex(digest)


def examined_sound(path: Path, front_end: FrontEnd, where: str) -> tuple[str, str]:
    """sha256 of a WAV file, and what is wrong with it, "" for nothing."""
    try:
        content = content_of(path)
        waveform_of(content, front_end, where)
    except DataError as error:
        return "", str(error)
    return hashlib.sha256(content).hexdigest(), ""
