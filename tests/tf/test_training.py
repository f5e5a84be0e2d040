"""Training does what the recipe says, and the same each time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from short import short_recipe

from dlkit.conversion.tflite import load_model
from dlkit.datasets import DATASETS
from dlkit.digest import sha256_of_arrays
from dlkit.errors import OutputError, TrainingError
from dlkit.pipeline import train
from dlkit.recipe import TrainingPart
from dlkit.recipe_data import preprocessing_of
from dlkit.training.input_pipeline import labelled_batches, steps_of
from dlkit.training.watching import Course, Watch, watcher_of

pytestmark = pytest.mark.tf

ONCE = {"epochs": 1, "batch_size": 64}


@pytest.mark.parametrize("mode", ["unit", "signed", "none"])
@pytest.mark.parametrize("network", ["cnn", "lstm"])
def test_batches_are_preprocessed_as_every_runner_does_it(mode: str, network: str) -> None:
    """Without augmentation a training batch equals `Preprocessing.apply` of the same samples."""
    recipe = short_recipe(network={"name": network}, data={"name": "digits", "preprocessing": mode}, training=ONCE)
    preprocessing, split = preprocessing_of(recipe), DATASETS["digits"].load().validation
    inputs = np.concatenate([x for x, _ in labelled_batches(split, preprocessing, recipe, 10).as_numpy_iterator()])
    expected = preprocessing.apply(split.samples)
    key = [tuple(x.ravel()) for x in inputs]
    assert sorted(key) == sorted(tuple(x.ravel()) for x in expected)


def test_each_epoch_sees_every_sample_once_in_a_new_order() -> None:
    """Shuffling is over the whole split and is redrawn each epoch."""
    recipe = short_recipe(training={"epochs": 2, "batch_size": 100})
    split = DATASETS["digits"].load().train
    targets = [y for _, y in labelled_batches(split, preprocessing_of(recipe), recipe, 10).as_numpy_iterator()]
    assert len(targets) == 2 * steps_of(split, recipe)
    labels = np.concatenate(targets).argmax(axis=1)
    first, second = labels[: len(split)], labels[len(split) :]
    assert np.array_equal(np.bincount(first), np.bincount(split.labels))
    assert np.array_equal(np.bincount(second), np.bincount(split.labels))
    assert not np.array_equal(first, second)


def test_an_epoch_is_the_same_whatever_came_before_it() -> None:
    """Order and augmentation of the third epoch do not depend on having seen the first two."""
    recipe = short_recipe(training={"epochs": 3, "batch_size": 64}, augmentation={"shift": 0.2, "noise": 0.1})
    split, preprocessing = DATASETS["digits"].load().validation, preprocessing_of(recipe)
    of_all, of_last = (
        list(labelled_batches(split, preprocessing, recipe, 10, first).as_numpy_iterator()) for first in (0, 2)
    )
    for whole, alone in zip(of_all[-len(of_last) :], of_last, strict=True):
        assert np.array_equal(whole[0], alone[0])
        assert np.array_equal(whole[1], alone[1])


def test_balanced_classes_count_the_same() -> None:
    """The weights of all samples of a class add up to the same, and a sample counts 1 on average."""
    recipe = short_recipe(training={**ONCE, "class_weights": "balanced"})
    own = DATASETS["digits"].load().train
    split = own.rows(np.flatnonzero((own.labels < 2) | (np.arange(len(own)) % 3 == 0)))
    batches = labelled_batches(split, preprocessing_of(recipe), recipe, 10).as_numpy_iterator()
    targets, weights = (np.concatenate(part) for part in zip(*((y, w) for _, y, w in batches), strict=True))
    of_each = weights @ targets
    assert of_each == pytest.approx(np.full(10, len(split) / 10), rel=1e-4)


def test_training_learns(models: Path) -> None:
    """A few epochs of a small network are far better than chance on the validation split."""
    import json

    history = json.loads((models / "short" / "model.json").read_text())["history"]
    assert len(history) == 8
    assert history[-1]["val_accuracy"] > 0.9
    assert history[-1]["loss"] < history[0]["loss"]


@pytest.mark.slow
def test_same_seed_same_weights_and_another_seed_others(tmp_path: Path) -> None:
    """Training is deterministic in its seed."""
    one_epoch = {"epochs": 1}
    augmentation = {"shift": 0.1, "rotation": 0.02, "zoom": 0.1}
    recipes = [short_recipe(training=one_epoch, augmentation=augmentation, seed=seed) for seed in (3, 3, 4)]
    trained = [train(r, tmp_path / str(i)).trained.model for i, r in enumerate(recipes)]
    hashes = [sha256_of_arrays(load_model(model).get_weights()) for model in trained]
    assert hashes[0] == hashes[1]
    assert hashes[0] != hashes[2]


def test_a_loss_that_is_no_number_stops_the_run_and_writes_nothing(tmp_path: Path) -> None:
    """The message names the epoch and a smaller rate; no model is left behind."""
    recipe = short_recipe(training={"epochs": 3, "learning_rate": 1e38})
    with pytest.raises(TrainingError, match=r"loss is nan.* in epoch \d; try a smaller rate"):
        train(recipe, tmp_path)
    assert not (tmp_path / "short" / "model.keras").exists()


def test_a_trained_model_is_not_overwritten_unasked(models: Path) -> None:
    """`train` refuses before it trains."""
    with pytest.raises(OutputError, match="--force"):
        train(short_recipe(), models)


def test_another_ending_than_softmax_or_linear_is_refused(tmp_path: Path) -> None:
    """A classifier that ends in a ReLU would train to nothing."""
    with pytest.raises(TrainingError, match="ends in relu; a classifier is trained on softmax or linear"):
        train(short_recipe(network={"name": "cnn", "options": {"activation": "relu"}}), tmp_path)


def test_a_validation_loss_that_is_no_number_stops_the_run() -> None:
    """Statistics of batch normalisation can be NaN while the training loss is fine."""
    watcher = watcher_of(Course(TrainingPart(3), [], []), Watch())
    watcher.on_epoch_end(0, {"loss": 1.0, "val_loss": 2.0})
    with pytest.raises(TrainingError, match=r"loss is 1\.0, val_loss is nan in epoch 2"):
        watcher.on_epoch_end(1, {"loss": 1.0, "val_loss": float("nan")})
