"""Forecasters by recipe: trained on windows, measured by skill, exported by the same measure, told in raw units."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from short import short_recipe

from dlkit.bundle.loading import Bundle
from dlkit.metrics import skill
from dlkit.pipeline import TrainingResult, export_schemes, train
from dlkit.pipeline.evaluating import evaluate
from dlkit.pipeline.trying import try_training
from dlkit.recipe import Recipe
from dlkit.recipe_data import data_preprocessing, splits_of
from dlkit.report import Report
from dlkit.training.input_pipeline import forecast_batches, steps_of, targets_of

pytestmark = [pytest.mark.tf, pytest.mark.slow]

DAYS = 30
"""Of a load and a price by the hour, far from 0 and from each other in size; each is as the one before."""


def recipe_of(at: Path) -> Recipe:
    hours = np.arange(24 * DAYS)
    load, price = 5000 + 1000 * np.sin(hours * np.pi / 12), 0.5 + 0.1 * np.cos(hours * np.pi / 12)
    (at / "hourly.csv").write_text("\n".join(["load,price", *(f"{a},{b}" for a, b in zip(load, price, strict=True))]))
    return short_recipe(
        name="forecast",
        network={"name": "lstm_forecaster", "options": {"units": 8}},
        data={
            "name": "series",
            "preprocessing": "standard",
            "options": {"path": str(at / "hourly.csv"), "steps": 12, "horizon": 4, "season": 12},
        },
        training={"epochs": 8, "learning_rate": 0.02, "loss": "mae"},
        export={"calibration_samples": 100, "max_drop": 0.02},
    )


Ran = tuple[TrainingResult, dict[str, tuple[Bundle, Report]]]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A forecaster, trained for a few epochs and exported to two schemes."""
    at = tmp_path_factory.mktemp("forecast")
    result = train(recipe_of(at), at)
    made = {}
    for found in export_schemes(result.trained, ["float32", "int8"], out=at, streaming=True):
        assert isinstance(found, tuple)
        made[found[1].scheme] = found
    return result, made


def test_it_learns_more_than_the_naive_forecast(ran: Ran) -> None:
    """Which repeats the last value."""
    result, _ = ran
    assert result.history[-1]["loss"] < result.history[0]["loss"]
    assert result.test.metric == "skill"
    assert 0.8 < result.test.value <= 1.0


def test_both_files_are_judged_by_their_skill(ran: Ran) -> None:
    """On validation and on test, and step by step."""
    result, made = ran
    for _, report in made.values():
        for comparison in (report.gate, report.test, *report.streamed):
            assert comparison is not None
            assert comparison.metric == "skill"
            assert comparison.float - comparison.exported <= 0.02
        assert report.test is not None
        assert report.test.float == pytest.approx(result.test.value, abs=1e-4)


def test_a_season_is_another_forecast_to_be_held_against(ran: Ran) -> None:
    """Half a day before, these are on the other side of their means: four times their variance."""
    result, made = ran
    for _, report in made.values():
        assert report.test is not None
        assert report.test.float_seasonal_skill == pytest.approx(result.test.besides["seasonal_skill"], abs=1e-4)
        assert report.test.float_mase == pytest.approx(result.test.besides["mase"], abs=1e-4)
        assert report.test.float_mse / (1 - report.test.float_seasonal_skill) == pytest.approx(4, rel=0.2)


def test_evaluate_repeats_the_reports_skill(ran: Ran) -> None:
    """In a bundle without classes."""
    bundle, report = ran[1]["int8"]
    again = evaluate(bundle)
    assert report.test is not None
    assert (again.metric, again.samples, again.agreement) == ("skill", report.test.samples, None)
    assert again.float == pytest.approx(report.test.float)
    assert again.exported == pytest.approx(report.test.exported, abs=1e-6)
    assert again.besides == {
        "seasonal_skill": pytest.approx(report.test.exported_seasonal_skill, abs=1e-6),
        "mase": pytest.approx(report.test.exported_mase, abs=1e-6),
    }


@pytest.mark.parametrize("scheme", [pytest.param("float32", marks=pytest.mark.slow), "int8"])
def test_a_forecast_is_told_in_raw_units(ran: Ran, scheme: str, tmp_path: Path, dlkit, fresh) -> None:
    """By Python, the command and the bundle's own runner; those are the units of what came to pass."""
    bundle, report = ran[1][scheme]
    test = splits_of(ran[0].trained.recipe).test
    made = bundle.predict(test.samples)
    assert isinstance(made, np.ndarray)
    assert test.targets is not None
    preprocessing = data_preprocessing(ran[0].trained.recipe)
    after = preprocessing.of_shape(test.targets.shape[1:])
    found = skill(after.apply(test.targets), after.apply(made), preprocessing.apply(test.samples))
    assert report.test is not None
    assert found == pytest.approx(report.test.exported, abs=1e-4)
    assert np.abs(made[..., 0] - test.targets[..., 0]).max() < 1000
    assert np.abs(made[..., 1] - test.targets[..., 1]).max() < 0.1

    np.save(tmp_path / "window.npy", test.samples[0])
    told = "  ".join(f"{value:.4f}" for value in made[0].flat)
    said = dlkit("predict", bundle.folder, tmp_path / "window.npy")
    alone = fresh(bundle.folder / "predict.py", tmp_path / "window.npy", cwd=tmp_path)
    assert said.out == alone.out == f"{tmp_path / 'window.npy'}  {told}\n"
    answers = dlkit("predict", bundle.folder, tmp_path / "window.npy", "--json").out
    np.testing.assert_allclose(json.loads(answers)[0]["outputs"], made[0], rtol=1e-5)
    steps = dlkit("predict", bundle.folder, tmp_path / "window.npy", "--stream").out.splitlines()
    last = [float(word) for word in steps[-1].split()[-8:]]
    assert len(steps) == 12
    np.testing.assert_allclose(np.reshape(last, (4, 2))[:, 0], made[0, :, 0], atol=300)


def test_batches_hold_what_came_after_each_window(tmp_path: Path) -> None:
    """In a new order each epoch, every window once."""
    recipe = recipe_of(tmp_path)
    split, preprocessing = splits_of(recipe).validation, data_preprocessing(recipe)
    pairs = dict(zip(map(bytes, preprocessing.apply(split.samples)), targets_of(split, preprocessing), strict=True))
    batches = list(forecast_batches(split, preprocessing, recipe).take(steps_of(split, recipe)).as_numpy_iterator())
    inputs, targets = (np.concatenate(values) for values in zip(*batches, strict=True))
    assert len(inputs) == len(split)
    assert not np.array_equal(inputs, preprocessing.apply(split.samples))
    for window, after in zip(inputs, targets, strict=True):
        np.testing.assert_allclose(pairs[bytes(window)], after, atol=1e-5)


def test_a_dry_run_needs_no_series(tmp_path: Path) -> None:
    """Two steps on one that is computed, of as many features."""
    recipe = recipe_of(tmp_path)
    (tmp_path / "hourly.csv").unlink()
    assert np.isfinite(try_training(recipe).loss)
