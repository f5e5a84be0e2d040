"""The scores of a classifier: what its last softmax is applied to.

Probabilities of a thousand classes are mostly smaller than one step of an 8-bit output, so two
files are compared by their scores. A copy of the file in which the softmax's input is an output too
gives both in one run at full speed: a longer list of outputs is written behind the file's end, and the
offset that leads to it is changed.
"""

from __future__ import annotations

import mmap
import struct
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.extras import require
from dlkit.runtime.inspection import operation_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Operations between a softmax and the output that only change the number format.
_FORMAT_ONLY = {"QUANTIZE", "DEQUANTIZE"}


def with_scores_beside(content: bytes) -> tuple[bytes, dict[int, float]]:
    """`content` (a whole .tflite file) with what goes into a last softmax as further outputs.

    Returns:
        The file, and the places of the outputs that end in a softmax, in the order of the outputs it gained, with its
        β: the scores times β are its exponents.
    """
    graph = _main_graph(content)[1]
    ends = [_last_operator(content, place) for place in range(graph.OutputsLength())]
    softmaxes = {place: end for place, (name, end) in enumerate(ends) if name == "SOFTMAX"}
    if not softmaxes:
        return content, {}
    outputs = [graph.Outputs(i) for i in range(graph.OutputsLength())]
    outputs += [operator.Inputs(0) for operator in softmaxes.values()]
    field = graph._tab.Pos + graph._tab.Offset(8)  # `outputs` is field 2 of the schema's SubGraph
    padding = -len(content) % 4
    vector = struct.pack(f"<I{len(outputs)}i", len(outputs), *outputs)
    offset, view = struct.pack("<I", len(content) + padding - field), memoryview(content)
    betas = {place: _beta(operator) for place, operator in softmaxes.items()}
    return b"".join([view[:field], offset, view[field + 4 :], bytes(padding), vector]), betas


def scores_of(tflite: Path) -> dict[str, float]:
    """Name of each tensor of a whole file's main subgraph that is scores, see `scores_in` → β."""
    schema = require("ai_edge_litert.schema_py_generated")
    with tflite.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        model = schema.Model.GetRootAs(mapped, 0)
        graph = model.Subgraphs(0)
        return {(graph.Tensors(n).Name() or b"").decode(): beta for n, beta in scores_in(model, graph).items()}


def scores_in(model: Any, graph: Any) -> dict[int, float]:
    """Number of each tensor of `graph` that softmax operations of one β read, and nothing and no one else → that β."""
    read: defaultdict[int, set[float | None]] = defaultdict(set)
    for operator in (graph.Operators(i) for i in range(graph.OperatorsLength())):
        softmax = operation_name(model.OperatorCodes(operator.OpcodeIndex())) == "SOFTMAX"
        for i in range(operator.InputsLength()):
            read[operator.Inputs(i)].add(_beta(operator) if softmax else None)
    for i in range(graph.OutputsLength()):
        read[graph.Outputs(i)].add(None)
    alone = {tensor: next(iter(found)) for tensor, found in read.items() if len(found) == 1 and tensor >= 0}
    return {tensor: beta for tensor, beta in alone.items() if beta is not None}


def _beta(softmax: Any) -> float:
    """What a SOFTMAX operator multiplies scores by; 0 where the file does not say, as the runtime has it."""
    from ai_edge_litert.schema_py_generated import SoftmaxOptions

    if (table := softmax.BuiltinOptions()) is None:
        return 0.0
    options = SoftmaxOptions()
    options.Init(table.Bytes, table.Pos)
    return float(options.Beta())


def _last_operator(content: bytes, position: int) -> tuple[str, Any]:
    """The operation that computes an output, by name and in the file; "" and None where there is none."""
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
            return name, operator
    return "", None


def gives_probabilities(content: bytes, position: int = 0) -> bool:
    """Whether what a whole .tflite file answers is between 0 and 1 by construction: softmax or sigmoid comes last."""
    return _last_operator(content, position)[0] in ("SOFTMAX", "LOGISTIC")


def are_probabilities(values: NDArray[np.float32]) -> bool:
    """Whether samples (N, ...) look like a softmax or a sigmoid: from 0 to 1, and several classes add up to 1."""
    if not (values.min() >= 0 and values.max() <= 1):
        return False
    return values[0].size == 1 or bool(np.allclose(values.sum(axis=-1), 1.0, atol=1e-2))


def _main_graph(content: bytes) -> tuple[Any, Any]:
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(content, 0)
    return model, model.Subgraphs(0)
