"""Rows of made-up samples: each is drawn by its place, so that it is the same in whatever batch it is made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from dlkit.datasets import Split
from dlkit.datasets.synthetic import SyntheticOptions
from dlkit.runtime.rows import LazyRows, bytes_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

COARSE = 4
"""Fields of a pattern along height and width, or steps: coarse ones outlive shifts and resizing."""


class Patterns(LazyRows):
    """(N, *shape) uint8."""

    def __init__(self, options: SyntheticOptions, shape: tuple[int, ...], start: int, count: int) -> None:
        super().__init__((count, *shape), np.dtype(np.uint8))
        self._options, self._start = options, start
        self._patterns = [_pattern(options, shape, label) for label in range(options.classes)]

    def read(self, positions: NDArray[np.int64]) -> NDArray[np.uint8]:
        rows = np.empty((len(positions), *self.shape[1:]), np.uint8)
        for row, position in enumerate(positions):
            number = self._start + int(position)
            rng = np.random.default_rng((self._options.data_seed, 1, number))
            noise = rng.standard_normal(self.shape[1:], np.float32) * (255 * self._options.noise)
            rows[row] = np.clip(self._patterns[number % self._options.classes] + noise, 0, 255)
        return rows

    def identity(self) -> Iterator[bytes]:
        yield from bytes_of(self)


def split_of_patterns(options: SyntheticOptions, shape: tuple[int, ...], start: int, count: int) -> Split:
    """Samples `start` and the next; the classes take turns."""
    return Split(Patterns(options, shape, start, count), np.arange(start, start + count) % options.classes)


def _pattern(options: SyntheticOptions, shape: tuple[int, ...], label: int) -> NDArray[np.float32]:
    """Fields of random brightness; the last axis (channels, features) has all of its values, unless it is the only."""
    rng = np.random.default_rng((options.data_seed, 0, label))
    fields = tuple(min(n, COARSE) for n in shape[:-1]) + shape[-1:] if len(shape) > 1 else shape
    pattern = rng.uniform(40, 215, fields).astype(np.float32)
    for axis, n in enumerate(shape):
        pattern = np.take(pattern, np.arange(n) * fields[axis] // n, axis=axis)
    return pattern
