"""The whole numbers that stand for real factors and limits in a layer of 8-bit integers, as LiteRT chooses them.

tensorflow/lite/kernels/internal/quantization_util.cc and kernel_util.cc.
"""

from __future__ import annotations

import math

import numpy as np

from dlkit.finishing._c_source.graph import Tensor

LOW, HIGH = -128, 127
_NO_ACTIVATION, _RELU, _RELU_N1_TO_1, _RELU6 = range(4)
_SAME = 0
_SOFTMAX_BITS = 5
"""Before the point, of a difference of two inputs of a softmax."""


def multiplier_and_shift(factor: float) -> tuple[int, int]:
    """A real factor ≥ 0 as multiplier × 2^(shift − 31), the multiplier below 2^31.

    >>> multiplier_and_shift(0.75)
    (1610612736, 0)
    """
    if factor == 0.0:
        return 0, 0
    mantissa, shift = math.frexp(factor)
    multiplier = math.floor(mantissa * 2**31 + 0.5)
    if multiplier == 2**31:
        multiplier, shift = multiplier // 2, shift + 1
    return (0, 0) if shift < -31 else (multiplier, shift)


def channel_factors(given: Tensor, weights: Tensor, result: Tensor, channels: int) -> tuple[list[int], list[int]]:
    """Multipliers and shifts from sums to outputs, one each for every output channel."""
    scales = np.broadcast_to(weights.scales.astype(np.float64), channels)
    pairs = [multiplier_and_shift(given.scale * float(scale) / result.scale) for scale in scales]
    return [multiplier for multiplier, _ in pairs], [shift for _, shift in pairs]


def dense_factors(given: Tensor, weights: Tensor, result: Tensor, units: int) -> tuple[list[int], list[int]]:
    """The same of a fully connected layer; of one scale for all weights LiteRT has the product in float32."""
    if len(weights.scales) > 1:
        return channel_factors(given, weights, result, units)
    multiplier, shift = multiplier_and_shift(float(given.scales[0] * weights.scales[0]) / result.scale)
    return [multiplier] * units, [shift] * units


def product_factor(a: Tensor, b: Tensor, result: Tensor) -> tuple[int, int]:
    """From a product of two inputs to the output; in float32 throughout."""
    return multiplier_and_shift(float(a.scales[0] * b.scales[0] / result.scales[0]))


def sum_factors(a: Tensor, b: Tensor, result: Tensor) -> tuple[tuple[int, int], ...]:
    """From two inputs with 20 more bits to twice the larger scale, and from there to the output."""
    common = 2 * max(a.scale, b.scale)
    factors = a.scale / common, b.scale / common, common / (2**20 * result.scale)
    return tuple(multiplier_and_shift(factor) for factor in factors)


def mean_factor(given: Tensor, result: Tensor, count: int) -> tuple[int, int]:
    """From a sum of `count` numbers to their mean: the division is part of the multiplier."""
    multiplier, shift = multiplier_and_shift(given.scale / result.scale)
    bits = min(count.bit_length() - 1, 32, 31 + shift)
    return (multiplier << bits) // count, shift - bits


def softmax_factors(given: Tensor, beta: float) -> tuple[int, int, int]:
    """Multiplier and shift from a difference of two inputs to its β-fold in Q5.26; the lowest that is looked at."""
    fraction = 31 - _SOFTMAX_BITS
    multiplier, shift = multiplier_and_shift(min(beta * given.scale * 2**fraction, 2.0**31 - 1))
    return multiplier, shift, -math.floor((2**_SOFTMAX_BITS - 1) * 2**fraction / 2**shift)


def limits(activation: int, result: Tensor) -> tuple[int, int]:
    """Lowest and highest output under a fused activation.

    Raises:
        ValueError: it is none of those that cut off.
    """
    ends = {
        _NO_ACTIVATION: (-math.inf, math.inf),
        _RELU: (0.0, math.inf),
        _RELU_N1_TO_1: (-1.0, 1.0),
        _RELU6: (0.0, 6.0),
    }
    if activation not in ends:
        raise ValueError("a fused activation that is none of relu, relu6 and relu_n1_to_1")
    low, high = ends[activation]
    return max(LOW, _quantized(low, result, LOW)), min(HIGH, _quantized(high, result, HIGH))


def _quantized(real: float, result: Tensor, otherwise: int) -> int:
    """Rounded half away from zero, in float32."""
    if math.isinf(real):
        return otherwise
    steps = float(np.float32(real) / result.scales[0])
    return result.zero_point + int(math.copysign(math.floor(abs(steps) + 0.5), steps))


def padding(kind: int, given: int, found: int, kernel: int, stride: int, dilation: int = 1) -> int:
    """Of one dimension, at its beginning: what "same" puts there of all that it needs."""
    if kind != _SAME:
        return 0
    return max((found - 1) * stride + (kernel - 1) * dilation + 1 - given, 0) // 2
