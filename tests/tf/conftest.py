"""A small trained model that the tests of this lane share; made once, in about five seconds."""

from __future__ import annotations

from pathlib import Path

import pytest
from left_out import is_left_out
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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what CI leaves out."""
    for item in items:
        if is_left_out(item):
            item.add_marker(pytest.mark.full)
