"""A small trained model that the tests of this lane share; made once, in about five seconds."""

from __future__ import annotations

from pathlib import Path

import pytest
from shelf import DEEP, OF_ONE_MAKE
from short import short_recipe


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models that holds short/model.keras, trained for a few epochs."""
    from dlkit.pipeline import train

    folder = tmp_path_factory.mktemp("models")
    train(short_recipe(), folder)
    return folder


@pytest.fixture
def trained(models: Path):
    from dlkit.trained import load_trained

    return load_trained(models / "short")


@pytest.fixture(scope="session")
def lstm_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models that holds lstm/model.keras, trained for a few epochs."""
    from dlkit.pipeline import train

    folder = tmp_path_factory.mktemp("lstm-models")
    network = {"name": "lstm", "options": {"units": 16}}
    train(short_recipe(name="lstm", network=network, training={"epochs": 12, "learning_rate": 0.02}), folder)
    return folder


STILL_IN_CI = {
    "densenet121", "efficientnet_lite1", "inception_resnet_v1", "inception_resnet_v2", "inception_v1_bn",
    "inception_v3", "inception_v4", "mobilenet_v3_large", "resnet152", "resnet32", "resnet34", "resnext50_32x4d",
}  # fmt: skip
"""The deep networks that stand for their families in the tests of every network and of its weights."""
FITTED_AGAIN = {
    "alexnet", "bidirectional_gru", "bidirectional_lstm", "convolutional_autoencoder", "dcgan28_generator",
    "dense_autoencoder", "densenet40", "ds_cnn", "gru", "inception_v2", "lstm", "mobilenet_v1_025", "mobilenet_v2",
    "resnet20", "resnext29_8x64d", "simple_rnn", "variational_autoencoder", "xception",
}  # fmt: skip
"""Networks of which CI asks what all steps of compression together come to in a file, and not each preparation."""
IN_THE_MATRIX = {
    "convolutional_autoencoder", "dcgan28_generator", "ds_cnn", "lstm", "mobilenet_v1_025", "mobilenet_v1_025_96",
    "resnet8",
}  # fmt: skip
"""Networks that `test_target_matrix` runs on every target."""
LEFT_OUT = (
    ("test_every_network.py::", "built", DEEP - STILL_IN_CI),
    ("test_every_network.py::test_the_file_of_every_scheme", "built", DEEP),
    ("test_networks.py::", "name", DEEP - STILL_IN_CI),
    ("test_weights.py::", "name", DEEP - STILL_IN_CI),
    ("test_bridge.py::", "name", DEEP),
    ("test_compressing.py::test_what_a_scheme_promises", "name", FITTED_AGAIN),
    ("test_compressing.py::test_all_steps_together", "name", {"alexnet", "dense_autoencoder"}),
    ("test_files_for_gpus.py::test_a_network_runs_there", "name", IN_THE_MATRIX),
    ("test_files_for_microcontrollers.py::test_it_computes", "name", IN_THE_MATRIX),
    ("test_thin.py::test_networks_of_the_shelf_become_the_same_file", "name", DEEP | OF_ONE_MAKE),
)
"""Tests, their parameter that names a network, and the networks that CI leaves out of them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What CI leaves out: networks where another of the family asks the same of the code."""
    for item in items:
        params: dict[str, object] = item.callspec.params if hasattr(item, "callspec") else {}
        if any(tests in item.nodeid and params.get(name) in networks for tests, name, networks in LEFT_OUT):
            item.add_marker(pytest.mark.full)
