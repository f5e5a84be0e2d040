"""Atomic writing: a temporary neighbour, moved into place when it is whole.

A reader sees the old thing or the new thing, never half of one; a writer that is killed leaves
only a hidden neighbour, which the next writer beside it clears away.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from dlkit import leftovers
from dlkit.errors import OutputError

# Flags of Linux' renameat2: what may happen to the second name.
KEEP, EXCHANGE = 1, 2
ELSEWHERE = "--out DIR"
"""The option of most commands that names another place."""
NEIGHBOUR, TEMPORARY = ".dlkit-writing-", "dlkit-"
"""How the names of workplaces begin, beside what is written and in the system's temporary folder."""
WHOLE, OLD = ".dlkit-whole", ".dlkit-old"
"""In a neighbour: the file that says that all in it is to be moved out, and the folder for what stood there."""


@contextlib.contextmanager
def new_folder(destination: Path, *, replace: bool) -> Iterator[Path]:
    """A temporary folder to fill; it becomes `destination` if the block ends without an error.

    Raises:
        OutputError: `destination` exists and `replace` is false (now, or when the block ends), or its
            parent cannot be written.
    """
    with explained(destination):
        settle(destination.parent)
    refuse_existing(destination, replace=replace)
    with _neighbour(destination) as neighbour:
        new = neighbour / destination.name
        with explained(destination):
            new.mkdir(mode=0o755)
            new.chmod(0o755)
        yield new
        with explained(destination):
            _move_in(new, destination, replace=replace)


@contextlib.contextmanager
def new_file(destination: Path, instead: str = ELSEWHERE) -> Iterator[Path]:
    """A path to write a file to; it becomes `destination`, or replaces it, if the block ends without an error.

    Args:
        instead: the option that names another place, for the error.

    Raises:
        OutputError: `destination` is a folder, or its parent cannot be written.
    """
    with explained(destination, instead):
        settle(destination.parent)
    with _neighbour(destination, instead) as neighbour:
        yield neighbour / destination.name
        with explained(destination, instead):
            (neighbour / destination.name).replace(destination)


@contextlib.contextmanager
def new_files(folder: Path) -> Iterator[Path]:
    """A temporary folder for files; they become, or replace, those of the same names in `folder` together.

    A writer that is killed while they are moved leaves it to `settle` to move the rest.

    Raises:
        OutputError: one of them is a folder in `folder`, or that cannot be written.
    """
    with explained(folder):
        settle(folder)
    with _neighbour(folder / "its files") as neighbour:
        yield neighbour
        with explained(folder):
            for name in _contents(neighbour):
                if (folder / name).is_dir():
                    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            (neighbour / WHOLE).touch()
            _move_out(neighbour)


def settle(folder: Path) -> None:
    """Clear away what killed writers left in `folder`; first finish what they had begun to move, or put it back.

    Readers of what `new_files` wrote call it before they look.
    """
    leftovers.sweep(folder, NEIGHBOUR, _settled)


def _settled(neighbour: Path) -> None:
    if (neighbour / WHOLE).exists():
        _move_out(neighbour)
    for old in (neighbour / OLD).glob("*"):
        if not os.path.lexists(neighbour.parent / old.name):
            old.rename(neighbour.parent / old.name)


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder of this user alone that goes with the block; of killed processes this one removes theirs.

    Raises OSError if it cannot be made.
    """
    parent = _place_of_temporary_files()
    if parent not in _swept:
        _swept.add(parent)
        leftovers.sweep(parent, TEMPORARY)
    with leftovers.workplace(parent, TEMPORARY) as folder:
        yield folder


_swept: set[Path] = set()


def _place_of_temporary_files() -> Path:
    """As `tempfile.gettempdir` says; that writes a file to find out, which stays where it is killed just then."""
    if tempfile.tempdir is None:
        for place in (os.environ.get("TMPDIR"), os.environ.get("TEMP"), os.environ.get("TMP"), "/tmp"):
            if place and Path(place).is_dir() and os.access(place, os.W_OK | os.X_OK):
                return Path(place).absolute()
    return Path(tempfile.gettempdir())


@contextlib.contextmanager
def temporary_files_apart() -> Iterator[None]:
    """During the block, what any code of this process puts into the temporary folder goes into one of its own.

    TensorFlow leaves Python files there when it is killed, by names that say nothing of whose they are.
    """
    before = tempfile.tempdir
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # there is no such place; who needs one says so
            tempfile.tempdir = str(stack.enter_context(temporary_folder()))
        try:
            yield
        finally:
            tempfile.tempdir = before


def write_bytes(destination: Path, content: bytes, instead: str = ELSEWHERE) -> None:
    """Write a file as `new_file` does."""
    with new_file(destination, instead) as new, explained(destination, instead):
        new.write_bytes(content)


def refuse_existing(destination: Path, *, replace: bool) -> None:
    """Raise OutputError if `destination` exists and may not be replaced."""
    with explained(destination):
        exists = os.path.lexists(destination)
    if exists and not replace:
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
    """A hidden workplace beside `destination`; whatever is in it at the end goes."""
    with contextlib.ExitStack() as stack:
        with explained(destination, instead):
            destination.parent.mkdir(parents=True, exist_ok=True)
            neighbour = stack.enter_context(leftovers.workplace(destination.parent, NEIGHBOUR))
        yield neighbour


def _contents(neighbour: Path) -> list[str]:
    """Names of the files that a block has put there."""
    return sorted(path.name for path in neighbour.iterdir() if path.name not in (leftovers.LOCK, WHOLE, OLD))


def _move_out(neighbour: Path) -> None:
    """Give all files of a neighbour their places beside it."""
    for name in _contents(neighbour):
        (neighbour / name).replace(neighbour.parent / name)


def _move_in(new: Path, destination: Path, *, replace: bool) -> None:
    """Give `new` the name of `destination`; what was there, if it may go, goes to the neighbour that `new` was in."""
    if _renamed(new, destination, KEEP):
        return
    refuse_existing(destination, replace=replace)
    if not os.path.lexists(destination):  # a file system without that step
        new.rename(destination)
    elif not _renamed(new, destination, EXCHANGE):
        # This file system cannot exchange two names in one step; between these two there is none.
        old = new.parent / OLD / destination.name
        old.parent.mkdir()
        destination.rename(old)
        try:
            new.rename(destination)
        except BaseException:
            old.rename(destination)
            raise


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
