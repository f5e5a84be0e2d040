"""numpy's files, read strictly: what a header claims is held against the bytes that are there.

`numpy.load` would allocate what a header of a hundred bytes asks for, and would unpack an archive
of any size.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGEST_ARRAYS_BYTES = 2**32
"""Of all arrays of an archive together."""


def read_npy(content: bytes, where: str) -> NDArray[Any]:
    """The one array of numbers in the bytes of a .npy file. Raises DataError if it is anything else."""
    if content.startswith(b"PK"):
        raise DataError(f"{where}: is an archive of arrays (.npz), not one array; save one with numpy.save")
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


def read_npz(content: bytes, where: str, largest: int = LARGEST_ARRAYS_BYTES) -> dict[str, NDArray[Any]]:
    """Name → array of numbers, of the bytes of a .npz file.

    Raises DataError if it is anything else, or unpacks to more than `largest` bytes.
    """
    if not content.startswith(b"PK"):
        raise DataError(f"{where}: is not an .npz archive; save one with numpy.savez")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            if (size := sum(entry.file_size for entry in entries)) > largest:
                raise DataError(f"{where}: unpacks to {size:,} bytes, more than the {largest:,} it may take")
            return {
                entry.filename.removesuffix(".npy"): read_npy(
                    archive.read(entry), f"{where}, {entry.filename.removesuffix('.npy')}"
                )
                for entry in entries
            }
    except DataError:
        raise
    except Exception:  # zipfile raises what its parsers raise; each is about the file
        raise DataError(f"{where}: is not a whole archive of arrays (.npz); save one with numpy.savez") from None


def write_npz(path: Path | str, arrays: Mapping[str, NDArray[Any]], *, compress: bool = False) -> None:
    """Write a .npz file; `numpy.savez` would take an array called "file" for an argument of its own."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED) as archive:
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.asarray(values), allow_pickle=False)
