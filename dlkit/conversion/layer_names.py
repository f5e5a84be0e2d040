"""Which Keras layer an operation of a .tflite file came from, by the names of its tensors.

The converter names a tensor by the scopes it was computed in, `net_1/conv1_1/convolution`, and joins with ";" the
names of what it folded into one operation. A scope is the layer's name and "_1", "_2" … where it was entered
before. The network's outputs ("StatefulPartitionedCall:0") and fused operations ("tfl.…") have no such name.
"""

from __future__ import annotations

import dataclasses
import mmap
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dlkit.conversion.kinds import kind_of
from dlkit.conversion.legacy_keras import config_of
from dlkit.extras import require
from dlkit.runtime.inspection import operation_name

_ENTERED_AGAIN = re.compile(r"_\d+$")
_WEIGHTED = re.compile(r"(convolution|depthwise|separable_conv2d|conv_transpose|matmul|einsum)(_?\d+)*$", re.IGNORECASE)
"""What a layer with weights computes; of several layers folded into one operation, that one is named."""


@dataclasses.dataclass(frozen=True)
class Operation:
    """An operation of the main subgraph.

    Attributes:
        name: in the schema's spelling.
        layers: names of the layers it came from, the one with weights first; () where no name tells.
        reads: tensors it reads that another operation or the network's user gave.
        writes: tensors it writes.
    """

    name: str
    layers: tuple[str, ...]
    reads: tuple[str, ...]
    writes: tuple[str, ...]

    @property
    def scope(self) -> str:
        """What litert-quantizer's rules are matched with: its tensors, cut after 10,000 characters."""
        return "".join(f"{tensor};" for tensor in (self.writes or self.reads) if tensor)[:10000]


def layer_names(model: Path) -> tuple[str, ...]:
    """Names of the layers in a .keras or .h5 file, of the models inside it too, in its order; () of other kinds."""
    if kind_of(model) not in ("keras", "h5"):
        return ()
    config, _ = config_of(model)
    return tuple(dict.fromkeys(_names_in(config.get("config", {}))))


def layer_classes(model: Path) -> frozenset[str]:
    """Names of the classes of the layers in a .keras or .h5 file, of those inside others too; none of other kinds."""
    if kind_of(model) not in ("keras", "h5"):
        return frozenset()
    left: list[Any] = [config_of(model)[0].get("config", {})]
    found = set()
    while left:
        table = left.pop()
        if isinstance(table, Mapping):
            found.add(str(table.get("class_name", "")))
            left += table.values()
        elif isinstance(table, list):
            left += table
    return frozenset(found - {""})


def _names_in(config: Mapping[str, Any]) -> Iterator[str]:
    for layer in config.get("layers", []):
        inner = layer.get("config", {})
        yield layer.get("name") or inner.get("name", "")
        yield from _names_in(inner)


def layers_of(tensor: str, names: Collection[str]) -> tuple[str, ...]:
    """The layers among `names` that a tensor's name speaks of, each once, in the order of its parts.

    >>> layers_of("net_1/relu_1/Relu;net_1/conv_1/BiasAdd;net_1/conv_1/convolution", {"conv", "relu"})
    ('relu', 'conv')
    """
    found = [_layer_in(part, names) for part in tensor.split(";")]
    return tuple(dict.fromkeys(name for name in found if name))


def layer_of(tensor: str, names: Collection[str]) -> str:
    """The one layer a tensor's name speaks of: of several, the first that has weights, else the first; "" if none.

    >>> layer_of("net_1/relu_1/Relu;net_1/conv_1/BiasAdd;net_1/conv_1/convolution", {"conv", "relu"})
    'conv'
    """
    weighted = [part for part in tensor.split(";") if _WEIGHTED.search(part)]
    found = layers_of(";".join(weighted), names) or layers_of(tensor, names)
    return found[0] if found else ""


def _layer_in(part: str, names: Collection[str]) -> str:
    """The innermost layer in one part of a tensor's name; its last component is the operation's own."""
    *scopes, _ = part.split("/")
    again = bool(scopes) and bool(_ENTERED_AGAIN.search(scopes[0]))
    for scope in reversed(scopes):
        bare = _ENTERED_AGAIN.sub("", scope)
        # Where the model's own scope was entered before, so were its layers': "conv_1" is "conv", again.
        for name in (bare, scope) if again else (scope, bare):
            if name in names:
                return name
    return ""


def operations(tflite: Path, names: Sequence[str]) -> list[Operation]:
    """The operations of a whole file's main subgraph, in order, with the layers they came from.

    One whose own tensors tell nothing belongs to the layer whose weights or state it reads, else to the layer of
    what it reads: a softmax at the end to the layer before it. One that reads the network's input alone, as the first
    LSTM of a network does, then belongs to the layer that reads what it gives.

    Args:
        names: of the layers. Without any, the second component of a tensor's name is taken for one.
    """
    schema = require("ai_edge_litert.schema_py_generated")
    with tflite.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        model = schema.Model.GetRootAs(mapped, 0)
        graph = model.Subgraphs(0)
        tensors = [graph.Tensors(i) for i in range(graph.TensorsLength())]
        called = [(tensor.Name() or b"").decode("utf-8") for tensor in tensors]
        entries = {called[graph.Inputs(i)] for i in range(graph.InputsLength())}
        known = set(names) or {_second_scope(name) for name in called} - {""}
        found: list[Operation] = []
        made_by: dict[str, Operation] = {}
        for operator in (graph.Operators(i) for i in range(graph.OperatorsLength())):
            inputs = [called[number] for i in range(operator.InputsLength()) if (number := operator.Inputs(i)) != -1]
            reads = tuple(tensor for tensor in inputs if tensor in made_by or tensor in entries)
            weights = [tensor for tensor in inputs if tensor not in reads]
            writes = tuple(called[operator.Outputs(i)] for i in range(operator.OutputsLength()))
            before = [made_by[name].layers for name in reads if name in made_by]
            layers = _layers(writes, known) or _layers(weights, known) or next(iter(before), ())
            name = operation_name(model.OperatorCodes(operator.OpcodeIndex()))
            found.append(Operation(name, layers, reads, writes))
            made_by.update(dict.fromkeys(writes, found[-1]))
        return _with_layers_of_readers(found)


def _with_layers_of_readers(made: Sequence[Operation]) -> list[Operation]:
    """Operations that nothing told a layer of get that of what reads them."""
    read_by: dict[str, tuple[str, ...]] = {}
    found = []
    for operation in reversed(made):
        readers = (read_by[tensor] for tensor in operation.writes if tensor in read_by)
        found.append(operation if operation.layers else dataclasses.replace(operation, layers=next(readers, ())))
        read_by.update(dict.fromkeys(operation.reads, found[-1].layers))
    return found[::-1]


def _layers(tensors: Sequence[str], names: Collection[str]) -> tuple[str, ...]:
    main = [layer_of(tensor, names) for tensor in tensors]
    others = [name for tensor in tensors for name in layers_of(tensor, names)]
    return tuple(dict.fromkeys(name for name in [*main, *others] if name))


def _second_scope(tensor: str) -> str:
    _, *scopes = tensor.split(";")[0].split("/")
    return _ENTERED_AGAIN.sub("", scopes[0]) if len(scopes) > 1 else ""
