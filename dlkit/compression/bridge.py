"""A Keras 3 model and its twin of tf_keras, which is what TensorFlow's optimization toolkit reads; weights both ways.

The twin is made layer by layer from what the model's public configuration says; what tf_keras does not have, or has in
another way, is refused by name. Both are given the same random inputs, and a twin that answers otherwise is refused.
Models inside a model are taken apart; each of the twin's layers has a name of its own, for the toolkit looks up layers
by name, also by names it makes itself (it loops for ever on a layer called "conv2d").
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.compression.kernels import Kernel, kernels_of
from dlkit.compression.twin_layers import INSTEAD, gives_its_first_input, operation_twin, refusal, twins_of
from dlkit.errors import IllegalCombination
from dlkit.frameworks import keras

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOLERANCE = 1e-4
"""By how much of its largest output a model's twin may answer otherwise."""
COMPARED, UNKNOWN_SIDE = 3, 32
"""Random inputs for that, and the length taken for a side that may have any."""


@dataclasses.dataclass(frozen=True)
class Tensor:
    """What a call of the twin takes or gives, by number."""

    number: int


@dataclasses.dataclass(frozen=True)
class Call:
    """One layer applied once.

    Attributes:
        layer: its name in the twin.
        given: a tensor or a list of tensors.
        options: what else it is called with, such as training=False.
        made: tensors that it gives.
    """

    layer: str
    given: Tensor | list[Tensor]
    options: dict[str, Any]
    made: tuple[Tensor, ...]

    @property
    def takes(self) -> list[Tensor]:
        return self.given if isinstance(self.given, list) else [self.given]


@dataclasses.dataclass(frozen=True)
class Pair:
    """A layer with weights and what stands for it.

    Attributes:
        name: of the Keras 3 layer; of one in a model inside the model, with that one's name and a slash before.
        layer: of Keras 3.
        twins: of tf_keras, one behind the other.
        variables: of the twins, in the order of the layer's weights.
    """

    name: str
    layer: Any
    twins: tuple[Any, ...]
    variables: tuple[Any, ...]


@dataclasses.dataclass
class Twin:
    """The network in tf_keras, as calls from which models can be put together that share its layers.

    Attributes:
        model: the Keras 3 model.
        inputs: what is fed in, in the order of the model's inputs, with shape (with batch) and dtype.
        calls: in an order in which they can be made.
        outputs: in the order of the model's outputs.
        layers: by name in the twin.
        names: of the Keras 3 layers, by name in the twin.
        pairs: those of `layers` that have weights, with what they stand for.
    """

    model: Any
    inputs: list[tuple[Tensor, tuple[int | None, ...], str]] = dataclasses.field(default_factory=list)
    calls: list[Call] = dataclasses.field(default_factory=list)
    outputs: list[Tensor] = dataclasses.field(default_factory=list)
    layers: dict[str, Any] = dataclasses.field(default_factory=dict)
    names: dict[str, str] = dataclasses.field(default_factory=dict)
    pairs: list[Pair] = dataclasses.field(default_factory=list)

    @property
    def kernels(self) -> list[Kernel]:
        """Of all layers, in the order of the network."""
        return [kernel for pair in self.pairs for twin in pair.twins for kernel in kernels_of(twin, pair.name)]

    def assembled(
        self,
        wrapped: Mapping[str, Any] | None = None,
        entry: Callable[[Any, int], Any] = lambda tensor, _: tensor,
        outputs: Sequence[Tensor] = (),
    ) -> Any:
        """A model of tf_keras of the twin's layers.

        Args:
            wrapped: name in the twin → what is called in place of the layer.
            entry: what becomes of the tensor of an input, by number of the input.
            outputs: what the model gives; those of the network by default.
        """
        import tf_keras

        fed = [tf_keras.Input(batch_shape=shape, dtype=dtype) for _, shape, dtype in self.inputs]
        values = {tensor: entry(x, at) for at, (x, (tensor, _, _)) in enumerate(zip(fed, self.inputs, strict=True))}
        for call in self.calls:
            layer = (wrapped or {}).get(call.layer, self.layers[call.layer])
            given = [values[tensor] for tensor in call.takes]
            try:
                made = layer(given if isinstance(call.given, list) else given[0], **call.options)
            except (TypeError, ValueError) as error:
                first = next(iter(str(error).strip().splitlines()), type(error).__name__)
                raise refusal(self.names[call.layer], f"tf_keras says of it: {first}") from error
            values |= zip(call.made, made if isinstance(made, list | tuple) else [made], strict=True)
        given = [values[tensor] for tensor in outputs or self.outputs]
        return tf_keras.Model(fed, given[0] if len(given) == 1 else given)

    def take_back(self) -> None:
        """Give the Keras 3 model the weights of the twin."""
        for pair in self.pairs:
            pair.layer.set_weights([variable.numpy() for variable in pair.variables])

    def consumers(self, tensor: Tensor) -> list[Call]:
        return [call for call in self.calls if tensor in call.takes]


