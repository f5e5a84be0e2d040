"""The operations that can be written as C, each as calls of the kernels of kernels.c.

Each function takes an operation and raises ValueError, with the reason, for a form of it that its kernel does not have.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.finishing._c_source import arithmetic
from dlkit.finishing._c_source.graph import Operation, Tensor
from dlkit.finishing._c_source.moving import MOVES
from dlkit.finishing._c_source.steps import Call, Constant, Fields, Step
from dlkit.finishing._c_source.strides import broadcast_steps, fewer_dimensions

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGEST_SUM = 2**31 - 1
PAIR_DIMENSIONS = 4
"""Over which two inputs are paired, see `nn_pair`."""


def one_sample(*tensors: Tensor) -> None:
    """Raise ValueError unless each is (1, height, width, channels) of int8."""
    for tensor in tensors:
        if len(tensor.shape) != 4 or tensor.shape[0] != 1:
            raise ValueError(f"of shape {tensor.shape}, not one sample of (height, width, channels)")
        integers(tensor)


def integers(*tensors: Tensor) -> None:
    """Raise ValueError unless each is of int8 with one scale."""
    for tensor in tensors:
        if not tensor.is_quantized:
            raise ValueError(f"of {tensor.dtype}" if tensor.dtype != "int8" else "of int8 without one scale")


def _weights_of(operation: Operation, place: int = 1) -> tuple[Tensor, NDArray[Any]]:
    """Weights (…) as they are stored. Raises ValueError unless they are symmetric constants of int8."""
    weights = operation.input(place)
    if weights is None or weights.values is None or weights.dtype != "int8":
        raise ValueError("with weights that are no constant of int8")
    if not weights.symmetric or not len(weights.scales):
        raise ValueError("with weights that have a zero point or no scale")
    return weights, weights.values


def _bias_of(operation: Operation, place: int, channels: int) -> NDArray[np.int32]:
    bias = operation.input(place)
    if bias is None:
        return np.zeros(channels, np.int32)
    if bias.values is None or bias.dtype != "int32":
        raise ValueError("with a bias that is no constant of int32")
    return np.asarray(bias.values, np.int32).reshape(channels)


def _sums(given: Tensor, by_channel: NDArray[np.int8], bias: NDArray[np.int32]) -> None:
    """Raise ValueError if a sum could be beyond 32 bits, whatever the input; `by_channel` is (channels, …)."""
    largest = max(arithmetic.HIGH - given.zero_point, given.zero_point - arithmetic.LOW)
    weights = np.abs(by_channel.reshape(len(bias), -1).astype(np.int64)).sum(axis=1)
    if int(np.max(weights * largest + np.abs(bias.astype(np.int64)))) > LARGEST_SUM:
        raise ValueError("with sums that may be beyond 32 bits")


def _ends(given: Tensor, result: Tensor, activation: int) -> dict[str, int]:
    low, high = arithmetic.limits(activation, result)
    return {"in_zero": given.zero_point, "out_zero": result.zero_point, "low": low, "high": high}


def _numbers(
    weights: NDArray[np.int8], bias: NDArray[np.int32], factors: tuple[list[int], list[int]]
) -> dict[str, Constant]:
    multipliers, shifts = factors
    return {
        "weights": Constant("weights", weights),
        "bias": Constant("bias", bias),
        "multipliers": Constant("multipliers", np.asarray(multipliers, np.int32)),
        "shifts": Constant("shifts", np.asarray(shifts, np.int8)),
    }


def _sizes(given: Tensor, result: Tensor) -> dict[str, int]:
    keys = ("in_height", "in_width", "in_channels", "out_height", "out_width", "out_channels")
    return dict(zip(keys, (*given.shape[1:], *result.shape[1:]), strict=True))


def _windows(given: Tensor, result: Tensor, options: Any, kernel: tuple[int, int]) -> dict[str, int]:
    """Kernel, stride, dilation and padding of what looks at windows."""
    dilation = getattr(options, "dilationHFactor", 1), getattr(options, "dilationWFactor", 1)
    stride = options.strideH, options.strideW
    top, left = (
        arithmetic.padding(
            options.padding, given.shape[1 + axis], result.shape[1 + axis], kernel[axis], stride[axis], dilation[axis]
        )
        for axis in (0, 1)
    )
    return {
        "kernel_height": kernel[0], "kernel_width": kernel[1], "stride_y": stride[0], "stride_x": stride[1],
        "dilation_y": dilation[0], "dilation_x": dilation[1], "pad_top": top, "pad_left": left,
    }  # fmt: skip


def conv_2d(operation: Operation) -> Step:
    """Also in groups."""
    given, result, options = operation.given, operation.result, operation.options
    one_sample(given, result)
    weights, stored = _weights_of(operation)
    channels, height, width, seen = stored.shape
    if given.shape[3] % seen or channels % (given.shape[3] // seen):
        raise ValueError("with groups of channels that are not alike")
    bias = _bias_of(operation, 2, channels)
    _sums(given, stored, bias)
    fields: Fields = {
        **_sizes(given, result),
        **_windows(given, result, options, (height, width)),
        "kernel_channels": seen,
        **_ends(given, result, options.fusedActivationFunction),
        **_numbers(stored, bias, arithmetic.channel_factors(given, weights, result, channels)),
    }
    return Step(operation, (Call("nn_conv_2d", (given, result), "nn_conv", fields),))


def depthwise_conv_2d(operation: Operation) -> Step:
    """With any number of outputs per input channel."""
    given, result, options = operation.given, operation.result, operation.options
    one_sample(given, result)
    weights, stored = _weights_of(operation)
    _, height, width, channels = stored.shape
    bias = _bias_of(operation, 2, channels)
    _sums(given, np.moveaxis(stored, -1, 0), bias)
    fields: Fields = {
        **_sizes(given, result),
        **_windows(given, result, options, (height, width)),
        "kernel_channels": 1,
        **_ends(given, result, options.fusedActivationFunction),
        **_numbers(stored, bias, arithmetic.channel_factors(given, weights, result, channels)),
    }
    return Step(operation, (Call("nn_depthwise_conv_2d", (given, result), "nn_conv", fields),))


def transpose_conv(operation: Operation) -> Step:
    """Its first operand is the shape of what it gives; padded as the convolution that it turns round."""
    given, result, options = operation.input(2), operation.result, operation.options
    if given is None:
        raise ValueError("without an input")
    one_sample(given, result)
    weights, stored = _weights_of(operation)
    channels, height, width, _ = stored.shape
    bias = _bias_of(operation, 3, channels)
    _sums(given, stored, bias)
    fields: Fields = {
        **_sizes(given, result),
        **_windows(result, given, options, (height, width)),
        "kernel_channels": given.shape[3],
        **_ends(given, result, getattr(options, "fusedActivationFunction", 0)),
        **_numbers(stored, bias, arithmetic.channel_factors(given, weights, result, channels)),
    }
    return Step(operation, (Call("nn_transpose_conv", (given, result), "nn_conv", fields),))


def fully_connected(operation: Operation) -> Step:
    """Of as many rows as the input has."""
    given, result, options = operation.given, operation.result, operation.options
    integers(given, result)
    weights, stored = _weights_of(operation)
    units, inputs = stored.shape
    if options.weightsFormat != 0:
        raise ValueError("with weights in another order")
    bias = _bias_of(operation, 2, units)
    _sums(given, stored, bias)
    fields: Fields = {
        "rows": given.size // inputs,
        "inputs": inputs,
        "outputs": units,
        **_ends(given, result, options.fusedActivationFunction),
        **_numbers(stored, bias, arithmetic.dense_factors(given, weights, result, units)),
    }
    return Step(operation, (Call("nn_fully_connected", (given, result), "nn_dense", fields),))


def _pooled(operation: Operation, function: str) -> Step:
    given, result, options = operation.given, operation.result, operation.options
    one_sample(given, result)
    windows = _windows(given, result, options, (options.filterHeight, options.filterWidth))
    sizes, ends = _sizes(given, result), _ends(given, result, options.fusedActivationFunction)
    fields = {key: sizes[key] for key in ("in_height", "in_width", "out_height", "out_width")}
    fields |= {"channels": given.shape[3]}
    fields |= {key: value for key, value in windows.items() if not key.startswith("dilation")}
    fields |= {"low": ends["low"], "high": ends["high"]}
    return Step(operation, (Call(function, (given, result), "nn_pool", fields),))


def average_pool_2d(operation: Operation) -> Step:
    """Pixels outside count for nothing."""
    return _pooled(operation, "nn_average_pool_2d")


def max_pool_2d(operation: Operation) -> Step:
    """Pixels outside count for nothing."""
    return _pooled(operation, "nn_max_pool_2d")


def mean(operation: Operation) -> Step:
    """Over axes that are next to each other."""
    given, result, axes = operation.given, operation.result, operation.input(1)
    integers(given, result)
    if axes is None or axes.values is None:
        raise ValueError("over axes that are no constant")
    over = sorted({int(axis) % len(given.shape) for axis in axes.values.reshape(-1)})
    if not over or over != list(range(over[0], over[-1] + 1)):
        raise ValueError("over axes that are not next to each other")
    outer, count, inner = (
        int(np.prod(part, dtype=np.int64))
        for part in (given.shape[: over[0]], given.shape[over[0] : over[-1] + 1], given.shape[over[-1] + 1 :])
    )
    multiplier, shift = arithmetic.mean_factor(given, result, count)
    fields = {
        "outer": outer, "count": count, "inner": inner, "in_zero": given.zero_point, "out_zero": result.zero_point,
        "multiplier": multiplier, "shift": shift,
    }  # fmt: skip
    return Step(operation, (Call("nn_mean", (given, result), "nn_mean_of", fields),))


def _paired(operation: Operation, function: str, factors: dict[str, int]) -> Step:
    a, b, result = operation.given, operation.input(1), operation.result
    assert b is not None
    steps = [broadcast_steps(tensor.shape, result.shape) for tensor in (a, b)]
    shape, (a_steps, b_steps) = fewer_dimensions(result.shape, steps, PAIR_DIMENSIONS)
    low, high = arithmetic.limits(operation.options.fusedActivationFunction, result)
    fields: Fields = {
        "shape": shape, "a_steps": a_steps, "b_steps": b_steps,
        "a_zero": a.zero_point, "b_zero": b.zero_point, "out_zero": result.zero_point, "low": low, "high": high,
        **factors,
    }  # fmt: skip
    overwrites = tuple(tensor for tensor in (a, b) if tensor.size == result.size)
    return Step(operation, (Call(function, (a, b, result), "nn_pair", fields),), overwrites)


def _two(operation: Operation) -> tuple[Tensor, Tensor, Tensor]:
    a, b, result = operation.given, operation.input(1), operation.result
    if b is None:
        raise ValueError("of one input")
    integers(a, b, result)
    return a, b, result


def _summed(operation: Operation, function: str) -> Step:
    keys = (("a_multiplier", "a_shift"), ("b_multiplier", "b_shift"), ("multiplier", "shift"))
    pairs = zip(keys, arithmetic.sum_factors(*_two(operation)), strict=True)
    return _paired(operation, function, {key: n for names, pair in pairs for key, n in zip(names, pair, strict=True)})


def add(operation: Operation) -> Step:
    """One of the two may be repeated, or be a constant."""
    return _summed(operation, "nn_add")


def sub(operation: Operation) -> Step:
    """As `add`."""
    return _summed(operation, "nn_sub")


def mul(operation: Operation) -> Step:
    """As `add`."""
    multiplier, shift = arithmetic.product_factor(*_two(operation))
    return _paired(operation, "nn_mul", {"multiplier": multiplier, "shift": shift})


def softmax(operation: Operation) -> Step:
    """Over the last axis."""
    given, result = operation.given, operation.result
    integers(given, result)
    if result.zero_point != arithmetic.LOW or result.scale != 1 / 256:
        raise ValueError("with an output that is not in steps of 1/256 from -128")
    depth = given.shape[-1]
    multiplier, shift, lowest = arithmetic.softmax_factors(given, float(operation.options.beta))
    if shift < 0:
        raise ValueError("of inputs in steps so small that all of them are alike")
    fields = {
        "rows": given.size // depth, "depth": depth, "multiplier": multiplier, "shift": shift, "lowest": lowest,
    }  # fmt: skip
    return Step(operation, (Call("nn_softmax", (given, result), "nn_softmax_of", fields),))


def quantize(operation: Operation) -> Step:
    """Of a float input; that of integers is a table, see `tables`."""
    given, result = operation.given, operation.result
    integers(result)
    if given.dtype != "float32":
        raise ValueError(f"from {given.dtype}")
    return Step(operation, (_float_end("nn_quantize", result, given, result),))


def dequantize(operation: Operation) -> Step:
    """To a float output."""
    given, result = operation.given, operation.result
    integers(given)
    if result.dtype != "float32":
        raise ValueError(f"to {result.dtype}")
    return Step(operation, (_float_end("nn_dequantize", given, given, result),))


def _float_end(function: str, integer: Tensor, given: Tensor, result: Tensor) -> Call:
    scale = f"{float(integer.scale).hex()}f"
    return Call(function, (scale, str(integer.zero_point), str(integer.size), given, result))


LAYERS: dict[str, Callable[[Operation], Step]] = {
    "ADD": add,
    "AVERAGE_POOL_2D": average_pool_2d,
    "CONV_2D": conv_2d,
    "DEPTHWISE_CONV_2D": depthwise_conv_2d,
    "DEQUANTIZE": dequantize,
    "FULLY_CONNECTED": fully_connected,
    "MAX_POOL_2D": max_pool_2d,
    "MEAN": mean,
    "MUL": mul,
    "QUANTIZE": quantize,
    "SOFTMAX": softmax,
    "SUB": sub,
    "TRANSPOSE_CONV": transpose_conv,
    **MOVES,
}
"""Operation → what it is in C; those of `tables` are not among them."""
