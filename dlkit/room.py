"""Want of room: which disk is full, how much was needed, and what to do about it."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterable
from pathlib import Path

from dlkit.quantities import size

FULL_BYTES = 2**13
"""What a file system may keep to itself when a write has failed for want of room: two pages."""


class TooLittleRoom(OSError):
    """What is to be written does not fit.

    Attributes:
        needed_bytes: how much it is.
    """

    def __init__(self, error: OSError, place: Path, needed_bytes: int) -> None:
        super().__init__(error.errno, error.strerror, str(place))
        self.needed_bytes = needed_bytes


def is_want_of_room(error: OSError) -> bool:
    """Whether a disk, a quota or the limit of a file's size is what a write failed by."""
    if error.errno == errno.EFBIG:  # said also of a file that is too large to be read
        return _largest_file() is not None
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def full_place(error: OSError, places: Iterable[Path]) -> Path:
    """Where there was no room: what the error names, else the one of `places` whose disk has least left."""
    named = error.filename2 or error.filename  # of a copy the second is written
    if isinstance(named, (str, bytes)):
        return Path(os.fsdecode(named))
    return min(places, key=lambda place: _left(place)[0] * bool(_left(place)[1]))


def why_no_room(error: OSError, place: Path) -> str:
    """The reason in words, for a place that `full_place` found: "the disk of /data is full (4.1 kB left)".

    A disk is called by where it begins.
    """
    if error.errno == errno.EFBIG:
        return f"a file may have at most {size(_largest_file() or 0)} here (ulimit -f)"
    bytes_left, files_left = _left(place)
    needed = f", {size(error.needed_bytes)} needed" if isinstance(error, TooLittleRoom) else ""
    if error.errno == errno.EDQUOT:
        return f"your quota on the disk of {_disk_of(place)} is used up{needed and f' ({needed[2:]})'}"
    if not files_left:
        return f"the disk of {_disk_of(place)} has no room for another file, however small"
    return f"the disk of {_disk_of(place)} is full ({size(bytes_left)} left{needed})"


def is_full(place: Path) -> bool:
    """Whether the disk of `place` has no room left worth the name: what failed there failed by that."""
    return _left(place)[0] < FULL_BYTES or not _left(place)[1]


def _left(place: Path) -> tuple[int, int]:
    """Bytes and files for which there is room; where a file system does not count files, very many."""
    try:
        found = os.statvfs(_existing(place))
    except OSError:
        return 0, 0
    return found.f_bavail * found.f_frsize, found.f_favail if found.f_files else 2**62


def _existing(place: Path) -> Path:
    """The nearest folder above `place` that is there."""
    return next((folder for folder in (place, *place.absolute().parents) if folder.is_dir()), Path("/"))


def _disk_of(place: Path) -> Path:
    """Where the file system of `place` begins."""
    place = _existing(place).absolute()
    return next((folder for folder in (place, *place.parents) if folder.is_mount()), place)


def _largest_file() -> int | None:
    """Bytes that a file may have by this process's limits; None if there is no limit."""
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    return None if limit == resource.RLIM_INFINITY else limit
