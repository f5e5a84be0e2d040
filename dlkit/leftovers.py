"""Folders that say whose they are, so that what a killed process left is told from what is in use.

A workplace is a temporary folder with a lock file, which its process holds locked for as long as it lives. The
system lets go of the lock when the process ends, whatever ended it: a workplace whose lock can be had is nobody's.
Its name, its lock file and its owner must all be as `workplace` makes them; nothing else is ever removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import secrets
import shutil
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

LOCK = ".dlkit-lock"
"""The lock file in a workplace; it says for people which process made it, on which machine."""
RANDOM_BYTES = 8
_RANDOM = "[0-9a-f]" * (2 * RANDOM_BYTES)


@contextlib.contextmanager
def workplace(parent: Path, prefix: str, mode: int = 0o700) -> Iterator[Path]:
    """A new folder in `parent`, ours for as long as the block lasts; it goes with the block.

    It has its name before it is made, so that an interruption at any moment finds what to remove
    (`tempfile.TemporaryDirectory` loses a folder that is interrupted between the two).

    Raises OSError if it cannot be made.
    """
    while True:
        folder = parent / f"{prefix}{secrets.token_hex(RANDOM_BYTES)}"
        lock = None
        try:
            folder.mkdir(mode=mode)
            lock = _locked(folder)
            if lock is not None:
                yield folder
                return
        finally:
            remove(folder)
            if lock is not None:
                os.close(lock)


@contextlib.contextmanager
def held(folder: Path) -> Iterator[bool]:
    """Hold `folder`, which is there to stay, as its only user; False if a living process holds it."""
    lock = _locked(folder, wait=False)
    try:
        yield lock is not None
    finally:
        if lock is not None:
            os.close(lock)


def let_go(folder: Path) -> None:
    """Remove the lock file of a folder that this process holds, and the folder, unless there is more in it."""
    with contextlib.suppress(OSError):
        if {path.name for path in folder.iterdir()} <= {LOCK}:
            (folder / LOCK).unlink(missing_ok=True)
            folder.rmdir()


def sweep(parent: Path, prefix: str, settle: Callable[[Path], None] = lambda folder: None) -> None:
    """Remove the workplaces in `parent` whose process has ended, and those that were only just begun.

    Args:
        settle: called with each before; one that it raises OSError for stays.
    """
    for folder in sorted(parent.glob(f"{glob.escape(prefix)}{_RANDOM}")):
        with contextlib.suppress(OSError), _taken_over(folder) as is_nobodys:
            if is_nobodys:
                settle(folder)
                remove(folder)
            elif _is_own_folder(folder):
                folder.rmdir()  # OSError where there is something in it


def remove(folder: Path) -> None:
    """Remove a workplace as far as that can be done, its lock file last: what a kill leaves of it is still known."""
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if path.name == LOCK:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    path.unlink()
    let_go(folder)


def _locked(folder: Path, *, wait: bool = True) -> int | None:
    """A descriptor that holds the lock of `folder`; None if another process has it, or removed the folder meanwhile.

    On a file system without locks nobody holds any, and nothing is taken for abandoned.
    """
    try:
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except FileNotFoundError:  # taken for one that was only begun
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(lock)
        return None
    except OSError:
        return lock
    if not _is_the_file(lock, folder / LOCK):
        os.close(lock)
        return None
    with contextlib.suppress(OSError):  # a full disk; the lock is held nevertheless
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()} {_boot()} {socket.gethostname()}\n".encode(), 0)
    return lock


@contextlib.contextmanager
def _taken_over(folder: Path) -> Iterator[bool]:
    """Whether `folder` is a workplace of this user whose process has ended; nobody else takes it during the block."""
    try:
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        yield False
        return
    try:
        yield _is_own_folder(folder) and _is_nobodys(lock, folder / LOCK)
    finally:
        os.close(lock)


def _is_nobodys(lock: int, path: Path) -> bool:
    """Take the lock, if its process has ended, or was of this machine before it was started anew."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    _, boot, host = [*os.pread(lock, 1000, 0).decode(errors="replace").split(), "", "", ""][:3]
    # On a network's file system that keeps locks to each machine, it may be alive on another one.
    is_elsewhere = boot not in ("", _boot()) and host != socket.gethostname()
    return _is_the_file(lock, path) and not is_elsewhere


def _is_the_file(descriptor: int, path: Path) -> bool:
    """Whether `path` still is the open file, and a plain one."""
    state = os.fstat(descriptor)
    try:
        return stat.S_ISREG(state.st_mode) and os.path.samestat(state, path.lstat())
    except OSError:
        return False


def _is_own_folder(folder: Path) -> bool:
    """Whether it is a folder, not a link to one, and of this user."""
    state = folder.lstat()
    return stat.S_ISDIR(state.st_mode) and state.st_uid == os.geteuid()


def _boot() -> str:
    """What names the time since this machine was started, in its containers too; "-" where nothing does."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return "-"
