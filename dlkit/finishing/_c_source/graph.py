"""A .tflite file as tensors and operations, ready to be written as C."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.errors import IllegalCombination, ModelFileError
from dlkit.extras import require
from dlkit.runtime.inspection import MALFORMED, inspect_model, operation_name, read_model

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DTYPES = {"FLOAT32": np.float32, "INT8": np.int8, "UINT8": np.uint8, "INT32": np.int32}
"""What a tensor may hold here; int32 are sums and shapes."""


@dataclasses.dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor of the file.

    Attributes:
        number: its place in the file.
        shape: with the batch.
        dtype: "int8", …; in the schema's spelling, "INT16", of what is not computed with here.
        scales: float32; one, or one per output channel; empty where it is not quantized.
        zero_point: of the first channel.
        symmetric: whether the zero points of all channels are 0.
        values: of a constant, of the shape; None of others.
    """

    number: int
    shape: tuple[int, ...]
    dtype: str
    scales: NDArray[np.float32]
    zero_point: int
    symmetric: bool
    values: NDArray[Any] | None

    @property
    def size(self) -> int:
        """Numbers in it."""
        return math.prod(self.shape)

    @property
    def scale(self) -> float:
        """Of the whole tensor."""
        return float(self.scales[0])

    @property
    def is_quantized(self) -> bool:
        """Whether it is of int8 with one scale."""
        return self.dtype == "int8" and len(self.scales) == 1


@dataclasses.dataclass(frozen=True, eq=False)
class Operation:
    """An operation of the file.

    Attributes:
        number: its place.
        name: as the schema calls it, "CONV_2D".
        inputs: None where an optional one is left out.
        options: its table in the schema's object form (`Conv2DOptionsT`); None where it has none.
        code: its operator code in the object form.
        options_type: of the union in which `options` are.
    """

    number: int
    name: str
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    options: Any
    code: Any
    options_type: int

    def input(self, place: int) -> Tensor | None:
        """None where it is left out."""
        return self.inputs[place] if place < len(self.inputs) else None

    @property
    def given(self) -> Tensor:
        """What it computes with in the first place."""
        tensor = self.inputs[0]
        if tensor is None:
            raise ValueError("an operation without an input")
        return tensor

    @property
    def result(self) -> Tensor:
        return self.outputs[0]


@dataclasses.dataclass(frozen=True)
class Graph:
    """The one graph of a file."""

    tensors: tuple[Tensor, ...]
    operations: tuple[Operation, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


def read_graph(content: bytes, where: str) -> Graph:
    """The graph of a .tflite file given as bytes; `where` is its name, for messages.

    Raises:
        ModelFileError: it is not a whole .tflite file.
        IllegalCombination: it has several graphs, which is control flow.
    """
    inspect_model(content, where)  # holds every offset against the file's size
    try:
        return _graph(content)
    except MALFORMED:
        raise ModelFileError(f"{where}: the .tflite file is cut short or corrupt; copy or export it again") from None


def _graph(content: bytes) -> Graph:
    schema = require("ai_edge_litert.schema_py_generated")
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    if len(model.subgraphs) != 1:
        raise IllegalCombination(f"there is no C source of {len(model.subgraphs)} graphs, which is control flow")
    table = read_model(content)
    names = [operation_name(table.OperatorCodes(i)) for i in range(table.OperatorCodesLength())]
    types = {number: name for name, number in vars(schema.TensorType).items() if isinstance(number, int)}
    [graph] = model.subgraphs
    tensors = tuple(
        _tensor(number, tensor, types[tensor.type], _stored(model.buffers[tensor.buffer], content))
        for number, tensor in enumerate(graph.tensors)
    )
    operations = tuple(
        Operation(
            number,
            names[operator.opcodeIndex],
            tuple(None if i == -1 else tensors[i] for i in operator.inputs),
            tuple(tensors[i] for i in operator.outputs),
            operator.builtinOptions,
            model.operatorCodes[operator.opcodeIndex],
            operator.builtinOptionsType,
        )
        for number, operator in enumerate(graph.operators)
    )
    return Graph(tensors, operations, tuple(tensors[i] for i in graph.inputs), tuple(tensors[i] for i in graph.outputs))


def _stored(buffer: Any, content: bytes) -> bytes:
    """The bytes of a constant: in the flatbuffer, or behind it where there are many; none of another tensor."""
    if buffer.data is not None and len(buffer.data):
        return np.asarray(buffer.data, np.uint8).tobytes()
    return content[buffer.offset : buffer.offset + buffer.size] if buffer.offset > 1 else b""


def _tensor(number: int, tensor: Any, type_name: str, stored: bytes) -> Tensor:
    shape = tuple(int(n) for n in (tensor.shape if tensor.shape is not None else ()))
    kind = _DTYPES.get(type_name)
    values = None
    if kind is not None and stored:
        values = np.frombuffer(stored, np.dtype(kind).newbyteorder("<")).astype(kind).reshape(shape)
    quantization = tensor.quantization
    scales, zeros = (
        np.asarray([] if found is None else found)
        for found in ((None, None) if quantization is None else (quantization.scale, quantization.zeroPoint))
    )
    return Tensor(
        number,
        shape,
        np.dtype(kind).name if kind else type_name,
        scales.astype(np.float32),
        int(zeros[0]) if len(zeros) else 0,
        not zeros.any(),
        values,
    )
