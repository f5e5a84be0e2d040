"""A Keras 3 model and its twin in tf_keras answer alike; weights go both ways; what cannot be is refused by name."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from shelf import in_lanes, inputs_for, lively
from users_models import MODELS

from dlkit.compression import bridge
from dlkit.compression.bridge import twin_of
from dlkit.errors import IllegalCombination
from dlkit.networks import NETWORKS

pytestmark = pytest.mark.tf

REFUSED = {
    "masked_gru": "'not_equal",
    "masked_lstm": "'embedding",
    "normalizations": "'rms_normalization",
    "numpy_like_operations": "'flip",
    "preprocessing_in_front": "'random_contrast",
    "transformer": "'multi_head_attention",
}
"""Users' model → which layer is named."""


QUICK = {
    "bidirectional_rnn", "cnn", "conditional_dcgan_generator", "convolutional_autoencoder", "ds_cnn", "gru", "lstm",
    "mobilenet_v3_small", "resnet8", "variational_autoencoder",
}  # fmt: skip
"""Of different layers each; the other twins are made in the slow lane."""


@pytest.mark.parametrize("name", in_lanes(NETWORKS, lambda name: name not in QUICK))
def test_every_network_of_the_shelf_has_a_twin_that_answers_alike(name: str) -> None:
    network = NETWORKS[name]
    model = lively(network, **network.small)
    inputs = inputs_for(network, model.input_shape[1:], 2)
    wanted = np.asarray(model(inputs, training=False))
    given = np.asarray(twin_of(model).assembled()(inputs, training=False))
    assert np.abs(given - wanted).max() <= 1e-5 * np.abs(wanted).max()


@pytest.mark.parametrize("name", ["cnn", "xception", "bidirectional_lstm", "gru", "dcgan28_generator"])
def test_what_the_twin_learns_comes_back(name: str) -> None:
    network = NETWORKS[name]
    model = lively(network, **network.small)
    inputs = inputs_for(network, model.input_shape[1:], 2)
    before, twin = np.asarray(model(inputs)), twin_of(model)
    for pair in twin.pairs:
        for variable in pair.variables:
            variable.assign(variable * 1.25)
    twin.take_back()
    after = np.asarray(model(inputs))
    assert np.abs(after - before).max() > 1e-3 * np.abs(before).max()
    assert np.abs(after - np.asarray(twin.assembled()(inputs))).max() <= 1e-5 * np.abs(after).max()


@pytest.mark.parametrize("name", sorted(MODELS.keys() - REFUSED.keys()))
def test_models_of_users_have_twins(name: str) -> None:
    assert twin_of(MODELS[name]()).pairs  # twin_of has compared the answers


@pytest.mark.parametrize(("name", "layer"), REFUSED.items())
def test_a_refusal_names_the_layer_and_what_to_use_instead(name: str, layer: str) -> None:
    with pytest.raises(IllegalCombination, match=f"^layer {layer}.* --scheme int8$"):
        twin_of(MODELS[name]())


def test_an_operator_with_a_number_is_a_layer_of_the_twin() -> None:
    x = keras.Input((6,), name="x")
    y = keras.layers.Dense(4, activation="hard_sigmoid")(x)
    assert twin_of(keras.Model(x, keras.layers.Dense(2)((y * 2.0 + 1.0) + y))).pairs


def test_a_layer_of_ones_own_is_refused() -> None:
    class Own(keras.layers.Layer):
        def call(self, x):
            return x * 2.0

    x = keras.Input((6,), name="x")
    with pytest.raises(IllegalCombination, match=r"layer 'mine' .* a layer of your own"):
        twin_of(keras.Model(x, Own(name="mine")(x)))


def test_a_model_that_is_no_graph_is_refused() -> None:
    class Own(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(IllegalCombination, match="no graph of layers"):
        twin_of(Own())


def test_a_twin_that_answers_otherwise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    x = keras.Input((6,), name="x")
    model = keras.Model(x, keras.layers.LeakyReLU(0.1)(x))
    assert twin_of(model)
    monkeypatch.setattr("dlkit.compression.twin_layers._OTHER_NAMES", {})
    monkeypatch.setitem(bridge.twins_of.__globals__["_WITHOUT_EFFECT"], "negative_slope", lambda value: True)
    with pytest.raises(IllegalCombination, match="answers otherwise than in Keras 3"):
        twin_of(model)


def test_a_shared_layer_is_one_layer_of_the_twin() -> None:
    twin = twin_of(MODELS["siamese"]())
    names = [call.layer for call in twin.calls]
    assert len(set(names)) < len(names)


def test_no_layer_of_the_twin_has_a_name_that_the_toolkit_makes() -> None:
    x = keras.Input((8, 8, 3), name="x")
    twin = twin_of(keras.Model(x, keras.layers.Conv2D(4, 3, name="conv2d")(x)))
    assert all(name.startswith("twin") for name in twin.layers)


def test_what_no_file_needs_is_not_in_the_twin() -> None:
    network = NETWORKS["variational_autoencoder"]
    twin = twin_of(lively(network, **network.small))
    names = {pair.name for pair in twin.pairs}
    assert "mean" in names
    assert "log_variance" not in names
    assert not {"log_variance", "z"} & set(twin.names.values())
