"""A large model is converted without its kernels, which are put into the file afterwards: the same file comes out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from named_weights import named_weight
from shelf import in_lanes, inputs_for, lively

from dlkit.conversion import tflite, thin
from dlkit.conversion.completing import IncompleteFile
from dlkit.conversion.named_ends import input_names
from dlkit.networks import NETWORKS
from dlkit.progress import ignore
from dlkit.runtime.arrays import write_npz
from dlkit.runtime.inspection import inspect_file
from dlkit.runtime.litert import Session

pytestmark = pytest.mark.tf

SHAPE = (12, 12, 8)
QUICK = {"alexnet", "cnn", "dcgan28_generator", "lstm"}
"""Networks of the shelf with large kernels of convolutions, dense and recurrent layers, and one with none to put in."""


def plain(layers: Any, x: Any) -> Any:
    x = layers.Conv2D(16, 3, padding="same", activation="relu")(x)
    return layers.Dense(10, activation="softmax")(layers.Flatten()(x))


def normalised(layers: Any, x: Any) -> Any:
    for bias, pad in ((False, "same"), (True, "valid")):
        x = layers.Conv2D(16, 3, padding=pad, use_bias=bias)(x)
        x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    y = layers.BatchNormalization()(layers.Conv2D(16, 1)(x))  # no activation between this one and the next
    y = layers.BatchNormalization(scale=False)(layers.Conv2D(16, 1)(y))
    x = layers.ReLU()(layers.Add()([x, y]))
    return layers.BatchNormalization()(layers.Dense(10, use_bias=False)(layers.Flatten()(x)))


def normalised_before(layers: Any, x: Any) -> Any:
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.BatchNormalization()(layers.Conv2D(16, 3, activation="relu")(x))
    return layers.Conv2D(8, 1)(x)


def scaled_before(layers: Any, x: Any) -> Any:
    return layers.Dense(10)(layers.Flatten()(layers.Conv2D(8, 3)(layers.Rescaling(1 / 127.5, offset=-1)(x))))


def depthwise(layers: Any, x: Any) -> Any:
    x = layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same")(x))
    return layers.SeparableConv2D(16, 3)(layers.BatchNormalization()(layers.Conv2D(16, 1)(x)))


def grouped(layers: Any, x: Any) -> Any:
    return layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(16, 3, groups=4)(x)))


def dilated(layers: Any, x: Any) -> Any:
    return layers.Conv2D(16, 3, dilation_rate=2, activation="relu")(layers.Conv2D(8, 3, strides=2, padding="same")(x))


def transposed(layers: Any, x: Any) -> Any:
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2DTranspose(16, 3, strides=2)(x)))
    return layers.Conv2D(3, 1, activation="tanh")(x)


def shared(layers: Any, x: Any) -> Any:
    conv, dense = layers.Conv2D(8, 3, padding="same"), layers.Dense(8, activation="relu")
    x = layers.BatchNormalization()(conv(x)) + layers.BatchNormalization()(conv(x * x))
    return dense(dense(x)[:, 0])


def scaled_behind(layers: Any, x: Any) -> Any:
    x = layers.Rescaling(0.5)(layers.Conv2D(8, 3)(x))
    return layers.BatchNormalization()(layers.BatchNormalization()(layers.Conv2D(8, 3)(x)))


def forked(layers: Any, x: Any) -> Any:
    x = layers.Conv2D(8, 3, padding="same")(x)
    squeezed = layers.Conv2D(4, 1, activation="relu")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    x = layers.Multiply()([x, layers.Conv2D(8, 1, activation="sigmoid")(squeezed)])
    return layers.Concatenate()([layers.BatchNormalization()(x), layers.ReLU()(x)])


def attentive(layers: Any, x: Any) -> Any:
    x = layers.Reshape((24, 48))(x)
    x = layers.LayerNormalization()(layers.Add()([x, layers.MultiHeadAttention(2, 16)(x, x)]))
    x = layers.Add()([x, layers.Dense(48)(layers.Dense(64, activation="gelu")(x))])
    return layers.Dense(5)(layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x)))


def channels_first(layers: Any, x: Any) -> Any:
    x = layers.Conv2D(8, 3, data_format="channels_first")(layers.Permute((3, 1, 2))(x))
    return layers.Flatten()(layers.ReLU()(layers.BatchNormalization(axis=1)(x)))


def other_places(layers: Any, x: Any) -> Any:
    import keras

    inner = keras.Input((None, None, 8))
    x = keras.Model(inner, layers.Conv2D(8, 3, activation="gelu")(inner))(x)
    x = layers.LeakyReLU(0.1)(layers.Dense(16)(x))
    x = layers.TimeDistributed(layers.Dense(8))(x)
    return layers.LSTM(8)(layers.Reshape((10, 80))(x))


# Each with how many of its kernels are put into the file afterwards.
KINDS: dict[Callable[[Any, Any], Any], int] = {
    plain: 2,
    normalised: 5,
    normalised_before: 1,
    scaled_before: 1,
    depthwise: 1,
    grouped: 1,
    dilated: 2,
    transposed: 1,
    shared: 1,
    scaled_behind: 0,
    forked: 3,
    attentive: 3,
    channels_first: 1,
    other_places: 2,
}


@pytest.fixture
def completed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Every model counts as large from now on; the list gets the number of kernels put into each file."""
    counts: list[int] = []
    write = IncompleteFile.write

    def counted(incomplete: IncompleteFile, path: Path, values: Any, labels: dict[str, str]) -> None:
        counts.append(len(labels))
        write(incomplete, path, values, labels)

    monkeypatch.setattr(IncompleteFile, "write", counted)
    monkeypatch.setattr(thin, "LEAST_BYTES", 0)
    monkeypatch.setattr(thin, "LEAST_KERNEL_BYTES", 0)
    return counts


