"""Two splits of one dataset as one, in memory or made as they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.datasets import Split
from dlkit.runtime.rows import LazyRows, Rows, bytes_of, is_lazy

if TYPE_CHECKING:
    from numpy.typing import NDArray


def joined(one: Split, other: Split) -> Split:
    """The samples of `one`, then those of `other`, with their labels; of classified samples as the dataset has them."""
    labels = np.concatenate([one.labels, other.labels])
    if is_lazy(one.samples) or is_lazy(other.samples):
        return Split(JoinedRows(one.samples, other.samples), labels)
    return Split(np.concatenate([np.asarray(one.samples), np.asarray(other.samples)]), labels)


class JoinedRows(LazyRows):
    """Rows (N, ...) and then others (M, ...) of the same shape and type."""

    def __init__(self, one: Rows, other: Rows) -> None:
        super().__init__((len(one) + len(other), *one.shape[1:]), one.dtype)
        self._one, self._other = one, other

    def read(self, positions: NDArray[np.int64]) -> NDArray[Any]:
        rows = np.empty((len(positions), *self.shape[1:]), self.dtype)
        first = positions < len(self._one)
        rows[first] = self._one[positions[first]]
        rows[~first] = self._other[positions[~first] - len(self._one)]
        return rows

    def identity(self) -> Iterator[bytes]:
        yield from bytes_of(self)
