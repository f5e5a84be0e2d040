"""Functions of one number of 8 bits: LiteRT's reference kernel is asked for all 256, so the table is exact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.errors import ModelFileError
from dlkit.extras import require
from dlkit.finishing._c_source.graph import Operation, Tensor
from dlkit.finishing._c_source.steps import Call, Constant, Step
from dlkit.runtime.litert import Session

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


def lookup(operation: Operation) -> Step:
    """The operation as a table of 256 bytes. Raises ValueError where LiteRT has no kernel for it."""
    given, result = operation.given, operation.result
    table = Constant("table", table_of(operation))
    call = Call("nn_lookup", (table, str(given.size), given, result))
    return Step(operation, (call,), overwrites=(given,))


def table_of(operation: Operation) -> NDArray[np.uint8]:
    """(256,) what becomes of each byte; signed ones at the place, and in the form, of their bits."""
    try:
        session = Session(_alone(operation), 1, reference=True)
    except ModelFileError as error:
        raise ValueError(str(error)) from None
    [(name, given)], [result] = session.inputs.items(), session.outputs.values()
    integers = np.arange(COUNT, dtype=np.uint8).view(given.dtype)
    [found] = session.run_named({name: given.dequantize(integers)[np.newaxis]}).values()
    return result.quantize(found[0]).view(np.uint8)


def _alone(operation: Operation) -> bytes:
    """A .tflite file of that operation on 256 numbers."""
    import flatbuffers

    schema = require("ai_edge_litert.schema_py_generated")
    operator = schema.OperatorT()
    operator.inputs, operator.outputs = [0], [1]
    operator.builtinOptions, operator.builtinOptionsType = operation.options, operation.options_type
    graph = schema.SubGraphT()
    graph.tensors = [_numbers(schema, "given", operation.given), _numbers(schema, "result", operation.result)]
    graph.inputs, graph.outputs, graph.operators = [0], [1], [operator]
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs = 3, [operation.code], [graph]
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