def built(kind: Callable[[Any, Any], Any]) -> Any:
    """A small model of a kind, with statistics, scales and biases that are not 0 and 1."""
    import keras

    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    x = keras.Input(SHAPE, name="x")
    model = keras.Model(x, kind(keras.layers, x))
    for weight in model.weights:
        if weight.name in ("gamma", "beta", "moving_mean", "moving_variance", "bias"):
            weight.assign(named_weight(weight.path, weight.name, tuple(weight.shape)))
    return model


def convert(model: Any, inputs: np.ndarray, folder: Path) -> Path:
    """The float file of `model`, as `dlkit export` makes it; its SavedModel, if it stays, is `folder`/saved."""
    folder.mkdir()
    model.save(folder / "m.keras")
    write_npz(folder / "inputs.npz", {input_names(model)[0]: inputs})
    names = {"model": "m.keras", "inputs": "inputs.npz", "saved_model": "saved", "tflite": "f.tflite"}
    names |= {"reference": "reference.npz", "weights_sha256": "weights.sha256"}
    tflite.convert(**{argument: str(folder / name) for argument, name in names.items()}, advance=ignore)
    return folder / "f.tflite"


def contents(file: Path) -> dict[str, Any]:
    """What matters in a file: operations with their options, constants bit by bit, inputs and outputs."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(file.read_bytes(), 0))
    [graph] = model.subgraphs
    constants: Counter[tuple[Any, ...]] = Counter()
    for operator in graph.operators:
        for tensor in (graph.tensors[i] for i in operator.inputs if i != -1):
            if (data := model.buffers[tensor.buffer].data) is not None:
                constants[tuple(tensor.shape), tensor.type, bytes(data)] += 1
    options = Counter(
        (op.builtinOptionsType, str(sorted(vars(op.builtinOptions).items())) if op.builtinOptions else "")
        for op in graph.operators
        if op.builtinOptionsType != schema.BuiltinOptions.ReshapeOptions
    )
    inspection = inspect_file(file)
    return {
        "operations": inspection.ops,
        "options": options,
        "constants": constants,
        "versions": sorted((code.builtinCode, code.version) for code in model.operatorCodes),
        "tensors": inspection.tensors,
        "ends": [[(t.shape, t.dtype) for t in tensors] for tensors in (inspection.inputs, inspection.outputs)],
        "signature": [sorted(entry.name for entry in model.signatureDefs[0].inputs)],
        "runtime": inspection.minimum_runtime,
    }


@pytest.fixture(params=list(KINDS), ids=lambda kind: kind.__name__)
def kind(request: pytest.FixtureRequest) -> Callable[[Any, Any], Any]:
    return request.param


@pytest.mark.slow
def test_the_file_is_the_one_the_converter_makes_of_the_whole_model(
    kind: Callable[[Any, Any], Any], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The same operations, the same numbers bit for bit, and the same answers."""
    model, x = built(kind), np.random.default_rng(0).standard_normal((2, *SHAPE)).astype(np.float32)
    whole = convert(model, x, tmp_path / "whole")
    counts = request.getfixturevalue("completed")
    file = convert(model, x, tmp_path / "thin")
    assert sum(counts) == KINDS[kind]
    assert contents(file) == contents(whole)
    assert np.array_equal(Session(file.read_bytes()).run(x), Session(whole.read_bytes()).run(x))


