"""Batches between processes: an archive of arrays, one for each input or output of a network.

Inputs may be more than fit into memory: they are written some at a time, and mapped where they are read.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping, Sized
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Batch = Mapping[str, "NDArray[Any]"]
"""Inputs or outputs of a network by name, (N, *shape) each, with the same N."""


def read_batch(path: Path | str) -> dict[str, NDArray[Any]]:
    """What `arrays.write_npz` wrote: a file of our own, so numpy's reader will do."""
    with np.load(path) as stored:
        return dict(stored)


def write_rows(path: Path | str, rows: Mapping[str, Iterable[NDArray[Any]]], count: int) -> None:
    """An archive for `mapped_batch`.

    Args:
        rows: name → batches (n, *shape) of one type, some samples at a time.
        count: of all samples.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, batches in rows.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                for number, batch in enumerate(batches):
                    if not number:
                        _begin_array(stream, (count, *batch.shape[1:]), batch.dtype)
                    stream.write(batch.tobytes())


def _begin_array(stream: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    described = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, described)


def mapped_batch(path: Path | str) -> dict[str, NDArray[Any]]:
    """What `write_rows` or `arrays.write_npz` wrote, read from its file as it is asked for; not to be written to.

    It stays readable when the file is deleted.
    """
    with zipfile.ZipFile(path) as archive:
        return {info.filename.removesuffix(".npy"): _mapped(path, archive, info) for info in archive.infolist()}


def _mapped(path: Path | str, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    with archive.open(info) as stream:
        np.lib.format.read_magic(stream)
        shape, by_columns, dtype = np.lib.format.read_array_header_1_0(stream)
        begins = stream.tell()
    with Path(path).open("rb") as file:  # a member begins with 30 bytes, then its name, then what else there is
        file.seek(info.header_offset + 26)
        lengths = np.frombuffer(file.read(4), "<u2")
    place = info.header_offset + 30 + int(lengths.sum()) + begins
    return np.memmap(path, dtype, "r", place, shape, "F" if by_columns else "C")


def count_of_samples(batch: Mapping[str, Sized]) -> int:
    """N, which is the same for every array."""
    return len(next(iter(batch.values())))
