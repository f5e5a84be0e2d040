"""From a user's own folder of images to a bundle, and back to the folder."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import write_pictures

from dlkit.datasets import Split, Splits
from dlkit.errors import DataError
from dlkit.pipeline import export, train
from dlkit.pipeline.evaluating import evaluate
from dlkit.recipe import Recipe, recipe_from
from dlkit.recipe_data import data_preprocessing, splits_of

pytestmark = pytest.mark.tf


def recipe_of(folder: Path, **changes: Any) -> Recipe:
    table = {
        "name": "photos",
        "network": {"name": "cnn", "options": {"width": 8}},
        "data": {"name": "folder", "options": {"path": str(folder), "image_shape": [16, 16, 3]}},
        "training": {"epochs": 6, "learning_rate": 0.01},
        "export": {"calibration_samples": 60},
    }
    return recipe_from(table | changes, "photos.toml")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 JPEG and PNG files of each of three classes, of several sizes."""
    folder = tmp_path_factory.mktemp("photos")
    for number, (suffix, size) in enumerate([(".jpg", (24, 16)), (".png", (16, 30))]):
        write_pictures(folder / suffix[1:], 20, size, suffix, seed=number)
        for path in sorted((folder / suffix[1:]).glob("*/*")):
            target = folder / "all" / path.parent.name / f"{number}{path.name}"
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
    return folder / "all"


@pytest.mark.slow
def test_a_folder_of_photos_becomes_a_proven_bundle(photos: Path, tmp_path: Path) -> None:
    """Trained, exported to int8 and evaluated on what was held out; the classes are called like the folders."""
    result = train(recipe_of(photos), tmp_path)
    assert result.trained.labels == ("blue", "green", "red")
    assert result.test.value >= 0.9
    bundle, report = export(result.trained, "int8", out=tmp_path)
    assert report.gate.samples == 12
    assert report.gate.exported >= report.gate.float - 0.01
    again = evaluate(bundle)
    assert (again.samples, again.data) == (24, "test split of folder")
    assert again.float == pytest.approx(result.test.value)
    assert evaluate(bundle, photos).exported >= 0.9
    gone = photos.with_name("gone")
    photos.rename(gone)
    try:
        with pytest.raises(DataError, match="there is no such folder"):
            evaluate(bundle)
        assert evaluate(bundle, gone).exported >= 0.9
    finally:
        gone.rename(photos)


@pytest.mark.slow
def test_a_changed_folder_is_noticed(photos: Path, tmp_path: Path) -> None:
    """The bundle was not measured on these."""
    folder = shutil.copytree(photos, tmp_path / "mine")
    bundle, _ = export(train(recipe_of(folder), tmp_path / "out").trained, "float32", out=tmp_path / "out")
    for path in sorted((folder / "red").iterdir())[:10]:
        path.unlink()
    with pytest.raises(DataError, match="the test split of 'folder' is not the one this bundle was measured on"):
        evaluate(bundle)


@pytest.mark.slow
def test_classes_of_another_name_are_noticed(photos: Path, tmp_path: Path) -> None:
    """The model answers with those that it was trained on."""
    folder = shutil.copytree(photos, tmp_path / "mine")
    trained = train(recipe_of(folder, training={"epochs": 1}), tmp_path / "out").trained
    (folder / "green").rename(folder / "lime")
    with pytest.raises(DataError, match="photos: was trained on a class 'green' where folder now has 'lime'; train it"):
        export(trained, "float32", out=tmp_path / "out")


@pytest.mark.slow
def test_an_export_reads_few_images_at_once(photos: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """However many are held out, and in parts that do not fit their number; 24 are in the test split."""
    from dlkit.pipeline import exporting
    from dlkit.runtime.lazy_images import LazyImages

    export_part = {"calibration_samples": 6, "max_drop": 1.0}
    result = train(recipe_of(photos, training={"epochs": 1}, export=export_part), tmp_path)
    monkeypatch.setattr(exporting, "AT_ONCE", 10)
    asked: list[int] = []
    read = LazyImages.read
    monkeypatch.setattr(LazyImages, "read", lambda rows, places: asked.append(len(places)) or read(rows, places))
    _, report = export(result.trained, "float32", out=tmp_path)
    assert max(asked) <= 10
    assert report.test is not None
    assert (report.gate.samples, report.test.samples) == (12, 24)
    assert report.test.float == pytest.approx(result.test.value)


def eager(splits: Splits) -> Splits:
    parts = ((split.samples, split.labels) for split in (splits.train, splits.validation, splits.test))
    return Splits(*(Split(np.asarray(samples), labels) for samples, labels in parts))


@pytest.mark.parametrize("network", ["cnn", pytest.param("convolutional_autoencoder", marks=pytest.mark.slow)])
def test_lazy_samples_are_measured_as_those_in_memory(
    photos: Path, monkeypatch: pytest.MonkeyPatch, network: str
) -> None:
    """In batches that do not fit the number of samples."""
    from dlkit.networks import NETWORKS
    from dlkit.training import measuring
    from dlkit.training.learning import LEARNING

    recipe = recipe_of(photos, network={"name": network})
    model = NETWORKS[network].build(recipe.network.options)
    splits, preprocessing = splits_of(recipe), data_preprocessing(recipe)
    _, measure = LEARNING[NETWORKS[network].task]
    whole = measure(model, recipe, eager(splits), preprocessing)
    monkeypatch.setattr(measuring, "AT_ONCE", 7)
    for found, wanted in zip(measure(model, recipe, splits, preprocessing), whole, strict=True):
        assert found.metric == wanted.metric
        assert found.value == pytest.approx(wanted.value, rel=1e-5)


@pytest.mark.parametrize("network", ["cnn", pytest.param("denoising_autoencoder", marks=pytest.mark.slow)])
def test_training_on_files_is_training_on_arrays(photos: Path, network: str) -> None:
    """The same losses, training and validation, as when all images are in memory."""
    from dlkit.frameworks import make_deterministic
    from dlkit.networks import NETWORKS
    from dlkit.training.learning import LEARNING
    from dlkit.training.watching import Watch

    recipe = recipe_of(photos, network={"name": network}, training={"epochs": 2}, augmentation={"shift": 0.1})
    splits, preprocessing = splits_of(recipe), data_preprocessing(recipe)
    fit, _ = LEARNING[NETWORKS[network].task]
    histories = []
    for own in (splits, eager(splits)):
        make_deterministic(0)
        model = NETWORKS[network].build(recipe.network.options)
        histories.append(fit(model, recipe, own, preprocessing, Watch()))
    for entry, wanted in zip(*histories, strict=True):
        assert entry == pytest.approx(wanted, rel=1e-4)


def test_a_file_that_breaks_while_it_trains_is_named(photos: Path, tmp_path: Path) -> None:
    """Not by a traceback of TensorFlow, and no model is left."""
    folder = shutil.copytree(photos, tmp_path / "mine")
    recipe = recipe_of(folder)
    splits, preprocessing = splits_of(recipe), data_preprocessing(recipe)
    for path in (folder / "red").iterdir():
        path.write_bytes(b"no image")
    from dlkit.networks import NETWORKS
    from dlkit.training import supervised
    from dlkit.training.watching import Watch

    model = NETWORKS["cnn"].build(recipe.network.options)
    with pytest.raises(DataError, match=r"mine/red/\S+: "):
        supervised.fit(model, recipe, splits, preprocessing, Watch())