@pytest.mark.parametrize("name", in_lanes(NETWORKS, lambda name: name not in QUICK))
def test_networks_of_the_shelf_become_the_same_file(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """With all kernels that can be put in afterwards, which is none for a transposed convolution or a fused LSTM."""
    import keras

    keras.backend.clear_session()
    network = NETWORKS[name]
    model = lively(network, **network.small)
    x = inputs_for(network, model.input_shape[1:], 1)
    whole = convert(model, x, tmp_path / "whole")
    counts = request.getfixturevalue("completed")
    file = convert(model, x, tmp_path / "thin")
    assert counts or name not in QUICK
    assert contents(file) == contents(whole)


def test_the_same_model_gives_the_same_bytes(completed: list[int], tmp_path: Path) -> None:
    """However often it is converted."""
    model, x = built(normalised), np.zeros((1, *SHAPE), np.float32)
    first, second = (convert(model, x, tmp_path / folder) for folder in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()


def test_constants_begin_at_multiples_of_16_bytes(completed: list[int], tmp_path: Path) -> None:
    """As the format demands; kernels of the runtime may count on it."""
    content = convert(built(normalised), np.zeros((1, *SHAPE), np.float32), tmp_path / "thin").read_bytes()
    model = schema.Model.GetRootAs(content, 0)
    tables = [model.Buffers(i)._tab for i in range(model.BuffersLength())]
    assert {table.Vector(table.Offset(4)) % 16 for table in tables if table.Offset(4)} == {0}


def test_a_converter_that_needs_constants_gets_them(completed: list[int], tmp_path: Path) -> None:
    """What fails with kernels as inputs is converted whole."""

    def convert_constants(kernels: Sequence[thin.Kernel]) -> bytes:
        if kernels:
            raise ValueError("requires a constant")
        return b"whole"

    thin.float_file(built(plain), convert_constants, tmp_path / "f.tflite")
    assert (tmp_path / "f.tflite").read_bytes() == b"whole"


def test_a_small_model_is_converted_whole(tmp_path: Path) -> None:
    """And leaves its SavedModel for the TensorFlow converter."""
    convert(built(plain), np.zeros((1, *SHAPE), np.float32), tmp_path / "whole")
    assert (tmp_path / "whole" / "saved").exists()


def test_the_tensorflow_quantizer_gets_a_saved_model_with_every_weight(completed: list[int], tmp_path: Path) -> None:
    """A model converted without its kernels leaves none; it is written when it is needed."""
    x = np.random.default_rng(0).standard_normal((8, *SHAPE)).astype(np.float32)
    float_file = convert(built(plain), x, tmp_path / "thin")
    folder, file = float_file.parent, tmp_path / "q.tflite"
    assert not (folder / "saved").exists()
    tflite.quantize_saved_model(
        str(folder / "m.keras"), str(folder / "saved"), "int8", str(folder / "inputs.npz"), str(file), ignore
    )
    answers, quantized = (Session(f.read_bytes()).run(x) for f in (float_file, file))
    assert set(inspect_file(file).tensors) == {"int8", "int32"}
    assert np.abs(answers - quantized).max() < 0.1
