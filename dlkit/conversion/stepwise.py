"""A recurrent network as it runs on a stream: one step and the states in, the answer and the next states out.

The cells of the recurrent layers are called once each, so there is no loop: a step is made of the same
products and sums as a dense network, and every scheme has them. Runs in a child process.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from dlkit.conversion.batches import read_batch
from dlkit.conversion.named_ends import input_names, output_names
from dlkit.conversion.tflite import load_model
from dlkit.errors import ConversionError
from dlkit.frameworks import keras
from dlkit.progress import Advance
from dlkit.runtime.arrays import write_npz
from dlkit.runtime.litert import Session
from dlkit.runtime.streaming import Stream

LETTERS = ("h", "c")
"""Of the states: what a layer gives, and an LSTM's memory."""
EACH_STEP = {
    "Activation", "ActivityRegularization", "Add", "AlphaDropout", "Average", "BatchNormalization", "Concatenate",
    "Dense", "Dropout", "ELU", "GaussianDropout", "GaussianNoise", "Identity", "LayerNormalization", "LeakyReLU",
    "Maximum", "Minimum", "Multiply", "Normalization", "ReLU", "Rescaling", "Softmax", "SpatialDropout1D", "Subtract",
}  # fmt: skip
"""Layers that treat every step of a sequence alike, if it is along the last axis that they work."""


INSIST_ON_AXES = {"BatchNormalization", "Normalization", "SpatialDropout1D"}
"""Of these, the layers that take as many axes as they were built with."""


def make_stepwise(model: str, keras_file: str, facts: str, advance: Advance, custom: str = "") -> None:
    """Write the network of one step of a recurrent one.

    Args:
        model: the .keras or .h5 file.
        keras_file: .keras file for the result.
        facts: .json file for "input", the name of the step; "states", name → "next" and "shape"; "outputs",
            name in the step's network → name in the whole one; and "sequences", the outputs that have a step axis.
        custom: what `custom_code.as_argument` gave.

    Raises:
        ConversionError: it has no recurrent layer, or a layer that needs more than the step it is at.
    """
    made, told = stepwise(load_model(Path(model), custom))
    made.save(keras_file)
    Path(facts).write_text(json.dumps(told), encoding="utf-8")


def run_stream(tflite: str, sequences: str, facts: str, outputs: str, seen: str, advance: Advance) -> None:
    """Run a step's file over sequences, each from states of zeros.

    Args:
        sequences: .npz of network inputs, (N, steps, features).
        outputs: .npz for the answers by the whole network's names: (N, ...) after the last step, (N, steps, ...)
            of outputs that have a step axis.
        seen: .npz for all that went into the file, by input (N × steps, ...); "" for none.
    """
    told = json.loads(facts)
    stream = Stream(Session(Path(tflite)), told)
    [batch] = read_batch(sequences).values()
    rows: dict[str, list[np.ndarray[Any, Any]]] = {}
    answers: dict[str, list[np.ndarray[Any, Any]]] = {name: [] for name in told["outputs"].values()}
    for number, sequence in enumerate(batch):
        for name, values in stream.run(sequence, rows if seen else None).items():
            answers[name].append(values)
        advance(number + 1, len(batch))
    write_npz(outputs, {name: np.stack(values) for name, values in answers.items()})
    if seen:
        write_npz(seen, {name: np.stack(values) for name, values in rows.items()})


