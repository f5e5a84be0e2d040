"""A .tflite file of one operation on integers of 8 bits, written without TensorFlow."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema


@dataclasses.dataclass(frozen=True)
class End:
    """A tensor of the operation.

    Attributes:
        shape: of it.
        scale: one, or one for each place along `axis`; none of what is not quantized.
        values: of a constant.
    """

    shape: Sequence[int]
    scale: float | np.ndarray | None = None
    zero_point: int = 0
    dtype: str = "int8"
    values: np.ndarray | None = None
    axis: int = 0


def model_of(name: str, inputs: Sequence[End | None], outputs: Sequence[End], options: Any = None) -> bytes:
    """The file; what is no constant is its input."""
    ends = [end for end in (*inputs, *outputs) if end is not None]
    numbers = {id(end): number for number, end in enumerate(ends)}
    operator, graph, model, code = schema.OperatorT(), schema.SubGraphT(), schema.ModelT(), schema.OperatorCodeT()
    operator.inputs = [-1 if end is None else numbers[id(end)] for end in inputs]
    operator.outputs = [numbers[id(end)] for end in outputs]
    if options is not None:
        operator.builtinOptions = options
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
    code.builtinCode = getattr(schema.BuiltinOperator, name)
    code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), 1
    model.buffers = [schema.BufferT()]
    graph.tensors = [_tensor(f"t{number}", end, model.buffers) for number, end in enumerate(ends)]
    graph.inputs = [numbers[id(end)] for end in inputs if end is not None and end.values is None]
    graph.outputs, graph.operators = operator.outputs, [operator]
    model.version, model.operatorCodes, model.subgraphs = 3, [code], [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def options(kind: str, **values: Any) -> Any:
    """A table of options of the schema, `kind` without its T."""
    table = getattr(schema, f"{kind}OptionsT")()
    for key, value in values.items():
        assert hasattr(table, key), key
        setattr(table, key, value)
    return table


def _tensor(name: str, end: End, buffers: list[Any]) -> Any:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.buffer = name, list(end.shape), 0
    tensor.type = getattr(schema.TensorType, end.dtype.upper())
    if end.values is not None:
        tensor.buffer = len(buffers)
        buffers.append(schema.BufferT())
        buffers[-1].data = np.frombuffer(np.ascontiguousarray(end.values, end.dtype).tobytes(), np.uint8)
    if end.scale is not None:
        tensor.quantization = schema.QuantizationParametersT()
        scales = np.atleast_1d(np.asarray(end.scale, np.float32))
        tensor.quantization.scale = scales
        tensor.quantization.zeroPoint = np.full(len(scales), end.zero_point, np.int64)
        tensor.quantization.quantizedDimension = end.axis
    return tensor
