"""What a detector of anomalies is trained on, and where its threshold is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dlkit.calibration.samples import HeldOut, samples_of_recipe
from dlkit.datasets import DATASETS
from dlkit.pipeline.detecting import detection_of
from dlkit.recipe import Recipe, recipe_from
from dlkit.recipe_data import anomalous, preprocessing_of, splits_of
from dlkit.trained import Trained


def recipe_of(normal: object = "3", false_alarms: float = 0.05) -> Recipe:
    table = {
        "name": "x",
        "network": {"name": "dense_autoencoder"},
        "data": {"name": "digits", "noise": 0.2},
        "anomaly": {"normal": normal, "false_alarms": false_alarms},
        "training": {"epochs": 1},
    }
    return recipe_from(table, "x")


def test_only_normal_samples_are_trained_on() -> None:
    """The others are where they are measured: in validation and test, without the noise of the training."""
    own, seen = DATASETS["digits"].load(), splits_of(recipe_of())
    assert np.array_equal(seen.train.samples, own.train.samples[own.train.labels == 3])
    for given, of in ((seen.validation, own.validation), (seen.test, own.test)):
        assert np.array_equal(given.samples, of.samples)
        assert given.clean is None


def test_only_normal_samples_calibrate() -> None:
    """As they are, and the report says which."""
    calibration = samples_of_recipe(recipe_of(), "image").calibration
    train = DATASETS["digits"].load().train
    assert calibration.labels is not None
    assert set(calibration.labels.tolist()) == {3}
    assert {x.tobytes() for x in calibration.raw["image"]} <= {x.tobytes() for x in train.samples}
    assert calibration.source == "training split of digits, 3 alone"


def test_all_classes_that_are_not_normal_are_anomalies() -> None:
    """Of two normal ones too."""
    labels = np.array([0, 3, 8, 9])
    assert anomalous(recipe_of(), labels).tolist() == [1, 0, 1, 1]
    assert anomalous(recipe_of(["3", 8]), labels).tolist() == [1, 0, 0, 1]


def held_out(labels: list[int]) -> HeldOut:
    """Black images."""
    return HeldOut("validation", {"image": np.zeros((len(labels), 8, 8, 1), np.float32)}, np.asarray(labels))


def outputs(errors: list[float]) -> np.ndarray:
    return np.stack([np.full((8, 8, 1), error**0.5, np.float32) for error in errors])


def test_the_threshold_is_a_quantile_of_normal_validation_samples() -> None:
    """However large the errors of the others are; what it does on the test split is measured, not tuned."""
    recipe = recipe_of(false_alarms=0.25)
    trained = Trained("x", Path("x"), "dense_autoencoder", recipe, {"image": preprocessing_of(recipe)}, (), True)
    gate, on_gate = held_out([3, 3, 3, 3, 3, 1]), outputs([0.1, 0.2, 0.3, 0.4, 0.5, 100.0])
    test, on_test = held_out([3, 3, 3, 3, 1, 1]), outputs([0.1, 0.1, 0.1, 0.45, 0.3, 0.9])
    found = detection_of(trained, gate, on_gate, test, on_test)
    assert found is not None
    assert (found.normal, found.wanted, found.samples) == (("3",), 0.25, 5)
    assert found.threshold == pytest.approx(0.4)
    assert (found.false_alarms, found.found) == (0.25, 0.5)


def test_what_detects_nothing_has_no_threshold() -> None:
    """A model from elsewhere, or an auto-encoder of all classes."""
    trained = Trained("x", Path("x"), "dense_autoencoder", None, {}, (), True)
    assert detection_of(trained, held_out([3]), outputs([0.1]), None, None) is None