def twin_of(model: Any) -> Twin:
    """The twin of a Keras 3 model, with its weights.

    Raises:
        IllegalCombination: the model is no graph of layers, or one of them cannot be in a twin.
    """
    made = _Making(Twin(model))
    made.whole()
    twin = made.twin
    whole = twin.assembled()
    made.pair_up()
    _compare(model, whole)
    return twin


class _Making:
    """A twin as it grows."""

    def __init__(self, twin: Twin) -> None:
        self.twin, self.count = twin, 0
        self.made: dict[str, list[str]] = {}
        self.originals: dict[str, Any] = {}

    def whole(self) -> None:
        model = self.twin.model
        if not isinstance(model, keras.Sequential | keras.Model) or not _is_graph(model):
            raise IllegalCombination(
                f"{type(model).__name__} {model.name!r} is no graph of layers, as Sequential and functional models "
                f"are, and cannot be fine-tuned for compression; {INSTEAD}"
            )
        fed = []
        for given in model.inputs:
            fed.append(self.new())
            self.twin.inputs.append((fed[-1], tuple(given.shape), str(given.dtype)))
        self.twin.outputs.extend(self.inside(model, fed, ""))
        self.leave_out_what_leads_nowhere()

    def new(self) -> Tensor:
        self.count += 1
        return Tensor(self.count)

    def inside(self, model: Any, fed: list[Tensor], prefix: str) -> list[Tensor]:
        """The calls that a model makes; its outputs."""
        if isinstance(model, keras.Sequential):
            [x] = fed
            for layer in model.layers:
                [x] = self.applied(layer, x, {}, prefix)
            return [x]
        config = model.get_config()
        known: dict[tuple[str, int, int], Tensor] = dict(zip(_ends(config["input_layers"]), fed, strict=True))
        waiting = [(entry, at) for entry in config["layers"] for at in range(len(entry["inbound_nodes"]))]
        while waiting:
            left = [(entry, at) for entry, at in waiting if not self.node(model, entry, at, known, prefix)]
            if len(left) == len(waiting):
                raise refusal(left[0][0]["name"], "what it reads is not in the model's configuration")
            waiting = left
        return [known[end] for end in _ends(config["output_layers"])]

    def node(self, model: Any, entry: dict[str, Any], at: int, known: dict[Any, Tensor], prefix: str) -> bool:
        """Make one call of a layer or an operation; False if what it reads is not there yet."""
        node, name = entry["inbound_nodes"][at], entry["name"]
        tensors: list[Tensor] = []
        numbers: list[Any] = []
        for each in _leaves(node["args"]):
            if not _is_tensor(each):
                numbers.append(each)
            elif (end := _end(each)) in known:
                tensors.append(known[end])
            else:
                return False
        options = {key: value for key, value in node["kwargs"].items() if value is not None}
        if set(options) - {"training"} or any(_is_tensor(leaf) for leaf in _leaves(list(options.values()))):
            raise refusal(name, f"it is called with {', '.join(sorted(options))}")
        layer = next((layer for layer in model.layers if layer.name == name), None)
        many = isinstance(node["args"][0], list) or len(tensors) > 1
        given: Any = tensors if many else tensors[0]
        if layer is None:
            made = self.operated(entry, given, numbers, prefix)
        elif numbers:
            raise refusal(name, f"it is called with {numbers[0]!r}")
        elif len(node["args"]) > 1:
            raise refusal(name, "it is called with several arguments")
        else:
            made = self.applied(layer, given, options, prefix)
        known.update({(name, at, index): tensor for index, tensor in enumerate(made)})
        return True

    def applied(self, layer: Any, given: Any, options: dict[str, Any], prefix: str) -> list[Tensor]:
        """A layer, or all layers of a model."""
        path = prefix + layer.name
        if isinstance(layer, keras.Model):
            if not _is_graph(layer):
                raise refusal(path, "it is a model that is no graph of layers")
            return self.inside(layer, given if isinstance(given, list) else [given], f"{path}/")
        if gives_its_first_input(layer):
            return given[:1]
        if path not in self.made:
            twins = twins_of(layer, self.name_for(layer.name), path)
            self.add(path, twins)
            self.originals[path] = layer
        outputs = len(layer.output) if isinstance(layer.output, list | tuple) else 1
        for place, name in enumerate(self.made[path]):
            last = place == len(self.made[path]) - 1
            made = tuple(self.new() for _ in range(outputs if last else 1))
            self.twin.calls.append(Call(name, given, options, made))
            given = made[0]
        return list(made)

    def operated(self, entry: dict[str, Any], given: Any, numbers: list[Any], prefix: str) -> list[Tensor]:
        path = prefix + entry["name"]
        if path not in self.made:
            self.add(path, [operation_twin(entry, numbers, self.name_for(entry["name"]))])
        made = (self.new(),)
        self.twin.calls.append(Call(self.made[path][0], given, {}, made))
        return list(made)

    def add(self, path: str, twins: list[Any]) -> None:
        self.made[path] = [twin.name for twin in twins]
        for twin in twins:
            self.twin.layers[twin.name], self.twin.names[twin.name] = twin, path

    def leave_out_what_leads_nowhere(self) -> None:
        """Drop the layers that no output needs outside training: no file has them, so nothing is promised of them."""
        needed, calls = set(self.twin.outputs), []
        for call in reversed(self.twin.calls):
            if needed & set(call.made):
                needed |= set(call.takes)
                calls.append(call)
        self.twin.calls = calls[::-1]
        used = {call.layer for call in calls}
        for names in (self.twin.layers, self.twin.names):
            for name in names.keys() - used:
                del names[name]
        self.originals = {path: one for path, one in self.originals.items() if used & set(self.made[path])}

    def name_for(self, name: str) -> str:
        """Unique, and none that the toolkit or TensorFlow might take for another."""
        return f"twin{len(self.twin.layers)}_{re.sub(r'[^A-Za-z0-9]', '_', name)}"

    def pair_up(self) -> None:
        """Copy the weights into the twin, whose layers are built by now."""
        for path, layer in self.originals.items():
            twins = tuple(self.twin.layers[name] for name in self.made[path])
            variables, values = [v for twin in twins for v in twin.weights], layer.get_weights()
            if [tuple(v.shape) for v in variables] != [value.shape for value in values]:
                raise refusal(path, f"its weights have other shapes in tf_keras ({type(layer).__name__})")
            if variables:
                for variable, value in zip(variables, values, strict=True):
                    variable.assign(value)
                self.twin.pairs.append(Pair(path, layer, twins, tuple(variables)))


