"""Networks of keras.applications give the answers of keras.applications, for the same weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from named_weights import named_input, named_weight
from shelf import DEEP, in_lanes, outlined, takes_long_at_full_width

from dlkit import outlines
from dlkit.networks import NETWORKS

pytestmark = pytest.mark.tf

NAMES = [name for name, network in NETWORKS.items() if network.applications]
TOLERANCE = 1e-5
SIDE = {"xception": 71}
"""Height and width where keras.applications refuses 32 and our builder does not."""


def side_of(name: str) -> int:
    return SIDE.get(name, max(NETWORKS[name].smallest, 32))


def theirs_of(name: str, shape: tuple[int, ...], **options: Any):
    import keras

    return getattr(keras.applications, NETWORKS[name].applications)(weights=None, input_shape=shape, **options)


def compare(ours: Any, theirs: Any) -> None:
    """Pour the same weights into both, in order, and hold the answers against each other."""
    assert [w.shape for w in ours.weights] == [w.shape for w in theirs.weights]
    weights = [named_weight(str(i), w.name, tuple(w.shape)) for i, w in enumerate(ours.weights)]
    ours.set_weights(weights)
    theirs.set_weights(weights)
    x = named_input(ours.input_shape[1:])
    a, b = ours(x, training=False).numpy(), theirs(x, training=False).numpy()
    assert a.shape == b.shape
    assert np.abs(a - b).max() <= TOLERANCE * np.abs(b).max()


@pytest.mark.parametrize("name", in_lanes(NAMES, takes_long_at_full_width))
def test_same_weights_same_answers(name: str) -> None:
    """Weights fit in order, layer by layer, and the outputs before the softmax differ by rounding alone."""
    network = NETWORKS[name]
    side = side_of(name)
    shape = (side, side, 3)
    ours = network.build({"input_shape": shape, "activation": "linear"})
    compare(ours, theirs_of(name, shape, classifier_activation=None, **network.applications_options))


@pytest.mark.parametrize("name", in_lanes(NAMES, DEEP.__contains__))
def test_same_features_without_the_top(name: str) -> None:
    """include_top = false leaves the weights that keras.applications leaves."""
    network = NETWORKS[name]
    side = side_of(name)
    shape = (side, side, 3)
    ours = outlined(network, input_shape=shape, include_top=False)
    theirs = outlines.outlined(lambda: theirs_of(name, shape, include_top=False, **network.applications_options))
    assert ours.output_shape == theirs.output_shape
    assert [w.shape for w in ours.weights] == [w.shape for w in theirs.weights]
