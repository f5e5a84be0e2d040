"""The data that come with the package: fixed for ever, and passed on with their licence."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

import numpy as np
import pytest

from dlkit.datasets import DATASETS, Dataset, Split, Splits

FINGERPRINTS = {
    ("digits", "train"): "6f0675a283e39defdc7d71eaa6688e0df876280060b36b8532141505e6415a01",
    ("digits", "validation"): "9b2b80913f1a443e514898edbf9f46d36a06694215438685b4b7c49818b13212",
    ("digits", "test"): "f748a4d31a986281cbb897d6b4090cadf80273b8bd1ea2c6703d0702862ac105",
    ("japanese_vowels", "train"): "82905e2ec89338ab65f69589c88eda9cd799584f11e5d4ffe7b9e3411e3b9e7d",
    ("japanese_vowels", "validation"): "41557a806e719c914e91e38c179fe1ee5a628c9ca60d96b72bcb25f8aa2df9c5",
    ("japanese_vowels", "test"): "ec01e3452a2ccc7fdada7206087884158250d4fc0b9d269d1fa09ee37bf1cbac",
}

EMBEDDED = [name for name, entry in DATASETS.items() if isinstance(entry, Dataset) and entry.kept == "package"]


@cache
def splits_of(name: str) -> Splits:
    return DATASETS[name].load()


def parts(splits: Splits) -> tuple[Split, Split, Split]:
    return splits.train, splits.validation, splits.test


def test_every_dataset_has_its_fingerprints() -> None:
    """One that comes with the package never changes."""
    assert {name for name, _ in FINGERPRINTS} == set(EMBEDDED)


@pytest.mark.parametrize(("name", "part"), FINGERPRINTS)
def test_the_splits_are_fixed(name: str, part: str) -> None:
    """A bundle measured years ago was measured on these."""
    assert getattr(splits_of(name), part).fingerprint == FINGERPRINTS[name, part]


@pytest.mark.parametrize("name", EMBEDDED)
def test_facts_are_those_of_the_data(name: str) -> None:
    """Numbers of samples, shape, range and classes, as the shelf says without loading them."""
    dataset, splits = DATASETS[name], parts(splits_of(name))
    assert tuple(len(part) for part in splits) == dataset.samples
    assert {part.samples.shape[1:] for part in splits} == {dataset.shape}
    low, high = dataset.raw_range
    assert all(low <= part.samples.min() and part.samples.max() <= high for part in splits)
    assert all(set(part.labels.tolist()) == set(range(dataset.classes)) for part in splits)


@pytest.mark.parametrize("name", EMBEDDED)
def test_no_sample_is_in_two_splits(name: str) -> None:
    """What is tested on was not trained on."""
    train, validation, test = ({sample.tobytes() for sample in part.samples} for part in parts(splits_of(name)))
    assert not train & validation
    assert not train & test
    assert not validation & test


@pytest.mark.parametrize("name", EMBEDDED)
def test_the_licence_is_shipped(name: str) -> None:
    """Beside the data, with the name it is known by and where it comes from."""
    dataset = DATASETS[name]
    text = files("dlkit.datasets").joinpath(f"LICENSE-{name.replace('_', '-')}.md").read_text()
    assert dataset.licence == "CC BY 4.0"
    assert "Creative Commons Attribution 4.0" in text
    [doi] = re.findall(r"doi:(10\.\S+)", dataset.source)
    assert doi in text


def test_digits_are_counts_of_dots() -> None:
    """0 to 16 in bytes; both ends occur in every split."""
    for part in parts(splits_of("digits")):
        assert part.samples.dtype == np.uint8
        assert (part.samples.min(), part.samples.max()) == (0, 16)
    assert sum(DATASETS["digits"].samples) == 1797


def test_digits_are_stratified() -> None:
    """The classes differ by as much as they do in the whole, and no more."""
    splits = parts(splits_of("digits"))
    whole = np.bincount(np.concatenate([part.labels for part in splits])) / 1797
    for part in splits:
        np.testing.assert_allclose(np.bincount(part.labels) / len(part), whole, atol=0.006)


def test_speakers_are_as_the_repository_counts_them() -> None:
    """30 of each to train, of which 5 validate; in the test split as its description lists them."""
    splits = splits_of("japanese_vowels")
    assert np.bincount(splits.train.labels).tolist() == [25] * 9
    assert np.bincount(splits.validation.labels).tolist() == [5] * 9
    assert np.bincount(splits.test.labels).tolist() == [31, 35, 88, 44, 29, 24, 40, 50, 29]


def test_an_utterance_ends_the_sequence() -> None:
    """7 to 29 frames, as the repository says, behind frames of nothing."""
    samples = np.concatenate([part.samples for part in parts(splits_of("japanese_vowels"))])
    assert samples.dtype == np.float32
    spoken = samples.any(axis=2)
    assert (np.diff(spoken.astype(int), axis=1) >= 0).all()
    assert (spoken.sum(axis=1).min(), spoken.sum(axis=1).max()) == (7, 29)
    assert spoken.sum() == 9961


def test_coefficients_are_the_published_ones() -> None:
    """Those of the first frame of the first training utterance, in the data set's own six places."""
    splits = splits_of("japanese_vowels")
    utterances = np.concatenate([splits.train.samples, splits.validation.samples])
    published = np.float32([1.860936, -0.207383, 0.261557, -0.214562])
    assert any(np.array_equal(frame[:4], published) for utterance in utterances for frame in utterance)


def test_the_statistics_are_those_of_the_training_split() -> None:
    """Over frames that were spoken, to four places."""
    train = splits_of("japanese_vowels").train.samples
    frames = train[train.any(axis=2)].astype(np.float64)
    mean, deviation = DATASETS["japanese_vowels"].statistics
    np.testing.assert_allclose(mean, frames.mean(axis=0), atol=5e-5)
    np.testing.assert_allclose(deviation, frames.std(axis=0), atol=5e-5)


def test_a_fingerprint_sees_everything() -> None:
    """Another value, another label, another type, another shape."""
    samples, labels = np.zeros((2, 4), np.uint8), np.asarray([0, 1])
    others = [
        Split(samples + np.uint8(1), labels),
        Split(samples, labels[::-1].copy()),
        Split(samples.astype(np.int8), labels),
        Split(samples.reshape(2, 2, 2), labels),
    ]
    assert len({Split(samples, labels).fingerprint} | {s.fingerprint for s in others}) == 5


def test_rows_keep_samples_and_labels_together() -> None:
    """In the order asked for, what is clean among them."""
    split = Split(np.arange(6).reshape(3, 2), np.array([5, 6, 7]), clean=np.arange(6).reshape(3, 2) * 10)
    chosen = split.rows(np.array([2, 0]))
    assert chosen.samples.tolist() == [[4, 5], [0, 1]]
    assert chosen.labels.tolist() == [7, 5]
    assert chosen.wanted.tolist() == [[40, 50], [0, 10]]
