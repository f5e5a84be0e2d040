"""The scores of a classifier: what its last softmax is applied to.

Probabilities of a thousand classes are mostly smaller than one step of an 8-bit output, so two
files are compared by their scores. A copy of the file in which the softmax's input is the output
gives them at full speed: one number of the flatbuffer is changed.
"""

from __future__ import annotations

import struct
from typing import Any

from dlkit.runtime.inspection import operation_name

# Operations between a softmax and the output that only change the number format.
_FORMAT_ONLY = {"QUANTIZE", "DEQUANTIZE"}


def with_scores_as_outputs(content: bytes) -> tuple[bytes, frozenset[int]]:
    """`content` (a whole .tflite file) with the softmax that comes last bypassed, and for which outputs there was one.

    Several outputs may end in one each.
    """
    bypassed = set()
    for position in range(_main_graph(content)[1].OutputsLength()):
        name, its_input = last_operation(content, position)
        if name == "SOFTMAX":
            content = _with_output(content, position, its_input)
            bypassed.add(position)
    return content, frozenset(bypassed)


def last_operation(content: bytes, position: int = 0) -> tuple[str, int]:
    """The name of the operation that computes an output, and the number of its first input tensor."""
    model, graph = _main_graph(content)
    producers = {}
    for i in range(graph.OperatorsLength()):
        operator = graph.Operators(i)
        for j in range(operator.OutputsLength()):
            producers[operator.Outputs(j)] = operator
    tensor = graph.Outputs(position)
    while (operator := producers.get(tensor)) is not None:
        tensor = operator.Inputs(0)
        name = operation_name(model.OperatorCodes(operator.OpcodeIndex()))
        if name not in _FORMAT_ONLY:
            return name, tensor
    return "", tensor


def gives_probabilities(content: bytes, position: int = 0) -> bool:
    """Whether what a whole .tflite file answers is between 0 and 1 by construction: softmax or sigmoid comes last."""
    return last_operation(content, position)[0] in ("SOFTMAX", "LOGISTIC")


def _main_graph(content: bytes) -> tuple[Any, Any]:
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(content, 0)
    return model, model.Subgraphs(0)


def _with_output(content: bytes, position: int, tensor: int) -> bytes:
    """`content` with `tensor` as an output of the main subgraph (field 2 of the schema's SubGraph)."""
    table = _main_graph(content)[1]._tab
    place = table.Vector(table.Offset(8)) + 4 * position
    return content[:place] + struct.pack("<i", tensor) + content[place + 4 :]
