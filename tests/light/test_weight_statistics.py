"""What is told of the weights in a .tflite file: zeros, patterns of zeros, different numbers."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from edited import edited, operators_of

from dlkit.errors import ModelFileError
from dlkit.runtime.stored_weights import StoredWeights, stored_weights
from dlkit.runtime.weight_statistics import (
    WeightStatistics,
    block_sparsity,
    different,
    most_values,
    sparsity,
    statistics_of,
)


@pytest.fixture(scope="module")
def content(tiny_bundle: Path) -> bytes:
    return (tiny_bundle / "model.tflite").read_bytes()


def hidden_layer(model: Any) -> Any:
    """The tensor of the weights of the first dense layer, (24, 96) int8."""
    return model.subgraphs[0].tensors[operators_of(model, "FULLY_CONNECTED")[0].inputs[1]]


@pytest.fixture
def with_hidden(content: bytes) -> Callable[[np.ndarray], bytes]:
    """The tiny file with other weights of its first dense layer, (24, 96) int8."""

    def change(values: np.ndarray) -> bytes:
        def replace(model: Any) -> None:
            model.buffers[hidden_layer(model).buffer].data = values.astype(np.int8).reshape(-1).view(np.uint8)

        return edited(content, replace)

    return change


def hidden_of(content: bytes) -> WeightStatistics:
    [found] = [each for each in statistics_of(stored_weights(content, "w")) if "hidden" in each.tensor]
    return found


def weights(values: np.ndarray, operation: str = "FULLY_CONNECTED", axis: int = 0) -> StoredWeights:
    return StoredWeights("w", operation, 1, ("w",), frozenset(), values.dtype.name, values, axis, 0)


def test_the_weights_are_those_of_the_layers(content: bytes) -> None:
    """Kernels alone, no biases and no shapes, as LiteRT itself reads them."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    tensors = {details["name"]: details["index"] for details in interpreter.get_tensor_details()}
    found = stored_weights(content, "w")
    assert [(each.operation, each.shape) for each in found] == [
        ("CONV_2D", (12, 3, 3, 1)), ("CONV_2D", (24, 3, 3, 12)), ("FULLY_CONNECTED", (24, 96)),
        ("FULLY_CONNECTED", (10, 24)),
    ]  # fmt: skip
    for each in found:
        np.testing.assert_array_equal(each.values, interpreter.get_tensor(tensors[each.tensor]))
        assert (each.channel_axis, each.scales) == (0, each.shape[0])


def test_zeros_and_clusters_are_counted(with_hidden) -> None:
    """Three quarters of zeros, three different numbers."""
    values = np.zeros((24, 96))
    values[:, ::4] = np.where(np.arange(24) % 2, -5, 7)[:, np.newaxis]
    found = hidden_of(with_hidden(values))
    assert (found.sparsity, found.values, found.values_per_channel) == (0.75, 3, 2)
    assert (found.two_of_four, found.zero_runs, found.noteworthy) == (True, 0.0, True)


def test_two_of_four_is_along_the_inputs(with_hidden) -> None:
    """The same zeros along the outputs are no pattern."""
    pairs = np.tile([3, 3, 0, 0], (24, 24))
    assert hidden_of(with_hidden(pairs)).two_of_four is True
    along_outputs = np.tile([[3], [3], [0], [0]], (6, 96))
    assert hidden_of(with_hidden(along_outputs)).two_of_four is False
    assert hidden_of(with_hidden(along_outputs)).zero_runs == 0.5


def test_zero_is_what_the_zero_point_says(content: bytes) -> None:
    """An asymmetric kernel's zeros are its zero point."""

    def asymmetric(model: Any) -> None:
        tensor = hidden_layer(model)
        tensor.quantization.zeroPoint = [9] * 24
        values = np.full((24, 96), 9, np.int8)
        values[:, 0] = 0
        model.buffers[tensor.buffer].data = values.reshape(-1).view(np.uint8)

    assert hidden_of(edited(content, asymmetric)).sparsity == 95 / 96


def test_a_kernel_behind_dequantize_is_that_of_the_operation_behind_it(content: bytes) -> None:
    """As in files of float16 and of 8-bit weights alone."""

    def behind(model: Any) -> None:
        graph, code = model.subgraphs[0], schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
        model.operatorCodes.append(code)
        for operator in operators_of(model, "FULLY_CONNECTED"):
            dequantize, tensor = schema.OperatorT(), schema.TensorT()
            tensor.name, tensor.shape, tensor.type = b"real", [1], schema.TensorType.FLOAT32
            graph.tensors.append(tensor)
            dequantize.opcodeIndex = len(model.operatorCodes) - 1
            dequantize.inputs, dequantize.outputs = [operator.inputs[1]], [len(graph.tensors) - 1]
            operator.inputs = [operator.inputs[0], len(graph.tensors) - 1, operator.inputs[2]]
            graph.operators.insert(0, dequantize)

    found = stored_weights(edited(content, behind), "w")
    assert sorted(each.operation for each in found) == ["CONV_2D", "CONV_2D", "FULLY_CONNECTED", "FULLY_CONNECTED"]
    assert sorted(each.shape for each in found) == sorted(each.shape for each in stored_weights(content, "w"))


def test_a_constant_that_two_operations_read_is_told_once(content: bytes) -> None:
    """As the steps of a sequence do."""

    def shared(model: Any) -> None:
        first, second = operators_of(model, "FULLY_CONNECTED")
        second.inputs = [second.inputs[0], first.inputs[1], second.inputs[2]]

    found = [each for each in stored_weights(edited(content, shared), "w") if each.operation == "FULLY_CONNECTED"]
    assert len(found) == 1
    assert any("predictions" in scope for scope in found[0].scopes)


