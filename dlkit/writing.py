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
from dlkit.room import TooLittleRoom, full_place, is_full, is_want_of_room, why_no_room

# Flags of Linux' renameat2: what may happen to the second name.
KEEP, EXCHANGE = 1, 2
ELSEWHERE = "--out DIR"
"""The option of most commands that names another place."""
NEIGHBOUR, TEMPORARY = ".dlkit-writing-", "dlkit-"
"""How the names of workplaces begin, beside what is written and in the system's temporary folder."""
WHOLE, OLD = ".dlkit-whole", ".dlkit-old"
"""In a neighbour: the file that says that all in it is to be moved out, and the folder for what stood there."""
TMPDIR = "TMPDIR"
"""What names another place for temporary files."""
ATTEMPTS = 10
TEMPORARY_BYTES = 2**16
"""Room for temporary files without which no work is begun."""


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
        with _room_explained(destination):
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
        with _room_explained(destination, instead):
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
        with _room_explained(folder):
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

    Raises:
        OutputError: there is no place for it, or no room in it for what the block writes.
    """
    parent = _place_of_temporaries()
    if parent not in _swept:
        _swept.add(parent)
        leftovers.sweep(parent, TEMPORARY)
    with contextlib.ExitStack() as stack:
        with explained(parent / "dlkit", TMPDIR):
            folder = stack.enter_context(leftovers.workplace(parent, TEMPORARY))
        with _room_explained(folder, TMPDIR):
            yield folder


_swept: set[Path] = set()


@contextlib.contextmanager
def temporary_files_apart() -> Iterator[None]:
    """During the block, what any code of this process puts into the temporary folder goes into one of its own.

    TensorFlow leaves Python files there when it is killed, by names that say nothing of whose they are.
    """
    before = tempfile.tempdir
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OutputError):  # there is no such place; who needs one says so
            tempfile.tempdir = str(stack.enter_context(temporary_folder()))
        try:
            yield
        finally:
            tempfile.tempdir = before


def check_temporaries() -> None:
    """Raise OutputError now, before the work, if no temporary file can be written."""
    folder = _place_of_temporaries()
    with explained(folder / "dlkit", TMPDIR), tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(TEMPORARY_BYTES))


def _place_of_temporaries() -> Path:
    """Where temporary files are written. Raises OutputError if TMPDIR names a place that cannot be.

    `tempfile` would take another in its stead, unasked: the working folder in the end. It also writes a file to find
    out, which stays where it is killed just then; this one has no name.
    """
    if tempfile.tempdir is not None:
        return Path(tempfile.tempdir)
    named = next(filter(None, map(os.environ.get, ("TMPDIR", "TEMP", "TMP"))), None)
    place = Path(named or "/tmp").absolute()
    with explained(place / "dlkit", TMPDIR), tempfile.TemporaryFile(dir=place) as file:
        file.write(b"room")
    return place


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
        missing = _missing(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        finally:
            _unmake(missing)


def check_room(folder: Path, sizes: list[int]) -> None:
    """Raise TooLittleRoom now if files of `sizes` bytes do not fit into `folder` together, by disk, quota or limits.

    For writers that come to grief where there is no room. Their space is taken and given back, where the system can.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    with contextlib.ExitStack() as files:
        for size in sizes:
            file = files.enter_context(tempfile.TemporaryFile(dir=folder))
            try:
                os.posix_fallocate(file.fileno(), 0, size)
            except OSError as error:
                raise TooLittleRoom(error, folder, sum(sizes)) from None


@contextlib.contextmanager
def folder_for(folder: Path) -> Iterator[None]:
    """Make `folder`; what is empty of it and of the folders made for it goes with the block."""
    missing = _missing(folder)
    try:
        with explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        _unmake(missing)


@contextlib.contextmanager
def _neighbour(destination: Path, instead: str = ELSEWHERE) -> Iterator[Path]:
    """A hidden workplace beside `destination`; whatever is in it at the end goes."""
    missing = _missing(destination.parent)
    with contextlib.ExitStack() as stack:
        stack.callback(_unmake, missing)
        with explained(destination, instead):
            neighbour = _new_neighbour(destination, stack)
        yield neighbour


def _new_neighbour(destination: Path, stack: contextlib.ExitStack) -> Path:
    """The folder itself, in a parent that is made if need be."""
    for attempts_left in reversed(range(ATTEMPTS)):
        destination.parent.mkdir(parents=True, exist_ok=True)
        try:
            return stack.enter_context(leftovers.workplace(destination.parent, NEIGHBOUR))
        except FileNotFoundError:  # another process, whose writing failed, has just removed the parent it had made
            if not attempts_left:
                raise
    raise AssertionError


def _missing(folder: Path) -> list[Path]:
    """Of `folder` and those above it, the ones that are not there, innermost first."""
    with contextlib.suppress(OSError):  # a name that is too long; told by who makes it
        return [each for each in (folder, *folder.parents) if not os.path.lexists(each)]
    return []


def _unmake(folders: list[Path]) -> None:
    """Remove those that are empty: nothing came of what they were made for."""
    for folder in folders:
        with contextlib.suppress(OSError):  # never made, or no longer empty
            folder.rmdir()


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
        raise _refusal(error, destination, instead) from None


@contextlib.contextmanager
def _room_explained(destination: Path, instead: str = ELSEWHERE) -> Iterator[None]:
    """Want of room in the block becomes an OutputError; other errors may be of what the block reads."""
    try:
        yield
    except OSError as error:
        if not is_want_of_room(error) or not _is_of(error, destination):
            raise
        raise no_room(error, destination, instead) from None


def _is_of(error: OSError, destination: Path) -> bool:
    """Whether want of room is of files: standard output, whose error names no file either, may be full too."""
    if error.filename or error.errno == errno.EFBIG:
        return True
    return any(map(is_full, (destination, Path(tempfile.gettempdir()))))


def no_room(error: OSError, destination: Path, instead: str = ELSEWHERE) -> OutputError:
    """What to say where there is too little room for `destination`, or for temporary files that it is made of.

    Args:
        instead: the option that names another place; "" where there is none.
    """
    temporary = Path(tempfile.gettempdir())
    place = full_place(error, (destination, temporary))
    if place.is_relative_to(temporary) and not destination.is_relative_to(temporary):
        destination, instead = temporary, TMPDIR
    return _refusal(error, destination, instead, place)


def _refusal(error: OSError, destination: Path, instead: str, place: Path | None = None) -> OutputError:
    advice = f"choose another place with {instead}" if instead else "make room there"
    what = str(destination)
    if instead == TMPDIR:
        what, advice = "temporary files", "set TMPDIR to another folder"
    if is_want_of_room(error):
        return OutputError(f"cannot write {what}: {why_no_room(error, place or destination)}; {advice}")
    where = f" in {destination.parent}" if instead == TMPDIR else ""
    return OutputError(f"cannot write {what}{where}: {error.strerror or error}; {advice}")
