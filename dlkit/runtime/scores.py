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


def with_scores_as_output(content: bytes) -> bytes:
    """`content` (a whole .tflite file) with its last softmax bypassed; unchanged if it ends otherwise."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(content, 0)
    graph = model.Subgraphs(0)
    producers = {}
    for i in range(graph.OperatorsLength()):
        operator = graph.Operators(i)
        for j in range(operator.OutputsLength()):
            producers[operator.Outputs(j)] = operator
    tensor = graph.Outputs(0)
    while (operator := producers.get(tensor)) is not None:
        tensor = operator.Inputs(0)
        name = operation_name(model.OperatorCodes(operator.OpcodeIndex()))
        if name == "SOFTMAX":
            return _with_output(content, graph, tensor)
        if name not in _FORMAT_ONLY:
            break
    return content


def _with_output(content: bytes, graph: Any, tensor: int) -> bytes:
    """`content` with `tensor` as the main subgraph's first output (field 2 of the schema's SubGraph)."""
    table = graph._tab
    place = table.Vector(table.Offset(8))
    return content[:place] + struct.pack("<i", tensor) + content[place + 4 :]
