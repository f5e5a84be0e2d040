"""Small .tflite files made by hand, of one or a few operations in forms that the converter makes or does not make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

KINDS = {"float32": 0, "float16": 1, "int32": 2, "int8": 9, "int16": 7, "bool": 6}


class File:
    """A file under construction; tensors go by their names.

    `tensor` declares one, with numbers where it is a constant; `operation` appends one.
    """

    def __init__(self) -> None:
        self._model, self._graph = schema.ModelT(), schema.SubGraphT()
        self._model.version, self._model.subgraphs, self._model.buffers = 3, [self._graph], [schema.BufferT()]
        self._model.operatorCodes, self._graph.operators, self._graph.tensors = [], [], []
        self._places: dict[str, int] = {}

    def tensor(
        self, name: str, shape: Sequence[int], kind: str = "float32", values: Any = None, scale: float = 0.0
    ) -> File:
        """A tensor; `scale` of integers, whose zero is 0."""
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, list(shape), KINDS[kind], 0
        if values is not None:
            buffer = schema.BufferT()
            buffer.data = np.asarray(values, kind).reshape(-1).view(np.uint8)
            self._model.buffers.append(buffer)
            tensor.buffer = len(self._model.buffers) - 1
        if scale:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [scale], [0]
        self._places[name] = len(self._graph.tensors)
        self._graph.tensors.append(tensor)
        return self

    def operation(
        self, name: str, inputs: Sequence[str], outputs: Sequence[str], options: Mapping[str, Any] | None = None,
        version: int = 1,
    ) -> File:  # fmt: skip
        """An operation, with its options as the schema's object calls them and their kind as "options"."""
        code, operator = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode, code.version = getattr(schema.BuiltinOperator, name), version
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        operator.opcodeIndex = len(self._model.operatorCodes)
        operator.inputs, operator.outputs = ([self._places[n] for n in names] for names in (inputs, outputs))
        if options:
            kind = options["options"]
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            operator.builtinOptions = getattr(schema, f"{kind}T")()
            for key, value in options.items():
                if key != "options":
                    setattr(operator.builtinOptions, key, value)
        self._model.operatorCodes.append(code)
        self._graph.operators.append(operator)
        return self

    def content(self, inputs: Sequence[str], outputs: Sequence[str]) -> bytes:
        """The file."""
        self._graph.inputs, self._graph.outputs = ([self._places[n] for n in names] for names in (inputs, outputs))
        builder = flatbuffers.Builder(1024)
        builder.Finish(self._model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())
