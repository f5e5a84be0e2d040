"""Which layer an operation came from, by the names the converter gives its tensors."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from dlkit.conversion.layer_names import layer_names, layer_of, layers_of, operations

FOLDED = "net_1/relu_1/Relu;net_1/norm_1/batchnorm/add_1;net_1/conv_1/BiasAdd;net_1/conv_1/convolution;net_1/relu_11"


@pytest.mark.parametrize(
    ("tensor", "names", "layer"),
    [
        ("net_1/conv1_1/Relu;net_1/conv1_1/BiasAdd;net_1/conv1_1/convolution", {"conv1"}, "conv1"),
        (FOLDED, {"relu", "norm", "conv"}, "conv"),
        ("net_1/norm2_1/batchnorm/add_1;net_1/up1_1/conv_transpose", {"norm2", "up1"}, "up1"),
        ("net_1/stage_relu_1/Relu;net_1/stage_add_1/Add", {"stage_relu", "stage_add"}, "stage_relu"),
        ("net_1/block_conv_1/Relu", {"block_conv", "block_conv_1"}, "block_conv"),
        ("net_1/block_conv_1_2/Relu", {"block_conv", "block_conv_1"}, "block_conv_1"),
        ("net/block_conv_1/Relu", {"block_conv", "block_conv_1"}, "block_conv_1"),
        ("net_1/gru1_1/backward_gru1_1/gru_cell_1/MatMul", {"gru1"}, "gru1"),
        ("outer_1/inner_1/dense_1/MatMul", {"inner", "dense"}, "dense"),
        ("net_1/mha_1/einsum/Einsum3", {"mha", "Einsum3"}, "mha"),
        ("StatefulPartitionedCall:0", {"conv"}, ""),
        ("tfl.unidirectional_sequence_lstm", {"lstm"}, ""),
        ("net_1/other_1/Relu", {"conv"}, ""),
        ("", {"conv"}, ""),
    ],
)
def test_the_layer_of_a_tensor(tensor: str, names: set[str], layer: str) -> None:
    """The innermost scope that is a layer's; of several layers folded into one, that with weights."""
    assert layer_of(tensor, names) == layer


def test_all_layers_of_a_tensor() -> None:
    """What was folded into one operation."""
    assert layers_of(FOLDED, {"relu", "norm", "conv"}) == ("relu", "norm", "conv")


NAMES = ("image", "conv1", "pool1", "conv2", "pool2", "flatten", "hidden", "dropout", "predictions")


@pytest.mark.parametrize("names", [NAMES, ()])
def test_operations_of_a_file_have_their_layers(tiny_bundle: Path, names: tuple[str, ...]) -> None:
    """The softmax, whose tensor is the output and has no name, belongs to the layer before it."""
    made = operations(tiny_bundle / "model.tflite", names)
    assert [(operation.name, operation.layers[0]) for operation in made] == [
        ("CONV_2D", "conv1"),
        ("MAX_POOL_2D", "pool1"),
        ("CONV_2D", "conv2"),
        ("MAX_POOL_2D", "pool2"),
        ("RESHAPE", "flatten"),
        ("FULLY_CONNECTED", "hidden"),
        ("FULLY_CONNECTED", "predictions"),
        ("SOFTMAX", "predictions"),
    ]
    assert [operation.reads for operation in made[1:]] == [operation.writes for operation in made[:-1]]


def test_names_of_the_layers_of_a_keras_file(tmp_path: Path) -> None:
    """Those of models inside it too, in order, each once."""
    inner = {"name": "inner", "layers": [{"name": "dense", "config": {"name": "dense"}}]}
    layers = [
        {"name": "image", "config": {"name": "image"}},
        {"name": "inner", "config": inner},
        {"config": {"name": "last", "layer": {"config": {"name": "wrapped"}}}},
        {"name": "inner", "config": inner},
    ]
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps({"config": {"name": "m", "layers": layers}}))
    assert layer_names(path) == ("image", "inner", "dense", "last")
