"""Zeros, patterns and clusters of Keras kernels are found again in the files of every kind of layer and scheme."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from elsewhere import Taken, samples_for, taken

from dlkit.conversion.kept_compression import broken_compression
from dlkit.errors import IllegalCombination
from dlkit.promises import Promise
from dlkit.runtime.stored_weights import stored_weights

pytestmark = [
    pytest.mark.tf,
    # The TensorFlow converter's own, where a test quantizes in its own process.
    pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated:UserWarning"),
]

CLUSTERS = 6
PATTERNS = {
    "unstructured": {"sparsity": 0.5},
    "2:4": {"sparsity": 0.5, "pattern": "2:4"},
    "block": {"sparsity": 0.5, "pattern": "block", "block": (2, 4)},
}


def convolutions() -> Any:
    """Normalised, grouped, separable, strided, transposed; and dense layers."""
    import keras

    L = keras.layers
    x = keras.Input((8, 8, 4), name="x")
    y = L.ReLU(name="relu1")(L.BatchNormalization(name="norm1")(L.Conv2D(8, 3, use_bias=False, name="conv1")(x)))
    y = L.Conv2D(16, 3, groups=2, padding="same", activation="relu", name="grouped")(y)
    y = L.SeparableConv2D(12, 3, padding="same", name="separable")(y)
    y = L.ReLU(name="relu2")(L.BatchNormalization(name="norm2")(L.Conv2D(8, 1, name="pointwise")(y)))
    y = L.Conv2DTranspose(8, 3, strides=2, activation="relu", name="transposed")(y)
    y = L.Dense(16, activation="relu", name="hidden")(L.Flatten(name="flat")(y))
    return keras.Model(x, L.Dense(5, name="scores")(y))


def series() -> Any:
    """Convolutions of one dimension, and a dense layer at each step."""
    import keras

    L = keras.layers
    x = keras.Input((16, 4), name="x")
    y = L.Conv1D(8, 3, activation="relu", name="conv1")(x)
    y = L.Dense(8, activation="relu", name="steps")(L.Conv1D(8, 3, padding="causal", name="conv2")(y))
    return keras.Model(x, L.Dense(4, name="scores")(L.GlobalMaxPooling1D(name="pool")(y)))


def recurrent(kind: str) -> Callable[[], Any]:
    def build() -> Any:
        import keras

        L = keras.layers
        x = keras.Input((6, 8), name="x")
        layer = L.Bidirectional(L.LSTM(8), name="both") if kind == "Bidirectional" else getattr(L, kind)(8, name="rnn")
        return keras.Model(x, L.Dense(4, name="scores")(layer(x)))

    return build


MODELS = {
    "convolutions": convolutions,
    "series": series,
    "LSTM": recurrent("LSTM"),
    "GRU": recurrent("GRU"),
    "SimpleRNN": recurrent("SimpleRNN"),
    "Bidirectional": recurrent("Bidirectional"),
}
SCHEMES = ("float16", "dynamic_int8", "weights_int8", "int8")
IMPOSSIBLE = {("LSTM", "weights_int8"), ("Bidirectional", "weights_int8")}
"""The fused LSTM has 8-bit weights in a dynamic file alone."""


def kernels(model: Any) -> list[tuple[str, str, Any]]:
    """(layer, name, variable) of all but depthwise kernels."""
    found = []
    for layer in model.layers:
        for variable in layer.weights:
            scopes = variable.path.split("/")
            way = next((scope.split("_")[0] + "_" for scope in scopes if scope.startswith(("forward", "backward"))), "")
            if variable.name.endswith("kernel") and variable.name != "depthwise_kernel":
                found.append((layer.name, way + variable.name, variable))
    return found


def inputs_last(layer: str, values: np.ndarray) -> np.ndarray:
    """(…, outputs, inputs)"""
    return values if layer == "transposed" else np.swapaxes(values, -1, -2)


def compressed(layer: str, values: np.ndarray, pattern: str, rng: np.random.Generator) -> np.ndarray:
    """Random numbers of few values, half of them 0 in a pattern."""
    few = np.array([-3, -2, -1, 1, 2], np.float32)[rng.integers(0, 5, values.shape)] * 0.1
    moved = inputs_last(layer, few)
    kept = np.zeros(moved.shape, bool)
    if pattern == "2:4":
        fours = kept.reshape(-1, 4)
        fours[np.arange(len(fours))[:, None], rng.permuted(np.tile(np.arange(4), (len(fours), 1)), axis=1)[:, :2]] = (
            True
        )
    elif pattern == "block":
        rows, columns = PATTERNS["block"]["block"]
        *places, outputs, inputs = moved.shape
        grid = (*places, -(-outputs // columns), -(-inputs // rows))
        chosen = np.arange(np.prod(grid)) < np.prod(grid) // 2
        whole = rng.permutation(chosen).reshape(grid).repeat(columns, -2).repeat(rows, -1)
        kept = whole[..., :outputs, :inputs]
    else:
        kept.reshape(-1)[rng.permutation(kept.size)[: kept.size // 2]] = True
    return np.asarray(inputs_last(layer, np.where(kept, moved, 0)))


def make(name: str, pattern: str, folder: Path) -> tuple[Taken, list[Promise]]:
    """A float file of a network whose kernels are compressed, and what that promises."""
    import keras

    from dlkit.conversion.describing import described

    keras.utils.set_random_seed(0)
    model, rng = MODELS[name](), np.random.default_rng(0)
    promises = []
    for layer, kernel, variable in kernels(model):
        values = compressed(layer, np.asarray(variable), pattern, rng)
        variable.assign(values)
        promise = Promise(layer, kernel, tuple(values.shape), clusters=CLUSTERS, **PATTERNS[pattern])
        promises.append(promise)
    for layer in model.layers:
        if "norm" in layer.name:
            layer.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in layer.get_weights()])
    model.save(folder / "model.keras")
    ends = described(folder / "model.keras")
    return taken(folder / "model.keras", samples_for(ends.inputs), folder / "made"), promises


@pytest.fixture(scope="module", params=MODELS)
def unstructured(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Taken, Any]:
    return request.param, *make(request.param, "unstructured", tmp_path_factory.mktemp(request.param))


def broken(made: Taken, promises: list[Promise], scheme: str) -> list[str]:
    if scheme != "float32":
        made.quantized(scheme)
    file = made.float_file if scheme == "float32" else made.folder / f"{scheme}.tflite"
    return broken_compression(promises, stored_weights(file.read_bytes(), file.name))


@pytest.mark.slow
def test_the_float_file_keeps_what_was_promised(unstructured) -> None:
    """Whatever the converter folds, transposes, splits or shares."""
    _, made, promises = unstructured
    assert broken(made, promises, "float32") == []


@pytest.mark.slow
@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_file_of_a_scheme_keeps_what_was_promised(unstructured, scheme: str) -> None:
    """Rounding leaves zeros and equal numbers of a channel as they are."""
    name, made, promises = unstructured
    if (name, scheme) in IMPOSSIBLE:
        with pytest.raises(IllegalCombination):
            broken(made, promises, scheme)
    else:
        assert broken(made, promises, scheme) == []


def test_more_than_was_done_is_missed_of_every_kernel(unstructured) -> None:
    """One zero more, or one cluster fewer, than there are."""
    _, made, promises = unstructured
    content = made.float_file.read_bytes()
    for promise in promises:
        more = dataclasses.replace(promise, sparsity=promise.sparsity + 1 / np.prod(promise.shape))
        others = [each for each in promises if each is not promise]
        [missed] = broken_compression([more, *others], stored_weights(content, "w"))
        assert missed.startswith(promise.layer)
        fewer = dataclasses.replace(promise, clusters=2)
        assert len(broken_compression([fewer], stored_weights(content, "w"))) == 1


@pytest.mark.slow
@pytest.mark.parametrize("pattern", ["2:4", "block"])
@pytest.mark.parametrize("name", ["convolutions", "series", "LSTM", "GRU"])
def test_patterns_are_found_in_float_and_int8(name: str, pattern: str, tmp_path: Path) -> None:
    """Along the inputs of every layer, also of a transposed convolution; and zeros elsewhere are not taken for them."""
    made, promises = make(name, pattern, tmp_path)
    assert broken(made, promises, "float32") == []
    assert broken(made, promises, "int8") == []
    other = {"2:4": {"pattern": "block", "block": (2, 4)}, "block": {"pattern": "2:4"}}[pattern]
    wrong = [dataclasses.replace(promise, **other) for promise in promises]
    assert len(broken(made, wrong, "float32")) == len(promises)


def test_four_bits_are_read_as_the_quantizer_wrote_them(tmp_path: Path) -> None:
    """Each is the float weight over its channel's scale, rounded."""
    from ai_edge_litert import schema_py_generated as schema

    made, _ = make("series", "unstructured", tmp_path)
    made.quantized("weights_int4")
    content = (made.folder / "weights_int4.tflite").read_bytes()
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    scales = {
        t.name.decode(): t.quantization.scale for t in model.subgraphs[0].tensors if t.type == schema.TensorType.INT4
    }
    floats = {each.tensor: each for each in stored_weights(made.float_file.read_bytes(), "w")}
    found = [each for each in stored_weights(content, "w") if each.dtype == "int4"]
    assert len(found) == 4
    for each in found:
        wanted = floats[each.tensor].channels / np.reshape(scales[each.tensor], (-1, 1))
        assert np.abs(each.channels - wanted).max() <= 0.5 + 1e-4
        assert np.abs(each.channels).max() == 7
