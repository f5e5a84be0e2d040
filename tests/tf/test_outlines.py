"""Models of names and shapes alone."""

from __future__ import annotations

import pytest

from dlkit.errors import RecipeError
from dlkit.frameworks import keras
from dlkit.networks import NETWORKS
from dlkit.outlines import outlined
from dlkit.summary import summarize

pytestmark = pytest.mark.tf


def test_it_has_the_networks_shapes() -> None:
    model = outlined(lambda: NETWORKS["vgg16"].build({}))
    assert summarize(model).parameters == NETWORKS["vgg16"].parameters


def test_its_variables_never_get_a_value() -> None:
    """Keras gives those that wait for one theirs at the end of a scope, whoever's they are."""
    model = outlined(lambda: NETWORKS["cnn"].build({}))
    with keras.StatelessScope():
        pass
    assert all(variable._value is None for variable in model.variables)


def test_names_are_numbered_from_the_start() -> None:
    keras.layers.Dense(1)
    assert outlined(lambda: keras.layers.Dense(1)).name == "dense"


def test_what_fails_in_it_fails_outside() -> None:
    with pytest.raises(RecipeError, match="classes"):
        outlined(lambda: NETWORKS["cnn"].build({"classes": 0}))
