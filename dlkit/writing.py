"""Atomic writing: a temporary neighbour, moved into place when it is whole.

A reader sees the old thing or the new thing, never half of one; a writer that is killed leaves
only a hidden neighbour, which the next writer of the same place clears away.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import glob
import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from dlkit.errors import OutputError
from dlkit.room import TooLittleRoom, full_place, is_want_of_room, why_no_room

# Flags of Linux' renameat2: what may happen to the second name.
KEEP, EXCHANGE = 1, 2
ELSEWHERE = "--out DIR"
"""The option of most commands that names another place."""
TMPDIR = "TMPDIR"
"""What names another place for temporary files."""
LONGEST_TOLD = 200
"""Bytes of a name that those of its neighbours begin with; a file system allows 255 in all."""
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
        _clear_away(destination)
    refuse_existing(destination, replace=replace)
    with _neighbour(destination) as temporary:
        with _room_explained(destination):
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
        with _room_explained(destination, instead):
            yield temporary / destination.name
        with explained(destination, instead):
            (temporary / destination.name).replace(destination)


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder of this user alone that goes with the block.

    It has its name before it is made, so that an interruption at any moment finds what to remove
    (`tempfile.TemporaryDirectory` loses a folder that is interrupted between the two).

    Raises:
        OutputError: there is no place for it, or no room in it for what the block writes.
    """
    folder = _place_of_temporaries() / f"dlkit-{secrets.token_hex(8)}"
    try:
        with explained(folder, TMPDIR):
            folder.mkdir(mode=0o700)
        with _room_explained(folder, TMPDIR):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check_temporaries() -> None:
    """Raise OutputError now, before the work, if no temporary file can be written."""
    folder = _place_of_temporaries()
    with explained(folder / "dlkit", TMPDIR), tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(TEMPORARY_BYTES))


def _place_of_temporaries() -> Path:
    """Where temporary files are written. Raises OutputError if TMPDIR names a place that cannot be.

    `tempfile` would take another in its stead, unasked: the working folder in the end.
    """
    named = next(filter(None, map(os.environ.get, ("TMPDIR", "TEMP", "TMP"))), None)
    if named is not None:
        with explained(Path(named, "dlkit"), TMPDIR), tempfile.TemporaryFile(dir=named) as file:
            file.write(b"room")
    with explained(Path("/tmp/dlkit"), TMPDIR):
        return Path(tempfile.gettempdir())


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
def _neighbour(destination: Path, instead: str = ELSEWHERE) -> Iterator[Path]:
    """A hidden folder beside `destination`, locked while its writer lives; whatever bears its name then goes."""
    missing = _missing(destination.parent)
    try:
        with explained(destination, instead):
            temporary = _new_neighbour(destination)
        try:
            temporary.chmod(0o755)
            with _opened(temporary) as handle:
                with contextlib.suppress(OSError):  # a file system without locks
                    fcntl.flock(handle, fcntl.LOCK_EX)
                yield temporary
        finally:
            _remove(temporary)
    finally:
        _unmake(missing)


def _new_neighbour(destination: Path) -> Path:
    """The folder itself, in a parent that is made if need be."""
    for attempts_left in reversed(range(ATTEMPTS)):
        destination.parent.mkdir(parents=True, exist_ok=True)
        try:
            return Path(tempfile.mkdtemp(prefix=_mark(destination), dir=destination.parent))
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


def _mark(destination: Path) -> str:
    """How the names of the neighbours of `destination` begin; no longer than a name may be."""
    name = os.fsencode(destination.name)
    told = destination.name if len(name) <= LONGEST_TOLD else hashlib.sha256(name).hexdigest()
    return f".{told}.writing-"


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
        raise _refusal(error, destination, instead) from None


@contextlib.contextmanager
def _room_explained(destination: Path, instead: str = ELSEWHERE) -> Iterator[None]:
    """Want of room in the block becomes an OutputError; other errors may be of what the block reads."""
    try:
        yield
    except OSError as error:
        if not is_want_of_room(error):
            raise
        raise no_room(error, destination, instead) from None


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
