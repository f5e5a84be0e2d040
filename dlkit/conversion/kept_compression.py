"""Whether what was pruned and clustered still is so in an exported file.

A kernel of Keras becomes one constant of the file, also where all steps of a sequence read it, or one for each gate of
an LSTM or a GRU. Folding a normalisation into it and quantizing it multiply an output channel by one number and round
it: what is 0 stays 0, and what is the same in a channel stays the same.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.conversion.layer_names import layer_of
from dlkit.promises import Promise
from dlkit.runtime.inspection import FUSED_LSTM
from dlkit.runtime.stored_weights import StoredWeights
from dlkit.runtime.weight_statistics import RUN, block_sparsity, most_values

if TYPE_CHECKING:
    from numpy.typing import NDArray

GATES_OF_A_GRU = 3
WAYS = "forward_", "backward_"
"""How the layers, and the kernels, of the two directions are called."""
ROUNDING = 1e-9
"""Of a fraction that was computed in another way."""
INPUTS, LAST_STEP = range(1, 5), range(5, 9)
"""Operands of the fused LSTM: what its kernel and its recurrent kernel become."""


def broken_compression(promises: Iterable[Promise], weights: Sequence[StoredWeights]) -> list[str]:
    """What in the file is not as was promised of its kernels, a sentence each; empty if all of it is.

    A kernel is found by the layer's name in those of tensors; where none tells, as of a fused LSTM, by its shape.

    Args:
        promises: of the kernels of one model.
        weights: of the file, see `stored_weights`.
    """
    wanted = sorted(promises, key=lambda promise: (-promise.sparsity, promise.clusters or math.inf))
    known = {promise.layer for promise in wanted}
    owners = [_layer(each, known) for each in weights]
    left = set(range(len(weights)))
    broken = []
    for promise in wanted:  # the strictest first: where shapes alone tell, it must not be left with another's
        groups = _groups(promise, weights, [i for i in sorted(left) if owners[i] == promise.layer], named=True)
        groups = groups or _groups(promise, weights, [i for i in sorted(left) if not owners[i]], named=False)
        if not groups:
            broken.append(f"no weights in it are those of {_called(promise)}, which was {_done(promise)}")
            continue
        found = [(_broken(promise, [weights[i] for i in group]), group) for group in groups]
        what, taken = min(found, key=lambda pair: len(pair[0]))
        left -= set(taken)
        broken += [f"{_called(promise)} {each}" for each in what]
    return broken


def _layer(weights: StoredWeights, known: Collection[str]) -> str:
    return next((layer for scope in weights.scopes if (layer := layer_of(scope, known))), "")


def _groups(
    promise: Promise, weights: Sequence[StoredWeights], places: Sequence[int], *, named: bool
) -> list[list[int]]:
    """The constants at `places` that may be this kernel: each alone, or as many as it has gates.

    Args:
        named: whether they are known to be of its layer; if not, all their dimensions must be its own.
    """
    size, dimensions = math.prod(promise.shape), _stored_dimensions(promise)
    alone = [
        [i] for i in places
        if weights[i].operation != FUSED_LSTM
        and (_dimensions(weights[i].shape) == dimensions or (named and weights[i].values.size == size))
    ]  # fmt: skip
    return alone + _fused(promise, weights, places) + (_cut(promise, weights, places) if named else [])


def _fused(promise: Promise, weights: Sequence[StoredWeights], places: Sequence[int]) -> list[list[int]]:
    """Operands of fused LSTMs, those of four gates at a time."""
    operands = LAST_STEP if promise.kernel.endswith("recurrent_kernel") else INPUTS
    gate = _of_a_gate(promise, len(operands))
    found = [
        i for i in places
        if weights[i].operation == FUSED_LSTM and weights[i].operand in operands and weights[i].shape == gate
    ]  # fmt: skip
    return [found[i : i + len(operands)] for i in range(0, len(found) - len(operands) + 1, len(operands))]


def _cut(promise: Promise, weights: Sequence[StoredWeights], places: Sequence[int]) -> list[list[int]]:
    """Constants for each gate of a GRU that runs step by step: as many as are multiplied with the same.

    The two directions of a bidirectional layer read the same inputs; Keras' names of their layers tell them apart.
    """
    way = next((f"/{way}" for way in WAYS if promise.kernel.startswith(way)), "")
    gates = [
        i for i in places
        if weights[i].shape == _of_a_gate(promise, GATES_OF_A_GRU) and any(way in scope for scope in weights[i].scopes)
    ]  # fmt: skip
    groups: list[tuple[set[str], list[int]]] = []
    for i in gates:
        joined = [group for group in groups if group[0] & weights[i].beside]
        groups = [group for group in groups if group not in joined]
        beside = weights[i].beside.union(*(group[0] for group in joined))
        groups.append((set(beside), [*(place for group in joined for place in group[1]), i]))
    whole = [group for _, group in groups if len(group) == GATES_OF_A_GRU]
    if promise.pattern == "block":  # may reach across gates, which the file has in any order
        return [list(order) for group in whole for order in itertools.permutations(group)]
    return whole


def _of_a_gate(promise: Promise, gates: int) -> tuple[int, ...]:
    """The stored shape of one of the gates of a recurrent layer's kernel; () if it has no such."""
    inputs, *outputs = promise.shape
    return (outputs[0] // gates, inputs) if len(outputs) == 1 and outputs[0] % gates == 0 else ()


def _dimensions(shape: Sequence[int]) -> list[int]:
    """Those of more than 1, sorted: layouts differ in their order."""
    return sorted(n for n in shape if n > 1)


def _stored_dimensions(promise: Promise) -> list[int]:
    if promise.kernel == "depthwise_kernel":
        *spatial, channels, multiplier = promise.shape
        return _dimensions((*spatial, channels * multiplier))
    return _dimensions(promise.shape)


def _broken(promise: Promise, parts: Sequence[StoredWeights]) -> list[str]:
    """What is not as promised in the constants that one kernel became."""
    kernel = np.concatenate([each.by_output for each in parts])  # (outputs, …, inputs), as before it was cut into gates
    broken = []
    if promise.pattern == "block":
        cube = kernel.reshape(len(kernel), -1, kernel.shape[-1])
        found, of = block_sparsity(cube, promise.block), "blocks"
    else:
        found, of = float(np.mean(kernel == 0)), "weights"
    if not found >= promise.sparsity - ROUNDING:
        broken.append(f"has {found:.1%} of its {of} at 0, of {promise.sparsity:.1%} that were pruned")
    if promise.pattern == "2:4":
        full = sum(int((np.count_nonzero(_fours(each), axis=1) > RUN // 2).sum()) for each in parts)
        if full:
            broken.append(f"has {full:,} groups of 4 inputs with more than 2 that are not 0: it was pruned 2:4")
    if promise.clusters:
        most = max(most_values(each) for each in parts)
        if not most <= promise.clusters:
            broken.append(f"has {most} different weights in a channel, and was clustered to {promise.clusters}")
    return broken


def _fours(weights: StoredWeights) -> NDArray[Any]:
    """(N, 4) neighbours along the inputs; the last ones of a row are filled up with zeros."""
    rows = weights.by_output
    padded = np.pad(rows, [(0, 0)] * (rows.ndim - 1) + [(0, -rows.shape[-1] % RUN)])
    return padded.reshape(-1, RUN)


def _called(promise: Promise) -> str:
    return promise.layer if promise.kernel == "kernel" else f"{promise.layer} ({promise.kernel})"


def _done(promise: Promise) -> str:
    done = []
    if promise.sparsity or promise.pattern:
        done.append(f"pruned to {promise.sparsity:.1%} zeros" + (" in 2:4" if promise.pattern == "2:4" else ""))
    if promise.clusters:
        done.append(f"clustered to {promise.clusters} values")
    return " and ".join(done)
