"""Clustering: each kernel is left with a few distinct weights, which are trained on together.

Han et al. 2016, arXiv:1510.00149, section 3: k-means on the weights, then the weights of a cluster move as one. The
first centres are drawn as in k-means++ (Arthur & Vassilvitskii 2007). Otherwise than there, what is clustered is the
size of a weight in units of the largest of its output channel, and the largest is a centre: int8 has the largest weight
of each channel at 127, so that the integers of all channels are the same few, and gzip makes a smaller file of them.
Of `digits`, pruned to 0.85 and trained for integers, gzip made 28.2 kB where each channel had its own integers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.compression.holding import Ties, restoring
from dlkit.compression.kernels import Kernel
from dlkit.errors import TrainingError
from dlkit.recipe import CompressionPart

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROUNDS, SEEN = 50, 2**18
"""Of k-means, at most; and weights of a kernel that it looks at, at most."""


@dataclasses.dataclass(frozen=True)
class Clustered:
    """A kernel that was clustered.

    Attributes:
        layer: name of the Keras layer.
        kernel: which of its kernels.
        shape: of the kernel, in Keras' layout.
        clusters: largest number of distinct weights in an output channel.
    """

    layer: str
    kernel: str
    shape: tuple[int, ...]
    clusters: int


class Clusterer:
    """Clusters kernels at the beginning of a training, and keeps them so."""

    def __init__(self, kernels: Sequence[Kernel], part: CompressionPart, seed: int, *, keep_zeros: bool) -> None:
        """Args:
        keep_zeros: weights that are zero are a cluster of their own, of the number that is asked for.
        """
        self.part, self.kernels = part, list(kernels)
        self.ties = [_tied(kernel, part.clusters, seed + place, keep_zeros) for place, kernel in enumerate(kernels)]

    def callbacks(self) -> list[Any]:
        """Of tf_keras, for `Model.fit`."""
        return [restoring(self.ties)]

    def found(self) -> list[Clustered]:
        """What became of the kernels.

        Raises:
            TrainingError: one has more distinct weights in a channel than were asked for.
        """
        found = []
        for kernel in self.kernels:
            count = distinct(kernel.cube(kernel.values))
            if not count <= self.part.clusters:
                raise TrainingError(f"{kernel.full_name} has {count} distinct weights after clustering")
            found.append(Clustered(kernel.layer, kernel.name, tuple(kernel.variable.shape), count))
        return found


def distinct(cube: NDArray[Any]) -> int:
    """The largest number of distinct weights that an output of a kernel (positions, inputs, outputs) has."""
    ordered = np.sort(cube.reshape(-1, cube.shape[-1]), axis=0)
    return int((np.diff(ordered, axis=0) != 0).sum(axis=0).max(initial=0)) + 1


def _tied(kernel: Kernel, count: int, seed: int, keep_zeros: bool) -> Ties:
    weights = kernel.cube(kernel.values)
    weights = weights.reshape(-1, weights.shape[-1])
    largest = np.abs(weights).max(axis=0)
    sizes = np.abs(weights) / np.where(largest > 0.0, largest, 1.0)
    zero = (weights == 0.0) if keep_zeros else (sizes == 0.0) & (largest == 0.0)
    centres = centres_of(sizes[~zero], magnitudes(count, keep_zeros), seed, 1.0)
    signs = np.where(zero, 0.0, np.where(weights < 0.0, -1.0, 1.0)).astype(np.float32)
    return Ties(kernel, nearest(sizes, centres), signs, centres)


def magnitudes(clusters: int, keep_zeros: bool) -> int:
    """Sizes of weights that come to so many clusters: each with both signs, and zero where it is one."""
    return (clusters - 1) // 2 if keep_zeros else clusters // 2


def nearest(values: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.int64]:
    """The place of the centre that is nearest to each value; centres rise."""
    return np.searchsorted((centres[1:] + centres[:-1]) / 2.0, values).astype(np.int64)


def centres_of(values: NDArray[np.float32], count: int, seed: int, largest: float | None = None) -> NDArray[np.float32]:
    """At most `count` rising centres of `values` (N,); the last of them is at `largest`, if that is given."""
    rng = np.random.default_rng(seed)
    seen = rng.choice(values, SEEN, replace=False) if len(values) > SEEN else values
    known = np.unique(seen if largest is None else np.append(seen, np.float32(largest)))
    if len(known) <= count:
        return known
    centres = np.sort(_drawn(seen.astype(np.float64), count, rng))
    if largest is not None:
        centres[-1] = largest
    for _ in range(ROUNDS):
        places = np.searchsorted((centres[1:] + centres[:-1]) / 2.0, seen)
        sizes = np.bincount(places, minlength=len(centres))
        sums = np.bincount(places, weights=seen, minlength=len(centres))
        moved = np.sort(np.where(sizes > 0, sums / np.maximum(sizes, 1), centres))
        if largest is not None:
            moved[-1] = largest
        if np.array_equal(moved, centres):
            break
        centres = moved
    return centres.astype(np.float32)


def _drawn(values: NDArray[np.float64], count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """First centres: each by the square of its distance to the nearest one before."""
    centres = [float(rng.choice(values))]
    distances = (values - centres[0]) ** 2
    while len(centres) < count and distances.sum() > 0:
        centres.append(float(rng.choice(values, p=distances / distances.sum())))
        distances = np.minimum(distances, (values - centres[-1]) ** 2)
    return np.asarray(centres)
