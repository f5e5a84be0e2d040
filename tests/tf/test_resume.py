"""A training that was stopped and taken up again comes to the same as one that was not."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from short import short_recipe

from dlkit.cli.train import print_training
from dlkit.conversion.tflite import load_model
from dlkit.digest import sha256_of_arrays
from dlkit.errors import OutputError
from dlkit.pipeline import TrainingResult, train
from dlkit.progress import Advance
from dlkit.recipe import Recipe

pytestmark = pytest.mark.tf

EACH = {"checkpoint_s": 0.0}
CLASSIFIER: dict[str, Any] = {
    "network": {"name": "cnn", "options": {"width": 8}},
    "training": {"epochs": 4, "batch_size": 128, "learning_rate": 0.01, **EACH},
    "augmentation": {"shift": 0.1, "noise": 0.05},
}
RECIPES: dict[str, dict[str, Any]] = {
    "classifier": CLASSIFIER,
    "best": {**CLASSIFIER, "training": {**CLASSIFIER["training"], "keep": "best", "patience": 3}},
    "variational": {
        "network": {"name": "variational_autoencoder", "options": {"activation": "sigmoid"}},
        "training": {"epochs": 4, "batch_size": 256, "loss": "binary_crossentropy", **EACH},
        "data": {"name": "digits", "noise": 0.1},
    },
    "sounds": {
        "network": {"name": "ds_cnn", "options": {"width": 8}},
        "data": {"name": "chirps", "options": {"sounds": 200}},
        "training": {"epochs": 4, "batch_size": 64, **EACH},
        "augmentation": {"time_shift": 0.1, "background": 0.1, "time_mask": 0.2},
    },
    "generator": {
        "network": {
            "name": "dcgan28_generator",
            "options": {"input_shape": [16], "image_shape": [8, 8, 1], "width": 8},
        },
        "data": {"name": "digits", "preprocessing": "signed"},
        "training": {"epochs": 4, "batch_size": 256, **EACH},
        "adversarial": {"options": {"width": 8}, "ema": 0.9, "differentiable_augmentation": True},
        "augmentation": {"shift": 0.2},
    },
    "conditional": {
        "network": {
            "name": "conditional_dcgan_generator",
            "options": {"input_shape": [26], "image_shape": [8, 8, 1], "width": 8},
        },
        "data": {"name": "digits", "preprocessing": "signed"},
        "training": {"epochs": 4, "batch_size": 256, **EACH},
        "adversarial": {"options": {"width": 8}, "ema": 0.9, "spectral_norm": True, "gradient_penalty": 1.0},
    },
}


class StoppedAfter:
    """Progress of a training that Ctrl-C stops when `epoch` is done."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    @contextlib.contextmanager
    def step(self, label: str) -> Iterator[Advance]:
        def advance(done: int, total: int) -> None:
            if label.startswith("Training") and done == self.epoch:
                raise KeyboardInterrupt

        yield advance


def stop(recipe: Recipe, out: Path, epoch: int, **how: bool) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(recipe, out, progress=StoppedAfter(epoch), **how)


def weights(result: TrainingResult) -> str:
    return sha256_of_arrays(load_model(result.trained.model).get_weights())


@pytest.mark.slow
@pytest.mark.parametrize("kind", RECIPES)
def test_the_course_is_that_of_an_uninterrupted_run(kind: str, tmp_path: Path) -> None:
    """Stopped twice, once before its first checkpoint: same history, same quality, same weights, bit for bit."""
    recipe = short_recipe(**RECIPES[kind])
    whole = train(recipe, tmp_path / "whole")
    stop(recipe, tmp_path / "parts", 1)
    stop(recipe, tmp_path / "parts", 3, resume=True)
    taken_up = train(recipe, tmp_path / "parts", resume=True)
    assert taken_up.history == whole.history
    assert (taken_up.validation, taken_up.test) == (whole.validation, whole.test)
    assert weights(taken_up) == weights(whole)
    assert not (tmp_path / "parts" / recipe.name / "checkpoints").exists()


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recipe, Path]:
    out = tmp_path_factory.mktemp("stopped")
    recipe = short_recipe(**CLASSIFIER)
    stop(recipe, out, 3)
    return recipe, out


def test_a_stopped_training_is_not_begun_anew_unasked(stopped: tuple[Recipe, Path]) -> None:
    """What was done would be lost."""
    recipe, out = stopped
    with pytest.raises(OutputError, match="stopped after epoch 2; go on with --resume, or start over with --force"):
        train(recipe, out)


def test_a_stopped_training_is_not_gone_on_with_other_values(stopped: tuple[Recipe, Path]) -> None:
    """The text names them."""
    recipe, out = stopped
    with pytest.raises(OutputError, match="other values of seed"):
        train(dataclasses.replace(recipe, seed=9), out, resume=True)


def test_what_is_trained_already_is_measured_again(models: Path) -> None:
    """So that a script may say --resume until it succeeds."""
    before = (models / "short" / "model.keras").stat().st_mtime_ns
    result = train(short_recipe(), models, resume=True)
    assert len(result.history) == 8
    assert result.validation.value > 0.9
    assert (models / "short" / "model.keras").stat().st_mtime_ns == before


def test_a_model_of_other_values_is_not_gone_on_with(models: Path) -> None:
    """Neither measured as if it were the recipe's nor replaced."""
    with pytest.raises(Exception, match=r"was made with other values of training\.epochs.*--force"):
        train(short_recipe(training={"epochs": 9, "learning_rate": 0.01}), models, resume=True)


def test_a_damaged_checkpoint_is_told(stopped: tuple[Recipe, Path], tmp_path: Path, capsys: Any) -> None:
    """By its name, beside the result of the training that went on from the one before."""
    recipe, out = stopped
    shutil.copytree(out, tmp_path / "copy")
    newest = max((tmp_path / "copy" / recipe.name / "checkpoints").iterdir())
    newest.write_bytes(newest.read_bytes()[:-40])
    result = train(recipe, tmp_path / "copy", resume=True)
    assert result.damaged == (newest,)
    print_training(result)
    assert f"note: the checkpoint {newest.name} was damaged" in capsys.readouterr().out
