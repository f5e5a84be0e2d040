"""Image files as an array that decodes the rows it is asked for, in threads: Pillow releases the interpreter's lock."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from dlkit.errors import DataError
from dlkit.extras import require
from dlkit.runtime.inputs import content_of
from dlkit.runtime.preprocessing import Preprocessing, decoded_image, pixels_in, while_decoding
from dlkit.runtime.rows import LazyRows
from dlkit.runtime.threads import Share, mapped_in_threads

if TYPE_CHECKING:
    from numpy.typing import NDArray

T = TypeVar("T")

_MEGAPIXELS = Share(128)
"""That are decoded at once."""


class LazyImages(LazyRows):
    """(N, height, width, channels) float32 raw values of image files, each as a bundle's runner makes it of the file.

    Attributes:
        paths: of the files.
    """

    def __init__(self, paths: Sequence[Path], digests: Sequence[str], preprocessing: Preprocessing) -> None:
        """`digests` are sha256 of the files, in their order; `preprocessing` has an image."""
        assert preprocessing.image is not None
        super().__init__((len(paths), *preprocessing.image), np.dtype(np.float32))
        self.paths = tuple(paths)
        self._digests, self._preprocessing = tuple(digests), preprocessing

    def read(self, positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """Raises DataError for a file that is no longer there, or no longer the image it was."""
        found = np.empty((len(positions), *self.shape[1:]), np.float32)

        def place(row: int) -> None:
            found[row] = raw_image_of(self.paths[positions[row]], self._preprocessing)

        for _ in in_threads(place, range(len(positions))):
            pass
        return found

    def identity(self) -> Iterator[bytes]:
        """The files, not what a version of an image library makes of them."""
        yield f"{len(self)} images ".encode()
        for digest in self._digests:
            yield bytes.fromhex(digest)


def raw_image_of(path: Path, preprocessing: Preprocessing, where: str = "") -> NDArray[np.float32]:
    """(height, width, channels) raw values of one file. Raises DataError naming `where`, else the path."""
    where = where or str(path)
    return _raw_image(content_of(path), preprocessing, where)


def _raw_image(content: bytes, preprocessing: Preprocessing, where: str) -> NDArray[np.float32]:
    """Large images take turns: each may take 0.8 GB on the way, and there may be sixteen threads."""
    with _MEGAPIXELS.taken(pixels_in(content) // 2**20 + 1):
        return preprocessing.raw_image(decoded_image(content, where), where)


def examined(path: Path, preprocessing: Preprocessing, where: str) -> tuple[str, str]:
    """sha256 of an image file, and what is wrong with it, "" for nothing."""
    try:
        content = content_of(path)
        digest = hashlib.sha256(content).hexdigest()
        _raw_image(content, preprocessing, where)
    except DataError as error:
        return "", str(error)
    return digest, ""


def in_threads(function: Callable[[Any], T], values: Sequence[Any]) -> Iterator[T]:
    """The function of each value, in order; decoding in them is quiet."""
    require("PIL")
    with while_decoding():
        yield from mapped_in_threads(function, values)
