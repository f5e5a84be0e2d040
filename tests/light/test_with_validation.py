"""A recipe that trains with the validation split: what is trained on, and what is said of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlkit.calibration.samples import samples_of_recipe
from dlkit.datasets import DATASETS
from dlkit.errors import RecipeError
from dlkit.recipe import Recipe, recipe_from
from dlkit.recipe_data import splits_of, trained_on
from dlkit.runtime.rows import is_lazy


def recipe_of(data: dict[str, Any], network: str = "lstm", both: bool = True, samples: int = 300) -> Recipe:
    table = {
        "name": "x",
        "network": {"name": network},
        "data": data,
        "training": {"epochs": 1, "with_validation": both},
        "export": {"calibration_samples": samples},
    }
    return recipe_from(table, "x")


@pytest.mark.parametrize("both", [False, True])
def test_the_validation_split_is_trained_on_where_the_recipe_says_so(both: bool) -> None:
    """After the training split, which stays what it is to the rest."""
    recipe = recipe_of({"name": "japanese_vowels"}, both=both)
    own, seen = DATASETS["japanese_vowels"].load(), splits_of(recipe)
    train, parts = trained_on(recipe, seen), [own.train, own.validation][: 1 + both]
    assert np.array_equal(train.samples, np.concatenate([part.samples for part in parts]))
    assert np.array_equal(train.labels, np.concatenate([part.labels for part in parts]))
    assert len(seen.train) == 225


def test_samples_that_are_made_as_they_are_asked_for_are_joined_likewise(tmp_path: Path) -> None:
    """In any order, from both, at the network's size; nothing is read before."""
    rng = np.random.default_rng(0)
    np.save(tmp_path / "samples.npy", rng.integers(0, 255, (60, 6, 6, 1), np.uint8))
    np.save(tmp_path / "labels.npy", np.arange(60) % 3)
    data = {"name": "npy", "options": {key: str(tmp_path / f"{key}.npy") for key in ("samples", "labels")}}
    recipe = recipe_of(data, "cnn")
    splits = splits_of(recipe)
    train, alone = trained_on(recipe, splits), len(splits.train)
    assert is_lazy(train.samples)
    assert len(train) == alone + len(splits.validation)
    places = rng.permutation(len(train))
    whole = np.concatenate([np.asarray(splits.train.samples), np.asarray(splits.validation.samples)])
    assert np.array_equal(train.samples[places], whole[places])
    assert np.array_equal(train.samples[alone], splits.validation.samples[0])


@pytest.mark.parametrize("both", [False, True])
def test_an_export_says_on_what_it_was_held(both: bool) -> None:
    """The gate's name tells that its samples were trained on; none of them calibrates."""
    samples = samples_of_recipe(recipe_of({"name": "japanese_vowels"}, both=both), "sequence")
    assert samples.gate.name == ("validation, trained on too" if both else "validation")
    assert len(samples.calibration.raw["sequence"]) == 225


def test_it_is_for_classifiers() -> None:
    """An anomaly detector's threshold needs normal samples that no one trained on."""
    with pytest.raises(
        RecipeError, match=r"training\.with_validation = True is for classifiers, and convolutional_autoencoder"
    ):
        recipe_of({"name": "digits"}, "convolutional_autoencoder")
