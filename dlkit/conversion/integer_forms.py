"""Operations that have no integer kernel, written with ones that have; runs in a child process.

The TensorFlow converter (2.21) leaves NEG, SQUARE and ELU in float in the midst of an int8 file, and Keras
writes layer normalisation with the first, group and RMS normalisation with the second. Of a squared
difference it makes a SQUARE where there are five dimensions, and the runtime has no 16-bit form. The
rewritten SavedModel computes the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dlkit.frameworks import tensorflow as tf
from dlkit.runtime.saved_model import SAVED_MODEL, message


def use_integer_forms(saved_model: Path) -> None:
    """Rewrite the graphs of a SavedModel of our own, in place."""
    file = saved_model / SAVED_MODEL
    saved = message("saved_model_pb2").SavedModel()
    saved.ParseFromString(file.read_bytes())
    for graph in (meta.graph_def for meta in saved.meta_graphs):
        _rewrite(graph.node, "")
        for function in graph.library.function:
            _rewrite(function.node_def, ":{}:0")
    file.write_bytes(saved.SerializeToString(deterministic=True))


def _rewrite(nodes: Any, result: str) -> None:
    """Rewrite float nodes in a list of them.

    Args:
        result: how a function names the only result of a node, behind the node's name; "" in a graph.
    """
    names = {node.name for node in nodes}
    in_gelu = _read_by_erfc(nodes)
    for node in [node for node in nodes if node.op in _FORMS and node.name not in in_gelu]:
        if node.attr["T"].type != tf.float32.as_datatype_enum:
            continue
        control = [name for name in node.input if name.startswith("^")]
        given = [name for name in node.input if name not in control]

        def add(op: str, *inputs: str, value: float | None = None, node: Any = node) -> str:
            """A new node; its result as others name it."""
            name = next(n for i in range(len(names) + 1) if (n := f"{node.name}_{op}_{i}") not in names)
            names.add(name)
            new = nodes.add(name=name, op=op, input=inputs, device=node.device)
            if value is None:
                new.attr["T"].type = tf.float32.as_datatype_enum
                return name + result.format(_RESULT[op])
            new.attr["dtype"].type = tf.float32.as_datatype_enum
            new.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value, tf.float32))
            return name + result.format("output")

        before = node.op
        op, inputs = _FORMS[before](add, *given)
        node.op = op
        del node.input[:]
        node.input.extend([*inputs, *control])
        _rename_result(nodes, node.name, _RESULT[before], _RESULT[op], result)


def _read_by_erfc(nodes: Any) -> set[str]:
    """Nodes behind which, after one more, an Erfc stands: the converter makes one GELU of such a group as it is."""

    def sources(wanted: set[str]) -> set[str]:
        return {name.partition(":")[0] for node in nodes if node.name in wanted for name in node.input}

    nearest = sources({node.name for node in nodes if node.op == "Erfc"})
    return nearest | sources(nearest)


def _rename_result(nodes: Any, name: str, old: str, new: str, result: str) -> None:
    """In a function, those that read a node say what its result is called."""
    if not result:
        return
    for node in nodes:
        for place, read in enumerate(node.input):
            if read == name + result.format(old):
                node.input[place] = name + result.format(new)


_Add = Callable[..., str]
_RESULT = {
    "AddV2": "z", "Elu": "activations", "Exp": "y", "Minimum": "z", "Mul": "z", "Neg": "y", "Relu": "activations",
    "Square": "y", "SquaredDifference": "z", "Sub": "z",
}  # fmt: skip
"""What the definition of an operation calls its result."""
_FORMS: dict[str, Callable[..., tuple[str, list[str]]]] = {
    "Neg": lambda add, x: ("Mul", [x, add("Const", value=-1.0)]),
    "Square": lambda add, x: ("Mul", [x, x]),
    "SquaredDifference": lambda add, x, y: ("Mul", [add("Sub", x, y)] * 2),
    # elu(x) = relu(x) + (exp(min(x, 0)) − 1)
    "Elu": lambda add, x: (
        "AddV2",
        [
            add("Relu", x),
            add("AddV2", add("Exp", add("Minimum", x, add("Const", value=0.0))), add("Const", value=-1.0)),
        ],
    ),
}
