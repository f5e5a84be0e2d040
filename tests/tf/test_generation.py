"""Generators by recipe: trained against their discriminators, judged by a classifier, exported."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from short import short_recipe

from dlkit.bundle.loading import Bundle
from dlkit.calibration.samples import samples_of_recipe
from dlkit.conversion.tflite import load_model
from dlkit.datasets import DATASETS
from dlkit.digest import sha256_of_arrays
from dlkit.frameworks import make_deterministic
from dlkit.networks import NETWORKS
from dlkit.pipeline import TrainingResult, run, train
from dlkit.pipeline.evaluating import evaluate
from dlkit.recipe import AugmentationPart, Recipe, read_recipe
from dlkit.recipe_data import asked_of, data_preprocessing, latent_noise, splits_of
from dlkit.report import Report
from dlkit.training import adversarial
from dlkit.training.judging import Judge
from dlkit.training.watching import Watch

pytestmark = pytest.mark.tf

CONDITIONAL = "conditional_dcgan_generator"
BOTH = {"differentiable_augmentation": True}


def recipe_of(
    network: str = "dcgan28_generator", *, epochs: int = 2, shape: tuple[int, ...] = (8, 8, 1), **own: Any
) -> Recipe:
    numbers = 26 if network == CONDITIONAL else 16
    return short_recipe(
        name="made",
        network={"name": network, "options": {"input_shape": [numbers], "image_shape": list(shape), "width": 8}},
        data={"name": "digits", "resize": "pad", "preprocessing": "signed"},
        training={"epochs": epochs, "learning_rate": 0.002},
        adversarial={"options": {"width": 8}, **own},
    )


def trained(recipe: Recipe) -> Any:
    make_deterministic(recipe.seed)
    model = NETWORKS[recipe.network.name].build(recipe.network.options)
    history = adversarial.fit(model, recipe, splits_of(recipe), data_preprocessing(recipe), Watch())
    return model, history


@pytest.fixture(scope="module")
def judge() -> Judge:
    recipe = recipe_of()
    return Judge(recipe, splits_of(recipe), data_preprocessing(recipe))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainingResult, Bundle, Report]:
    """A generator after a few epochs, exported to int8."""
    return run(recipe_of(epochs=10, ema=0.9), tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def ordered(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainingResult, Bundle, Report]:
    """A conditional generator after some epochs, exported to int8."""
    recipe = recipe_of(CONDITIONAL, epochs=30, ema=0.9)
    return run(recipe, tmp_path_factory.mktemp("ordered"))


@pytest.mark.slow
@pytest.mark.parametrize("network", ["dcgan28_generator", CONDITIONAL])
@pytest.mark.parametrize(
    "own", [{}, {"gradient_penalty": 1.0, "spectral_norm": True}, {"ema": 0.0}, {"smoothing": 0.0}], ids=str
)
def test_both_losses_are_watched(network: str, own: dict[str, float]) -> None:
    """Numbers in every epoch, with each of the stabilisers and without."""
    _, history = trained(recipe_of(network, **own))
    assert [entry.keys() for entry in history] == [{"loss", "discriminator_loss"}] * 2
    assert all(np.isfinite(list(entry.values())).all() for entry in history)


@pytest.mark.slow
@pytest.mark.parametrize("network", ["dcgan28_generator", CONDITIONAL])
def test_made_images_are_changed_as_real_ones(network: str) -> None:
    """Where both are asked for; the same real ones then lead to another generator, and again to that."""
    recipe = dataclasses.replace(recipe_of(network, epochs=1), augmentation=AugmentationPart(shift=0.25))
    both = dataclasses.replace(recipe, adversarial=dataclasses.replace(recipe.adversarial, **BOTH))
    weights = [sha256_of_arrays(trained(each)[0].get_weights()) for each in (recipe, both, both)]
    assert weights[0] != weights[1] == weights[2]


@pytest.mark.slow
def test_a_pair_for_larger_images_trains_too() -> None:
    """DCGAN's own, from 16×16 on."""
    model, _ = trained(recipe_of("dcgan_generator", epochs=1, shape=(16, 16, 1)))
    assert model.output_shape == (None, 16, 16, 1)


@pytest.mark.slow
def test_pictures_are_made_on_the_way(tmp_path: Path) -> None:
    """Grids of images of the same noise, ten times in a training."""
    recipe = recipe_of(epochs=2)
    make_deterministic(recipe.seed)
    model = NETWORKS[recipe.network.name].build(recipe.network.options)
    watch = Watch(pictures=tmp_path / "pictures")
    adversarial.fit(model, recipe, splits_of(recipe), data_preprocessing(recipe), watch)
    made = sorted((tmp_path / "pictures").iterdir())
    assert [path.name for path in made] == ["epoch-00001.png", "epoch-00002.png"]
    assert made[0].read_bytes() != made[1].read_bytes()


