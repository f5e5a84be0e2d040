"""Transposed convolutions of a float .tflite file in a form that LiteRT's GPU accelerator computes rightly.

It takes none that holds an activation (version 4 of TRANSPOSE_CONV). And it reckons the padding of one from what goes
in, and not from what comes out; the two differ where a kernel of 3 doubles an odd height or width, and its outputs are
then off by as much as they are large, without an error. Here the activation becomes an operation of its own, and what
would be padded otherwise is computed without padding and then sliced: the same numbers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

ACTIVATIONS = {1: "RELU", 2: "RELU_N1_TO_1", 3: "RELU6", 4: "TANH"}
"""The schema's number of an activation within an operation → the operation that it is."""
SAME, VALID = 0, 1
WITHOUT_ACTIVATION = 3
"""The version of TRANSPOSE_CONV that has a bias and no activation."""


def padded_otherwise(size: int, made: int, kernel: int, stride: int) -> bool:
    """Whether the accelerator pads `size` rows or columns, of which SAME makes `made`, otherwise than LiteRT does.

    Of all padding, (size − 1) stride + kernel − made, half goes before; the accelerator takes half of
    kernel − 1 − (size − 1) mod stride. Measured with ai-edge-litert 2.3.0 on 178 files of kernels of 2 to 7 and strides
    of 1 to 4: outputs were wrong in those and only those of which this is so.
    """
    return _before(size, made, kernel, stride) != max(0, kernel - 1 - (size - 1) % stride) // 2


def _before(size: int, made: int, kernel: int, stride: int) -> int:
    """Rows or columns that LiteRT leaves out in front."""
    return max(0, (size - 1) * stride + kernel - made) // 2


def make_plain(tflite: Path) -> None:
    """Rewrite the float file where it has such operations."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    content = tflite.read_bytes()
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    wanted = schema.BuiltinOperator.TRANSPOSE_CONV
    codes = [n for n, code in enumerate(model.operatorCodes) if code.builtinCode == wanted]
    if not codes:
        return
    for graph in model.subgraphs:
        rewriting = _Rewriting(schema, model, graph)
        operators = graph.operators or []
        graph.operators = [
            new for old in operators for new in (rewriting.parts(old) if old.opcodeIndex in codes else [old])
        ]
    for code in codes:
        model.operatorCodes[code].version = min(model.operatorCodes[code].version, WITHOUT_ACTIVATION)
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    tflite.write_bytes(builder.Output())


class _Rewriting:
    """Of one subgraph."""

    def __init__(self, schema: Any, model: Any, graph: Any) -> None:
        self._schema, self._model, self._graph = schema, model, graph

    def parts(self, operator: Any) -> list[Any]:
        """The operations that a transposed convolution becomes, in order; the last writes what it wrote."""
        options, [result] = operator.builtinOptions, operator.outputs
        parts = [operator]
        activation = ACTIVATIONS.get(options.fusedActivationFunction)
        if activation:
            options.fusedActivationFunction = 0
            parts.append(self._operator(activation, [self._redirected(parts[-1], self._shape(result))], result))
        if options.padding == SAME and self._differs(operator):
            parts.insert(1, self._sliced(operator))
        return parts

    def _shape(self, tensor: int) -> list[int]:
        return [int(n) for n in self._graph.tensors[tensor].shape]

    def _sides(self, operator: Any) -> list[tuple[int, int, int, int]]:
        """(size, made, kernel, stride) of rows and of columns."""
        kernels, sizes, made = (self._shape(n) for n in (*operator.inputs[1:3], operator.outputs[0]))
        strides = operator.builtinOptions.strideH, operator.builtinOptions.strideW
        return [(sizes[axis], made[axis], kernels[axis], strides[axis - 1]) for axis in (1, 2)]

    def _differs(self, operator: Any) -> bool:
        return any(padded_otherwise(*side) for side in self._sides(operator))

    def _sliced(self, operator: Any) -> Any:
        """The operation that slices what the convolution, which now does not pad, makes."""
        result = int(operator.outputs[0])
        kept, sides = self._shape(result), self._sides(operator)
        whole = [max((size - 1) * stride + kernel, made) for size, made, kernel, stride in sides]
        before = [_before(*side) for side in sides]
        shape = [kept[0], *whole, kept[3]]
        made = self._redirected(operator, shape)
        operator.builtinOptions.padding = VALID
        operator.inputs = [self._constant(shape), *operator.inputs[1:]]
        slicing = self._operator("SLICE", [made, self._constant([0, *before, 0]), self._constant(kept)], result)
        slicing.builtinOptionsType = self._schema.BuiltinOptions.SliceOptions
        slicing.builtinOptions = self._schema.SliceOptionsT()
        return slicing

    def _redirected(self, operator: Any, shape: list[int]) -> int:
        """A new tensor of that shape, which the operation now writes in place of its own."""
        own = self._graph.tensors[operator.outputs[0]]
        number = self._tensor(shape, own.type, own.name + b"/part")
        operator.outputs = [number]
        return number

    def _constant(self, values: list[int]) -> int:
        buffer = self._schema.BufferT()
        buffer.data = np.asarray(values, np.int32).view(np.uint8)
        self._model.buffers.append(buffer)
        number = self._tensor(
            [len(values)], self._schema.TensorType.INT32, b"plain_transpose/%d" % len(self._graph.tensors)
        )
        self._graph.tensors[number].buffer = len(self._model.buffers) - 1
        return number

    def _tensor(self, shape: list[int], kind: int, name: bytes) -> int:
        tensor = self._schema.TensorT()
        tensor.shape, tensor.type, tensor.buffer, tensor.name = shape, kind, 0, name
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def _operator(self, name: str, inputs: list[int], output: int) -> Any:
        operator = self._schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = self._code(name), inputs, [int(output)]
        return operator

    def _code(self, name: str) -> int:
        """The place of an operation among the file's codes; it is put there if it is not."""
        number = getattr(self._schema.BuiltinOperator, name)
        for place, code in enumerate(self._model.operatorCodes):
            if code.builtinCode == number:
                return place
        code = self._schema.OperatorCodeT()
        code.builtinCode, code.deprecatedBuiltinCode, code.version = number, number, 1
        self._model.operatorCodes.append(code)
        return len(self._model.operatorCodes) - 1
