"""What a model for servers is made of, before it is run: its ends, and for each operation what has a kernel for it."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dlkit.errors import ModelFileError
from dlkit.extras import require
from dlkit.runtime.saved_model import SIGNATURE, checked_graph, served_nodes

PLUMBING = frozenset({
    "Const", "Identity", "IdentityN", "NoOp", "Placeholder", "ReadVariableOp", "VarHandleOp", "StatefulPartitionedCall",
    "PartitionedCall", "Constant",
})  # fmt: skip
"""Operations that compute nothing."""
EVERYWHERE = "CPU or GPU"
CPU_ONLY = "has no kernel for a GPU; what it reads and gives is copied to and fro"
GPU_ONLY = "has no kernel for a processor"
COMPILED = "_XlaMustCompile"
"""The attribute of a function that XLA compiles before it runs."""


@dataclasses.dataclass(frozen=True)
class Served:
    """A model for servers as it is stored.

    Attributes:
        inputs, outputs: name → "(?, 8, 8, 1) float32", where ? is open.
        signatures: names of all that may be called; one without a name of an ONNX file.
        operations: operation, count, where it runs, and why not everywhere.
        computes_in: "float32", or the shorter float that some of them compute in.
        blocks: why it cannot be served, a sentence each.
        notes: what else is to be known.
    """

    inputs: dict[str, str]
    outputs: dict[str, str]
    signatures: tuple[str, ...]
    operations: tuple[tuple[str, int, str, str], ...]
    computes_in: str = "float32"
    blocks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_served(model: Path) -> Served:
    """What is in the folder of a SavedModel, or in an .onnx file.

    Raises:
        ModelFileError: it is neither, or must not be loaded.
        ExtraMissing: what reads it is not installed.
    """
    if model.is_dir():
        return _read_saved_model(model)
    if model.suffix != ".onnx":
        raise ModelFileError(f"{model}: is neither the folder of a SavedModel nor an .onnx file")
    return _read_onnx(model)


def _read_saved_model(folder: Path) -> Served:
    graph = checked_graph(folder)
    tf = require("tensorflow")
    told = graph.signature_def[SIGNATURE]
    shapes = {
        name: ([int(dim.size) for dim in info.tensor_shape.dim], tf.as_dtype(info.dtype).name)
        for name, info in (*told.inputs.items(), *told.outputs.items())
    }
    nodes = [node for node in served_nodes(graph) if node.op not in PLUMBING]
    functions = {function.signature.name for function in graph.graph_def.library.function}
    counts = collections.Counter(node.op for node in nodes if node.op not in functions)
    operations = tuple((op, count, *_place(op)) for op, count in sorted(counts.items()))
    compiled = sum(COMPILED in node.attr and node.attr[COMPILED].b for node in served_nodes(graph))
    pinned = sorted({node.device for node in served_nodes(graph) if node.device})
    notes = tuple(_signature_note(name, definition) for name, definition in sorted(graph.signature_def.items())
                  if name != SIGNATURE and not name.startswith("__"))  # fmt: skip
    if compiled:
        notes += (f"{compiled} functions are compiled by XLA before they run, again for every number of samples",)
    if pinned:
        notes += (f"is bound to {', '.join(pinned)}; where that is not, the server refuses it or puts it elsewhere",)
    ends = {name: _shown(*shape) for name, shape in shapes.items()}
    return Served(
        {name: ends[name] for name in sorted(told.inputs)},
        {name: ends[name] for name in sorted(told.outputs)},
        tuple(name for name in sorted(graph.signature_def) if not name.startswith("__")),
        operations,
        _shortest({value.type for node in nodes for value in node.attr.values()}),
        _fixed({name: shape for name, (shape, _) in shapes.items()}),
        notes,
    )


def _shortest(types: set[int]) -> str:
    """The shortest float among types of TensorFlow's."""
    tf = require("tensorflow")
    return next((float_.name for float_ in (tf.bfloat16, tf.float16) if float_.as_datatype_enum in types), "float32")


def _place(operation: str) -> tuple[str, str]:
    """Where an operation runs, by the kernels that this TensorFlow has; and why not everywhere."""
    from tensorflow.python.framework import kernels

    has = {kernel.device_type for kernel in kernels.get_registered_kernels_for_op(operation).kernel}
    if "DEFAULT" in has or {"CPU", "GPU"} <= has:
        return EVERYWHERE, ""
    if "CPU" in has:
        return "CPU", CPU_ONLY
    return ("GPU", GPU_ONLY) if "GPU" in has else ("", "no kernel in this TensorFlow")


def _signature_note(name: str, definition: Any) -> str:
    return f"has a signature {name!r} too, which takes {', '.join(sorted(definition.inputs))}"


def _read_onnx(file: Path) -> Served:
    onnx = require("onnx")
    try:
        model = onnx.load(str(file))
    except Exception:  # protobuf's DecodeError, for anything that is not one of its messages
        raise ModelFileError(f"{file}: is not an ONNX model, or cut short") from None
    constants = {constant.name for constant in model.graph.initializer}
    inputs = [end for end in model.graph.input if end.name not in constants]
    shapes = {}
    for end in (*inputs, *model.graph.output):
        tensor = end.type.tensor_type
        sizes = [dim.dim_value if dim.HasField("dim_value") else -1 for dim in tensor.shape.dim]
        shapes[end.name] = (sizes, np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)).name)
    counts = collections.Counter(node.op_type for node in model.graph.node if node.op_type not in PLUMBING)
    return Served(
        {end.name: _shown(*shapes[end.name]) for end in inputs},
        {end.name: _shown(*shapes[end.name]) for end in model.graph.output},
        ("",),
        tuple((op, count, "CPU", "") for op, count in sorted(counts.items())),
        blocks=_fixed({name: sizes for name, (sizes, _) in shapes.items()}),
        notes=("which of these a GPU runs is up to the ONNX Runtime of the server; the one here has none to ask",),
    )


def _fixed(shapes: Mapping[str, list[int]]) -> tuple[str, ...]:
    """A sentence for each end whose number of samples is fixed: a server puts requests together."""
    return tuple(
        f"{name!r} has {f'a fixed batch of {sizes[0]}' if sizes else 'no batch'}, and a server needs an open one; save "
        "the model again with None as its first dimension"
        for name, sizes in shapes.items()
        if not sizes or sizes[0] != -1
    )


def _shown(sizes: list[int], dtype: str) -> str:
    return f"({', '.join('?' if size == -1 else str(size) for size in sizes)}) {dtype}"
