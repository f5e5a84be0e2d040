"""A network is tested by being on the shelf."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from dlkit.errors import DataError, RecipeError
from dlkit.networks import NETWORKS
from dlkit.summary import summarize

pytestmark = pytest.mark.tf

# Options that make each network small enough to run in a test.
SMALL = {
    "cnn": {"input_shape": [8, 8, 1]},
    "lstm": {"input_shape": [8, 8], "units": 8},
    "resnet8": {"input_shape": [8, 8, 1], "width": 4},
    "vgg16": {"input_shape": [32, 32, 3], "classes": 10},
}


@pytest.fixture(scope="module", params=list(NETWORKS))
def built(request: pytest.FixtureRequest):
    import keras

    keras.backend.clear_session()
    network = NETWORKS[request.param]
    return network, network.build({})


def test_facts_are_those_of_the_built_model(built) -> None:
    """Parameters, multiply-adds, input and classes beside a builder are what it builds."""
    network, model = built
    summary = summarize(model)
    assert summary.parameters == network.parameters == model.count_params()
    assert summary.multiply_adds == network.multiply_adds
    assert summary.input == network.input
    assert summary.output == (network.classes,)


def test_layer_names_are_explicit_and_unique(built) -> None:
    """No layer has a name that Keras numbered: such names change from one build to the next."""
    import keras

    network, model = built
    names = [layer.name for layer in model.layers]
    assert len(set(names)) == len(names)
    again = [layer.name for layer in NETWORKS[network.name].build(SMALL[network.name]).layers]
    twice = [layer.name for layer in NETWORKS[network.name].build(SMALL[network.name]).layers]
    assert again == twice
    assert model.name == network.name
    keras.backend.clear_session()


def test_defaults_are_the_canonical_input_and_classes(built) -> None:
    """What `build NETWORK` makes is what the facts call canonical."""
    network, _ = built
    assert network.options["input_shape"] == network.input
    assert network.options["classes"] == network.classes


def test_docstring_names_its_shapes(built) -> None:
    """A builder's docstring says what goes in and what comes out."""
    network, _ = built
    assert "(N, classes)" in (inspect.getdoc(network.builder) or "")


@pytest.mark.parametrize("name", list(NETWORKS))
def test_probabilities_sum_to_one(name: str) -> None:
    """A network ends in a softmax unless told otherwise."""
    model = NETWORKS[name].build(SMALL[name])
    x = np.random.default_rng(0).random((2, *model.input_shape[1:]), dtype=np.float32)
    assert model.predict(x, verbose=0).sum(axis=1) == pytest.approx([1, 1], abs=1e-5)


@pytest.mark.parametrize("name", list(NETWORKS))
def test_activation_none_gives_logits(name: str) -> None:
    """With activation = "linear" the scores come out as they are."""
    model = NETWORKS[name].build({**SMALL[name], "activation": "linear"})
    x = np.random.default_rng(0).random((2, *model.input_shape[1:]), dtype=np.float32)
    assert not np.allclose(model.predict(x, verbose=0).sum(axis=1), 1, atol=1e-3)


def test_vgg16_has_the_weights_of_keras_applications() -> None:
    """Same shapes in the same order, so that published weights fit."""
    import keras

    ours = NETWORKS["vgg16"].build({"input_shape": [32, 32, 3]})
    theirs = keras.applications.VGG16(weights=None, input_shape=(32, 32, 3), include_top=True)
    assert [w.shape for w in ours.weights] == [w.shape for w in theirs.weights]
    assert [l.name for l in ours.layers if l.weights] == [l.name for l in theirs.layers if l.weights]  # noqa: E741
    ours.set_weights(theirs.get_weights())
    x = np.random.default_rng(0).random((1, 32, 32, 3), dtype=np.float32)
    assert np.allclose(ours.predict(x, verbose=0), theirs.predict(x, verbose=0), atol=1e-6)


def test_resnet8_at_width_16_has_ten_weight_layers() -> None:
    """MLPerf Tiny's ResNet8: nine convolutions (two of them shortcuts) and a classifier."""
    kinds = [layer.kind for layer in summarize(NETWORKS["resnet8"].build({})).layers]
    assert kinds.count("Conv2D") == 9
    assert kinds.count("Dense") == 1


def test_too_small_an_input_says_the_smallest() -> None:
    """VGG16 halves its input five times."""
    with pytest.raises(DataError, match="vgg16 needs inputs of at least 32×32, not 16×16"):
        NETWORKS["vgg16"].build({"input_shape": [16, 16, 3]})


def test_unknown_option_suggests_the_nearest() -> None:
    """A misspelt option is refused before anything is built."""
    with pytest.raises(RecipeError, match="did you mean 'width'"):
        NETWORKS["resnet8"].build({"widht": 8})