@pytest.mark.parametrize(("dtype", "stored"), [("INT4", [0x21, 0xF8]), ("INT2", [0b11_10_01_00])])
def test_several_numbers_to_a_byte(content: bytes, dtype: str, stored: list[int]) -> None:
    """The first is in the lowest bits; they have a sign."""

    def packed(model: Any) -> None:
        tensor = hidden_layer(model)
        tensor.type, tensor.shape = getattr(schema.TensorType, dtype), [2, 2]
        tensor.quantization.scale, tensor.quantization.zeroPoint = [1.0], [0]
        model.buffers[tensor.buffer].data = np.array(stored, np.uint8)

    [found] = [each for each in stored_weights(edited(content, packed), "w") if "hidden" in each.tensor]
    assert found.dtype == dtype.lower()
    assert found.values.tolist() == {"INT4": [[1, 2], [-8, -1]], "INT2": [[0, 1], [-2, -1]]}[dtype]


def test_what_shapes_do_not_fit_is_corrupt(content: bytes) -> None:
    """One line, whatever numpy says."""

    def spoiled(model: Any) -> None:
        hidden_layer(model).shape = [24, 95]

    with pytest.raises(ModelFileError, match=r"w: the .tflite file is cut short or corrupt"):
        stored_weights(edited(content, spoiled), "w")


def test_flipped_bytes_are_weights_or_an_error(content: bytes) -> None:
    """500 files with one to four wrong bytes: never another exception."""
    rng = np.random.default_rng(0)
    whole = np.frombuffer(content, np.uint8)
    for _ in range(500):
        spoiled = whole.copy()
        places = rng.integers(0, len(content), rng.integers(1, 5))
        spoiled[places] = rng.integers(0, 256, len(places))
        with contextlib.suppress(ModelFileError):
            json.dumps([dataclasses.asdict(each) for each in statistics_of(stored_weights(spoiled.tobytes(), "w"))])


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int8, np.int16])
def test_different_numbers_of_any_format(dtype: type) -> None:
    """Counted in all, and in the channel with the most."""
    values = np.array([[0, 0, 0, 1], [-5, 7, 0, 9]], dtype)
    assert (different(values), most_values(weights(values))) == (5, 4)
    assert most_values(weights(values, "DEPTHWISE_CONV_2D", axis=1)) == 2
    assert sparsity(weights(values)) == 0.5


def test_of_a_depthwise_kernel_there_is_no_pattern() -> None:
    """Each output has one input."""
    [found] = statistics_of([weights(np.zeros((1, 3, 3, 8), np.int8), "DEPTHWISE_CONV_2D", axis=3)])
    assert (found.two_of_four, found.zero_runs, found.sparsity) == (None, None, 1.0)


def test_zeros_in_blocks() -> None:
    """Of whole ones, smaller at the edges, at each place; a zero elsewhere is in none."""
    cube = np.ones((5, 2, 6))
    cube[:2, 0, :4] = 0  # a block of 4 inputs and 2 outputs
    cube[4, 1, 4:] = 0  # a smaller one, in the corner of another place
    cube[3, 1, 3] = 0
    assert block_sparsity(cube, (4, 2)) == 2 / 12
    assert block_sparsity(cube, (1, 1)) == 11 / 60
    assert block_sparsity(cube, (2, 4)) == 1 / 12


def test_plain_weights_are_not_noteworthy(content: bytes) -> None:
    """Those of the tiny bundle were neither pruned nor clustered, and inspect lists none."""
    assert not any(each.noteworthy for each in statistics_of(stored_weights(content, "w")))


def test_inspect_lists_what_looks_compressed(dlkit, with_hidden, tmp_path: Path) -> None:
    """In a table, with zeros and different numbers; all weights in JSON, and both sizes."""
    path = tmp_path / "sparse.tflite"
    path.write_bytes(with_hidden(np.tile([3, -3, 0, 0], (24, 24))))
    said = dlkit("inspect", path).out.splitlines()
    head = next(i for i, line in enumerate(said) if line.startswith("weights"))
    assert said[head].split() == ["weights", "shape", "dtype", "zeros", "2:4", "different", "in", "a", "channel"]
    assert said[head + 1].split() == ["cnn_1/hidden_1/MatMul", "24×96", "int8", "50.0%", "yes", "3"]
    assert said[head + 2] == ""
    found = json.loads(dlkit("inspect", path, "--json").out)
    assert [each["operation"] for each in found["weights"]] == ["CONV_2D"] * 2 + ["FULLY_CONNECTED"] * 2
    assert found["weights"][2]["sparsity"] == 0.5
    assert 0 < found["gzip_bytes"] < found["size"]


def test_inspect_of_plain_weights_lists_none(dlkit, tiny_bundle: Path) -> None:
    """The table is left out, the compressed size is there."""
    said = dlkit("inspect", tiny_bundle).out
    assert "different in a channel" not in said
    assert " in gzip), " in said.splitlines()[0]


def test_zero_points_without_end_are_refused(content: bytes) -> None:
    """As many as there are bytes in a file: the values would be repeated for each of them."""

    def change(model: Any) -> None:
        tensor = hidden_layer(model)
        tensor.shape = np.array([1, 24 * 96], np.int32)
        tensor.quantization.zeroPoint = np.ones(2**20, np.int64)
        tensor.quantization.scale = np.ones(1, np.float32)
        tensor.quantization.quantizedDimension = 0

    with pytest.raises(ModelFileError, match="cut short or corrupt"):
        stored_weights(edited(content, change), "a.tflite")
