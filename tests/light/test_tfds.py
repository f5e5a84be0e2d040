"""Data sets of TFDS, with a package of our own in its place: it is not among those that the tests need."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dlkit.errors import DataError, ExtraMissing
from dlkit.recipe import Recipe, opened, recipe_from
from dlkit.recipe_data import splits_of

RNG = np.random.default_rng(0)
SPLITS = {
    name: [
        {"image": RNG.integers(0, 256, (9 + n % 3, 10, 3)).astype(np.uint8), "label": np.int64(n % 2)}
        for n in range(count)
    ]
    for name, count in (("train", 40), ("test", 10))
}


class Builder:
    """As much of a TFDS builder as is used."""

    def __init__(self, name: str, data_dir: str | None) -> None:
        if name != "pets":
            raise ValueError(f"Dataset {name} not found\nmore lines")
        features = {"image": SimpleNamespace(shape=(None, None, 3)), "label": SimpleNamespace(names=["cat", "dog"])}
        self.info = SimpleNamespace(
            features=features,
            supervised_keys=("image", "label"),
            splits=SPLITS,
            full_name="pets/1.0",
            homepage="pets.org",
        )
        self.prepared = False

    def download_and_prepare(self) -> None:
        self.prepared = True

    def as_dataset(self, split: str) -> Any:
        assert self.prepared
        return SPLITS[split]


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("tensorflow_datasets")
    module.builder, module.as_numpy, module.disable_progress_bar = Builder, iter, lambda: None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", module)
    return module


def recipe_of(dataset: str = "pets", **network: Any) -> Recipe:
    table = {
        "name": "x",
        "network": {"name": "cnn", "options": {"input_shape": [8, 8, 3]}, **network},
        "data": {"name": "tfds", "options": {"dataset": dataset}},
        "training": {"epochs": 1},
    }
    return recipe_from(table, "x.toml")


def test_its_images_are_fitted_and_its_splits_kept(package: ModuleType) -> None:
    """What it does not have is drawn from its training samples."""
    recipe = recipe_of()
    assert recipe.network.options["classes"] == 2
    assert opened(recipe).labels == ("cat", "dog")
    splits = splits_of(recipe)
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [36, 4, 10]
    assert (splits.test.samples.shape, splits.test.samples.dtype) == ((10, 8, 8, 3), np.dtype(np.uint8))
    assert splits.test.labels.tolist() == [0, 1] * 5


def test_an_unknown_name_is_one_line(package: ModuleType) -> None:
    """As TFDS says it, with where its names are."""
    with pytest.raises(DataError, match=r"data\.options\.dataset = 'pest': Dataset pest not found; its names are at "):
        recipe_of("pest")


def test_what_is_no_labelled_image_is_refused(package: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text, for instance."""
    start = Builder.__init__

    def without_images(self: Builder, name: str, data_dir: str | None) -> None:
        start(self, name, data_dir)
        self.info.supervised_keys = None

    monkeypatch.setattr(Builder, "__init__", without_images)
    with pytest.raises(DataError, match="'pets': holds no images with a class each, and only those are read"):
        recipe_of()


def test_without_the_package_its_pip_line_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra; a stored recipe is read without it."""
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ExtraMissing, match="reading data sets of TFDS needs tensorflow-datasets: pip install"):
        recipe_of()
    assert recipe_of(options={"input_shape": [8, 8, 3], "classes": 2}).data.name == "tfds"
