"""Atomic writing: a temporary neighbour, moved into place when it is whole.

A reader sees the old thing or the new thing, never half of one; a writer that is killed leaves
only a hidden neighbour, which the next writer of the same place clears away.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import glob
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from dlkit.errors import OutputError

# Flags of Linux' renameat2: what may happen to the second name.
KEEP, EXCHANGE = 1, 2
ELSEWHERE = "--out DIR"
"""The option of most commands that names another place."""


@contextlib.contextmanager
def new_folder(destination: Path, *, replace: bool) -> Iterator[Path]:
    """A temporary folder to fill; it becomes `destination` if the block ends without an error.

    Raises:
        OutputError: `destination` exists and `replace` is false (now, or when the block ends), or its
            parent cannot be written.
    """
    with explained(destination):
        _clear_away(destination)
    refuse_existing(destination, replace=replace)
    with _neighbour(destination) as temporary:
        yield temporary
        with explained(destination):
            _move_in(temporary, destination, replace=replace)


@contextlib.contextmanager
def new_file(destination: Path, instead: str = ELSEWHERE) -> Iterator[Path]:
    """A path to write a file to; it becomes `destination`, or replaces it, if the block ends without an error.

    Args:
        instead: the option that names another place, for the error.

    Raises:
        OutputError: `destination` is a folder, or its parent cannot be written.
    """
    with explained(destination, instead):
        _clear_away(destination)
    with _neighbour(destination, instead) as temporary:
        yield temporary / destination.name
        with explained(destination, instead):
            (temporary / destination.name).replace(destination)


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder of this user alone that goes with the block.

    It has its name before it is made, so that an interruption at any moment finds what to remove
    (`tempfile.TemporaryDirectory` loses a folder that is interrupted between the two).
    """
    folder = Path(tempfile.gettempdir(), f"dlkit-{secrets.token_hex(8)}")
    try:
        folder.mkdir(mode=0o700)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_bytes(destination: Path, content: bytes, instead: str = ELSEWHERE) -> None:
    """Write a file as `new_file` does."""
    with new_file(destination, instead) as new, explained(destination, instead):
        new.write_bytes(content)


def exists(destination: Path) -> bool:
    """Whether there is anything of that name, be it a link that leads nowhere. Raises OutputError if it cannot be."""
    with explained(destination):
        return os.path.lexists(destination)


def refuse_existing(destination: Path, *, replace: bool) -> None:
    """Raise OutputError if `destination` exists and may not be replaced."""
    if exists(destination) and not replace:
        raise OutputError(f"{destination} exists already; add --force to replace it")


def check_writable(folder: Path) -> None:
    """Raise OutputError now, before the work, if nothing can be written under `folder`; leaves no trace."""
    with explained(folder):
        missing = [f for f in (folder, *folder.parents) if not os.path.lexists(f)]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        finally:
            for made in missing:
                with contextlib.suppress(OSError):  # never made, or no longer empty
                    made.rmdir()


def check_room(folder: Path, sizes: list[int]) -> None:
    """Raise OSError now if files of `sizes` bytes do not fit into `folder` together, by its disk, quota or limits.

    For writers that come to grief where there is no room. Their space is taken and given back, where the system can.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    with contextlib.ExitStack() as files:
        for size in sizes:
            os.posix_fallocate(files.enter_context(tempfile.TemporaryFile(dir=folder)).fileno(), 0, size)


@contextlib.contextmanager
def _neighbour(destination: Path, instead: str = ELSEWHERE) -> Iterator[Path]:
    """A hidden folder beside `destination`, locked while its writer lives; whatever bears its name then goes."""
    with explained(destination, instead):
        destination.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=_mark(destination), dir=destination.parent))
    try:
        temporary.chmod(0o755)
        with _opened(temporary) as handle:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield temporary
    finally:
        _remove(temporary)


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


def _move_in(temporary: Path, destination: Path, *, replace: bool) -> None:
    """Give `temporary` the name of `destination`; what was there, if it may go, gets that of `temporary`."""
    if _renamed(temporary, destination, KEEP):
        return
    refuse_existing(destination, replace=replace)
    if not os.path.lexists(destination):  # a file system without that step
        temporary.rename(destination)
    elif not _renamed(temporary, destination, EXCHANGE):
        # This file system cannot exchange two names in one step; between these two there is none.
        old = temporary.with_name(temporary.name + ".old")
        destination.rename(old)
        try:
            temporary.rename(destination)
        except BaseException:
            old.rename(destination)
            raise
        old.rename(temporary)


def _renamed(old: Path, new: Path, flag: int) -> bool:
    """Rename in one step that keeps `new` or exchanges the two; False if it cannot be done or there is no such step."""
    with contextlib.suppress(AttributeError):  # not Linux
        rename = ctypes.CDLL(None, use_errno=True).renameat2
        at_cwd = -100  # AT_FDCWD
        return bool(rename(at_cwd, os.fsencode(old), at_cwd, os.fsencode(new), flag) == 0)
    return False


@contextlib.contextmanager
def explained(destination: Path, instead: str = ELSEWHERE) -> Iterator[None]:
    """Any OSError of the block, such as a full disk, becomes an OutputError that names `destination`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"cannot write {destination}: {reason}; choose another place with {instead}") from None
