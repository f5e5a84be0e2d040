"""sha256 of files and of weights: the identity of what was exported."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


def sha256_of(path: Path) -> str:
    """sha256 of a file's contents, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_arrays(arrays: Iterable[NDArray[Any]]) -> str:
    """sha256 of the numbers of `arrays`, one after the other, in hexadecimal."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(array.reshape(-1).view("uint8").data)  # not a copy, unless its numbers lie out of order
    return digest.hexdigest()
