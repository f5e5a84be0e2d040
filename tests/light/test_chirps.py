"""Made-up sounds: ten kinds, each drawn by its place."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from dlkit.datasets import Splits
from dlkit.datasets.chirps import KINDS
from dlkit.errors import DlkitError
from dlkit.recipe import Recipe, opened, recipe_from
from dlkit.recipe_data import data_preprocessing, splits_of
from dlkit.runtime.lazy_sounds import SoundFeatures


def recipe_of(preprocessing: str = "none", **options: Any) -> Recipe:
    table = {
        "name": "x",
        "network": {"name": "ds_cnn"},
        "data": {"name": "chirps", "preprocessing": preprocessing, "options": {"sounds": 100, **options}},
        "training": {"epochs": 1},
    }
    return recipe_from(table, "x.toml")


def waveforms(splits: Splits, part: str = "train") -> Any:
    samples = getattr(splits, part).samples
    assert isinstance(samples, SoundFeatures)
    return samples.waveforms


def test_facts_are_those_of_the_data() -> None:
    """As they are known before a sound is made."""
    recipe = recipe_of()
    dataset, splits = opened(recipe), splits_of(recipe)
    assert recipe.network.options == {"input_shape": [49, 10, 1], "classes": 10}
    assert dataset.samples == (len(splits.train), len(splits.validation), len(splits.test)) == (70, 10, 20)
    assert dataset.labels == KINDS
    assert splits.train.samples.shape[1:] == dataset.shape
    assert all(set(part.labels.tolist()) == set(range(10)) for part in (splits.train, splits.validation, splits.test))


def test_a_sound_is_the_same_in_whatever_batch_it_is_made() -> None:
    """And when it is kept; another seed makes another."""
    one, two, other = (waveforms(splits_of(recipe_of(data_seed=seed))) for seed in (1, 1, 2))
    whole = np.asarray(one)
    assert whole.shape == (70, 16_000)
    assert np.array_equal(two[np.array([40, 3, 40])], whole[[40, 3, 40]])
    assert np.array_equal(one[7], whole[7])
    assert not np.array_equal(other[3], whole[3])


def test_no_sound_is_in_two_splits() -> None:
    """Each has a number of its own."""
    splits = splits_of(recipe_of())
    sounds = [{sound.tobytes() for sound in waveforms(splits, part)} for part in ("train", "validation", "test")]
    assert sum(map(len, sounds)) == len(set.union(*sounds)) == 100


def test_a_fingerprint_is_of_what_the_sounds_are_drawn_from() -> None:
    """Not of their features."""
    first, same, other = (
        splits_of(recipe_of(**options)).test.fingerprint for options in ({}, {"features": "log_mel"}, {"data_seed": 1})
    )
    assert first == same != other


def test_a_glide_goes_the_way_it_is_called() -> None:
    """Where there is no noise, the loudest band of a rising sound rises, and of a falling one falls."""
    recipe = recipe_of(features="log_mel", snr_db=[60, 60], level="none")
    train = splits_of(recipe).train
    for kind, sign in (("rising", 1), ("falling", -1)):
        for sound in np.asarray(train.samples)[train.labels == KINDS.index(kind)]:
            audible = sound[sound.max(axis=1) > sound.max() - 6]
            loudest = audible.argmax(axis=1)
            assert sign * (loudest[-3:].mean() - loudest[:3].mean()) > 0


def test_standard_needs_a_pass_over_them_and_gets_it() -> None:
    """Mean 0 and deviation 1 of each coefficient."""
    recipe = recipe_of("standard")
    x = data_preprocessing(recipe).apply(splits_of(recipe).train.samples)
    np.testing.assert_allclose(x.mean(axis=(0, 1)), 0, atol=1e-3)
    np.testing.assert_allclose(x.std(axis=(0, 1)), 1, atol=1e-3)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sounds": 90}, "x.toml: data.options.sounds = 90 must be at least 100, ten of each class"),
        ({"snr_db": [3, 1]}, "x.toml: data.options.snr_db = [3.0, 1.0] must be rising, from -100 to 100 (dB)"),
        ({"data_seed": -1}, "x.toml: data.options.data_seed = -1 must be at least 0"),
        ({"sample_rate": 4000, "fmax": 2000}, "x.toml: data.options.sample_rate = 4000 must be at least 8000 (Hz)"),
        ({"seconds": 0.2}, "x.toml: data.options.seconds = 0.2 must be at least 0.5 for these sounds"),
        ({"mel_bands": 5}, "x.toml: data.options.coefficients = 10 must be at most mel_bands = 5"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], said: str) -> None:
    """By key and value."""
    with pytest.raises(DlkitError, match=re.escape(said)):
        recipe_of(**options)
