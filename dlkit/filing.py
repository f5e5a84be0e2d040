"""Reading whole files, up to a limit: a device, a pipe or a sparse file must not fill the memory."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

CHUNK_BYTES = 2**20
LARGEST_STREAM_BYTES = 2**28
"""Of what does not say how long it is: a device, a pipe, standard input."""


def read_file(path: Path, at_most: int) -> bytes:
    """The contents of `path`. Raises OSError, also if they are more than `at_most` bytes."""
    if "\0" in str(path):  # for which Python raises ValueError
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    with path.open("rb") as file:
        state = os.fstat(file.fileno())
        if not stat.S_ISREG(state.st_mode):
            return read_stream(file, min(at_most, LARGEST_STREAM_BYTES), str(path))
        if state.st_size > at_most:
            raise _too_large(str(path))
        return file.read()


def read_stream(stream: BinaryIO, at_most: int, name: str) -> bytes:
    """What is still in `stream`. Raises OSError, also if it is more than `at_most` bytes."""
    chunks, count = [], 0
    while chunk := stream.read(CHUNK_BYTES):
        chunks.append(chunk)
        count += len(chunk)
        if count > at_most:
            raise _too_large(name)
    return b"".join(chunks)


def bytes_in(path: Path) -> int:
    """The size of a file, or of all files in a folder."""
    return sum(file.stat().st_size for file in files_in(path)) if path.is_dir() else path.stat().st_size


def files_in(folder: Path) -> list[Path]:
    """All files below `folder`, in order."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _too_large(name: str) -> OSError:
    return OSError(errno.EFBIG, os.strerror(errno.EFBIG), name)
