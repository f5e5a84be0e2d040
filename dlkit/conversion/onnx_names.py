"""Names inside an ONNX model that are the same each time; those tf2onnx gives count on in an order that varies."""

from __future__ import annotations

from typing import Any


def name_in_order(graph: Any) -> None:
    """Name every tensor and node of a graph by the place of its first use; inputs and outputs keep theirs.

    Constants are put into that order too. Loops and branches may refer to tensors around them, so all names
    of a model are of one series.
    """
    names = {end.name: end.name for end in (*graph.input, *graph.output)}
    _rename(graph, names)
    for end in (*graph.input, *graph.output):
        end.type.tensor_type.shape.dim[0].dim_param = "batch"


def _rename(graph: Any, names: dict[str, str]) -> None:
    def new(name: str) -> str:
        return names.setdefault(name, f"t{len(names)}") if name else ""

    for end in graph.input:
        end.name = new(end.name)
    for number, node in enumerate(graph.node):
        node.name = f"{node.op_type}_{number}"
        node.ClearField("doc_string")
        for ends in (node.input, node.output):
            ends[:] = [new(name) for name in ends]
        for attribute in node.attribute:
            for inner in ([attribute.g] if attribute.HasField("g") else []) + list(attribute.graphs):
                inner.name = f"{node.name}_{attribute.name}"
                _rename(inner, names)
    for end in graph.output:
        end.name = new(end.name)
    del graph.value_info[:]  # shapes in between, which a runtime infers
    place = {name: number for number, name in enumerate(names.values())}
    constants = sorted(graph.initializer, key=lambda constant: place.get(new(constant.name), len(place)))
    kept = [type(constant).FromString(constant.SerializeToString()) for constant in constants]
    for constant in kept:
        constant.name = new(constant.name)
        constant.ClearField("doc_string")
    del graph.initializer[:]
    graph.initializer.extend(kept)
    graph.ClearField("doc_string")
