"""The digits that come with the package: fixed for ever, and passed on with their licence."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest

from dlkit.datasets import DATASETS, Split, Splits

DIGITS = DATASETS["digits"]
FINGERPRINTS = {
    "train": "6f0675a283e39defdc7d71eaa6688e0df876280060b36b8532141505e6415a01",
    "validation": "9b2b80913f1a443e514898edbf9f46d36a06694215438685b4b7c49818b13212",
    "test": "f748a4d31a986281cbb897d6b4090cadf80273b8bd1ea2c6703d0702862ac105",
}


@pytest.fixture(scope="module")
def splits() -> Splits:
    return DIGITS.load()


def parts(splits: Splits) -> tuple[Split, Split, Split]:
    return splits.train, splits.validation, splits.test


def test_sizes(splits: Splits) -> None:
    """As the shelf says without loading them; 1,797 in all."""
    assert tuple(len(part) for part in parts(splits)) == DIGITS.samples
    assert sum(DIGITS.samples) == 1797


@pytest.mark.parametrize("name", FINGERPRINTS)
def test_the_splits_are_fixed(splits: Splits, name: str) -> None:
    """A bundle measured years ago was measured on these."""
    assert getattr(splits, name).fingerprint == FINGERPRINTS[name]


def test_values(splits: Splits) -> None:
    """Counts of inked dots, 0 to 16, of 8×8 pixels; both ends occur."""
    for part in parts(splits):
        assert part.samples.shape[1:] == DIGITS.shape
        assert part.samples.dtype == np.uint8
        assert (part.samples.min(), part.samples.max()) == DIGITS.raw_range


def test_every_split_has_every_class_alike(splits: Splits) -> None:
    """Stratified: the classes differ by as much as they do in the whole, and no more."""
    whole = np.bincount(np.concatenate([part.labels for part in parts(splits)])) / 1797
    for part in parts(splits):
        np.testing.assert_allclose(np.bincount(part.labels) / len(part), whole, atol=0.006)
    assert len(whole) == DIGITS.classes


def test_no_image_is_in_two_splits(splits: Splits) -> None:
    """What is tested on was not trained on."""
    train, validation, test = ({sample.tobytes() for sample in part.samples} for part in parts(splits))
    assert not train & validation
    assert not train & test
    assert not validation & test


def test_the_licence_is_shipped() -> None:
    """Beside the data, with the name it is known by and where it comes from."""
    text = files("dlkit.datasets").joinpath("LICENSE-digits.md").read_text()
    assert DIGITS.licence == "CC BY 4.0"
    assert "Creative Commons Attribution 4.0" in text or "CC BY 4.0" in text
    assert "10.24432/C50P49" in text
    assert "10.24432/C50P49" in DIGITS.source


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
