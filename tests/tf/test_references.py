"""Networks that follow an implementation outside Keras give its answers, for the same weights.

The answers were computed by the implementations themselves (`tests/golden/make_references.py`).
Judged by relative error: a wrong stride, padding or epsilon still correlates at 0.999.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from named_weights import named_input, named_weight, sampled
from shelf import in_lanes, takes_long_at_full_width

from dlkit.networks import NETWORKS

pytestmark = pytest.mark.tf

REFERENCES = json.loads((Path(__file__).parents[1] / "golden" / "references.json").read_text())
TOLERANCE = 1e-7
"""Keras keeps a Rescaling's factor with 32 bits: 1e-8 in Inception-ResNet; the others are below 1e-9."""


@pytest.fixture
def float64():
    """Networks are built and run with 64 bits, in which rounding does not grow to anything."""
    import keras

    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize("name", in_lanes(REFERENCES, takes_long_at_full_width))
def test_same_weights_same_answers(name: str, float64: None) -> None:
    """Outputs before the softmax differ by rounding alone."""
    reference = REFERENCES[name]
    model = NETWORKS[name].build({"input_shape": reference["input"], "activation": "linear", **reference["options"]})
    for layer in model.layers:
        for weight in layer.weights:
            weight.assign(named_weight(layer.name, weight.name, tuple(weight.shape)))
    ours = sampled(model(named_input(tuple(reference["input"])), training=False).numpy())
    theirs = np.asarray(reference["outputs"])
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= TOLERANCE * np.abs(theirs).max()
