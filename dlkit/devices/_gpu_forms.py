"""What LiteRT's GPU accelerator does not run, read from a file before anything is run.

It lacks whole operations, which a target's TOML lists, and forms of others, which are told apart here. The
sentences are the accelerator's own (libLiteRtWebGpuAccelerator of ai-edge-litert 2.3.0) in plain words; where it
computes something else without a word, that was measured against LiteRT's kernels for the processor.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from dlkit.conversion.plain_transposes import padded_otherwise
from dlkit.devices.operations import lacks
from dlkit.extras import require
from dlkit.runtime.inspection import operation_name, read_model
from dlkit.targets import Target

MOST_DIMENSIONS = 4
INSTEAD = {
    "WHILE": "unroll the recurrent layer, as dlkit export --target gpu does for up to 128 steps",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "unroll the LSTM, as dlkit export --target gpu does",
    "L2_NORMALIZATION": "divide by the root of the summed squares",
    "LOG_SOFTMAX": "end in softmax or in logits",
    "LOCAL_RESPONSE_NORMALIZATION": "use batch normalization",
    "SQUEEZE": "use a reshape",
    "CONV_3D": "use 2-D convolutions",
    "ARG_MIN": "take the largest of the negated values",
}
"""Operation that is lacking → what runs in its place."""


@dataclasses.dataclass(frozen=True)
class Obstacle:
    """One operation of a file that the accelerator does not run.

    Attributes:
        operation: as the schema calls it; "" where it is an input or output of the file.
        tensor: the first that it writes, whose name tells the layer.
        reason: why not, and what to do instead.
    """

    operation: str
    tensor: str
    reason: str


@dataclasses.dataclass(frozen=True)
class _Operator:
    """An operation of a subgraph.

    Attributes:
        options: what the schema keeps of it; None if there is nothing.
        inputs, outputs: its tensors, optional ones that are not given left out.
        made_of: for each input what DEQUANTIZE makes it of; None where another operation, or none, makes it.
    """

    name: str
    options: Any
    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]
    made_of: tuple[Any, ...]


def obstacles(content: bytes, target: Target) -> tuple[Obstacle, ...]:
    """Everything in a whole .tflite file that stands in the way, in the file's order."""
    schema = require("ai_edge_litert.schema_py_generated")
    model = schema.ModelT.InitFromObj(read_model(content))
    codes = [operation_name(read_model(content).OperatorCodes(i)) for i in range(len(model.operatorCodes))]
    found = []
    for graph in model.subgraphs:
        for operator in _operators(graph, codes):
            reason = lacks(target, operator.name)
            if reason and operator.name in INSTEAD:
                reason += f"; {INSTEAD[operator.name]}"
            reason = reason or next(filter(None, (form(operator) for form in FORMS)), "")
            if reason:
                first = operator.outputs[0] if operator.outputs else None
                found.append(Obstacle(operator.name, _name(first), reason))
    return (*found, *_unmade_outputs(model.subgraphs[0]))


def _unmade_outputs(graph: Any) -> Iterator[Obstacle]:
    """Outputs that no operation writes: the accelerator leaves what was in memory there, and says nothing."""
    made = {number for operator in graph.operators or [] for number in _numbers(operator.outputs)}
    for number in _numbers(graph.outputs):
        if number not in made:
            reason = "an output that nothing computes: the accelerator leaves it unwritten; leave it out"
            yield Obstacle("", _name(graph.tensors[number]), reason)


def _operators(graph: Any, codes: list[str]) -> Iterator[_Operator]:
    dequantized: dict[int, Any] = {}
    for operator in graph.operators or []:
        name = codes[operator.opcodeIndex]
        numbers = [number for number in _numbers(operator.inputs) if number >= 0]
        inputs = tuple(graph.tensors[number] for number in numbers)
        outputs = tuple(graph.tensors[number] for number in _numbers(operator.outputs))
        yield _Operator(name, operator.builtinOptions, inputs, outputs, tuple(map(dequantized.get, numbers)))
        if name == "DEQUANTIZE":
            dequantized |= dict.fromkeys(_numbers(operator.outputs), inputs[0])


def _numbers(vector: Any) -> list[int]:
    return [] if vector is None else [int(number) for number in vector]


def _shape(tensor: Any) -> list[int]:
    return _numbers(tensor.shape)


