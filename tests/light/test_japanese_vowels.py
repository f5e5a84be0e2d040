"""The utterances that come with the package: fixed for ever, and passed on with their licence."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest

from dlkit.datasets import DATASETS, Split, Splits

VOWELS = DATASETS["japanese_vowels"]
FINGERPRINTS = {
    "train": "82905e2ec89338ab65f69589c88eda9cd799584f11e5d4ffe7b9e3411e3b9e7d",
    "validation": "41557a806e719c914e91e38c179fe1ee5a628c9ca60d96b72bcb25f8aa2df9c5",
    "test": "ec01e3452a2ccc7fdada7206087884158250d4fc0b9d269d1fa09ee37bf1cbac",
}


@pytest.fixture(scope="module")
def splits() -> Splits:
    return VOWELS.load()


def parts(splits: Splits) -> tuple[Split, Split, Split]:
    return splits.train, splits.validation, splits.test


@pytest.mark.parametrize("name", FINGERPRINTS)
def test_the_splits_are_fixed(splits: Splits, name: str) -> None:
    """A bundle measured years ago was measured on these."""
    assert getattr(splits, name).fingerprint == FINGERPRINTS[name]


def test_speakers_are_as_the_repository_counts_them(splits: Splits) -> None:
    """30 of each to train, of which 5 validate; in the test split as its description lists them."""
    assert tuple(len(part) for part in parts(splits)) == VOWELS.samples
    assert np.bincount(splits.train.labels).tolist() == [25] * 9
    assert np.bincount(splits.validation.labels).tolist() == [5] * 9
    assert np.bincount(splits.test.labels).tolist() == [31, 35, 88, 44, 29, 24, 40, 50, 29]
    assert len(VOWELS.labels) == 9


def test_an_utterance_ends_the_sequence(splits: Splits) -> None:
    """7 to 29 frames, as the repository says, behind frames of nothing; every value inside the stated range."""
    samples = np.concatenate([part.samples for part in parts(splits)])
    assert samples.shape == (640, *VOWELS.shape)
    assert samples.dtype == np.float32
    spoken = samples.any(axis=2)
    assert (np.diff(spoken.astype(int), axis=1) >= 0).all()
    assert (spoken.sum(axis=1).min(), spoken.sum(axis=1).max()) == (7, 29)
    assert spoken.sum() == 9961
    low, high = VOWELS.raw_range
    assert low < samples.min() < samples.max() < high


def test_values_are_the_published_ones(splits: Splits) -> None:
    """The first frame of the first training utterance, in the data set's own six places."""
    first = np.concatenate([splits.train.samples, splits.validation.samples])
    published = np.float32([1.860936, -0.207383, 0.261557, -0.214562])
    assert any(np.array_equal(frame[:4], published) for utterance in first for frame in utterance)


def test_the_statistics_are_those_of_the_training_split(splits: Splits) -> None:
    """Over frames that were spoken, to four places."""
    frames = splits.train.samples[splits.train.samples.any(axis=2)].astype(np.float64)
    mean, deviation = VOWELS.statistics
    np.testing.assert_allclose(mean, frames.mean(axis=0), atol=5e-5)
    np.testing.assert_allclose(deviation, frames.std(axis=0), atol=5e-5)


def test_no_utterance_is_in_two_splits(splits: Splits) -> None:
    """What is tested on was not trained on."""
    train, validation, test = ({sample.tobytes() for sample in part.samples} for part in parts(splits))
    assert not train & validation
    assert not train & test
    assert not validation & test


def test_the_licence_is_shipped() -> None:
    """Beside the data, with the name it is known by and where it comes from."""
    text = files("dlkit.datasets").joinpath("LICENSE-japanese-vowels.md").read_text()
    assert VOWELS.licence == "CC BY 4.0"
    assert "Creative Commons Attribution 4.0" in text
    assert "10.24432/C5NS47" in text
    assert "10.24432/C5NS47" in VOWELS.source
