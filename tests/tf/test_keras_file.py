"""The .keras files that dlkit writes."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from dlkit.conversion.keras_file import write_keras
from dlkit.networks import NETWORKS

pytestmark = pytest.mark.tf


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """A network that was trained for one step, so that its optimizer has a state."""
    model = NETWORKS["resnet8"].build({"width": 4})
    model.compile("adamw", "sparse_categorical_crossentropy")
    model.fit(np.ones((2, *model.input_shape[1:])), np.ones(2), verbose=0)
    return model


def weights_of(path: Path, folder: Path) -> dict[str, np.ndarray]:
    """Every array in the weights of a .keras file, by its name there."""
    found: dict[str, np.ndarray] = {}
    with zipfile.ZipFile(path) as archive, h5py.File(archive.extract("model.weights.h5", folder)) as file:
        file.visititems(lambda name, item: found.update({name: item[()]} if isinstance(item, h5py.Dataset) else {}))
    return found


def test_it_holds_what_keras_would_write(model: keras.Model, tmp_path: Path) -> None:
    """The same weights and optimizer state under the same names, and the same configuration but for addresses."""
    model.save(tmp_path / "keras.keras")
    write_keras(model, tmp_path / "ours.keras")
    theirs, ours = (weights_of(tmp_path / f"{name}.keras", tmp_path / name) for name in ("keras", "ours"))
    assert any(name.startswith("optimizer/") for name in ours)
    assert theirs.keys() == ours.keys()
    assert all(np.array_equal(theirs[name], ours[name]) for name in ours)
    with zipfile.ZipFile(tmp_path / "keras.keras") as a, zipfile.ZipFile(tmp_path / "ours.keras") as b:
        config = re.sub(rb', "shared_object_id": \d+', b"", a.read("config.json"))
        assert config == b.read("config.json")
        assert a.namelist() == b.namelist()


def test_keras_goes_on_training_it(model: keras.Model, tmp_path: Path) -> None:
    """Compiled, and with the state of its optimizer."""
    write_keras(model, tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert int(loaded.optimizer.iterations) == 1


def test_nothing_is_left_beside_it(model: keras.Model, tmp_path: Path) -> None:
    """The file of weights that it is made from is gone."""
    write_keras(model, tmp_path / "model.keras")
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]