def _name(tensor: Any) -> str:
    """The first of the layers that were made into one."""
    name = (tensor.name or b"") if tensor is not None else b""
    return (name if isinstance(name, str) else name.decode("utf-8", "replace")).partition(";")[0]


def _keeps_state(operator: _Operator) -> str:
    if any(tensor.isVariable for tensor in operator.inputs):
        return "it keeps its state in the file, and LiteRT loads no such file for a GPU"
    return ""


def _many_dimensions(operator: _Operator) -> str:
    most = max((len(_shape(tensor)) for tensor in (*operator.inputs, *operator.outputs)), default=0)
    return f"a tensor of {most} dimensions; the accelerator takes {MOST_DIMENSIONS}" if most > MOST_DIMENSIONS else ""


def _wide_integers(operator: _Operator) -> str:
    """16-bit activations, which no operation there computes with."""
    int16 = require("ai_edge_litert.schema_py_generated").TensorType.INT16
    if any(tensor.type == int16 for tensor in (*operator.inputs, *operator.outputs)):
        return "16-bit activations, which the accelerator does not take; use --scheme float16"
    return ""


def _sliced_away(operator: _Operator) -> str:
    if operator.name == "STRIDED_SLICE" and operator.options is not None and operator.options.shrinkAxisMask:
        return "it drops an axis, which a slice there cannot; slice x[:, 0:1] and reshape, in place of x[:, 0]"
    return ""


def _gathered(operator: _Operator) -> str:
    if operator.name == "GATHER" and len(operator.inputs) > 1 and len(_shape(operator.inputs[1])) != 1:
        return "its indices are no list; the accelerator takes indices of one dimension"
    return ""


def _many_terms(operator: _Operator) -> str:
    if operator.name == "ADD_N" and len(operator.inputs) > 2:
        return f"a sum of {len(operator.inputs)}; the accelerator adds two at a time"
    return ""


def _symmetric_padding(operator: _Operator) -> str:
    if operator.name == "MIRROR_PAD" and operator.options is not None and operator.options.mode:
        return "symmetric padding; the accelerator has reflective padding alone"
    return ""


def _multiplied_by_itself(operator: _Operator) -> str:
    if (
        operator.name in ("BATCH_MATMUL", "SUB")
        and len(operator.inputs) > 1
        and operator.inputs[0] is operator.inputs[1]
    ):
        return "a tensor with itself, which the accelerator crashes on"
    return ""


def _stored_as_integers(operator: _Operator) -> str:
    """A dense layer whose weights a file turns into floats: it takes them for a tensor of another shape."""
    types = require("ai_edge_litert.schema_py_generated").TensorType
    if operator.name != "FULLY_CONNECTED" or len(operator.inputs) < 2:
        return ""
    stored = operator.made_of[1]
    if stored is None or stored.type == types.FLOAT16:
        return ""
    return "its weights are stored as integers and computed with as floats; use --scheme float16"


def _padded_otherwise(operator: _Operator) -> str:
    """A transposed convolution of which the accelerator computes something else; see `conversion.plain_transposes`."""
    options = operator.options
    valid = 1
    if operator.name != "TRANSPOSE_CONV" or options is None or options.padding == valid or len(operator.inputs) < 3:
        return ""
    kernels, sizes, made = _shape(operator.inputs[1]), _shape(operator.inputs[2]), _shape(operator.outputs[0])
    for axis, stride in ((1, options.strideH), (2, options.strideW)):
        if padded_otherwise(sizes[axis], made[axis], kernels[axis], stride):
            return (
                f"the accelerator pads a kernel of {kernels[axis]} with stride {stride} wrongly on {sizes[axis]} rows "
                f"or columns; make that a multiple of {stride}, or export the model with --target gpu"
            )
    return ""


def _holds_activation(operator: _Operator) -> str:
    if operator.name == "TRANSPOSE_CONV" and operator.options is not None and operator.options.fusedActivationFunction:
        return "it holds an activation, which must be an operation of its own; export the model with --target gpu"
    return ""


FORMS = (
    _keeps_state, _many_dimensions, _wide_integers, _sliced_away, _gathered, _many_terms, _symmetric_padding,
    _multiplied_by_itself, _stored_as_integers, _padded_otherwise, _holds_activation,
)  # fmt: skip
"""Each gives the reason why an operation does not run in the form that it has; "" if it does."""