def _is_graph(model: Any) -> bool:
    return isinstance(model, keras.Sequential) or type(model).__name__ == "Functional"


def _ends(structure: Any) -> list[tuple[str, int, int]]:
    """The places of a model's inputs or outputs, in the order in which Keras numbers them."""
    if isinstance(structure, dict):
        return [end for key in sorted(structure) for end in _ends(structure[key])]
    if len(structure) == 3 and isinstance(structure[0], str):
        return [(structure[0], structure[1], structure[2])]
    return [end for each in structure for end in _ends(each)]


def _leaves(structure: Any) -> list[Any]:
    if isinstance(structure, list | tuple):
        return [leaf for each in structure for leaf in _leaves(each)]
    return [structure]


def _is_tensor(leaf: Any) -> bool:
    return isinstance(leaf, dict) and leaf.get("class_name") == "__keras_tensor__"


def _end(leaf: dict[str, Any]) -> tuple[str, int, int]:
    name, node, index = leaf["config"]["keras_history"]
    return name, node, index


def _compare(model: Any, twin: Any) -> None:
    """Raise IllegalCombination unless both answer random inputs alike."""
    rng = np.random.default_rng(0)
    inputs = [_random(rng, given) for given in model.inputs]
    fed: Any = inputs[0] if len(inputs) == 1 else inputs
    wanted, found = model(_structured(model, inputs), training=False), twin(fed, training=False)
    for one, other in zip(keras.tree.flatten(wanted), keras.tree.flatten(found), strict=True):
        expected, given = np.asarray(one), np.asarray(other)
        gap, largest = float(np.abs(expected - given).max()), float(np.abs(expected).max())
        if not gap <= TOLERANCE * max(largest, 1e-6):
            raise IllegalCombination(
                f"the network in tf_keras, where it is fine-tuned for compression, answers otherwise than in Keras 3, "
                f"by {gap:.3g} of {largest:.3g}; {INSTEAD}"
            )


def _random(rng: np.random.Generator, given: Any) -> NDArray[Any]:
    shape = [COMPARED if given.shape[0] is None else given.shape[0], *given.shape[1:]]
    sides = [UNKNOWN_SIDE if side is None else side for side in shape]
    if "int" in str(given.dtype):
        return rng.integers(0, 2, sides).astype(str(given.dtype))
    return rng.standard_normal(sides).astype(np.float32)


def _structured(model: Any, inputs: list[NDArray[Any]]) -> Any:
    """Inputs as the model itself takes them."""
    structure = None if isinstance(model, keras.Sequential) else model.get_config()["input_layers"]
    if isinstance(structure, dict):
        return dict(zip(sorted(structure), inputs, strict=True))
    return inputs[0] if len(inputs) == 1 else inputs
