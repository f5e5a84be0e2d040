"""Auto-encoders by recipe: trained on their inputs, measured in decibels, exported by the same measure."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from short import short_recipe

from dlkit.bundle.loading import Bundle
from dlkit.cli import main
from dlkit.datasets import DATASETS
from dlkit.errors import TrainingError
from dlkit.networks import NETWORKS
from dlkit.pipeline import TrainingResult, run, train
from dlkit.pipeline.evaluating import evaluate
from dlkit.recipe import AugmentationPart, Recipe
from dlkit.recipe_data import preprocessing_of
from dlkit.report import Report
from dlkit.training.input_pipeline import rebuilt_batches, steps_of

pytestmark = pytest.mark.tf

QUICK = "dense_autoencoder"
"""The others train in the slow lane."""
IMAGES = [n.name for n in map(NETWORKS.__getitem__, NETWORKS) if n.task == "reconstruction" and len(n.input) == 3]


def recipe_of(network: str, *, noise: float = 0.0, epochs: int = 4, loss: str = "mse", **options: Any) -> Recipe:
    return short_recipe(
        name=network,
        network={"name": network, "options": options},
        data={"name": "digits", "resize": "pad", "noise": noise},
        training={"epochs": epochs, "learning_rate": 0.01, "loss": loss},
    )


Ran = tuple[TrainingResult, Bundle, Report]


@pytest.fixture(scope="module")
def denoised(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A denoiser, trained for a few epochs and exported to int8."""
    recipe = recipe_of("denoising_autoencoder", noise=0.5, epochs=6, width=8)
    return run(recipe, tmp_path_factory.mktemp("denoised"))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == QUICK else [pytest.mark.slow]) for name in IMAGES]
)
def test_every_autoencoder_of_images_trains_by_recipe(name: str, tmp_path: Path) -> None:
    """Its loss falls, and what it gives is nearer to its input than the mean image is (8.5 dB)."""
    small = {key: value for key, value in NETWORKS[name].small.items() if key != "input_shape"}
    result = train(recipe_of(name, **small), tmp_path)
    assert result.history[-1]["loss"] < result.history[0]["loss"]
    assert result.test.metric == "psnr_db"
    assert result.test.value > 9.0
    assert result.test.given is None


def test_noise_is_in_the_inputs_alone_and_drawn_anew() -> None:
    """What is wanted are the images of the split; of the same image no two epochs see the same noise."""
    recipe = recipe_of("denoising_autoencoder", noise=0.5)
    preprocessing, split = preprocessing_of(recipe), DATASETS["digits"].load().validation
    batches = list(rebuilt_batches(split, preprocessing, recipe).as_numpy_iterator())
    steps = steps_of(split, recipe)
    first, second = (
        {tuple(wanted.ravel()): given for x, y in epoch for given, wanted in zip(x, y, strict=True)}
        for epoch in (batches[:steps], batches[steps : 2 * steps])
    )
    assert first.keys() == second.keys() == {tuple(image.ravel()) for image in preprocessing.apply(split.samples)}
    assert not any(np.array_equal(first[image], second[image]) for image in first)
    given = np.stack(list(first.values()))
    assert (given.min(), given.max()) == (0.0, 1.0)


def test_without_noise_inputs_are_what_is_wanted() -> None:
    """Augmented alike."""
    recipe = dataclasses.replace(recipe_of("dense_autoencoder"), augmentation=AugmentationPart(shift=0.2))
    batches = rebuilt_batches(DATASETS["digits"].load().validation, preprocessing_of(recipe), recipe)
    for given, wanted in batches.as_numpy_iterator():
        assert np.array_equal(given, wanted)


def test_a_denoiser_gains_over_what_it_is_given(denoised: Ran) -> None:
    """Both are measured against the images without noise, on the test split too."""
    result, _, report = denoised
    assert result.test.given is not None
    assert result.test.value > result.test.given + 2.0
    assert report.test.float == pytest.approx(result.test.value, abs=0.01)


def test_an_exported_denoiser_is_judged_by_its_task(denoised: Ran) -> None:
    """int8, calibrated on noisy images, loses little of it."""
    _, _, report = denoised
    for comparison in (report.gate, report.test):
        assert comparison.metric == "psnr_db"
        assert abs(comparison.float - comparison.exported) < 0.2


def test_evaluate_repeats_the_reports_decibels(denoised: Ran) -> None:
    """On the same noise, in a bundle without classes."""
    _, bundle, report = denoised
    again = evaluate(bundle)
    assert (again.metric, again.samples, again.agreement) == ("psnr_db", 360, None)
    assert again.float == pytest.approx(report.test.float)
    assert again.exported == pytest.approx(report.test.exported, abs=1e-6)


def test_evaluate_prints_decibels(denoised: Ran) -> None:
    """With two places, like the report."""
    _, bundle, report = denoised
    printed = CliRunner().invoke(main, ["evaluate", str(bundle.folder), "--quiet"])
    assert printed.output == (
        f"psnr_db on 360 samples (test split of digits)\nfloat      {report.test.float:.2f}\n"
        f"exported   {report.test.exported:.2f}\n"
    )


def test_predict_shows_what_a_denoiser_gives_again(denoised: Ran, dlkit, fresh, tmp_path: Path) -> None:
    """Its error on each digit; the bundle's own runner says the same and draws the same."""
    _, bundle, _ = denoised
    digits, given = DATASETS["digits"].load().test.samples[:3], tmp_path / "digits.npy"
    np.save(given, digits)
    said = dlkit("predict", bundle.folder, given, "--output", tmp_path / "ours.png")
    alone = fresh(bundle.folder / "predict.py", given, "--output", tmp_path / "alone.png", cwd=tmp_path)
    assert (said.code, alone.code) == (0, 0), alone.err
    assert said.out.splitlines()[:3] == alone.out.splitlines()[:3]
    made = np.asarray(bundle.predict(digits))
    error = np.mean((made[2] - digits[2] / 16.0) ** 2)
    assert said.out.splitlines()[2] == f"{given}[2]  error {error:.5f}  PSNR {-10 * np.log10(error):.2f} dB"
    assert (tmp_path / "ours.png").read_bytes() == (tmp_path / "alone.png").read_bytes()


def test_a_sigmoid_cannot_give_what_is_below_0(tmp_path: Path) -> None:
    """Told before the training, with both ways out."""
    recipe = short_recipe(network={"name": "dense_autoencoder"}, data={"name": "digits", "preprocessing": "signed"})
    with pytest.raises(TrainingError, match=r"ends in sigmoid, 0 to 1, but .* from -1 to 1: --set data\.prepro"):
        train(recipe, tmp_path)


def test_cross_entropy_needs_a_sigmoid(tmp_path: Path) -> None:
    """A linear output is no probability."""
    recipe = recipe_of("dense_autoencoder", loss="binary_crossentropy", activation="linear")
    with pytest.raises(TrainingError, match="needs inputs from 0 to 1 and a network that ends in sigmoid"):
        train(recipe, tmp_path)


@pytest.mark.slow
def test_a_network_larger_than_its_data_runs_to_the_end(tmp_path: Path) -> None:
    """Digits of 8×8 pixels, read by a network of 12×12 in colour: trained, exported and evaluated on resized images."""
    network = {"name": "cnn", "options": {"width": 8, "input_shape": [12, 12, 3]}}
    result, bundle, report = run(short_recipe(network=network), tmp_path)
    assert result.validation.value > 0.85
    assert report.test.float == pytest.approx(result.test.value)
    assert evaluate(bundle).exported == pytest.approx(report.test.exported)
    assert bundle.preprocessing.image == (12, 12, 3)
