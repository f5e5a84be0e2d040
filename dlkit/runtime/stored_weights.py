"""The weights in a .tflite file: which constants they are, and their numbers, read without running it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.errors import ModelFileError
from dlkit.extras import require
from dlkit.runtime.inspection import FUSED_LSTM, MALFORMED, inspect_model, operation_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

OPERANDS: dict[str, tuple[int, ...]] = {
    "BATCH_MATMUL": (0, 1),
    "CONV_2D": (1,),
    "CONV_3D": (1,),
    "CONV_3D_TRANSPOSE": (1,),
    "DEPTHWISE_CONV_2D": (1,),
    "EMBEDDING_LOOKUP": (1,),
    "FULLY_CONNECTED": (1,),
    "GATHER": (0,),
    "TRANSPOSE_CONV": (1,),
    "UNIDIRECTIONAL_SEQUENCE_RNN": (1, 2),
    FUSED_LSTM: tuple(range(1, 9)),
}
"""Operation → which of its operands are weights (tensorflow/lite/kernels); of the fused LSTM the input-to-gate weights
come first, then those from the last step, four of each."""
CHANNEL_AXES = {
    "BATCH_MATMUL": -1, "CONV_3D": -1, "CONV_3D_TRANSPOSE": -2, "DEPTHWISE_CONV_2D": -1, "EMBEDDING_LOOKUP": -1,
    "GATHER": -1,
}  # fmt: skip
"""Where the output channels of a kernel are; in front (0) of the others, which are stored (outputs, …, inputs)."""
PASSING = frozenset({"DEQUANTIZE", "QUANTIZE"})
"""What may stand between a constant and the operation whose weights it is."""
_WIDTHS = {"int4": 4, "int2": 2}
"""Integers of which several share a byte, the first in the lowest bits."""
_DTYPES = {"float32", "float16", "float64", "int8", "uint8", "int16", "int32"}


@dataclasses.dataclass(frozen=True, eq=False)
class StoredWeights:
    """A constant that is the weights of an operation; once for each, however many steps of a sequence read it.

    Attributes:
        tensor: its name in the file.
        operation: the first that reads it.
        operand: which of its operands it is.
        scopes: names of tensors that tell the layer: its own, and those that its operations write.
        beside: names of the tensors that its operations read in the first place, what it is multiplied with.
        dtype: in the schema's spelling: "float32", "int8", "int4" …
        values: what is stored, less the zero point of its channel: 0 is 0.0. Floats, or integers of 8 to 32 bits.
        channel_axis: of the output channels.
        scales: 1 where it is quantized per tensor, as many as channels where per channel, 0 where it is not.
    """

    tensor: str
    operation: str
    operand: int
    scopes: tuple[str, ...]
    beside: frozenset[str]
    dtype: str
    values: NDArray[Any]
    channel_axis: int
    scales: int

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    @property
    def by_output(self) -> NDArray[Any]:
        """The values as (outputs, …, inputs); of a depthwise convolution (outputs, 1, height, width)."""
        return np.moveaxis(self.values, self.channel_axis, 0)

    @property
    def channels(self) -> NDArray[Any]:
        """The values as (outputs, all else)."""
        return self.by_output.reshape(self.shape[self.channel_axis], -1)


def stored_weights(content: bytes, where: str) -> list[StoredWeights]:
    """All weights in a .tflite file given as bytes, in the order of the operations that read them first.

    Constants in the sparse form of the schema, which the runtime unpacks, are left out.

    Raises:
        ModelFileError: it is not a whole file; `where` is its name, for that message.
    """
    inspect_model(content, where)  # holds every offset against the file's size
    try:
        return list(_weights(content))
    except MALFORMED:
        raise ModelFileError(f"{where}: the .tflite file is cut short or corrupt; copy or export it again") from None


def _weights(content: bytes) -> Iterator[StoredWeights]:
    model = require("ai_edge_litert.schema_py_generated").Model.GetRootAs(content, 0)
    codes = [operation_name(model.OperatorCodes(i)) for i in range(model.OperatorCodesLength())]
    names = _type_names()
    for graph in (model.Subgraphs(i) for i in range(model.SubgraphsLength())):
        operators = [graph.Operators(i) for i in range(graph.OperatorsLength())]
        behind = _constants_behind(model, graph, operators, codes)
        reads: dict[int, list[tuple[str, int, Any]]] = {}
        for operator in operators:
            name = codes[operator.OpcodeIndex()]
            for place in OPERANDS.get(name, ()):
                if place < operator.InputsLength() and (number := behind.get(operator.Inputs(place))) is not None:
                    reads.setdefault(number, []).append((name, place, operator))
        for number, users in reads.items():
            tensor = graph.Tensors(number)
            dtype = names[tensor.Type()].lower()
            if tensor.Sparsity() is not None or dtype not in _DTYPES | _WIDTHS.keys():
                continue
            values = _values(tensor, _content(model.Buffers(tensor.Buffer()), content), dtype)
            if values.ndim < 2 or not values.size:
                continue
            name, place, operator = users[0]
            quantization = tensor.Quantization()
            scales = 0 if quantization is None else quantization.ScaleLength()
            written = [graph.Tensors(o.Outputs(i)) for _, _, o in users for i in range(o.OutputsLength())]
            yield StoredWeights(
                tensor=_name(tensor),
                operation=name,
                operand=place,
                beside=frozenset(_name(graph.Tensors(o.Inputs(0))) for _, _, o in users if o.Inputs(0) != number),
                scopes=tuple(dict.fromkeys(_name(t) for t in [tensor, *written])),
                dtype=dtype,
                values=values,
                channel_axis=_channel_axis(name, operator, quantization, values.ndim),
                scales=scales,
            )


def _constants_behind(model: Any, graph: Any, operators: list[Any], codes: list[str]) -> dict[int, int]:
    """Tensor → the constant it holds: itself, or what an operation of `PASSING` makes it of."""

    def is_constant(number: int) -> bool:
        buffer = model.Buffers(graph.Tensors(number).Buffer())
        return bool(buffer.DataLength() or buffer.Size())

    behind = {number: number for number in range(graph.TensorsLength()) if is_constant(number)}
    for operator in operators:
        if codes[operator.OpcodeIndex()] in PASSING and operator.Inputs(0) in behind:
            behind[operator.Outputs(0)] = behind[operator.Inputs(0)]
    return behind


def _channel_axis(name: str, operator: Any, quantization: Any, rank: int) -> int:
    """That of the scales where there are several, else what the operation's layout says."""
    if quantization is not None and quantization.ScaleLength() > 1:
        if not 0 <= quantization.QuantizedDimension() < rank:
            raise ValueError("scales along a dimension that is not there")
        return int(quantization.QuantizedDimension())
    axis = CHANNEL_AXES.get(name, 0)
    if name == "BATCH_MATMUL" and operator.BuiltinOptions() is not None:
        options = require("ai_edge_litert.schema_py_generated").BatchMatMulOptions()
        table = operator.BuiltinOptions()
        options.Init(table.Bytes, table.Pos)
        axis = -2 if options.AdjY() else -1
    return axis % rank


