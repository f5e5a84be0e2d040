"""What a recipe's network sees of its dataset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlkit.datasets import DATASETS, Split, Splits
from dlkit.recipe import Recipe, recipe_from
from dlkit.recipe_data import preprocessing_of, splits_of, through_noise
from dlkit.runtime.inputs import read_inputs

PARTS = ("train", "validation", "test")


def recipe_of(network: str = "cnn", noise: float = 0.0, **options: object) -> Recipe:
    table = {
        "name": "x",
        "network": {"name": network, "options": options},
        "data": {"name": "digits", "noise": noise},
        "training": {"epochs": 1},
    }
    return recipe_from(table, "x")


def parts(splits: Splits) -> list[Split]:
    return [getattr(splits, part) for part in PARTS]


@pytest.mark.parametrize("network", ["cnn", "lstm"])
def test_samples_that_fit_are_the_datasets_own(network: str) -> None:
    """Nothing is copied, nothing changed."""
    for seen, own in zip(parts(splits_of(recipe_of(network))), parts(DATASETS["digits"].load()), strict=True):
        assert np.array_equal(seen.samples, own.samples)
        assert np.array_equal(seen.labels, own.labels)


@pytest.mark.parametrize("shape", [[20, 12, 1], [20, 12, 3], [4, 4, 1]])
def test_a_resized_sample_is_what_a_runner_makes_of_its_file(shape: list[int], tmp_path: Path) -> None:
    """Trained on what the bundle will see."""
    recipe = recipe_of(input_shape=shape)
    preprocessing, own = preprocessing_of(recipe), DATASETS["digits"].load().test
    Image.fromarray(np.round(own.samples[3, ..., 0] / 16 * 255).astype(np.uint8)).save(tmp_path / "digit.png")
    [sample] = read_inputs([str(tmp_path / "digit.png")], preprocessing)
    seen = splits_of(recipe).test.samples
    assert seen.shape == (360, *shape)
    assert np.array_equal(seen[3], sample.raw)


def test_a_changed_split_is_known_by_its_original() -> None:
    """So that another version of an image library does not make it another split."""
    own = parts(DATASETS["digits"].load())
    noisy = parts(splits_of(recipe_of("denoising_autoencoder", 0.5, input_shape=[12, 12, 1])))
    assert [split.fingerprint for split in noisy] == [split.fingerprint for split in own]


def test_noise_is_over_what_is_held_out_alone() -> None:
    """The same each time, another for each split, inside the raw range; training draws its own."""
    seen, again = (splits_of(recipe_of("dense_autoencoder", 0.5)) for _ in range(2))
    own = DATASETS["digits"].load()
    assert seen.train.clean is None
    assert np.array_equal(seen.train.samples, own.train.samples)
    for part in ("validation", "test"):
        noisy, clean = getattr(seen, part), getattr(own, part).samples
        assert np.array_equal(noisy.clean, clean)
        assert np.array_equal(noisy.wanted, clean)
        assert np.array_equal(noisy.samples, getattr(again, part).samples)
        assert noisy.samples.min() == 0
        assert noisy.samples.max() == 16
    assert not np.array_equal(seen.validation.samples[:180], seen.test.samples[:180])


def test_noise_is_as_strong_as_asked() -> None:
    """A standard deviation in units of the raw range, where the ends of it are far."""
    grey = Split(np.full((50, 8, 8, 1), 100.0, np.float32), np.zeros(50, np.int64))
    noisy = through_noise(grey, 0.05, (0.0, 200.0), 0)
    assert noisy.samples.std() == pytest.approx(10.0, rel=0.05)
    assert noisy.samples.mean() == pytest.approx(100.0, abs=1.0)
    assert through_noise(grey, 0.0, (0.0, 200.0), 0) is grey


def test_standard_features_have_mean_0_and_deviation_1() -> None:
    """Over what was spoken in the training split; every runner does it by the same numbers."""
    table = {
        "name": "x",
        "network": {"name": "lstm"},
        "data": {"name": "japanese_vowels", "preprocessing": "standard"},
        "training": {"epochs": 1},
    }
    preprocessing = preprocessing_of(recipe_from(table, "x"))
    samples = DATASETS["japanese_vowels"].load().train.samples
    frames = preprocessing.apply(samples)[samples.any(axis=2)].astype(np.float64)
    np.testing.assert_allclose(frames.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(frames.std(axis=0), 1, atol=1e-3)
