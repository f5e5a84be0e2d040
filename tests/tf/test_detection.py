"""Detectors of anomalies by recipe: trained on one class, exported by how well they tell it from the others."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from short import short_recipe

from dlkit.bundle.loading import Bundle
from dlkit.datasets import DATASETS
from dlkit.metrics import auc
from dlkit.pipeline import TrainingResult, export, run
from dlkit.pipeline.evaluating import evaluate
from dlkit.pipeline.finding import as_recipe_says
from dlkit.recipe import Recipe
from dlkit.recipe_data import splits_of
from dlkit.report import Report

pytestmark = [pytest.mark.tf, pytest.mark.slow]

Ran = tuple[TrainingResult, Bundle, Report]


def detector_of(epochs: int = 30) -> Recipe:
    return short_recipe(
        name="detector",
        network={"name": "dense_autoencoder", "options": {"units": [12]}},
        data={"name": "digits", "resize": "pad", "noise": 0.1},
        anomaly={"normal": "6", "false_alarms": 0.1},
        training={"epochs": epochs, "learning_rate": 0.02, "batch_size": 16},
    )


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Of sixes, after a few epochs, exported to int8."""
    return run(detector_of(), tmp_path_factory.mktemp("detector"))


def test_it_tells_what_it_has_not_seen(detector: Ran) -> None:
    """The float model, by the area under its curve."""
    result, _, _ = detector
    assert (result.validation.metric, result.test.metric) == ("auc", "auc")
    assert result.test.value > 0.95
    assert result.test.given is None


def test_training_is_watched_on_normal_samples(detector: Ran) -> None:
    """The loss on others would be several times that of the training split."""
    result, _, _ = detector
    assert result.history[-1]["val_loss"] < 1.5 * result.history[-1]["loss"]


def test_an_exported_detector_is_held_to_its_area(detector: Ran) -> None:
    """On the validation split, and reported on the test split."""
    result, _, report = detector
    for comparison, quality in ((report.gate, result.validation), (report.test, result.test)):
        assert comparison is not None
        assert comparison.metric == "auc"
        assert comparison.float == pytest.approx(quality.value, abs=1e-3)
        assert abs(comparison.float - comparison.exported) <= 0.01


def test_the_threshold_is_that_of_the_exported_file(detector: Ran) -> None:
    """A quantile of its scores of the normal validation samples; in the manifest, so that a device has it."""
    _, bundle, report = detector
    validation = DATASETS["digits"].load().validation
    scores = bundle.scores(validation.samples)
    assert bundle.detector is not None
    assert bundle.detector.threshold == pytest.approx(np.quantile(scores[validation.labels == 6], 0.9), rel=1e-6)
    assert report.detection is not None
    assert report.detection.found > 0.8
    stored = json.loads((bundle.folder / "manifest.json").read_text())["anomaly"]
    assert stored["threshold"] == report.detection.threshold == bundle.detector.threshold
    assert (
        f"threshold    {bundle.detector.threshold:.5f}, the 0.9 quantile" in (bundle.folder / "report.txt").read_text()
    )


def test_another_threshold_needs_no_training(detector: Ran, tmp_path: Path) -> None:
    """The quantile that the recipe says now, of a model that was trained before."""
    recipe = detector_of()
    assert recipe.anomaly is not None
    changed = dataclasses.replace(recipe, anomaly=dataclasses.replace(recipe.anomaly, false_alarms=0.5))
    bundle, _ = export(as_recipe_says(detector[0].trained, changed), "float32", out=tmp_path)
    validation = DATASETS["digits"].load().validation
    scores = bundle.scores(validation.samples)
    assert bundle.detector is not None
    assert bundle.detector.threshold == pytest.approx(np.median(scores[validation.labels == 6]), rel=1e-6)


def test_evaluate_repeats_the_reports_area(detector: Ran, dlkit) -> None:
    """Beside the float model's, with what the threshold does."""
    _, bundle, report = detector
    again = evaluate(bundle)
    assert (again.metric, again.samples, again.agreement) == ("auc", 360, None)
    assert (again.float, again.exported) == (pytest.approx(report.test.float), pytest.approx(report.test.exported))
    assert again.besides == {
        "threshold": report.detection.threshold,
        "false_alarms": pytest.approx(report.detection.false_alarms),
        "found": pytest.approx(report.detection.found),
    }
    said = dlkit("evaluate", bundle.folder, "--quiet")
    assert said.out.startswith("auc on 360 samples (test split of digits)\nfloat      0.9")
    assert "threshold  " in said.out


def test_predict_and_the_bundles_own_runner_agree(detector: Ran, dlkit, fresh, tmp_path: Path) -> None:
    """Line for line; their verdicts are those of the scores."""
    _, bundle, _ = detector
    test = splits_of(detector_of()).test
    given = tmp_path / "digits.npy"
    np.save(given, test.samples[:40])
    said, alone = dlkit("predict", bundle.folder, given), fresh(bundle.folder / "predict.py", given)
    assert (said.code, alone.code, alone.err) == (0, 0, "")
    assert said.out == alone.out
    beyond = bundle.scores(test.samples[:40]) > bundle.detector.threshold
    assert [line.endswith(": anomaly") for line in said.out.splitlines()] == beyond.tolist()


@pytest.mark.slow
def test_a_detector_for_servers_has_its_threshold_too(detector: Ran, tmp_path: Path) -> None:
    """Measured with the SavedModel."""
    result, bundle, _ = detector
    served, report = export(result.trained, "saved_model", "server", out=tmp_path)
    assert report.gate.metric == "auc"
    assert served.detector is not None
    assert served.detector.threshold == pytest.approx(bundle.detector.threshold, rel=0.1)
    test = DATASETS["digits"].load().test
    assert auc(served.scores(test.samples), (test.labels != 6).astype(np.int64)) == pytest.approx(report.test.exported)
