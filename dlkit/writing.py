"""Atomic writing: a temporary neighbour, moved into place when it is whole.

A reader sees the old thing or the new thing, never half of one; a writer that is killed leaves
only a hidden neighbour, which the next writer of the same place clears away.
"""

from __future__ import annotations

import contextlib
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
    refuse_existing(destination, replace=replace)
    temporary = _neighbour(destination)
    try:
        yield temporary
        with _explained(destination):
            _swap_in(temporary, destination)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def refuse_existing(destination: Path, *, replace: bool) -> None:
    """Raise OutputError if `destination` exists and may not be replaced."""
    if destination.exists() and not replace:
        raise OutputError(f"{destination} exists already; add --force to replace it")


def check_writable(folder: Path) -> None:
    """Raise OutputError now, before the work, if nothing can be written under `folder`."""
    with _explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass


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
    with _explained(destination):
        destination.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{destination.name}.", dir=destination.parent))
        temporary.chmod(0o755)
        return temporary


def _swap_in(temporary: Path, destination: Path) -> None:
    if not destination.exists():
        temporary.rename(destination)
        return
    old = temporary.with_name(temporary.name + ".old")
    destination.rename(old)
    try:
        temporary.rename(destination)
    except BaseException:
        old.rename(destination)
        raise
    shutil.rmtree(old)


@contextlib.contextmanager
def _explained(destination: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"cannot write {destination}: {reason}; choose another place with --out DIR") from None
