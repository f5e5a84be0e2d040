"""The data sets that Keras fetches, with arrays in place of what it would fetch."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dlkit.datasets import DATASETS, Dataset, _keras_files
from dlkit.errors import DataError

NAMES = [name for name, entry in DATASETS.items() if isinstance(entry, Dataset) and entry.kept == "keras"]


def dataset_of(name: str) -> Dataset:
    entry = DATASETS[name]
    assert isinstance(entry, Dataset)
    return entry


def as_keras_has_them(dataset: Dataset) -> Any:
    """(x, y), (x_test, y_test) in Keras' shapes: grey without a channel, labels of colour images in a column."""
    assert dataset.samples is not None
    train, validation, test = dataset.samples
    grey = dataset.shape[2] == 1

    def part(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.random.default_rng(seed).permutation(np.arange(count) % dataset.classes).astype(np.uint8)
        images = np.zeros((count, *(dataset.shape[:2] if grey else dataset.shape)), np.uint8)
        images[:, 0, 0] = labels if grey else labels[:, np.newaxis]
        return images, labels if grey else labels[:, np.newaxis]

    return part(train + validation, 0), part(test, 1)


@pytest.fixture
def offer(monkeypatch: pytest.MonkeyPatch):
    """What `keras.datasets.NAME.load_data` does from now on."""

    def put(name: str, load_data: Any) -> None:
        datasets = SimpleNamespace(**{name: SimpleNamespace(load_data=load_data)})
        monkeypatch.setattr(_keras_files, "keras", SimpleNamespace(datasets=datasets))

    return put


def test_there_are_four() -> None:
    """Small images."""
    assert NAMES == ["cifar10", "cifar100", "fashion_mnist", "mnist"]


@pytest.mark.parametrize("name", NAMES)
def test_facts_are_those_of_the_data(offer, name: str) -> None:
    """Counts, shape and labels; validation is of the training samples, as many of each class."""
    dataset = dataset_of(name)
    offered = as_keras_has_them(dataset)
    offer(name, lambda: offered)
    splits = dataset.load()
    parts = splits.train, splits.validation, splits.test
    assert tuple(len(part) for part in parts) == dataset.samples
    assert {part.samples.shape[1:] for part in parts} == {dataset.shape}
    for part in parts:
        assert part.samples.dtype == np.uint8
        assert part.labels.dtype == np.int64
        assert np.array_equal(part.samples[:, 0, 0, 0], part.labels)
        assert np.ptp(np.bincount(part.labels, minlength=dataset.classes)) == 0
    assert dataset.load().validation.fingerprint == splits.validation.fingerprint
    assert dataset.licence


@pytest.mark.parametrize("name", NAMES)
def test_without_a_network_it_is_said_what_to_fetch(
    offer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """One line with the address, the reason and the place; no bar of a download."""
    monkeypatch.setenv("KERAS_HOME", "/home/me/.keras")

    def fails() -> None:
        print("Downloading data from somewhere")
        raise Exception("URL fetch failure on https://x: None -- [Errno -3] Temporary failure\nin name resolution")

    offer(name, fails)
    with pytest.raises(DataError) as caught:
        dataset_of(name).load()
    said = str(caught.value)
    assert said.startswith(f"{name}: could not be fetched from https://")
    assert "[Errno -3] Temporary failure in name resolution; fetch it where there is a network and put it at" in said
    assert "/home/me/.keras/datasets/" in said
    assert "\n" not in said
    assert capsys.readouterr().out == ""
