"""A model whose recurrent layers convert to no loop: a plain LSTM to one operation, others step by step.

Keras 3 writes a recurrent layer as a loop, which converts to WHILE. The runtime runs that in float,
but neither quantizer can handle it. A clone of the model is therefore converted in the model's place.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from dlkit.conversion.fused_lstm import can_be_fused, fused_lstm
from dlkit.frameworks import keras

MOST_STEPS = 128
"""Longest sequence that is unrolled; its file and the time to convert it grow with each step."""


def without_loops(model: keras.Model, fuse: bool = True) -> keras.Model:
    """`model` with every recurrent layer in a form without a loop, weights copied.

    Without `fuse` an LSTM is unrolled like the others.

    The same model comes back if it has no such layer. A layer that is stateful, or that is not
    fused and reads more than `MOST_STEPS` steps, keeps its loop.
    """
    if not any(_is_recurrent(layer) for layer in every_layer(model)):
        return model
    apart = any(_joins(layer) for layer in every_layer(model))
    with keras.saving.custom_object_scope({"FusedLSTM": fused_lstm()}):  # Bidirectional makes its layers anew
        clone = keras.models.clone_model(
            model, clone_function=lambda layer: _without_loop(layer, apart, fuse), recursive=True
        )
    clone.set_weights(model.get_weights())
    return clone


def every_layer(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """The layers of a model and of the models inside it; one of a class of the user's own is a layer like others."""
    for layer in model.layers:
        if isinstance(layer, keras.Model) and getattr(layer, "inputs", None):
            yield from every_layer(layer)
        else:
            yield layer


def _joins(layer: keras.layers.Layer) -> bool:
    """Whether several tensors meet in the layer."""
    return type(layer) is keras.layers.Bidirectional or len(keras.tree.flatten(layer.input)) > 1


def _is_recurrent(layer: keras.layers.Layer) -> bool:
    layers = keras.layers
    if type(layer) is layers.Bidirectional:
        return _is_recurrent(layer.forward_layer) and _is_recurrent(layer.backward_layer)
    kinds = (layers.SimpleRNN, layers.LSTM, layers.GRU, layers.ConvLSTM1D, layers.ConvLSTM2D, layers.ConvLSTM3D)
    return type(layer) in kinds and not (layer.stateful or layer.return_state)


def _without_loop(layer: keras.layers.Layer, apart: bool, fuse: bool) -> keras.layers.Layer:
    """A layer for the clone; `apart` is what a fused LSTM is to be."""
    if not _is_recurrent(layer):
        return layer.__class__.from_config(layer.get_config())
    steps = keras.tree.flatten(layer.input)[0].shape[1]
    unroll = steps is not None and steps <= MOST_STEPS
    if type(layer) is not keras.layers.Bidirectional:
        return _prepared(_one_way(layer, unroll, fuse), apart)
    forward, backward = (_one_way(direction, unroll, fuse) for direction in (layer.forward_layer, layer.backward_layer))
    both = _both_ways()(forward, layer.merge_mode, backward_layer=backward, name=layer.name)
    _prepared(both.forward_layer, apart)
    _prepared(both.backward_layer, apart)
    return both


@functools.cache
def _both_ways() -> type[Any]:
    """A Bidirectional layer that turns the backward states by a slice.

    Keras' own turns them by REVERSE_V2, for which litert-quantizer has no int8 form. The TensorFlow
    converter gives its input and its result different ranges, though the int8 kernel only moves
    numbers: 11 dB in place of 33 for the states of a bidirectional LSTM.
    """
    ops = keras.ops

    class BothWays(keras.layers.Bidirectional):
        def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: Any = None) -> Any:
            if initial_state is not None or self.merge_mode is None:
                return super().call(sequences, initial_state=initial_state, mask=mask, training=training)
            y, back = self.forward_layer(sequences, mask=mask), self.backward_layer(sequences, mask=mask)
            if self.return_sequences:
                back = back[:, ::-1]
            merge = {"concat": lambda: ops.concatenate([y, back], axis=-1), "mul": lambda: y * back}
            total = {"sum": lambda: y + back, "ave": lambda: (y + back) / 2}
            return (merge | total)[self.merge_mode]()

    return BothWays


def _one_way(layer: keras.layers.Layer, unroll: bool, fuse: bool) -> keras.layers.Layer:
    """The layer fused if it can be; unrolled if it cannot, or if it is called as the operation is not: with a mask."""
    cls = fused_lstm() if fuse and can_be_fused(layer) else layer.__class__
    return cls.from_config({**layer.get_config(), "unroll": unroll})


def _prepared(layer: keras.layers.Layer, apart: bool) -> keras.layers.Layer:
    """`layer` with what is not in its configuration.

    Each gate has a product of its own, in place of one for all that is split: the runtime refuses
    what litert-quantizer 0.11 makes of many a SPLIT ("failed to delegate SPLIT"), and a range for each
    gate is the finer one. On the digits, 28 steps of an LSTM unrolled and made int8 by the TensorFlow
    converter: 26.4 dB with SPLIT, 29.2 dB without.
    """
    layer.cell.implementation = 1
    layer.use_cudnn = False  # it would be called instead where there is a GPU
    layer.apart = apart
    return layer
