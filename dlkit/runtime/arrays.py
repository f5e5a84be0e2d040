"""numpy's files, read strictly: what a header claims is held against the bytes that are there.

`numpy.load` would allocate what a header of a hundred bytes asks for, and would unpack an archive
of any size.
"""

from __future__ import annotations

import io
import math
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.errors import DataError, ModelFileError

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGEST_ARRAY_BYTES = 2**28
"""Of an array in a bundle's own archive."""


def read_npy(content: bytes, where: str) -> NDArray[Any]:
    """The one array of numbers in the bytes of a .npy file. Raises DataError if it is anything else."""
    if content.startswith(b"PK"):
        raise DataError(f"{where}: is an archive of arrays (.npz); save one with numpy.save")
    if not content.startswith(np.lib.format.MAGIC_PREFIX):
        raise DataError(f"{where}: is not a .npy array; save one with numpy.save")
    stream = io.BytesIO(content)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    try:
        shape, fortran, dtype = readers[np.lib.format.read_magic(stream)](stream)
    except Exception:  # numpy raises what its parsers raise; each is about the header
        raise DataError(f"{where}: the header of this .npy array is corrupt; save it again") from None
    if dtype.hasobject or dtype.kind not in "uifb":
        raise DataError(f"{where}: holds {dtype}, not numbers")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(content) - stream.tell():
        claim = f"{dtype} of shape {shape}"
        raise DataError(f"{where}: its header says {claim}, but {len(content) - stream.tell()} bytes follow")
    return np.ndarray(shape, dtype, buffer=content, offset=stream.tell(), order="F" if fortran else "C")


def read_npz(path: Path, names: tuple[str, ...]) -> list[NDArray[Any]]:
    """The arrays called `names` in an archive of a bundle. Raises ModelFileError if one cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = [archive.getinfo(f"{name}.npy").file_size for name in names]
            if max(sizes) > LARGEST_ARRAY_BYTES:
                raise ModelFileError(f"{path}: unpacks to {max(sizes):,} bytes, more than a bundle's samples take")
            return [read_npy(archive.read(f"{name}.npy"), f"{path}, {name}") for name in names]
    except ModelFileError:
        raise
    except Exception:  # zipfile raises what its parsers raise; each is about the file
        raise ModelFileError(f"{path}: is not an archive of {' and '.join(names)}; export the bundle again") from None


def read_archive(content: bytes, where: str, at_most: int) -> dict[str, NDArray[Any]]:
    """Every array of numbers in the bytes of a user's .npz file, by name. Raises DataError if it is anything else.

    Args:
        where: the file, for the error.
        at_most: bytes that all of them together may unpack to.
    """
    if not content.startswith(b"PK"):
        raise DataError(f"{where}: is not an .npz archive; save one with numpy.savez")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(info.file_size for info in archive.infolist())
            if size > at_most:
                raise DataError(f"{where}: unpacks to {size:,} bytes, more than the {at_most:,} that are read")
            contents = {name: archive.read(name) for name in archive.namelist()}
    except DataError:
        raise
    except Exception:  # zipfile raises what its parsers raise; each is about the file
        raise DataError(f"{where}: this .npz archive is corrupt; save it again") from None
    return {name.removesuffix(".npy"): read_npy(entry, f"{where}, {name}") for name, entry in contents.items()}
