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
    """The contents of `path`. Raises OSError, also if they are more than `at_most` bytes, or a pipe has no writer."""
    if "\0" in str(path):  # for which Python raises ValueError
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    with open(path, "rb", opener=_without_waiting) as file:
        state = os.fstat(file.fileno())
        if not stat.S_ISREG(state.st_mode):
            first = _begun(file.fileno(), str(path)) if stat.S_ISFIFO(state.st_mode) else b""
            return first + read_stream(file, min(at_most, LARGEST_STREAM_BYTES) - len(first), str(path))
        if state.st_size > at_most:
            raise _too_large(str(path))
        return file.read()


def first_bytes(path: Path, count: int) -> bytes:
    """How a regular file begins, for one that is to be mapped. Raises OSError, also for what is no such file."""
    with open(path, "rb", opener=_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        return file.read(count)


def read_stream(stream: BinaryIO, at_most: int, name: str) -> bytes:
    """What is still in `stream`. Raises OSError, also if it is more than `at_most` bytes."""
    chunks, count = [], 0
    while chunk := stream.read(CHUNK_BYTES):
        chunks.append(chunk)
        count += len(chunk)
        if count > at_most:
            raise _too_large(name)
    return b"".join(chunks)


def _begun(pipe: int, name: str) -> bytes:
    """What a pipe that does not wait holds already; from now on it waits. Raises OSError if nobody writes into it."""
    first: bytes | None
    try:
        first = os.read(pipe, CHUNK_BYTES)
    except BlockingIOError:  # somebody does, and has not begun
        first = None
    if first == b"":
        raise OSError(errno.EPIPE, "it is a pipe that nobody writes into", name)
    os.set_blocking(pipe, True)
    return first or b""


def _without_waiting(path: str, flags: int) -> int:
    """Opens a pipe at once, whether or not somebody writes into it."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def bytes_in(path: Path) -> int:
    """The size of a file, or of all files in a folder."""
    return sum(file.stat().st_size for file in files_in(path)) if path.is_dir() else path.stat().st_size


def files_in(folder: Path) -> list[Path]:
    """All files below `folder`, in order."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _too_large(name: str) -> OSError:
    return OSError(errno.EFBIG, os.strerror(errno.EFBIG), name)
