"""How compressible the weights of a .tflite file are: zeros, patterns of zeros, different numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.runtime.stored_weights import StoredWeights

if TYPE_CHECKING:
    from numpy.typing import NDArray

RUN = 4
"""Neighbours along the inputs that a hardware with structured sparsity looks at together."""
NOTEWORTHY_SPARSITY = 0.1
"""Of int8 kernels that were not pruned 1 % to 6 % are 0: a normal distribution over 255 steps, its middle one."""
FEW_VALUES = 32
"""Different numbers in a channel; 8-bit kernels that were not clustered have more in a channel of some size."""


@dataclasses.dataclass(frozen=True)
class WeightStatistics:
    """What is known of one constant that is the weights of an operation.

    Attributes:
        tensor: its name in the file.
        operation: the first that reads it.
        dtype: in the schema's spelling; "int4" where two share a byte.
        shape: as stored, of most operations (outputs, …, inputs).
        channel_axis: of the output channels.
        per_channel: whether each has a scale of its own.
        sparsity: fraction of numbers that stand for exactly 0.0.
        values: different numbers in the whole constant.
        values_per_channel: the most in one output channel.
        two_of_four: whether of every 4 neighbours along the inputs at most 2 are not 0; None where the inputs are no
            multiple of 4, or each output has one of its own.
        zero_runs: fraction of those groups of 4 that are 0 altogether; None likewise.
    """

    tensor: str
    operation: str
    dtype: str
    shape: tuple[int, ...]
    channel_axis: int
    per_channel: bool
    sparsity: float
    values: int
    values_per_channel: int
    two_of_four: bool | None
    zero_runs: float | None

    @property
    def noteworthy(self) -> bool:
        """Whether it looks pruned or clustered."""
        channel = int(np.prod(self.shape)) // self.shape[self.channel_axis]
        few = self.values_per_channel <= FEW_VALUES < channel
        return self.sparsity >= NOTEWORTHY_SPARSITY or few or self.two_of_four is True


def statistics_of(weights: Iterable[StoredWeights]) -> tuple[WeightStatistics, ...]:
    """Of each."""
    return tuple(_statistics(each) for each in weights)


def _statistics(weights: StoredWeights) -> WeightStatistics:
    runs = runs_of_inputs(weights)
    return WeightStatistics(
        tensor=weights.tensor,
        operation=weights.operation,
        dtype=weights.dtype,
        shape=weights.shape,
        channel_axis=weights.channel_axis,
        per_channel=weights.scales > 1,
        sparsity=sparsity(weights),
        values=different(weights.values),
        values_per_channel=most_values(weights),
        two_of_four=None if runs is None else bool((np.count_nonzero(runs, axis=1) <= RUN // 2).all()),
        zero_runs=None if runs is None else float(np.mean(~runs.any(axis=1))),
    )


def sparsity(weights: StoredWeights) -> float:
    """Fraction of numbers that stand for exactly 0.0."""
    return 1.0 - np.count_nonzero(weights.values) / weights.values.size


def most_values(weights: StoredWeights) -> int:
    """The most different numbers in one output channel."""
    return max(different(channel) for channel in weights.channels)


def different(values: NDArray[Any]) -> int:
    """How many different numbers there are."""
    if values.dtype.kind in "iu" and values.dtype.itemsize == 1:
        return int(np.count_nonzero(np.bincount(np.ravel(values).view(np.uint8), minlength=256)))
    ordered = np.sort(values, axis=None)
    return 1 + int(np.count_nonzero(ordered[1:] != ordered[:-1]))


def runs_of_inputs(weights: StoredWeights) -> NDArray[Any] | None:
    """(N, 4) neighbours along the inputs; None where these are no multiple of 4, or each output has one of its own."""
    values = weights.by_output
    if weights.operation == "DEPTHWISE_CONV_2D" or values.shape[-1] % RUN:
        return None
    return values.reshape(-1, RUN)


def block_sparsity(cube: NDArray[Any], block: tuple[int, int]) -> float:
    """Fraction of blocks that are 0 altogether, of (outputs, places, inputs); those at the edges are smaller.

    Args:
        block: inputs and outputs of one.
    """
    columns, rows = block
    padded = np.pad(cube != 0, [(0, -cube.shape[0] % rows), (0, 0), (0, -cube.shape[2] % columns)])
    blocks = padded.reshape(padded.shape[0] // rows, rows, cube.shape[1], padded.shape[2] // columns, columns)
    return float(np.mean(~blocks.any(axis=(1, 4))))