def stepwise(model: keras.Model) -> tuple[keras.Model, dict[str, Any]]:
    """The network of one step, and what `make_stepwise` writes about it. Raises ConversionError as that does."""
    if len(model.inputs) != 1 or len(model.inputs[0].shape) != 3:
        raise _cannot("it does not take one sequence, (steps, features)")
    [name] = input_names(model)
    now = keras.Input(model.inputs[0].shape[2:], name=name)
    found: dict[int, tuple[Any, bool]] = {id(model.inputs[0]): (now, True)}  # whether the tensor has a step axis
    states: dict[str, dict[str, Any]] = {}
    given: list[Any] = []
    following: list[Any] = []
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        read, result = _ends(layer)
        if any(id(tensor) not in found for tensor in keras.tree.flatten(read)):
            raise _cannot(f"what the layer {layer.name!r} reads is computed between layers, or by one used twice")
        tensors = keras.tree.map_structure(lambda tensor: found[id(tensor)][0], read)
        along = {found[id(tensor)][1] for tensor in keras.tree.flatten(read)}
        if len(along) > 1:
            raise _cannot(f"the layer {layer.name!r} joins a sequence with what is only known at its end")
        runs = True in along
        if runs and type(layer) in (keras.layers.SimpleRNN, keras.layers.LSTM, keras.layers.GRU):
            before, after, answer = _one_step(layer, tensors)
            given, following = [*given, *before], [*following, *after]
            states |= {
                old.name: {"next": new._keras_history.operation.name, "shape": list(old.shape[1:])}
                for old, new in zip(before, after, strict=True)
            }
            runs = layer.return_sequences
        else:
            answer = _applied(layer, tensors) if runs else layer(tensors)
        found[id(result)] = answer, runs
    if not states:
        raise _cannot("it has no recurrent layer (SimpleRNN, LSTM or GRU)")
    if any(id(tensor) not in found for tensor in model.outputs):
        raise _cannot("an output is computed by an operation that is no layer")
    outputs = {f"{key}_now": found[id(tensor)] for key, tensor in zip(output_names(model), model.outputs, strict=True)}
    answers = [keras.layers.Identity(name=key)(tensor) for key, (tensor, _) in outputs.items()]
    told = {
        "input": name,
        "states": states,
        "outputs": {key: key.removesuffix("_now") for key in outputs},
        "sequences": [key.removesuffix("_now") for key, (_, runs) in outputs.items() if runs],
    }
    return keras.Model([now, *given], [*answers, *following], name=f"{model.name}_step"), told


def _ends(layer: keras.layers.Layer) -> tuple[Any, Any]:
    """What a layer reads and gives. Raises ConversionError for one that is called several times, or gives several."""
    try:
        read, result = layer.input, layer.output
    except (AttributeError, ValueError):
        raise _cannot(f"the layer {layer.name!r} is used in several places") from None
    if len(keras.tree.flatten(result)) != 1:
        raise _cannot(f"the layer {layer.name!r} gives several tensors")
    return read, keras.tree.flatten(result)[0]


def _one_step(layer: keras.layers.Layer, x: Any) -> tuple[list[Any], list[Any], Any]:
    """The states that go into a recurrent layer's cell, those that come out, and its answer."""
    if len(keras.tree.flatten(x)) != 1:
        raise _cannot(f"the layer {layer.name!r} is given its first state by another")
    if layer.go_backwards:
        raise _cannot(f"the layer {layer.name!r} reads backwards, from a last step that is not there yet")
    sizes = keras.tree.flatten(layer.cell.state_size)
    before = [keras.Input((size,), name=f"{layer.name}_{letter}") for letter, size in zip(LETTERS, sizes, strict=False)]
    layer.cell.name = f"{layer.name}_cell"  # those of two layers are called alike
    layer.cell.implementation = 1  # a product for each gate, and no SPLIT: see `without_loops`
    answer, after = layer.cell(x, before, training=False)
    named = [
        keras.layers.Identity(name=f"{old.name}_next")(new)
        for old, new in zip(before, keras.tree.flatten(after), strict=True)
    ]
    return before, named, answer


def _applied(layer: keras.layers.Layer, tensors: Any) -> Any:
    """A layer that treats every step alike, applied to one."""
    if type(layer) is keras.layers.TimeDistributed:
        return layer.layer(tensors)
    axes = keras.tree.flatten(getattr(layer, "axis", -1))
    if type(layer).__name__ not in EACH_STEP or any(axis not in (-1, 2) for axis in axes):
        kind = type(layer).__name__
        raise _cannot(f"the layer {layer.name!r} ({kind}) may need more of the sequence than the step it is at")
    try:
        if type(layer).__name__ in INSIST_ON_AXES or axes != [-1]:
            alone = keras.tree.map_structure(lambda tensor: keras.ops.expand_dims(tensor, 1), tensors)
            return keras.ops.squeeze(layer(alone), 1)
        return layer(tensors)
    except ValueError:  # its numbers are of a whole sequence's shape
        raise _cannot(f"the layer {layer.name!r} does not treat every step alike") from None


def _cannot(why: str) -> ConversionError:
    return ConversionError(f"the network cannot run step by step: {why}; export it without --streaming")