@pytest.mark.slow
def test_pictures_of_a_conditional_generator_have_a_row_a_class(tmp_path: Path) -> None:
    """Of the same noise in every row."""
    recipe = recipe_of(CONDITIONAL, epochs=1)
    make_deterministic(recipe.seed)
    model = NETWORKS[recipe.network.name].build(recipe.network.options)
    adversarial.fit(model, recipe, splits_of(recipe), data_preprocessing(recipe), Watch(pictures=tmp_path))
    [path] = tmp_path.iterdir()
    size = Image.open(io.BytesIO(path.read_bytes())).size
    assert size == (adversarial.SHOWN_OF_EACH * 50 + 2, 10 * 50 + 2)


@pytest.mark.parametrize("name", [pytest.param("dcgan_discriminator", marks=pytest.mark.slow), "dcgan28_discriminator"])
def test_spectral_normalisation_keeps_every_kernel_at_one(name: str) -> None:
    """Its largest singular value, after some steps of the power iteration."""
    network = NETWORKS[name]
    make_deterministic(0)
    options = {**network.small, "activation": "linear"}
    model = adversarial._spectrally_normalised(network.build(options))
    images = np.random.default_rng(0).normal(size=(4, *model.input_shape[1:])).astype(np.float32)
    for _ in range(30):
        model(images, training=True)
    kernels = [variable.numpy() for variable in model.trainable_variables if variable.path.endswith("kernel")]
    largest = [np.linalg.norm(kernel.reshape(-1, kernel.shape[-1]), 2) for kernel in kernels]
    assert largest == pytest.approx(np.ones(len(kernels)), abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("network", ["dcgan28_generator", CONDITIONAL])
def test_the_same_seed_makes_the_same_generator(network: str) -> None:
    """Noise, order and weights are all of the seed."""
    first, second = (trained(recipe_of(network, epochs=1))[0] for _ in range(2))
    assert sha256_of_arrays(first.get_weights()) == sha256_of_arrays(second.get_weights())


RECIPE = """
name = "made"
network = { name = "dcgan28_generator", options = { input_shape = [16], width = 8 } }
data = { name = "digits", preprocessing = "signed" }
training = { epochs = 2, learning_rate = 0.002 }
adversarial = { options = { width = 8 } }
"""


@pytest.mark.full
@pytest.mark.slow
def test_the_command_line_trains_the_same_generator_as_python(fresh, tmp_path: Path) -> None:
    """A fresh process that draws pictures on the way, and this one, which has built and trained much before."""
    (tmp_path / "made.toml").write_text(RECIPE)
    trained(recipe_of(epochs=1))
    here = train(read_recipe(tmp_path / "made.toml"), tmp_path / "python").trained.model
    said = fresh("-m", "dlkit", "train", "made.toml", "--out", "cli", "--plot", "-q", cwd=tmp_path)
    assert said.code == 0, said.err
    ours, theirs = (load_model(path).get_weights() for path in (here, tmp_path / "cli" / "made" / "model.keras"))
    assert sha256_of_arrays(ours) == sha256_of_arrays(theirs)


@pytest.mark.slow
def test_the_average_of_the_weights_is_kept() -> None:
    """Not the last ones, which the same run without it ends with."""
    averaged, last = (trained(recipe_of(epochs=1, ema=ema))[0] for ema in (0.9, 0.0))
    assert not np.allclose(averaged.get_layer("image").get_weights()[0], last.get_layer("image").get_weights()[0])


@pytest.mark.slow
def test_real_images_are_nearest_to_real_images(judge: Judge) -> None:
    """The classifier is sure of most, sees all classes, and their distance is that of the training images."""
    splits = DATASETS["digits"].load()
    real = judge.preprocessing.apply(splits.train.samples)
    found = judge.judge(real, splits.test)
    assert found.feature_distance == pytest.approx(found.real_distance)
    assert found.confident > 0.95
    assert found.entropy > 0.99


@pytest.mark.slow
def test_real_images_are_of_the_class_that_is_asked_for(judge: Judge) -> None:
    """By their labels; by labels moved on by one they are not. Where none is asked for, nothing is said of it."""
    splits = DATASETS["digits"].load()
    real, labels = judge.preprocessing.apply(splits.validation.samples), splits.validation.labels
    assert judge.judge(real, splits.test, labels).as_asked > 0.95
    assert judge.judge(real, splits.test, (labels + 1) % 10).as_asked < 0.05
    assert "as_asked" not in judge.judge(real, splits.test).besides


@pytest.mark.slow
def test_noise_is_far_from_real_images(judge: Judge) -> None:
    """By far more than real ones are."""
    noise = np.random.default_rng(0).uniform(-1, 1, (500, 8, 8, 1)).astype(np.float32)
    found = judge.judge(noise, DATASETS["digits"].load().test)
    assert found.feature_distance > 20 * found.real_distance


@pytest.mark.slow
def test_one_class_alone_has_no_entropy(judge: Judge) -> None:
    """However good the images are."""
    train = DATASETS["digits"].load().train
    sevens = judge.preprocessing.apply(train.samples[train.labels == 7])
    assert judge.judge(sevens, train).entropy < 0.05


@pytest.mark.slow
def test_training_brings_a_generator_nearer(made, judge: Judge) -> None:
    """A few epochs are enough to be nearer to the digits than one without training."""
    recipe = recipe_of()
    make_deterministic(0)
    untrained = NETWORKS[recipe.network.name].build(recipe.network.options)
    before = judge.judge(untrained.predict(latent_noise(recipe, 500, 9), verbose=0), DATASETS["digits"].load().test)
    result, _, _ = made
    assert result.test.metric == "feature_distance"
    assert result.test.value < 0.9 * before.feature_distance
    assert set(result.test.besides) == {"real_distance", "confident", "entropy"}


def test_a_generator_is_calibrated_and_proven_with_noise() -> None:
    """Standard normal, other for each purpose, the same each time."""
    samples, again = (samples_of_recipe(recipe_of(), "noise") for _ in range(2))
    calibration, gate = samples.calibration.raw["noise"], samples.gate.raw["noise"]
    assert calibration.shape == (300, 16)
    assert abs(calibration.mean()) < 0.05
    assert abs(calibration.std() - 1) < 0.05
    assert np.array_equal(calibration, again.calibration.raw["noise"])
    assert not np.array_equal(calibration[: len(gate)], gate)


def test_a_conditional_generator_is_asked_for_every_class_in_turn() -> None:
    """Behind noise that is the same for a seed, in calibration, proof and measure alike."""
    recipe = recipe_of(CONDITIONAL)
    noise, asked = latent_noise(recipe, 25, 7), asked_of(recipe, 25)
    assert asked.tolist() == [*range(10), *range(10), *range(5)]
    assert np.array_equal(noise[:, 16:], np.eye(10)[asked])
    assert abs(noise[:, :16].std() - 1) < 0.1
    calibration = samples_of_recipe(recipe, "noise").calibration.raw["noise"]
    assert calibration[:, 16:].sum(axis=0).tolist() == [30.0] * 10
    assert asked_of(recipe_of(), 25) is None


@pytest.mark.slow
def test_a_conditional_generator_makes_what_is_asked_for(ordered) -> None:
    """Far more often than by chance, in float and in int8, after a few epochs."""
    result, bundle, report = ordered
    assert report.gate.exported > 20
    assert result.test.besides["as_asked"] > 0.5
    found = evaluate(bundle)
    assert found.besides["as_asked"] == pytest.approx(result.test.besides["as_asked"], abs=0.05)


@pytest.mark.slow
def test_predict_draws_each_class(ordered, dlkit, fresh, tmp_path: Path) -> None:
    """The bundle's own runner writes the same bytes; the bundle knows the names from the data."""
    _, bundle, _ = ordered
    assert bundle.conditions == tuple("0123456789")
    arguments = ("--class", "3", "--class", "7", "--count", "4", "--seed", "5", "--output")
    said = dlkit("predict", bundle.folder, *arguments, tmp_path / "ours.png")
    assert (said.code, said.err) == (0, "")
    alone = fresh(bundle.folder / "predict.py", *arguments, tmp_path / "alone.png", cwd=tmp_path)
    assert (alone.code, alone.err) == (0, "")
    assert alone.out.endswith("alone.png: 4 images of each of 2 classes (3, 7)\n")
    drawn = (tmp_path / "ours.png").read_bytes()
    assert drawn == (tmp_path / "alone.png").read_bytes()
    assert Image.open(io.BytesIO(drawn)).size == (4 * 50 + 2, 2 * 50 + 2)


@pytest.mark.slow
def test_predict_draws_what_an_exported_generator_makes(made, dlkit, fresh, tmp_path: Path) -> None:
    """From black to white; the bundle's own runner writes the same bytes of the same seed."""
    _, bundle, _ = made
    arguments = ("--count", "9", "--seed", "5", "--output")
    said = dlkit("predict", bundle.folder, *arguments, tmp_path / "ours.png")
    assert (said.code, said.err) == (0, "")
    alone = fresh(bundle.folder / "predict.py", *arguments, tmp_path / "alone.png", cwd=tmp_path)
    assert (alone.code, alone.err) == (0, "")
    drawn = (tmp_path / "ours.png").read_bytes()
    assert drawn == (tmp_path / "alone.png").read_bytes()
    assert Image.open(io.BytesIO(drawn)).getextrema()[0] < 20


@pytest.mark.slow
def test_an_exported_generator_makes_what_the_float_one_makes(made) -> None:
    """By the ratio of signal to noise; there are no right answers."""
    _, _, report = made
    assert report.gate.metric == "sqnr_db"
    assert report.gate.exported > 20
    assert report.tests == ()


@pytest.mark.slow
def test_evaluate_judges_an_exported_generator(made) -> None:
    """By the same classifier on the same noise, so that its distance is near the float model's."""
    result, bundle, _ = made
    found = evaluate(bundle)
    assert (found.metric, found.samples, found.float) == ("feature_distance", 2000, None)
    assert found.exported == pytest.approx(result.test.value, rel=0.1)
