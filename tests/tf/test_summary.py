"""What is counted of Keras models, with the sums done by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from shelf import DEEP, in_lanes, outlined

from dlkit.frameworks import keras
from dlkit.networks import NETWORKS
from dlkit.summary import multiply_adds, summarize

pytestmark = pytest.mark.tf


def outline(shape: tuple[int, ...], *layers: Callable[[Any], Any]) -> Any:
    """A chain, without the numbers of its weights."""
    x = image = keras.Input(shape, name="input")
    for layer in layers:
        x = layer(x)
    return keras.Model(image, x, name="chain")


LAYERS = {
    "Conv2D": (lambda k: k.Conv2D(5, 3, strides=2, padding="same"), (8, 8, 4), 4 * 4 * (3 * 3 * 4 * 5)),
    "grouped": (lambda k: k.Conv2D(6, 3, groups=2, padding="same"), (8, 8, 4), 8 * 8 * (3 * 3 * 2 * 6)),
    "DepthwiseConv2D": (lambda k: k.DepthwiseConv2D(3, depth_multiplier=2), (8, 8, 4), 6 * 6 * (3 * 3 * 4 * 2)),
    "SeparableConv2D": (lambda k: k.SeparableConv2D(5, 3, padding="same"), (8, 8, 4), 64 * (9 * 4 + 4 * 5)),
    "Conv2DTranspose": (lambda k: k.Conv2DTranspose(5, 4, strides=2, padding="same"), (8, 8, 3), 64 * (16 * 3 * 5)),
    "Conv1D": (lambda k: k.Conv1D(5, 3, dilation_rate=2, padding="causal"), (10, 4), 10 * 3 * 4 * 5),
    "SeparableConv1D": (lambda k: k.SeparableConv1D(5, 3, padding="same"), (10, 4), 10 * (3 * 4 + 4 * 5)),
    "Conv3D": (lambda k: k.Conv3D(5, 2), (4, 4, 4, 3), 27 * (8 * 3 * 5)),
    "Dense of steps": (lambda k: k.Dense(5), (10, 4), 10 * 4 * 5),
    "TimeDistributed": (lambda k: k.TimeDistributed(k.Dense(5)), (10, 4), 10 * 4 * 5),
    "TimeDistributed Conv2D": (lambda k: k.TimeDistributed(k.Conv2D(5, 3)), (10, 8, 8, 4), 10 * 36 * (9 * 4 * 5)),
    "LSTM": (lambda k: k.LSTM(6), (10, 4), 10 * 4 * (4 * 6 + 6 * 6)),
    "GRU": (lambda k: k.GRU(6, return_sequences=True), (10, 4), 10 * 3 * (4 * 6 + 6 * 6)),
    "SimpleRNN": (lambda k: k.SimpleRNN(6), (10, 4), 10 * (4 * 6 + 6 * 6)),
    "Bidirectional": (lambda k: k.Bidirectional(k.LSTM(6)), (10, 4), 2 * 10 * 4 * (4 * 6 + 6 * 6)),
    "stacked cells": (lambda k: k.RNN([k.LSTMCell(6), k.GRUCell(2)]), (10, 4), 10 * (4 * 60 + 3 * (6 * 2 + 2 * 2))),
    "ConvLSTM2D": (lambda k: k.ConvLSTM2D(5, 3, padding="same"), (7, 8, 8, 4), 7 * 64 * 4 * (9 * 4 * 5 + 9 * 5 * 5)),
    "MaxPooling2D": (lambda k: k.MaxPooling2D(2), (8, 8, 4), 0),
}


@pytest.mark.parametrize(("make", "shape", "expected"), LAYERS.values(), ids=LAYERS)
def test_multiply_adds_of_a_layer(make: Callable, shape: tuple[int, ...], expected: int) -> None:
    """Kernel times the places where it is applied, twice if something runs over it twice."""
    assert multiply_adds(outline(shape, make(keras.layers))) == expected


def nested() -> tuple[Any, Any]:
    """An encoder that is called twice within a model, and that model."""
    layers = keras.layers
    encoder = outline((8, 8, 1), layers.Conv2D(4, 3, name="conv"), layers.Flatten(name="flatten"))
    encoder.name = "encoder"
    left, right = keras.Input((8, 8, 1), name="left"), keras.Input((8, 8, 1), name="right")
    both = layers.Concatenate(name="both")([encoder(left), encoder(right)])
    return encoder, keras.Model([left, right], layers.Dense(2, name="same")(both), name="siamese")


def test_a_nested_model_is_told_layer_by_layer() -> None:
    """A shared one computes twice and has its weights once."""
    _, model = nested()
    summary = summarize(model)
    assert summary.parameters == model.count_params() == 40 + 288 * 2 + 2
    assert summary.multiply_adds == 2 * (36 * 9 * 4) + 288 * 2
    names = [layer.name for layer in summary.layers]
    assert names.count("encoder/conv") == 2
    assert summary.inputs == ((8, 8, 1), (8, 8, 1))


def test_a_sequential_model() -> None:
    """On its own and within another."""
    layers = keras.layers
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="hidden")], name="inner")
    assert multiply_adds(inner) == 12
    summary = summarize(keras.Sequential([keras.Input((4,)), inner, layers.Dense(2, name="end")], name="outer"))
    assert (summary.multiply_adds, summary.outputs) == (12 + 6, ((2,),))
    assert [layer.name for layer in summary.layers][1:] == ["inner/hidden", "end"]


def test_auxiliary_heads() -> None:
    """Each output is told, and each head is a stage of its own."""
    layers = keras.layers
    image = x = keras.Input((16, 16, 3), name="image")
    heads = []
    for place in (1, 2):
        x = layers.Conv2D(4, 3, strides=2, padding="same", name=f"conv{place}")(x)
        pooled = layers.GlobalAveragePooling2D(name=f"pool{place}")(x)
        heads.append(layers.Dense(10, name=f"head{place}")(pooled))
    summary = summarize(keras.Model(image, heads[::-1], name="heads"))
    assert summary.outputs == ((10,), (10,))
    assert [stage.name for stage in summary.stages] == ["conv1", "conv2", "head2", "head1"]


def test_trainable_are_those_that_training_changes() -> None:
    """Not the statistics of batch normalisation."""
    summary = summarize(outline((8, 8, 4), keras.layers.BatchNormalization(name="bn")))
    assert (summary.parameters, summary.trainable) == (16, 8)


def test_vgg16() -> None:
    """Eight stages; two of the largest feature maps at once."""
    summary = summarize(outlined(NETWORKS["vgg16"]))
    assert 4 * summary.peak_elements == 2 * 224 * 224 * 64 * 4
    assert [stage.name for stage in summary.stages] == [
        "block1", "block2", "block3", "block4", "block5", "fc1", "fc2", "predictions",
    ]  # fmt: skip
    assert [stage.output for stage in summary.stages][:2] == [(224, 224, 64), (112, 112, 128)]
    assert summary.stages[2].contents == "3 Conv2D 3×3, 1 MaxPooling2D"
    assert sum(stage.parameters for stage in summary.stages) == summary.parameters
    assert sum(stage.multiply_adds for stage in summary.stages) == summary.multiply_adds


@pytest.mark.parametrize("name", in_lanes(NETWORKS, DEEP.__contains__))
def test_every_network_has_stages_that_hold_all_of_it(name: str) -> None:
    """Named differently, each layer in one of them."""
    network = NETWORKS[name]
    summary = summarize(outlined(network, **network.small))
    names = [stage.name for stage in summary.stages]
    assert len(set(names)) == len(names)
    members = sorted(position for stage in summary.stages for position in stage.members)
    assert members == list(range(len(summary.layers)))
    assert all(stage.contents for stage in summary.stages)
