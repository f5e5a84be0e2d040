"""Functions of one number of 8 bits: LiteRT's reference kernels are asked for all 256, so the tables are exact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.devices.reference import reference_answers
from dlkit.errors import ConversionError, IllegalCombination, ModelFileError
from dlkit.extras import require
from dlkit.finishing._c_source.graph import Operation, Tensor
from dlkit.finishing._c_source.steps import Call, Constant, Step
from dlkit.progress import Advance
from dlkit.runtime.dtypes import TensorFormat
from dlkit.writing import temporary_folder

if TYPE_CHECKING:
    from numpy.typing import NDArray

TABLES = frozenset({
    "ABS", "ELU", "EXP", "GELU", "HARD_SWISH", "LEAKY_RELU", "LOG", "LOGISTIC", "NEG", "QUANTIZE", "RELU", "RELU6",
    "RELU_0_TO_1", "RELU_N1_TO_1", "RSQRT", "SQRT", "SQUARE", "TANH",
})  # fmt: skip
_BYTES = ("int8", "uint8")
COUNT = 256


def is_of_bytes(operation: Operation) -> bool:
    """Whether an operation is a function of one byte at a time."""
    ends = (operation.given, operation.result)
    return operation.name in TABLES and all(end.dtype in _BYTES and len(end.scales) == 1 for end in ends)


def lookup(operation: Operation, table: NDArray[np.uint8]) -> Step:
    """The operation as a table of 256 bytes."""
    given, result = operation.given, operation.result
    call = Call("nn_lookup", (Constant("table", table), str(given.size), given, result))
    return Step(operation, (call,), overwrites=(given,))


def tables_of(operations: Sequence[Operation], advance: Advance) -> Mapping[int, NDArray[np.uint8]]:
    """Number of an operation → (256,) what becomes of each byte; signed ones by their bits. A child process runs them.

    Raises:
        IllegalCombination: LiteRT has no reference kernel for one of them.
    """
    if not operations:
        return {}
    given = {f"given {one.number}": _format(one.given).dequantize(_all_of(one.given)) for one in operations}
    with temporary_folder() as folder:
        (file := folder / "tables.tflite").write_bytes(_file_of(operations))
        try:
            found = reference_answers(file, given, advance)
        except (ModelFileError, ConversionError) as error:
            names = ", ".join(sorted({one.name for one in operations}))
            raise IllegalCombination(f"LiteRT gives no tables for its C source ({names}): {error}") from None
    return {
        one.number: _format(one.result).quantize(found[f"result {one.number}"][0]).view(np.uint8) for one in operations
    }


def _all_of(tensor: Tensor) -> NDArray[Any]:
    """(1, 256) all that the tensor's bytes can be, in the order of their bits."""
    return np.arange(COUNT, dtype=np.uint8).view(tensor.dtype)[np.newaxis]


def _format(tensor: Tensor) -> TensorFormat:
    return TensorFormat("", (1, COUNT), tensor.dtype, tensor.scale, tensor.zero_point)


def _file_of(operations: Sequence[Operation]) -> bytes:
    """A .tflite file of these operations side by side, on 256 numbers each."""
    import flatbuffers

    schema = require("ai_edge_litert.schema_py_generated")
    graph, model = schema.SubGraphT(), schema.ModelT()
    graph.tensors, graph.operators = [], []
    for place, one in enumerate(operations):
        graph.tensors += [
            _numbers(schema, f"given {one.number}", one.given), _numbers(schema, f"result {one.number}", one.result)
        ]  # fmt: skip
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = place, [2 * place], [2 * place + 1]
        operator.builtinOptions, operator.builtinOptionsType = one.options, one.options_type
        graph.operators.append(operator)
    graph.inputs = [2 * place for place in range(len(operations))]
    graph.outputs = [2 * place + 1 for place in range(len(operations))]
    model.version, model.operatorCodes, model.subgraphs = 3, [one.code for one in operations], [graph]
    model.buffers = [schema.BufferT()]
    builder = flatbuffers.Builder(4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _numbers(schema: Any, name: str, like: Tensor) -> Any:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.buffer = name, [1, COUNT], 0
    tensor.type = getattr(schema.TensorType, like.dtype.upper())
    tensor.quantization = schema.QuantizationParametersT()
    tensor.quantization.scale, tensor.quantization.zeroPoint = [like.scale], [like.zero_point]
    return tensor
