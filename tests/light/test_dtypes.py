"""Real numbers and the integers of a quantized file."""

from __future__ import annotations

import numpy as np
import pytest

from dlkit.runtime.dtypes import TensorFormat


def int8(scale: float = 0.5, zero_point: int = 10) -> TensorFormat:
    return TensorFormat("t", (1, 4), "int8", scale, zero_point)


def test_quantize_by_hand() -> None:
    """stored = real / scale + zero point."""
    stored = int8().quantize(np.asarray([0.0, 0.5, -1.0, 20.0], np.float32))
    assert stored.tolist() == [10, 11, 8, 50]
    assert stored.dtype == np.int8


def test_halves_are_rounded_to_even() -> None:
    """As TensorFlow's reference quantizer does."""
    assert int8(1.0, 0).quantize(np.asarray([0.5, 1.5, 2.5, -0.5], np.float32)).tolist() == [0, 2, 2, 0]


@pytest.mark.parametrize(("dtype", "low", "high"), [("int8", -128, 127), ("uint8", 0, 255), ("int16", -32768, 32767)])
def test_ends_saturate(dtype: str, low: int, high: int) -> None:
    """Nothing wraps around, however large it is."""
    tensor = TensorFormat("t", (1, 2), dtype, 1e-3, 0)
    assert tensor.quantize(np.asarray([-3e38, 3e38], np.float32)).tolist() == [low, high]


def test_dequantize_by_hand() -> None:
    """real = scale × (stored − zero point), without overflow in int8."""
    real = int8().dequantize(np.asarray([10, 11, -128, 127], np.int8))
    assert real.tolist() == [0.0, 0.5, -69.0, 58.5]
    assert real.dtype == np.float32


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_every_integer_survives_the_way_back(dtype: str) -> None:
    """quantize undoes dequantize for every value of the type."""
    limits = np.iinfo(dtype)
    stored = np.arange(limits.min, limits.max + 1).astype(dtype)
    tensor = TensorFormat("t", (1,), dtype, 0.0039215689, 3)
    np.testing.assert_array_equal(tensor.quantize(tensor.dequantize(stored)), stored)


@pytest.mark.parametrize("scale", [0.0, 0.25])
def test_float_tensors_pass_through(scale: float) -> None:
    """Also where a converter left a range beside one."""
    tensor = TensorFormat("t", (1, 2), "float32", scale, 0)
    values = np.asarray([0.1, -7.0], np.float32)
    assert not tensor.quantized
    np.testing.assert_array_equal(tensor.quantize(values), values)
    np.testing.assert_array_equal(tensor.dequantize(values), values)


@pytest.mark.parametrize(
    ("dtype", "quantized"), [("int4", True), ("uint8", True), ("float8_e4m3fn", False), ("bool", False)]
)
def test_types_that_numpy_does_not_have(dtype: str, quantized: bool) -> None:
    """A file may name them, and is only read."""
    assert TensorFormat("t", (1, 2), dtype, 0.5, 0).quantized == quantized
    assert TensorFormat("t", (1, 2), dtype, 0.0, 0).counts == quantized
