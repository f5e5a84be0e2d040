"""Clustering: each kernel is left with a few distinct weights, which are trained on together.

Han et al. 2016, arXiv:1510.00149, section 3: k-means on the weights, then the weights of a cluster move as one. Here
the clusters are levels, ± l_k times a scale for each output: an 8-bit file has such a scale anyway, so that in it all
outputs of a kernel share the same few integers, and compress well. (Of one set of weights for all outputs, as
TensorFlow's optimization toolkit has it, each scale makes other integers.) The first centres are drawn as in k-means++
(Arthur & Vassilvitskii 2007).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.compression.holding import Levels, restoring
from dlkit.compression.kernels import Kernel
from dlkit.errors import IllegalCombination, TrainingError
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

        Raises IllegalCombination if that leaves no other cluster.
        """
        if not pairs(part.clusters, keep_zeros):
            raise IllegalCombination(
                f"compression.clusters = {part.clusters} leaves nothing beside the zeros of pruned weights and one "
                "value, for levels come with either sign: --set compression.clusters=3"
            )
        self.part, self.kernels = part, list(kernels)
        self.levels = [
            _levelled(kernel, part.clusters, seed + place, keep_zeros) for place, kernel in enumerate(kernels)
        ]

    def callbacks(self) -> list[Any]:
        """Of tf_keras, for `Model.fit`."""
        return [restoring(self.levels)]

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


def _levelled(kernel: Kernel, count: int, seed: int, keep_zeros: bool) -> Levels:
    values = np.asarray(kernel.by_output(kernel.variable))
    scales = np.abs(values).max(axis=0)  # (outputs,)
    signs = np.where(values < 0, -1.0, 1.0).astype(np.float32)
    if keep_zeros:
        signs[values == 0] = 0.0
    signs[:, scales == 0] = 0.0
    there = signs != 0
    sizes = np.abs(values) / np.where(scales > 0, scales, 1.0)
    weights = np.broadcast_to(np.square(scales), values.shape)
    levels = levels_of(sizes[there], weights[there], pairs(count, keep_zeros), seed)
    return Levels(kernel, np.where(there, nearest(sizes, levels), 0), signs, levels)


def pairs(count: int, keep_zeros: bool) -> int:
    """Levels of either sign that `count` distinct weights allow, zero among them if it is kept."""
    return (count - 1 if keep_zeros else count) // 2


def nearest(values: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.int64]:
    """The place of the centre that is nearest to each value; centres rise."""
    return np.searchsorted((centres[1:] + centres[:-1]) / 2.0, values).astype(np.int64)


def levels_of(sizes: NDArray[np.float32], weights: NDArray[np.float32], count: int, seed: int) -> NDArray[np.float32]:
    """`count` rising levels, the last one 1, with small squared distances to sizes (N,) from 0 to 1.

    Args:
        weights: (N,) of each squared distance.
    """
    rng = np.random.default_rng(seed)
    if len(sizes) > SEEN:
        seen = rng.choice(len(sizes), SEEN, replace=False)
        sizes, weights = sizes[seen], weights[seen]
    x, w = sizes.astype(np.float64), weights.astype(np.float64)
    centres = _drawn(x, w, count, rng)
    for _ in range(ROUNDS):
        places = np.searchsorted((centres[1:] + centres[:-1]) / 2.0, x)
        mass = np.bincount(places, weights=w, minlength=count)
        sums = np.bincount(places, weights=x * w, minlength=count)
        moved = np.where(mass > 0, sums / np.where(mass > 0, mass, 1.0), centres)
        moved[-1] = 1.0
        moved = np.sort(moved)
        if np.array_equal(moved, centres):
            break
        centres = moved
    return centres.astype(np.float32)


def _drawn(x: NDArray[np.float64], w: NDArray[np.float64], count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """First centres: 1, then each by the square of its distance to the nearest one before."""
    centres = [1.0]
    distances = w * (x - 1.0) ** 2
    while len(centres) < count:
        if not distances.sum() > 0:  # fewer distinct sizes than levels
            centres.append(1.0)
            continue
        centres.append(float(rng.choice(x, p=distances / distances.sum())))
        distances = np.minimum(distances, w * (x - centres[-1]) ** 2)
    return np.sort(np.asarray(centres))
