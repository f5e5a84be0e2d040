"""A large .keras file is loaded with less memory than Keras takes, to the same model."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlkit.conversion import loading
from dlkit.conversion.tflite import load_model
from dlkit.errors import ModelFileError
from dlkit.networks import NETWORKS

pytestmark = pytest.mark.tf


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every file counts as large from now on; the list gets the names of those that Keras was asked to load."""
    import keras

    found: list[str] = []
    load = keras.models.load_model

    def noted(path: Path, **options: Any) -> Any:
        found.append(path.name)
        return load(path, **options)

    monkeypatch.setattr(keras.models, "load_model", noted)
    monkeypatch.setattr(loading, "LEAST_BYTES", 0)
    return found


def saved(model: Any, folder: Path) -> Path:
    model.save(folder / "m.keras")
    return folder / "m.keras"


@pytest.mark.parametrize("name", ["cnn", "resnet8", "lstm", "mobilenet_v3_small", "variational_autoencoder"])
def test_it_is_the_model_that_keras_loads(name: str, asked: list[str], tmp_path: Path) -> None:
    """The same weights with the same numbers, and the same answers."""
    model = NETWORKS[name].build(NETWORKS[name].small)
    again = load_model(saved(model, tmp_path))
    assert asked == []
    assert [w.path for w in again.weights] == [w.path for w in model.weights]
    assert all(np.array_equal(a, b) for a, b in zip(again.get_weights(), model.get_weights(), strict=True))
    x = np.random.default_rng(0).random((2, *model.input_shape[1:]), dtype=np.float32)
    assert np.array_equal(again(x), model(x))


def test_statistics_that_a_layer_has_adapted_to_are_loaded(asked: list[str], tmp_path: Path) -> None:
    """A layer that computes with what it makes of its variables has made it of the file's."""
    import keras

    layer = keras.layers.Normalization()
    x = np.random.default_rng(0).normal(3, 7, (50, 4)).astype(np.float32)
    layer.adapt(x)
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(3)(layer(inputs)))
    again = load_model(saved(model, tmp_path))
    assert asked == []
    assert np.array_equal(again(x), model(x))


def test_it_can_be_trained(asked: list[str], tmp_path: Path) -> None:
    """Its variables are real ones."""
    model = load_model(saved(NETWORKS["cnn"].build(NETWORKS["cnn"].small), tmp_path))
    before = model.get_weights()
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.train_on_batch(np.ones((2, *model.input_shape[1:]), np.float32), np.array([0, 1]))
    assert not all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_a_file_with_more_than_weights_is_left_to_keras(asked: list[str], tmp_path: Path) -> None:
    """Keras knows what the rest is for."""
    path = saved(NETWORKS["cnn"].build(NETWORKS["cnn"].small), tmp_path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("assets/note.txt", "a vocabulary")
    assert load_model(path).name == "cnn"
    assert asked == ["m.keras"]


def test_an_object_in_several_places_is_left_to_keras(asked: list[str], tmp_path: Path) -> None:
    """What they have in common is written down in a way that only Keras reads."""
    import keras

    x, shared = keras.Input((4,)), keras.regularizers.L2(0.1)
    y = keras.layers.Dense(4, kernel_regularizer=shared)(x)
    model = load_model(saved(keras.Model(x, keras.layers.Dense(4, kernel_regularizer=shared)(y)), tmp_path))
    assert asked == ["m.keras"]
    assert len(model.weights) == 4


def test_weights_of_another_model_are_refused(asked: list[str], tmp_path: Path) -> None:
    """By Keras, in its own words."""
    import keras

    path = saved(NETWORKS["cnn"].build(NETWORKS["cnn"].small), tmp_path)
    inputs = keras.Input((4,))
    keras.Model(inputs, keras.layers.Dense(2)(inputs)).save_weights(tmp_path / "other.weights.h5")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "new.keras", "w") as new:
        for part in ("metadata.json", "config.json"):
            new.writestr(part, old.read(part))
        new.write(tmp_path / "other.weights.h5", "model.weights.h5")
    shutil.move(tmp_path / "new.keras", path)
    with pytest.raises(ModelFileError, match=r"m\.keras: Keras cannot load this file"):
        load_model(path)
    assert asked == ["m.keras"]
