"""Which labels of samples are right answers of a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dlkit.calibration.samples import HeldOut, samples_of_data
from dlkit.runtime.preprocessing import preprocessing_for

INPUTS = {"x": preprocessing_for("none", (4,), None, (0.0, 1.0), "crop")}
X = np.random.default_rng(0).random((40, 4), dtype=np.float32)


def held_out(folder: Path, labels: np.ndarray, classes: tuple[str, ...]) -> HeldOut:
    np.savez(folder / "mine.npz", x=X, labels=labels)
    return samples_of_data(folder / "mine.npz", INPUTS, classes, 20, 0).gate


def test_a_model_without_classes_takes_zeros_and_ones(tmp_path: Path) -> None:
    """Each stays with its sample; as many of each as there can be."""
    gate = held_out(tmp_path, (X[:, 0] > 0.5).astype(np.int64), ())
    assert gate.labels is not None
    assert np.array_equal(gate.labels == 1, gate.raw["x"][:, 0] > 0.5)
    assert gate.labels.sum() == 4


@pytest.mark.parametrize("labels", [np.zeros(40, np.int64), np.ones(40, np.int64), np.arange(40) % 3])
def test_a_model_without_classes_takes_no_others(labels: np.ndarray, tmp_path: Path) -> None:
    """One class alone orders nothing, and three are no two."""
    assert held_out(tmp_path, labels, ()).labels is None


def test_a_model_with_classes_takes_theirs(tmp_path: Path) -> None:
    """Numbers of its classes; none where one is of no class."""
    gate = held_out(tmp_path, np.arange(40) % 2, ("a", "b"))
    assert gate.labels is not None
    assert gate.labels.sum() == 4
    assert held_out(tmp_path, np.arange(40) % 2 + 1, ("a", "b")).labels is None
