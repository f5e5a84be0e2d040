"""What the Edge TPU does not run, read from a file: the published requirements, operation by operation.

Source: coral.ai/docs/edgetpu/models-intro, "Model requirements" and "Supported operations". The compiler refuses
more than it publishes; its log calls that "some unspecified limitation".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from dlkit.extras import require
from dlkit.runtime.inspection import operation_name, read_model

MOST_DIMENSIONS = 3
LONGEST_SOFTMAX = 16_000
DEPTH_MULTIPLE = 4
"""Of the channels that MEAN adds up."""
NUMBERS = frozenset({"INT8", "UINT8"})
PARAMETERS = frozenset({"INT8", "UINT8", "INT16", "INT32"})
"""Of constants: weights, biases (and the LSTM's) and whole numbers such as shapes and axes."""


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A tensor that an operation reads or writes.

    Attributes:
        name: whose first part tells the layer.
        dtype: in the schema's spelling, "INT8".
        values: whole numbers of a constant int32 tensor, such as axes; None of others.
        stored_bytes: of a constant; 0 of what is computed.
        is_zero: of a constant, whether it stands for zeros alone.
        is_state: what an LSTM keeps from step to step.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    values: tuple[int, ...] | None
    stored_bytes: int
    is_zero: bool
    is_state: bool

    @property
    def dimensions(self) -> int:
        """How many are needed: leading ones do not count."""
        leading = next((place for place, size in enumerate(self.shape) if size != 1), len(self.shape))
        return len(self.shape) - leading


@dataclasses.dataclass(frozen=True)
class Operator:
    """An operation of the main subgraph; optional inputs that are not given are left out."""

    name: str
    options: Any
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    @property
    def activations(self) -> tuple[Tensor, ...]:
        """What is computed, in and out."""
        computed = (tensor for tensor in self.inputs if not tensor.stored_bytes and not tensor.is_state)
        return (*computed, *self.outputs)


def operators_of(content: bytes) -> Iterator[Operator]:
    """Those of a whole .tflite file's main subgraph, in the order in which they are run."""
    schema = require("ai_edge_litert.schema_py_generated")
    model = read_model(content)
    codes = [operation_name(model.OperatorCodes(i)) for i in range(model.OperatorCodesLength())]
    unpacked = schema.ModelT.InitFromObj(model)
    dtypes = {number: name for name, number in vars(schema.TensorType).items() if isinstance(number, int)}
    graph = unpacked.subgraphs[0]
    tensors = [_tensor(tensor, unpacked.buffers[tensor.buffer], dtypes) for tensor in graph.tensors]
    for operator in [] if graph.operators is None else graph.operators:
        ends = [
            tuple(tensors[number] for number in ([] if numbers is None else numbers) if number >= 0)
            for numbers in (operator.inputs, operator.outputs)
        ]
        yield Operator(codes[operator.opcodeIndex], operator.builtinOptions, *ends)


def _tensor(tensor: Any, buffer: Any, dtypes: dict[int, str]) -> Tensor:
    import numpy as np

    shape = () if tensor.shape is None else tuple(int(size) for size in tensor.shape)
    dtype = dtypes[tensor.type]
    data = b"" if buffer.data is None else bytes(buffer.data)
    values = tuple(np.frombuffer(data, "<i4").tolist()) if data and dtype == "INT32" else None
    name = tensor.name or b""
    text = name if isinstance(name, str) else name.decode("utf-8", "replace")
    stored = len(data) or int(buffer.size or 0)
    return Tensor(text, shape, dtype, values, stored, _is_zero(data, tensor.quantization), bool(tensor.isVariable))


def _is_zero(data: bytes, quantization: Any) -> bool:
    """Whether 8-bit numbers are all the zero point of their quantization."""
    points = None if quantization is None else quantization.zeroPoint
    zero = 0 if points is None or not len(points) else int(points[0])
    return set(data) == {zero % 256}


def reason_against(operator: Operator) -> str:
    """Why the Edge TPU does not run an operation that it has in this form; "" if nothing published says so."""
    return next(filter(None, (form(operator) for form in FORMS)), "")


def _other_numbers(operator: Operator) -> str:
    wrong = sorted({tensor.dtype for tensor in operator.activations} - NUMBERS)
    stored = (tensor for tensor in operator.inputs if tensor.stored_bytes)
    wrong = wrong or sorted({tensor.dtype for tensor in stored} - PARAMETERS)
    return f"{wrong[0].lower()} numbers; it computes with 8-bit integers alone" if wrong else ""


def _many_dimensions(operator: Operator) -> str:
    most = max((tensor.dimensions for tensor in operator.activations), default=0)
    return f"a tensor of {most} dimensions; it takes {MOST_DIMENSIONS} larger than 1" if most > MOST_DIMENSIONS else ""


def _computed_weights(operator: Operator) -> str:
    layers = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
    if operator.name not in layers:
        return ""
    weights = operator.inputs[1:2] if operator.name == "TRANSPOSE_CONV" else operator.inputs[1:]
    return "" if all(tensor.stored_bytes for tensor in weights) else "its weights are computed; it takes constant ones"


def _activation(operator: Operator) -> str:
    if operator.name not in ("AVERAGE_POOL_2D", "CONCATENATION", "MAX_POOL_2D"):
        return ""
    fused = operator.options is not None and operator.options.fusedActivationFunction
    return "it has an activation function inside, which it may not have there" if fused else ""


def _dilation(operator: Operator) -> str:
    if operator.name not in ("CONV_2D", "DEPTHWISE_CONV_2D") or operator.options is None:
        return ""
    height, width = operator.options.dilationHFactor, operator.options.dilationWFactor
    return "" if height == width else f"its dilation is {height}×{width}; both must be the same"


def _joined_with_constant(operator: Operator) -> str:
    constant = [tensor for tensor in operator.inputs if tensor.stored_bytes]
    if operator.name != "CONCATENATION" or not constant:
        return ""
    is_padding = len(operator.inputs) == 2 and all(tensor.is_zero for tensor in constant)
    return "" if is_padding else "it joins a constant, which must be one of two and all zeros"


def _dense(operator: Operator) -> str:
    if operator.name != "FULLY_CONNECTED":
        return ""
    if operator.options is not None and operator.options.weightsFormat:
        return "its weights are shuffled; it takes the default format alone"
    return "its output has more than one dimension" if operator.outputs[0].dimensions > 1 else ""


def _batch(operator: Operator) -> str:
    """Operations along an axis: never along the first, which counts samples."""
    options, inputs = operator.options, operator.inputs
    axes: tuple[int, ...] = ()
    if operator.name in ("MEAN", "REDUCE_MAX", "REDUCE_MIN", "SUM"):
        axes = inputs[1].values or ()
    elif operator.name == "SPLIT":
        axes, inputs = inputs[0].values or (), inputs[1:]
    elif operator.name == "PACK":
        axes, inputs = (options.axis if options is not None else 0,), operator.outputs
    elif operator.name == "PAD":
        axes = (0,) if any((inputs[1].values or ())[:2]) else ()
    rank = len(inputs[0].shape) if inputs else 0
    return "it works along the first axis, that of samples" if rank and 0 in {axis % rank for axis in axes} else ""


def _depth_mean(operator: Operator) -> str:
    if operator.name != "MEAN":
        return ""
    shape = operator.inputs[0].shape
    last = {axis % len(shape) for axis in operator.inputs[1].values or ()} & {len(shape) - 1}
    if last and shape[-1] % DEPTH_MULTIPLE:
        return f"a mean of {shape[-1]} channels; their number must be a multiple of {DEPTH_MULTIPLE}"
    return ""


def _slopes(operator: Operator) -> str:
    if operator.name == "PRELU" and operator.inputs[1].dimensions > 1:
        return "its slopes differ from place to place; give PReLU shared_axes=[1, 2]"
    return ""


def _softmax(operator: Operator) -> str:
    if operator.name != "SOFTMAX":
        return ""
    given = operator.inputs[0]
    if given.dimensions > 1:
        return "a softmax of more than one dimension"
    size = given.shape[-1] if given.shape else 1
    return f"a softmax of {size:,}; it takes {LONGEST_SOFTMAX:,}" if size > LONGEST_SOFTMAX else ""


def _strides(operator: Operator) -> str:
    if operator.name != "STRIDED_SLICE":
        return ""
    options, strides = operator.options, operator.inputs[3].values if len(operator.inputs) > 3 else None
    if strides is None or any(stride != 1 for stride in strides):
        return "it leaves out places between; strides must be 1"
    masked = options is not None and (options.ellipsisMask or options.newAxisMask)
    return "it adds an axis or has an ellipsis" if masked else ""


FORMS = (
    _other_numbers, _many_dimensions, _computed_weights, _activation, _dilation, _joined_with_constant, _dense, _batch,
    _depth_mean, _slopes, _softmax, _strides,
)  # fmt: skip
"""Each gives the reason why an operation does not run in the form that it has; "" if it does."""
