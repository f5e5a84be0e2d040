"""Atomic writing: a temporary neighbour, moved into place when it is whole.

A reader sees the old thing or the new thing, never half of one; a writer that is killed leaves
only a hidden neighbour, which the next writer of the same folder clears away.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from dlkit.errors import OutputError


@contextlib.contextmanager
def new_folder(destination: Path, *, replace: bool) -> Iterator[Path]:
    """A temporary folder to fill; it becomes `destination` if the block ends without an error.

    Raises:
        OutputError: `destination` exists and `replace` is false, or its parent cannot be written.
    """
    with _explained(destination):
        _clear_away(destination)
    refuse_existing(destination, replace=replace)
    with _explained(destination):
        temporary = _neighbour(destination)
    try:
        with _opened(temporary) as handle:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield temporary
            with _explained(destination):
                _swap_in(temporary, destination)
    finally:
        _remove(temporary)


def refuse_existing(destination: Path, *, replace: bool) -> None:
    """Raise OutputError if `destination` exists and may not be replaced."""
    with _explained(destination):
        exists = os.path.lexists(destination)
    if exists and not replace:
        raise OutputError(f"{destination} exists already; add --force to replace it")


def check_writable(folder: Path) -> None:
    """Raise OutputError now, before the work, if nothing can be written under `folder`; leaves no trace."""
    with _explained(folder):
        missing = [f for f in (folder, *folder.parents) if not os.path.lexists(f)]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        finally:
            for made in missing:
                with contextlib.suppress(OSError):  # never made, or no longer empty
                    made.rmdir()


def write_bytes(destination: Path, content: bytes) -> None:
    """Write a file beside `destination` and move it there."""
    with _explained(destination):
        destination.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{destination.name}.", dir=destination.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.chmod(name, 0o644)
            os.replace(name, destination)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def _neighbour(destination: Path) -> Path:
    destination.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=_mark(destination), dir=destination.parent))
    temporary.chmod(0o755)
    return temporary


def _mark(destination: Path) -> str:
    """How the names of the neighbours of `destination` begin."""
    return f".{destination.name}.writing-"


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[int]:
    """A descriptor of `folder`, to lock it by; a lock ends with the process that holds it."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        yield handle
    finally:
        os.close(handle)


def _clear_away(destination: Path) -> None:
    """Remove what killed writers of `destination` left; put back what they had just moved away."""
    for left in destination.parent.glob(f"{glob.escape(_mark(destination))}*"):
        with contextlib.suppress(OSError), _opened(left) as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # OSError while its writer is alive
            if left.suffix == ".old" and not os.path.lexists(destination):
                left.rename(destination)
            else:
                shutil.rmtree(left)


def _remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)


def _swap_in(temporary: Path, destination: Path) -> None:
    """Put `temporary` in the place of `destination`, and what was there in the place of `temporary`."""
    if not os.path.lexists(destination):
        temporary.rename(destination)
    elif not _exchange(temporary, destination):
        # This file system cannot exchange two names in one step; between these two there is none.
        old = temporary.with_name(temporary.name + ".old")
        destination.rename(old)
        try:
            temporary.rename(destination)
        except BaseException:
            old.rename(destination)
            raise
        old.rename(temporary)


def _exchange(a: Path, b: Path) -> bool:
    """Exchange two names in one step (Linux); False if the system has no such step."""
    with contextlib.suppress(AttributeError):
        rename = ctypes.CDLL(None, use_errno=True).renameat2
        at_cwd, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
        return bool(rename(at_cwd, os.fsencode(a), at_cwd, os.fsencode(b), exchange) == 0)
    return False


@contextlib.contextmanager
def _explained(destination: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"cannot write {destination}: {reason}; choose another place with --out DIR") from None
