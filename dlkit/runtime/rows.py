"""Arrays whose rows are made when they are asked for, so that a data set need not fit into memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROWS_AT_ONCE = 64
"""Of an iteration over all rows."""


class Rows(Protocol):
    """What arrays of samples are asked for: (N, ...), in memory or not."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def ndim(self) -> int: ...
    def __len__(self) -> int: ...
    def __getitem__(self, key: Any, /) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __array__(self) -> NDArray[Any]: ...


class LazyRows(ABC):
    """Rows by position; `numpy.asarray` of it makes all of them.

    Attributes:
        shape: (N, ...).
        dtype: of the rows.
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.shape, self.dtype = shape, dtype
        self._positions = np.arange(shape[0])

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any, /) -> Any:
        """The row at an integer; (n, ...) rows at a slice, an array of integers or a mask. Raises IndexError."""
        positions = np.asarray(self._positions[key])
        return self.read(positions) if positions.ndim else self.read(positions[np.newaxis])[0]

    def __iter__(self) -> Iterator[Any]:
        for batch in batches_of(self, ROWS_AT_ONCE):
            yield from batch

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self.read(self._positions), dtype)

    @abstractmethod
    def read(self, positions: NDArray[np.int64]) -> NDArray[Any]:
        """The rows at these positions, (n, ...), as an array of the caller's own."""

    @abstractmethod
    def identity(self) -> Iterator[bytes]:
        """What a fingerprint is made of: the same rows give the same bytes, whatever is made of them later."""


class StoredRows(LazyRows):
    """Rows of an array that is mapped from its file."""

    def __init__(self, stored: NDArray[Any]) -> None:
        super().__init__(stored.shape, stored.dtype)
        self._stored = stored

    def read(self, positions: NDArray[np.int64]) -> NDArray[Any]:
        return np.array(self._stored[positions])

    def identity(self) -> Iterator[bytes]:
        yield from bytes_of(self)


class ChosenRows(LazyRows):
    """Some rows of another, in the order given."""

    def __init__(self, of: Rows, positions: NDArray[np.int64]) -> None:
        super().__init__((len(positions), *of.shape[1:]), of.dtype)
        self._of, self._chosen = of, positions

    def read(self, positions: NDArray[np.int64]) -> NDArray[Any]:
        return np.asarray(self._of[self._chosen[positions]])

    def identity(self) -> Iterator[bytes]:
        yield from bytes_of(self)


class ChangedRows(LazyRows):
    """Rows of another, changed by a function as they are read."""

    def __init__(
        self,
        of: Rows,
        change: Callable[[NDArray[Any], NDArray[np.int64]], NDArray[Any]],
        shape: tuple[int, ...],
        dtype: Any,
    ) -> None:
        """`change` takes rows (n, ...) and their positions (n,), and gives (n, *shape)."""
        super().__init__((len(of), *shape), np.dtype(dtype))
        self._of, self._change = of, change

    def read(self, positions: NDArray[np.int64]) -> NDArray[Any]:
        return np.asarray(self._change(np.asarray(self._of[positions]), positions), self.dtype)

    def identity(self) -> Iterator[bytes]:
        yield from bytes_of(self)


def is_lazy(rows: Rows) -> bool:
    """Whether rows are made when they are asked for."""
    return isinstance(rows, LazyRows)


def batches_of(rows: Rows, most: int) -> Iterator[NDArray[Any]]:
    """All rows in order, at most `most` at a time."""
    for start in range(0, len(rows), most):
        yield np.asarray(rows[start : start + most])


def bytes_of(rows: Rows) -> Iterator[bytes]:
    """Shape, type and values; of an array in memory and of its rows one after the other the same."""
    yield f"{tuple(rows.shape)} {rows.dtype.str} ".encode()
    for batch in batches_of(rows, 1024):
        yield batch.tobytes()
