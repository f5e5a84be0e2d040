"""A copy of a float .tflite file whose activations are all outputs, so that they can be read after each run.

The runtime has a mode that keeps every tensor, but not with XNNPACK's kernels, and those are many
times faster. The list of outputs is the one thing that differs: a longer one is written behind the
file's end, and the offset that leads there is changed. The weights are copied as a file, by the kernel.
"""

from __future__ import annotations

import dataclasses
import mmap
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dlkit.errors import ConversionError
from dlkit.runtime.scores import scores_in

LARGEST_BYTES = 2**31 - 1
"""What the FlatBuffers format and its verifier take."""
_OUTPUTS = 8  # place of `outputs` in the table of a SubGraph, after tensors and inputs (schema.fbs)


@dataclasses.dataclass(frozen=True)
class Exposed:
    """What can be fed to a file and read from it.

    Attributes:
        inputs: name in the signature (of the tensor, where there is no signature) → number of the tensor.
        names: number of each input and activation that holds float32 → its name.
        scores: names of those that a softmax of a β of 1 reads, and nothing else.
    """

    inputs: dict[str, int]
    names: dict[int, str]
    scores: frozenset[str] = frozenset()


def expose_activations(float_tflite: Path, copy: Path) -> Exposed:
    """Write `copy`. Raises ConversionError for a file longer than 2 GB, or whose signature is not of its main graph."""
    from ai_edge_litert import schema_py_generated as schema

    with float_tflite.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        model = schema.Model.GetRootAs(content, 0)
        graph = model.Subgraphs(0)
        inputs = _inputs(model, graph)
        outputs = [graph.Outputs(i) for i in range(graph.OutputsLength())]
        made = list(dict.fromkeys([*outputs, *(n for n in _made(graph) if _holds_floats(graph.Tensors(n)))]))
        names = {n: graph.Tensors(n).Name().decode() for n in (*inputs.values(), *made)}
        floats = {n: name for n, name in names.items() if _holds_floats(graph.Tensors(n))}
        # A smaller β would bring far scores nearer, and calibration cuts them as they are.
        scores = frozenset(names[n] for n, beta in scores_in(model, graph).items() if beta == 1.0 and n in floats)
        field = graph._tab.Pos + graph._tab.Offset(_OUTPUTS)
        del model, graph  # they hold the mapping
    shutil.copyfile(float_tflite, copy)
    end = copy.stat().st_size
    padding = -end % 4
    vector = struct.pack(f"<I{len(made)}i", len(made), *made)
    if end + padding + len(vector) > LARGEST_BYTES:
        raise ConversionError(f"the float file has {end / 1e9:.1f} GB; one of more than 2 GB cannot be calibrated")
    with copy.open("r+b") as written:
        written.seek(field)
        written.write(struct.pack("<I", end + padding - field))
        written.seek(end)
        written.write(bytes(padding) + vector)
    return Exposed(inputs, floats, scores)


def _inputs(model: Any, graph: Any) -> dict[str, int]:
    """Name → tensor, by the signature of the main graph."""
    signatures = [model.SignatureDefs(i) for i in range(model.SignatureDefsLength())]
    for signature in signatures:
        if signature.SubgraphIndex() == 0:
            entries = [signature.Inputs(i) for i in range(signature.InputsLength())]
            return {entry.Name().decode(): entry.TensorIndex() for entry in entries}
    if signatures:
        raise ConversionError("no signature of the float file is of its main graph; it cannot be calibrated")
    numbers = [graph.Inputs(i) for i in range(graph.InputsLength())]
    return {graph.Tensors(n).Name().decode(): n for n in numbers}


def _made(graph: Any) -> Iterator[int]:
    """The tensors that operations write."""
    for i in range(graph.OperatorsLength()):
        operator = graph.Operators(i)
        yield from (operator.Outputs(j) for j in range(operator.OutputsLength()))


def _holds_floats(tensor: Any) -> bool:
    from ai_edge_litert.schema_py_generated import TensorType

    sizes = [tensor.Shape(i) for i in range(tensor.ShapeLength())]
    return tensor.Type() == TensorType.FLOAT32 and not tensor.IsVariable() and 0 not in sizes
