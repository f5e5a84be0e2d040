"""Full int8 of networks in which something is zero: units that never fire, filters that were pruned away."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from shelf import converted, lively, made_in_children

from dlkit.conversion.answering import judged_export
from dlkit.errors import VerificationRefused
from dlkit.networks import NETWORKS
from dlkit.progress import ignore
from dlkit.runtime.litert import Session
from dlkit.verify import sqnr_db

pytestmark = pytest.mark.tf
LEAST_DB = 25.0  # they reach 43 to 49; with the bias lost -1, and the network of dead units crashed the runtime


def quantized_sqnr_db(model, folder: Path) -> float:
    """How many decibels the int8 file's answers are above their noise, on what it was calibrated with."""
    inputs = np.random.default_rng(0).random((8, *model.input_shape[1:]), dtype=np.float32)
    made = made_in_children(model, "int8", inputs, folder)
    assert made.quantizer.startswith("litert-quantizer")
    return sqnr_db(made.reference, Session(made.file.read_bytes()).run(inputs), softmax_follows=False)


def test_units_that_never_fire(tmp_path: Path) -> None:
    """Every kind of operation may read and write a tensor of zeros."""
    import keras

    keras.utils.set_random_seed(0)
    layers = keras.layers

    def convolution(x, bias: float, activation: str = "linear"):
        bias_is = keras.initializers.Constant(bias)
        return layers.Conv2D(8, 3, padding="same", activation=activation, bias_initializer=bias_is)(x)

    image = keras.Input((16, 16, 3))
    x = convolution(image, 0.0, "relu")
    dead = convolution(x, -100.0, "relu")
    depthwise = layers.DepthwiseConv2D(3, padding="same", bias_initializer=keras.initializers.Constant(0.3))
    pooled = layers.AveragePooling2D(3, 1, "same")(dead)
    alive = layers.Add()([x, dead])
    x = layers.Concatenate()(
        [
            alive,
            layers.Multiply()([x, dead]),
            convolution(dead, 0.3),
            layers.Conv2D(8, 1, use_bias=False)(dead),
            depthwise(dead),
            pooled,
            layers.MaxPooling2D(3, 1, "same")(pooled),
            layers.Activation("sigmoid")(dead),
        ]
    )
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, layers.Dense(5)(x))
    assert quantized_sqnr_db(model, tmp_path) > LEAST_DB


def test_a_file_that_crashes_the_runtime_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the ranges as they were measured XNNPACK aborts on this one; an export lives on to say so.

    Where XNNPACK takes another path, on another processor, it may see by itself that it cannot.
    """
    import keras

    keras.utils.set_random_seed(0)
    constant = keras.initializers.Constant
    image = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(image)
    dead = keras.layers.Conv2D(8, 3, padding="same", activation="relu", bias_initializer=constant(-100.0))(x)
    x = keras.layers.Concatenate()([x, keras.layers.Activation("sigmoid")(dead)])
    model = keras.Model(image, keras.layers.Dense(5)(keras.layers.GlobalAveragePooling2D()(x)))
    monkeypatch.setattr("dlkit.conversion.quantizer.workable", lambda _, ranges, bits: ranges)
    files = converted(NETWORKS["cnn"], model, tmp_path)
    with pytest.raises(
        VerificationRefused,
        match=r"no bundle was written: .*(crashed on this file \(signal SIGABRT\)|refuses this file)",
    ):
        judged_export(files.int8, {files.name: files.inputs}, ignore)


@pytest.mark.parametrize("kind", ["Conv2D", "DepthwiseConv2D", "Conv2DTranspose", "Dense"])
def test_a_filter_of_zeros_keeps_its_bias(kind: str, tmp_path: Path) -> None:
    """Of each kind of layer with weights; the bias is counted in steps of input times weights."""
    import keras

    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 4))
    size = {"Dense": (4,), "DepthwiseConv2D": (3,)}.get(kind, (4, 3))
    layer = getattr(keras.layers, kind)(*size)
    x = keras.layers.Conv2D(4, 3, activation="relu")(image)
    model = keras.Model(image, keras.layers.Flatten()(layer(x)))
    kernel, bias = layer.get_weights()
    if kind in ("DepthwiseConv2D", "Conv2DTranspose"):
        kernel[:, :, 2] = 0.0  # (H, W, in, 1) and (H, W, out, in)
    else:
        kernel[..., 2] = 0.0
    bias[2] = 0.5
    layer.set_weights([kernel, bias])
    assert quantized_sqnr_db(model, tmp_path) > LEAST_DB


def test_a_bias_that_16_bit_steps_could_not_count_is_kept(tmp_path: Path) -> None:
    """They are 257 times smaller: the 1 that a response normalisation adds to tiny sums was lost, and 1/√0 taken."""
    network = NETWORKS["alexnet"]
    files = converted(network, lively(network, **network.small), tmp_path)
    answers = Session(files.file("int16x8").read_bytes()).run(files.inputs)
    assert np.abs(answers - files.reference).max() < 2e-3
