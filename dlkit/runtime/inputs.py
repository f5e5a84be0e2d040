"""What a user names on the command line → raw samples.

An image or WAV file, a .npy array (one sample or a batch), a .csv table (a sample a line), a folder of
images or WAV files, or `-` for one of these on standard input; for a model of several inputs a .npz
archive of arrays by the names of the inputs.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.errors import DataError
from dlkit.filing import LARGEST_STREAM_BYTES, read_file, read_stream
from dlkit.runtime.arrays import read_npy, read_npz
from dlkit.runtime.preprocessing import Preprocessing, count_of, open_image
from dlkit.runtime.wav import CONVERT, is_wav

if TYPE_CHECKING:
    from numpy.typing import NDArray

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"})
PHOTO_SUFFIXES = frozenset({".heic", ".heif"})
"""Of photos that cannot be read here: met in a folder they are named, not passed over."""

SOUND_SUFFIXES = frozenset({".wav", ".wave"})

LARGEST_BYTES = 2**30
"""Of one input; what is longer is a device or a mistake."""


@dataclasses.dataclass(frozen=True)
class Sample:
    """One raw sample.

    Attributes:
        name: the file, with the row where a file holds several.
        raw: (*image) or (*shape) raw values, see `Preprocessing`.
    """

    name: str
    raw: NDArray[Any]


@dataclasses.dataclass(frozen=True)
class NamedSample:
    """One raw sample of a model that may have several inputs.

    Attributes:
        name: the file, with the row where a file holds several.
        raw: input name → raw values, see `Preprocessing`.
    """

    name: str
    raw: dict[str, NDArray[Any]]


def read_samples(names: list[str], inputs: Mapping[str, Preprocessing]) -> Iterator[NamedSample]:
    """The samples behind each name, in order, for a model of these inputs. Raises DataError as `read_inputs` does."""
    for name in names:
        if Path(name).suffix.lower() == ".npz" and not Path(name).is_dir():
            yield from _archived(name, read_npz(content_of(Path(name)), name), inputs)
        elif len(inputs) > 1:
            wanted = " and ".join(repr(key) for key in inputs)
            raise DataError(f"{name}: this model takes the inputs {wanted}; give a .npz archive with an array for each")
        else:
            [(key, preprocessing)] = inputs.items()
            for sample in read_inputs([name], preprocessing):
                yield NamedSample(sample.name, {key: sample.raw})


def _archived(
    where: str, arrays: dict[str, NDArray[Any]], inputs: Mapping[str, Preprocessing]
) -> Iterator[NamedSample]:
    """The samples of an archive: the rows of its arrays, of which each input has one."""
    if missing := [key for key in inputs if key not in arrays]:
        raise DataError(
            f"{where}: has no array {missing[0]!r}, but {', '.join(sorted(arrays)) or 'none at all'}; "
            f"this model takes {', '.join(inputs)}"
        )
    columns = {key: list(_rows(f"{where}, {key}", arrays[key], inputs[key])) for key in inputs}
    counts = {key: len(samples) for key, samples in columns.items()}
    if len(set(counts.values())) > 1:
        found = ", ".join(f"{count} of {key}" for key, count in counts.items())
        raise DataError(f"{where}: {found}; each input needs as many samples")
    for row in range(max(counts.values())):
        yield NamedSample(f"{where}[{row}]", {key: samples[row].raw for key, samples in columns.items()})


def read_inputs(names: list[str], preprocessing: Preprocessing) -> Iterator[Sample]:
    """The samples behind each name, in order. Raises DataError at the first that cannot be used."""
    for name in names:
        if name == "-":
            yield from _samples("standard input", _standard_input(), "", preprocessing)
        elif Path(name).is_dir():
            for path in files_for(preprocessing).inside(Path(name)):
                yield from _samples(str(path), content_of(path), path.suffix, preprocessing)
        else:
            yield from _samples(name, content_of(Path(name)), Path(name).suffix, preprocessing)


@dataclasses.dataclass(frozen=True)
class FileKind:
    """Files of which a sample each is made.

    Attributes:
        one, many: what they are called.
        suffixes: in small letters.
        unread: those of files that are such, and that no one here can read; reading them tells so.
    """

    one: str
    many: str
    suffixes: frozenset[str]
    unread: frozenset[str] = frozenset()

    def inside(self, folder: Path) -> list[Path]:
        """Such files in `folder` and below, sorted; links to folders are not followed.

        A link that leads nowhere is among them, so that reading it tells. Raises DataError if there are
        none, or if a folder cannot be looked into.
        """
        below = [Path(place, name) for place, _, names in os.walk(folder, onerror=_cannot_look) for name in names]
        wanted = self.suffixes | self.unread
        found = sorted(p for p in below if p.suffix.lower() in wanted and (p.is_file() or _leads_nowhere(p)))
        if not found:
            looked_for = ", ".join(sorted(self.suffixes))
            raise DataError(f"{folder}: no {self.many} in this folder (looked for {looked_for})")
        return found

    def strays(self, folder: Path) -> list[Path]:
        """Such files in `folder` itself, sorted."""
        return sorted(p for p in folder.iterdir() if p.suffix.lower() in self.suffixes and not p.is_dir())


IMAGES = FileKind("image", "images", IMAGE_SUFFIXES, PHOTO_SUFFIXES)
SOUNDS = FileKind("sound", "WAV files", SOUND_SUFFIXES)


def files_for(preprocessing: Preprocessing) -> FileKind:
    """Of what files an input is made."""
    return SOUNDS if preprocessing.sound else IMAGES


def _leads_nowhere(path: Path) -> bool:
    """Whether it is a link to nothing; one to a pipe or a terminal would be waited for."""
    return path.is_symlink() and not path.exists()


def _cannot_look(error: OSError) -> None:
    raise DataError(f"{error.filename}: cannot be read: {error.strerror}") from None


def content_of(path: Path) -> bytes:
    """The bytes of a file. Raises DataError if it cannot be read."""
    try:
        return read_file(path, LARGEST_BYTES)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def _standard_input() -> bytes:
    if sys.stdin is None:
        raise DataError("standard input: is closed")
    try:
        return read_stream(sys.stdin.buffer, LARGEST_STREAM_BYTES, "standard input")
    except OSError as error:
        raise DataError(f"standard input: cannot be read: {error.strerror}") from None


def _samples(where: str, content: bytes, suffix: str, preprocessing: Preprocessing) -> Iterator[Sample]:
    suffix = suffix.lower() or _sniffed(content)
    if not content:
        raise DataError(f"{where}: is empty")
    if suffix == ".npy":
        yield from _rows(where, read_npy(content, where), preprocessing)
    elif suffix == ".csv":
        yield from _rows(where, _table(where, content, preprocessing), preprocessing)
    elif suffix in SOUND_SUFFIXES or is_wav(content):
        yield Sample(where, preprocessing.raw_sound(content, where))
    elif preprocessing.sound:
        raise DataError(f"{where}: is not a WAV file, and this model takes those; {CONVERT}")
    else:
        yield Sample(where, preprocessing.raw_image(open_image(content, where), where))


def _sniffed(content: bytes) -> str:
    """The kind of nameless content: .npy by its magic, .csv if it is text, else an image."""
    if content.startswith(b"\x93NUMPY"):
        return ".npy"
    try:
        first = content[:4096].decode("ascii")
    except UnicodeDecodeError:
        return ""
    return ".csv" if first.strip() and set(first) <= set("0123456789+-.eE,;\t\r\n naifNAIF") else ""


def _table(where: str, content: bytes, preprocessing: Preprocessing) -> NDArray[np.float64]:
    """Lines of comma-separated numbers → (lines, *shape)."""
    wanted = count_of(preprocessing.shape)
    rows = []
    # utf-8-sig: spreadsheets put a mark before the first number.
    lines = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig", errors="replace")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        cells = line.replace(";", ",").replace("\t", ",")
        row = _numbers(cells.split(",", wanted)[:wanted])
        if row is None:
            raise DataError(f"{where}, line {number}: {line.strip()[:40]!r} is not numbers separated by commas")
        count = cells.count(",") + 1
        if count != wanted:
            shape = "×".join(map(str, preprocessing.shape))
            raise DataError(f"{where}, line {number}: {count} values; a sample has {wanted} ({shape})")
        rows.append(row)
    if not rows:
        raise DataError(f"{where}: has no lines of numbers")
    return np.asarray(rows).reshape(len(rows), *preprocessing.shape)


def _numbers(cells: list[str]) -> NDArray[np.float64] | None:
    """The cells as numbers, None if one is none; Python's own 1_000 is none elsewhere."""
    if not any("_" in cell for cell in cells):
        with contextlib.suppress(ValueError):
            return np.asarray([float(cell) for cell in cells], np.float64)
    return None


def _rows(where: str, array: NDArray[Any], preprocessing: Preprocessing) -> Iterator[Sample]:
    """One sample, or each of a batch: an array whose rows have the shape of a sample."""
    if array.ndim and array.shape not in preprocessing.sample_shapes and array.shape[1:] in preprocessing.sample_shapes:
        if not len(array):
            raise DataError(f"{where}: holds no samples (shape {array.shape})")
        for row, values in enumerate(array):
            yield Sample(f"{where}[{row}]", preprocessing.raw_sample(values, f"{where}[{row}]"))
    else:
        yield Sample(where, preprocessing.raw_sample(array, where))