def _content(buffer: Any, content: bytes) -> NDArray[np.uint8]:
    if buffer.DataLength():
        return np.asarray(buffer.DataAsNumpy(), np.uint8)
    return np.frombuffer(content, np.uint8, buffer.Size(), buffer.Offset())


def _values(tensor: Any, stored: NDArray[np.uint8], dtype: str) -> NDArray[Any]:
    """See `StoredWeights.values`."""
    shape = tuple(int(tensor.Shape(i)) for i in range(tensor.ShapeLength()))
    count = math.prod(shape)
    if width := _WIDTHS.get(dtype):
        numbers = _unpacked(stored, width)[:count]
    else:
        numbers = stored.view(np.dtype(dtype).newbyteorder("<"))
    values = numbers.reshape(shape)
    quantization = tensor.Quantization()
    zeros = np.zeros(0) if quantization is None else np.asarray(quantization.ZeroPointAsNumpy())
    if zeros.ndim and zeros.any() and np.issubdtype(values.dtype, np.integer):
        axis = quantization.QuantizedDimension() if zeros.size > 1 else 0
        if zeros.size > 1 and zeros.size != shape[axis]:  # numpy would repeat the values for each of them
            raise ValueError("another number of zero points than of channels")
        across = [1] * values.ndim
        across[axis] = zeros.size
        values = values.astype(np.int32) - zeros.astype(np.int32).reshape(across)
    return values


def _unpacked(stored: NDArray[np.uint8], width: int) -> NDArray[np.int8]:
    """Signed integers of `width` bits as int8; the first of a byte is in its lowest bits."""
    parts = [(stored << np.uint8(8 - width - shift)).view(np.int8) >> (8 - width) for shift in range(0, 8, width)]
    return np.stack(parts, axis=-1).reshape(-1)


def _type_names() -> dict[int, str]:
    schema = require("ai_edge_litert.schema_py_generated")
    return {number: name for name, number in vars(schema.TensorType).items() if isinstance(number, int)}


def _name(tensor: Any) -> str:
    return (tensor.Name() or b"").decode("utf-8")
