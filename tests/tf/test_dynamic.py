"""dynamic_int8: which kernels are worth integers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shelf import made_in_children

from dlkit.runtime.inspection import inspect_file

pytestmark = pytest.mark.tf


def constants(model: Any, folder: Path) -> dict[str, int]:
    """Dtype → numbers, of the dynamic_int8 file of `model`."""
    inputs = np.random.default_rng(0).random((2, *model.input_shape[1:]), dtype=np.float32)
    return inspect_file(made_in_children(model, "dynamic_int8", inputs, folder).file).constants


def test_a_small_kernel_stays_float_beside_a_large_one(tmp_path: Path) -> None:
    """Fewer than 1,024 numbers: what flows into it would take longer to quantize than its integers save."""
    import keras

    layers = [keras.Input((8, 8, 3)), keras.layers.Conv2D(8, 3), keras.layers.Flatten(), keras.layers.Dense(10)]
    found = constants(keras.Sequential(layers), tmp_path)
    assert found["int8"] == 6 * 6 * 8 * 10
    assert found["float32"] >= 3 * 3 * 3 * 8


def test_a_network_of_small_kernels_is_quantized_all_the_same(tmp_path: Path) -> None:
    """It would keep its promise by no weight at all."""
    import keras

    found = constants(keras.Sequential([keras.Input((6,)), keras.layers.Dense(5), keras.layers.Dense(4)]), tmp_path)
    assert found["int8"] == 6 * 5 + 5 * 4
