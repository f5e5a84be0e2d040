"""What the inputs and outputs of a .tflite file are called: by its signature and by their tensors."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

from dlkit.extras import require

Named = tuple[tuple[str, ...], tuple[int, ...]]
"""Names of a tensor, the best first, and its shape."""


def tensor_names(tflite: Path) -> tuple[list[Named], list[Named]]:
    """Of the inputs and of the outputs of the main subgraph, in its order, for a whole file."""
    schema = require("ai_edge_litert.schema_py_generated")
    with tflite.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        model = schema.Model.GetRootAs(mapped, 0)
        graph = model.Subgraphs(0)
        inputs, outputs = _by_signature(model)
        numbers = [graph.Inputs(i) for i in range(graph.InputsLength())]
        results = [graph.Outputs(i) for i in range(graph.OutputsLength())]
        return [_named(graph, n, inputs) for n in numbers], [_named(graph, n, outputs) for n in results]


def _named(graph: Any, number: int, by_signature: dict[int, str]) -> Named:
    tensor = graph.Tensors(number)
    own = (tensor.Name() or b"").decode("utf-8")
    names = (by_signature[number], own) if number in by_signature else (own,)
    return names, tuple(int(tensor.Shape(i)) for i in range(tensor.ShapeLength()))


def _by_signature(model: Any) -> tuple[dict[int, str], dict[int, str]]:
    """Number of a tensor → its name in the first signature; of inputs and of outputs."""
    if not model.SignatureDefsLength():
        return {}, {}
    signature = model.SignatureDefs(0)
    inputs = [signature.Inputs(i) for i in range(signature.InputsLength())]
    outputs = [signature.Outputs(i) for i in range(signature.OutputsLength())]
    read, write = ({m.TensorIndex(): m.Name().decode("utf-8") for m in maps} for maps in (inputs, outputs))
    return read, write
