"""Pruning by magnitude: the smallest weights of each kernel become zero while the others are trained on.

Zhu & Gupta 2017, arXiv:1710.01878, with the schedules of TensorFlow's optimization toolkit; 2:4 as in Mishra et al.
2021, arXiv:2104.08378. The masks are made here: the toolkit's own wrappers leave recurrent kernels as they are without
a word, prune blocks of matrices alone, and lay the fours of a transposed convolution across its inputs.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.compression.holding import Zeros, restoring
from dlkit.compression.kernels import Kernel
from dlkit.errors import TrainingError
from dlkit.recipe import CompressionPart

if TYPE_CHECKING:
    from numpy.typing import NDArray

UPDATES = 100
"""Times, about, that masks are made anew while sparsity grows."""
FOUR, KEPT_OF_FOUR = 4, 2


@dataclasses.dataclass(frozen=True)
class Pruned:
    """A kernel that was pruned.

    Attributes:
        layer: name of the Keras layer.
        kernel: which of its kernels: "kernel", "recurrent_kernel", "forward_kernel" …
        shape: of the kernel, in Keras' layout.
        asked: fraction of weights that were to be zero, or of blocks of them.
        reached: fraction that are.
    """

    layer: str
    kernel: str
    shape: tuple[int, ...]
    asked: float
    reached: float


def prunable(kernels: Sequence[Kernel], part: CompressionPart) -> list[Kernel]:
    """Those of them that can have the pattern: fours need four inputs."""
    if part.pruning != "2:4":
        return list(kernels)
    return [kernel for kernel in kernels if kernel.cube(kernel.values).shape[1] >= FOUR]


class Pruner:
    """Prunes kernels in the course of a training of `steps` steps."""

    def __init__(self, kernels: Sequence[Kernel], part: CompressionPart, steps: int) -> None:
        self.part, self.kernels = part, list(kernels)
        self.zeros = [Zeros(kernel) for kernel in kernels]
        # With the last step of growing some steps are left in which what remains is trained.
        self.growing = max(1, steps // 2) if part.schedule == "polynomial" and part.pruning != "2:4" else 0
        self.every = max(1, self.growing // UPDATES)

    def callbacks(self) -> list[Any]:
        """Of tf_keras, for `Model.fit`; masks first, then what they leave is restored after each batch."""
        import tf_keras

        pruner = self

        class Pruning(tf_keras.callbacks.Callback):
            def on_train_begin(self, logs: Any = None) -> None:
                self.step = 0
                pruner.prune(0)

            def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
                self.step += 1
                if self.step <= pruner.growing and (self.step % pruner.every == 0 or self.step == pruner.growing):
                    pruner.prune(self.step)

        return [Pruning(), restoring(self.zeros)]

    def sparsity(self, step: int) -> float:
        """What is asked for after a step: s (1 - (1 - t)³), t from 0 to 1 while it grows."""
        if not self.growing:
            return self.part.sparsity
        left = 1.0 - min(1.0, step / self.growing)
        return self.part.sparsity * (1.0 - left**3)

    def prune(self, step: int) -> None:
        """Choose anew which weights are zero."""
        for kernel, zeros in zip(self.kernels, self.zeros, strict=True):
            kept = kept_weights(kernel.cube(kernel.values), self.part, self.sparsity(step))
            zeros.become(kernel.own_shape(kept))

    def found(self) -> list[Pruned]:
        """What became of the kernels.

        Raises:
            TrainingError: one has fewer zeros than were asked for.
        """
        found = []
        for kernel in self.kernels:
            cube = kernel.cube(kernel.values)
            zeros, wanted = found_sparsity(cube, self.part), expected_sparsity(cube.shape, self.part)
            if not zeros >= wanted - 1e-9:
                raise TrainingError(
                    f"{kernel.full_name} has {zeros:.1%} zeros after pruning, and {wanted:.1%} were asked for"
                )
            found.append(Pruned(kernel.layer, kernel.name, tuple(kernel.variable.shape), wanted, zeros))
        return found


def kept_weights(cube: NDArray[np.float32], part: CompressionPart, sparsity: float) -> NDArray[np.bool_]:
    """Which weights stay, of a kernel (positions, inputs, outputs), the largest ones; at least one does.

    Args:
        sparsity: fraction of them, or of the blocks, that go; fours lose two of each whatever it is.
    """
    if part.pruning == "2:4":
        return _largest_of_fours(np.abs(cube))
    if part.pruning == "unstructured":
        return _all_but_smallest(np.abs(cube), sparsity)
    _, inputs, outputs = cube.shape
    kept = _all_but_smallest(np.nanmean(_blocks(np.abs(cube), part.block), axis=(2, 4)), sparsity)
    kept = kept.repeat(part.block[0], axis=1).repeat(part.block[1], axis=2)
    return kept[:, :inputs, :outputs]


def _blocks(cube: NDArray[np.float32], block: tuple[int, ...]) -> NDArray[np.float32]:
    """(positions, inputs, outputs) → (positions, blocks, rows, blocks, columns), filled up with NaN at the edges."""
    rows, columns = block
    positions, inputs, outputs = cube.shape
    padded = np.pad(cube, [(0, 0), (0, -inputs % rows), (0, -outputs % columns)], constant_values=np.nan)
    return padded.reshape(positions, padded.shape[1] // rows, rows, padded.shape[2] // columns, columns)


def expected_sparsity(shape: tuple[int, ...], part: CompressionPart) -> float:
    """The fraction of zeros, or of blocks of them, that a kernel (positions, inputs, outputs) has once it is pruned."""
    positions, inputs, outputs = shape
    if part.pruning == "2:4":
        return (
            sum(min(FOUR - KEPT_OF_FOUR, max(0, inputs - at - KEPT_OF_FOUR)) for at in range(0, inputs, FOUR)) / inputs
        )
    size = positions * inputs * outputs
    if part.pruning == "block":
        rows, columns = part.block
        size = positions * math.ceil(inputs / rows) * math.ceil(outputs / columns)
    return _count(size, part.sparsity) / size


def found_sparsity(cube: NDArray[np.float32], part: CompressionPart) -> float:
    """The fraction of zeros, or of blocks of them, that it has."""
    if part.pruning != "block":
        return float(np.mean(cube == 0.0))
    return float(np.mean(np.nanmax(_blocks(np.abs(cube), part.block), axis=(2, 4)) == 0.0))


def _count(size: int, sparsity: float) -> int:
    return min(round(size * sparsity), size - 1)


def _all_but_smallest(sizes: NDArray[np.float32], sparsity: float) -> NDArray[np.bool_]:
    kept = np.ones(sizes.size, np.bool_)
    kept[np.argsort(sizes, axis=None, kind="stable")[: _count(sizes.size, sparsity)]] = False
    return kept.reshape(sizes.shape)


def _largest_of_fours(sizes: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The two largest of each four along the inputs; what is left at the end counts as a four with zeros."""
    positions, inputs, outputs = sizes.shape
    fours = math.ceil(inputs / FOUR)
    padded = np.full((positions, fours * FOUR, outputs), -1.0, np.float32)
    padded[:, :inputs] = sizes
    grouped = padded.reshape(positions, fours, FOUR, outputs)
    ranks = np.argsort(np.argsort(-grouped, axis=2, kind="stable"), axis=2, kind="stable")
    return (ranks < KEPT_OF_FOUR).reshape(padded.shape)[:, :inputs]


def has_fours(cube: NDArray[Any]) -> bool:
    """Whether at most two of each four along the inputs of a kernel (positions, inputs, outputs) are not zero."""
    positions, inputs, outputs = cube.shape
    padded = np.zeros((positions, math.ceil(inputs / FOUR) * FOUR, outputs), np.bool_)
    padded[:, :inputs] = cube != 0
    return bool(padded.reshape(positions, -1, FOUR, outputs).sum(axis=2).max() <= KEPT_OF_FOUR)
