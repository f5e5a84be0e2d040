"""numpy's files, read strictly: what a header claims is held against the bytes that are there.

`numpy.load` would allocate what a header of a hundred bytes asks for, and would unpack an archive
of any size.
"""

from __future__ import annotations

import io
import math
import os
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from dlkit.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGEST_ARRAYS_BYTES = 2**32
"""Of all arrays of an archive together."""
SMALL_BYTES, MOST_TIMES = 2**26, 100
"""What an archive may always unpack to; what is more, and so many times its size, is a bomb."""
MOST_DIMENSIONS = 32
"""No array of samples has more than six, and numpy makes none of more than 64."""


def read_npy(content: bytes, where: str) -> NDArray[Any]:
    """The one array of numbers in the bytes of a .npy file. Raises DataError if it is anything else."""
    if content.startswith(b"PK"):
        raise DataError(f"{where}: is an archive of arrays (.npz), not one array; save one with numpy.save")
    stream = io.BytesIO(content)
    shape, fortran, dtype = _header(stream, len(content), where)
    return np.ndarray(shape, dtype, buffer=content, offset=stream.tell(), order="F" if fortran else "C")


def mapped_npy(path: Path, where: str) -> NDArray[Any]:
    """The array of numbers of a .npy file, which stays there and may be larger than the memory.

    Raises DataError if it is anything else, or holds no number.
    """
    if not os.path.isfile(path):  # noqa: PTH113 - false of a name that is too long
        raise DataError(f"{where}: there is no such file")
    try:
        with path.open("rb") as stream:
            shape, fortran, dtype = _header(stream, path.stat().st_size, where)
            if not math.prod(shape):
                raise DataError(f"{where}: has the shape {shape}, and so no number at all")
            stored: NDArray[Any] = np.memmap(stream, dtype, "r", stream.tell(), shape, "F" if fortran else "C")
    except OSError as error:
        raise DataError(f"{where}: cannot be read: {error.strerror}") from None
    return stored


def _header(stream: BinaryIO, size: int, where: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether it is in the order of columns, and dtype of a .npy file of `size` bytes, read up to its numbers.

    Raises DataError if it is none, holds something else than numbers, or not as many as it says.
    """
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if stream.read(len(np.lib.format.MAGIC_PREFIX)) != np.lib.format.MAGIC_PREFIX:
        raise DataError(f"{where}: is not a .npy array; save one with numpy.save")
    stream.seek(0)
    corrupt = DataError(f"{where}: the header of this .npy array is corrupt; save it again")
    try:
        with warnings.catch_warnings():  # of old headers, and of odd texts in them
            warnings.simplefilter("ignore")
            shape, fortran, dtype = readers[np.lib.format.read_magic(stream)](stream)
    except Exception:  # numpy raises what its parsers raise; each is about the header
        raise corrupt from None
    if dtype.hasobject or dtype.kind not in "uifb":
        raise DataError(f"{where}: holds {dtype}, not numbers")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != size - stream.tell():
        claim = f"{dtype} of shape {shape}"
        raise DataError(f"{where}: its header says {claim}, but {size - stream.tell()} bytes follow")
    if len(shape) > MOST_DIMENSIONS or max(shape, default=0) > 2**40:  # of which one is 0
        raise corrupt
    return shape, fortran, dtype


def read_npz(archive: bytes | Path, where: str, largest: int = LARGEST_ARRAYS_BYTES) -> dict[str, NDArray[Any]]:
    """Name → array of numbers, of a .npz file or its bytes.

    Raises DataError if it is anything else, or unpacks to more than `largest` bytes or than honest arrays would.
    """
    source, packed = _source_of(archive, where)
    try:
        with zipfile.ZipFile(source) as opened:
            entries = opened.infolist()
            if (size := sum(entry.file_size for entry in entries)) > largest:
                raise DataError(f"{where}: unpacks to {size:,} bytes, more than the {largest:,} it may take")
            if size > max(SMALL_BYTES, MOST_TIMES * packed):
                raise DataError(f"{where}: has {packed:,} bytes and unpacks to {size:,}; save it with numpy.savez")
            return {
                entry.filename.removesuffix(".npy"): read_npy(
                    opened.read(entry), f"{where}, {entry.filename.removesuffix('.npy')}"
                )
                for entry in entries
            }
    except DataError:
        raise
    except Exception:  # zipfile raises what its parsers raise; each is about the file
        raise DataError(f"{where}: is not a whole archive of arrays (.npz); save one with numpy.savez") from None


def _source_of(archive: bytes | Path, where: str) -> tuple[BinaryIO | Path, int]:
    """What a ZipFile is made of, and its size in bytes. Raises DataError if it begins otherwise."""
    try:
        with archive.open("rb") if isinstance(archive, Path) else io.BytesIO(archive) as stream:
            begins, size = stream.read(2), stream.seek(0, io.SEEK_END)
    except OSError as error:
        raise DataError(f"{where}: cannot be read: {error.strerror}") from None
    if begins != b"PK":
        raise DataError(f"{where}: is not an .npz archive; save one with numpy.savez")
    return archive if isinstance(archive, Path) else io.BytesIO(archive), size


def write_npz(path: Path | str, arrays: Mapping[str, NDArray[Any]], *, compress: bool = False) -> None:
    """Write a .npz file; `numpy.savez` would take an array called "file" for an argument of its own."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED) as archive:
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.asarray(values), allow_pickle=False)
