"""How many bytes of a .tflite file are the constants of which layer."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlkit.conversion.layer_names import operations
from dlkit.errors import ModelFileError
from dlkit.filing import read_file
from dlkit.runtime.inspection import FUSED_LSTM, LARGEST_BYTES, MALFORMED, inspect_model, read_model


@dataclasses.dataclass(frozen=True)
class LayerSize:
    """One layer of a file.

    Attributes:
        layer: its name, or that of an operation that no layer is known of.
        operation: the first of its operations that holds constants, else its first.
        bytes: of the constants that its operations are the first to read.
    """

    layer: str
    operation: str
    bytes: int


@dataclasses.dataclass(frozen=True)
class FileSizes:
    """Where the bytes of a .tflite file are.

    Attributes:
        layers: in the order of the network.
        rest: bytes of everything else: structure, names, metadata.
    """

    layers: tuple[LayerSize, ...]
    rest: int


def sizes_of(tflite: Path, names: Sequence[str], recurrent: Sequence[str] = ()) -> FileSizes:
    """The bytes of each layer. Raises ModelFileError if it is no whole .tflite file.

    Args:
        names: of the layers, where they are known.
        recurrent: of those that are one fused operation each, in order; in integers none of its tensors names them.
    """
    content = read_file(tflite, LARGEST_BYTES)
    inspect_model(content, str(tflite))
    try:
        return _sizes(content, tflite, names, recurrent)
    except MALFORMED:
        raise ModelFileError(f"{tflite}: the .tflite file is cut short or corrupt; export the bundle again") from None


def _sizes(content: bytes, tflite: Path, names: Sequence[str], recurrent: Sequence[str]) -> FileSizes:
    model = read_model(content)
    graph = model.Subgraphs(0)
    counted: set[int] = set()
    found: dict[str, LayerSize] = {}
    made = operations(tflite, names)
    fused = [number for number, operation in enumerate(made) if operation.name == FUSED_LSTM]
    known_fused = dict(zip(fused, recurrent, strict=True)) if len(fused) == len(recurrent) else {}
    for number, operation in enumerate(made):
        operator = graph.Operators(number)
        layer = next(iter(operation.layers), "") or operation.name.lower().replace("_", " ")
        layer = known_fused.get(number, layer)
        own = sum(_constant_bytes(model, graph, operator.Inputs(i), counted) for i in range(operator.InputsLength()))
        known = found.get(layer, LayerSize(layer, operation.name, 0))
        first = known.operation if known.bytes or not own else operation.name
        found[layer] = LayerSize(layer, first, known.bytes + own)
    layers = tuple(found.values())
    return FileSizes(layers, max(0, len(content) - sum(each.bytes for each in layers)))


def _constant_bytes(model: Any, graph: Any, tensor: int, counted: set[int]) -> int:
    """Of a tensor that is a constant, the first time that it is read; 0 of others."""
    if tensor < 0:
        return 0
    place = graph.Tensors(tensor).Buffer()
    if place in counted:
        return 0
    counted.add(place)
    buffer = model.Buffers(place)
    return int(buffer.DataLength() or buffer.Size())
