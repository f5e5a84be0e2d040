"""The scores of a classifier: what its last softmax is applied to.

Probabilities of a thousand classes are mostly smaller than one step of an 8-bit output, so two
files are compared by their scores. A copy of the file in which the softmax's input is an output too
gives both in one run at full speed: a longer list of outputs is written behind the file's end, and the
offset that leads to it is changed.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.runtime.inspection import operation_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Operations between a softmax and the output that only change the number format.
_FORMAT_ONLY = {"QUANTIZE", "DEQUANTIZE"}


def with_scores_beside(content: bytes) -> tuple[bytes, tuple[int, ...]]:
    """`content` (a whole .tflite file) with what goes into a last softmax as further outputs.

    Returns:
        The file, and the places of the outputs that end in a softmax, in the order of the outputs it gained.
    """
    graph = _main_graph(content)[1]
    ends = [last_operation(content, place) for place in range(graph.OutputsLength())]
    places = tuple(place for place, (name, _) in enumerate(ends) if name == "SOFTMAX")
    if not places:
        return content, ()
    outputs = [graph.Outputs(i) for i in range(graph.OutputsLength())] + [ends[place][1] for place in places]
    field = graph._tab.Pos + graph._tab.Offset(8)  # `outputs` is field 2 of the schema's SubGraph
    padding = -len(content) % 4
    vector = struct.pack(f"<I{len(outputs)}i", len(outputs), *outputs)
    offset, view = struct.pack("<I", len(content) + padding - field), memoryview(content)
    return b"".join([view[:field], offset, view[field + 4 :], bytes(padding), vector]), places


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


def are_probabilities(values: NDArray[np.float32]) -> bool:
    """Whether samples (N, ...) look like a softmax or a sigmoid: from 0 to 1, and several classes add up to 1."""
    if not (values.min() >= 0 and values.max() <= 1):
        return False
    return values[0].size == 1 or bool(np.allclose(values.sum(axis=-1), 1.0, atol=1e-2))


def _main_graph(content: bytes) -> tuple[Any, Any]:
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(content, 0)
    return model, model.Subgraphs(0)
