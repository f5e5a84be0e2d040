"""What a user names on the command line → raw samples.

An image file, a .npy array (one sample or a batch), a .csv table (a sample a line), a folder of
images, or `-` for one of these on standard input.
"""

from __future__ import annotations

import dataclasses
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.errors import DataError
from dlkit.runtime.preprocessing import Preprocessing, count_of, open_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"})


@dataclasses.dataclass(frozen=True)
class Sample:
    """One raw sample.

    Attributes:
        name: the file, with the row where a file holds several.
        raw: (*image) or (*shape) raw values, see `Preprocessing`.
    """

    name: str
    raw: NDArray[Any]


def read_inputs(names: list[str], preprocessing: Preprocessing) -> Iterator[Sample]:
    """The samples behind each name, in order. Raises DataError at the first that cannot be used."""
    for name in names:
        if name == "-":
            yield from _samples("standard input", sys.stdin.buffer.read(), "", preprocessing)
        elif Path(name).is_dir():
            for path in images_in(Path(name)):
                yield from _samples(str(path), _content(path), path.suffix, preprocessing)
        else:
            yield from _samples(name, _content(Path(name)), Path(name).suffix, preprocessing)


def images_in(folder: Path) -> list[Path]:
    """Image files in `folder` and below, sorted. Raises DataError if there are none."""
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())
    if not found:
        raise DataError(f"{folder}: no images in this folder (looked for {', '.join(sorted(IMAGE_SUFFIXES))})")
    return found


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def _samples(where: str, content: bytes, suffix: str, preprocessing: Preprocessing) -> Iterator[Sample]:
    suffix = suffix.lower() or _sniffed(content)
    if not content:
        raise DataError(f"{where}: is empty")
    if suffix == ".npy":
        yield from _rows(where, _array(where, content), preprocessing)
    elif suffix == ".csv":
        yield from _rows(where, _table(where, content, preprocessing), preprocessing)
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


def _array(where: str, content: bytes) -> NDArray[Any]:
    try:
        array = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise DataError(f"{where}: is not a .npy array: {str(error).splitlines()[0]}") from None
    if not isinstance(array, np.ndarray):
        raise DataError(f"{where}: holds several arrays; save one with numpy.save")
    return array


def _table(where: str, content: bytes, preprocessing: Preprocessing) -> NDArray[np.float64]:
    """Lines of comma-separated numbers → (lines, *shape)."""
    wanted = count_of(preprocessing.shape)
    rows = []
    for number, line in enumerate(content.decode("utf-8", errors="replace").splitlines(), start=1):
        if not line.strip():
            continue
        cells = line.replace(";", ",").replace("\t", ",").split(",")
        try:
            row = [float(cell) for cell in cells]
        except ValueError:
            raise DataError(f"{where}, line {number}: {line[:40]!r} is not numbers separated by commas") from None
        if len(row) != wanted:
            shape = "×".join(map(str, preprocessing.shape))
            raise DataError(f"{where}, line {number}: {len(row)} values; a sample has {wanted} ({shape})")
        rows.append(row)
    if not rows:
        raise DataError(f"{where}: has no lines of numbers")
    return np.asarray(rows, np.float64).reshape(len(rows), *preprocessing.shape)


def _rows(where: str, array: NDArray[Any], preprocessing: Preprocessing) -> Iterator[Sample]:
    """One sample, or each of a batch: an array whose rows have the shape of a sample."""
    if array.ndim and array.shape not in preprocessing.sample_shapes and array.shape[1:] in preprocessing.sample_shapes:
        if not len(array):
            raise DataError(f"{where}: holds no samples (shape {array.shape})")
        for row, values in enumerate(array):
            yield Sample(f"{where}[{row}]", preprocessing.raw_sample(values, f"{where}[{row}]"))
    else:
        yield Sample(where, preprocessing.raw_sample(array, where))
