"""Ranges to quantize with where the measured ones leave the runtime no number to work with; child process.

litert-quantizer (0.11) takes every range as it is. A tensor that was zero in all calibration samples
then gets steps of 4e-12, and XNNPACK refuses the file. A filter of zeros, as pruning and dead units
leave them, gets steps as small, and a bias counted in those overflows its 32 bits: the file runs and
its answers are wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Ranges = dict[str, dict[str, Any]]
"""Tensor name → "min" and "max", as the calibrator gives them."""

NOTHING = 1e-6
"""A range smaller than this part of those beside it holds nothing: an 8-bit sum's steps are 4e-3 of its range."""
LARGEST_BIAS = 2**29
"""In steps of a 32-bit accumulator; leaves three quarters of it to products and to ranges that are merged later."""
# Operation → places of its input, weights and bias among its operands, and the axis of the weights' channels.
_WEIGHTED = {
    "CONV_2D": (0, 1, 2, 0),
    "DEPTHWISE_CONV_2D": (0, 1, 2, 3),
    "FULLY_CONNECTED": (0, 1, 2, 0),
    "TRANSPOSE_CONV": (2, 1, 3, 0),
}


def workable(float_tflite: str, ranges: Ranges, bits: int = 8) -> Ranges:
    """`ranges` of activations, none of them nothing, and beside them those of weights that must be wider.

    Args:
        float_tflite: the float file that was calibrated.
        ranges: what was measured.
        bits: of an activation. The steps of 16 bits are 257 times smaller, and so are those of biases.
    """
    from litert_quantizer.utils import tfl_flatbuffer_utils

    model = tfl_flatbuffer_utils.read_model(memoryview(tfl_flatbuffer_utils.get_model_content(float_tflite)))
    some = _with_range_everywhere(model, ranges)
    return {**some, **dict(_wider_weights(model, some, 2**bits - 1))}


def _with_range_everywhere(model: Any, ranges: Ranges) -> Ranges:
    """A tensor that never held anything gets the largest range of those its operations read and write.

    From there it may spread, so a chain of such tensors is filled from its ends.
    """
    known = dict(ranges)
    neighbours = [
        known.keys() & {_name(graph.tensors[i]) for i in (*operator.inputs, *operator.outputs) if i != -1}
        for graph in model.subgraphs
        for operator in graph.operators
    ]
    filled = True
    while filled:
        filled = False
        for names in neighbours:
            largest = max((_span(known[name]) for name in names), default=0.0)
            for name in names:
                if _span(known[name]) < NOTHING * largest:
                    known[name] = {**known[name], "max": known[name]["min"] + largest}
                    filled = True
    return known


def _wider_weights(model: Any, ranges: Ranges, steps: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, range per channel) of the weights with a bias that their own steps could not count.

    `steps` are those of an activation's range.
    """
    for data, weights, bias, axis in _weighted_operations(model):
        kernel, offsets = _constant(model, weights), _constant(model, bias)
        span = _span(ranges.get(_name(data), {"min": 0.0, "max": 0.0}))
        if kernel is None or offsets is None or span == 0.0:
            continue
        others = tuple(i for i in range(kernel.ndim) if i != axis)
        own = np.maximum(kernel.max(axis=others, keepdims=True), -kernel.min(axis=others, keepdims=True))
        needed = np.abs(offsets).reshape(own.shape) * 127 / (span / steps * LARGEST_BIAS)
        if (needed > own).any():
            bound = np.maximum(own, needed).astype(np.float32)
            yield _name(weights), {"min": -bound, "max": bound}


def _weighted_operations(model: Any) -> Iterator[tuple[Any, Any, Any, int]]:
    """(input, weights, bias, axis of the weights' channels) of every operation that has all three."""
    from ai_edge_litert.schema_py_generated import BuiltinOperator

    for graph in model.subgraphs:
        for operator in graph.operators:
            for name, (*places, axis) in _WEIGHTED.items():
                if model.operatorCodes[operator.opcodeIndex].builtinCode != getattr(BuiltinOperator, name):
                    continue
                numbers = [operator.inputs[place] for place in places if place < len(operator.inputs)]
                if len(numbers) == len(places) and -1 not in numbers:
                    data, weights, bias = (graph.tensors[number] for number in numbers)
                    yield data, weights, bias, axis


def _constant(model: Any, tensor: Any) -> NDArray[np.float32] | None:
    from litert_quantizer.utils.tfl_flatbuffer_utils import get_tensor_data

    return get_tensor_data(tensor, model.buffers)  # type: ignore[no-any-return]


def _name(tensor: Any) -> str:
    return tensor.name.decode()  # type: ignore[no-any-return]


def _span(measured: dict[str, Any]) -> float:
    """From the smallest to the largest value, zero included, as quantization has it."""
    return max(0.0, float(np.max(measured["max"]))) - min(0.0, float(np.min(measured["min"])))
