"""A network is tested by being on the shelf; nothing here costs more than building it."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from shelf import DEEP, in_lanes, outlined

from dlkit.errors import DataError, RecipeError
from dlkit.networks import NETWORKS
from dlkit.summary import summarize

pytestmark = pytest.mark.tf

SCORES = [name for name, network in NETWORKS.items() if network.task == "classification"]
WITH_A_TOP = [name for name in SCORES if "include_top" in NETWORKS[name].options]
IMAGES = [name for name, network in NETWORKS.items() if len(network.input) == 3]


@pytest.fixture(scope="module", params=in_lanes(NETWORKS, DEEP.__contains__))
def built(request: pytest.FixtureRequest):
    network = NETWORKS[request.param]
    return network, outlined(network)


def test_facts_are_those_of_the_built_model(built) -> None:
    """Parameters, multiply-adds, input and classes beside a builder are what it builds."""
    network, model = built
    summary = summarize(model)
    assert summary.parameters == network.parameters == model.count_params()
    assert sum(np.prod(w.shape, dtype=int) for w in model.trainable_weights) == network.trainable
    assert summary.multiply_adds == network.multiply_adds
    assert summary.input == network.input
    if network.task == "classification":
        assert summary.output == (network.classes,)


def test_layer_names_are_explicit_and_unique(built) -> None:
    """No layer has a name that Keras numbered: such names change from one build to the next."""
    network, model = built
    names = [layer.name for layer in model.layers]
    assert len(set(names)) == len(names)
    assert names == [layer.name for layer in outlined(network).layers]
    assert model.name == network.name


def test_defaults_are_the_canonical_input_and_classes(built) -> None:
    """What `build NETWORK` makes is what the facts call canonical."""
    network, _ = built
    assert network.options["input_shape"] == network.input
    assert network.options.get("classes", 0) == network.classes


def test_docstring_names_its_shapes(built) -> None:
    """A builder's docstring says what goes in and what comes out."""
    network, _ = built
    says = inspect.getdoc(network.builder) or ""
    assert "(N, " in says.partition("→")[0]
    assert "(N, " in says.partition("→")[2]


@pytest.mark.parametrize("name", in_lanes(SCORES, DEEP.__contains__))
def test_probabilities_sum_to_one(name: str) -> None:
    """A network ends in a softmax unless told otherwise, and with activation = "linear" in the scores themselves."""
    network = NETWORKS[name]
    assert outlined(network, **network.small).layers[-1].activation.__name__ == "softmax"
    assert outlined(network, **network.small, activation="linear").layers[-1].activation.__name__ == "linear"


@pytest.mark.parametrize("name", in_lanes(WITH_A_TOP, DEEP.__contains__))
def test_without_its_top_a_network_gives_features(name: str) -> None:
    """include_top = false leaves out what makes scores of the last feature map; other weights stay the same."""
    network = NETWORKS[name]
    small = {key: value for key, value in network.small.items() if key != "classes"}
    whole, features = outlined(network, **small), outlined(network, **small, include_top=False)
    assert len(features.output_shape) == 4
    shapes = [w.shape for w in features.weights]
    assert shapes == [w.shape for w in whole.weights][: len(shapes)]
    assert len(shapes) < len(whole.weights)


@pytest.mark.parametrize("name", in_lanes(IMAGES, DEEP.__contains__))
def test_the_smallest_input_is_the_smallest(name: str) -> None:
    """At that size the network builds; below it the error says so, and the builder itself could not."""
    network = NETWORKS[name]
    small = {key: value for key, value in network.small.items() if key != "input_shape"}
    channels = network.input[2]
    outlined(network, **small, input_shape=[network.smallest, network.smallest, channels])
    if network.smallest > 1:
        side = network.smallest - 1
        with pytest.raises(DataError, match=rf"{name} needs inputs of at least {network.smallest}×"):
            outlined(network, **small, input_shape=[side, side, channels])
        with pytest.raises(ValueError, match=r"."):
            network.builder(**network.read_options({**small, "input_shape": [side, side, channels]}, ""))


def test_unknown_option_suggests_the_nearest() -> None:
    """A misspelt option is refused before anything is built."""
    with pytest.raises(RecipeError, match="did you mean 'width'"):
        NETWORKS["resnet8"].build({"widht": 8})
