"""A recipe's training, started for two steps on made-up samples: whether it fits before there are data."""

from __future__ import annotations

import dataclasses
import resource
import sys
import time

import numpy as np

from dlkit.datasets import Split, Splits
from dlkit.frameworks import make_deterministic
from dlkit.networks import NETWORKS
from dlkit.progress import SILENT, Progress
from dlkit.recipe import AugmentationPart, Recipe, TransferPart, recipe_from
from dlkit.recipe_data import data_preprocessing, splits_of

STEPS = 2
LEAST = 10
"""Samples of each class that made-up data have."""
RATE = 1e-3
"""Of the recipe's own. Steps so small leave the loss where it begins, near the logarithm of the number of classes. At
the whole rate two steps of 2 made-up samples take ResNet-101 and 152 out of the range of float32 (a validation loss of
NaN), which says nothing of batches of 256."""


@dataclasses.dataclass(frozen=True)
class Trial:
    """What two steps came to.

    Attributes:
        samples: of a step.
        loss: after them, on made-up samples.
        seconds: for both, building the graph among them.
        peak_bytes: of memory, of the whole process.
    """

    samples: int
    loss: float
    seconds: float
    peak_bytes: int


def try_training(recipe: Recipe, progress: Progress = SILENT) -> Trial:
    """Build the recipe's network and train it for two steps at `RATE` of its rate; reads and writes nothing.

    Raises:
        TrainingError: the network cannot be trained by this recipe.
    """
    from dlkit.training.learning import learning_of
    from dlkit.training.precision import precision_of
    from dlkit.training.watching import Watch

    own = _on_made_up_data(recipe)
    with progress.step(f"Building {own.network.name}"), precision_of(own.training):
        make_deterministic(own.seed)
        model = NETWORKS[own.network.name].build(own.network.options, own.name)
    splits, batch = splits_of(own), own.training.batch_size
    few = Splits(_first(splits.train, STEPS * batch), _first(splits.validation, 1), _first(splits.test, 1))
    fit, _ = learning_of(own)
    start = time.perf_counter()
    with progress.step(f"Training {own.network.name} for {STEPS} steps of {batch} samples"), precision_of(own.training):
        history = fit(model, own, few, data_preprocessing(own), Watch())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Trial(batch, history[-1]["loss"], time.perf_counter() - start, peak)


def _on_made_up_data(recipe: Recipe) -> Recipe:
    """The recipe with samples of the same shape and as many classes, for one epoch from random weights.

    What a sound is, is known of real ones alone: its front-end and its changes are left out.
    """
    network = NETWORKS[recipe.network.name]
    options = recipe.network.options
    classes = options.get("classes", LEAST)
    shape = options["image_shape" if network.task == "generation" else "input_shape"]
    needed = max(LEAST * classes, 2 * STEPS * recipe.training.batch_size)
    if len(shape) == 2 and recipe.augmentation.without_sounds != AugmentationPart():
        shape = [*shape, 1]  # rows of an image, which is what is augmented
    made_up = {"samples": needed, "shape": list(shape), "classes": classes}
    data = dataclasses.replace(recipe.data, name="synthetic", options=made_up)
    if network.task == "forecasting":
        steps, features = shape
        length = 10 * (needed + steps + options["horizon"])  # a tenth of it is the shortest part
        series = {"steps": steps, "features": features, "horizon": options["horizon"], "length": length}
        data = dataclasses.replace(data, name="mackey_glass", preprocessing="standard", options=series)
    elif data.preprocessing == "standard":  # statistics of features are of real data
        data = dataclasses.replace(data, preprocessing="signed")
    own = dataclasses.replace(
        recipe,
        data=data,
        augmentation=recipe.augmentation.without_sounds,
        training=dataclasses.replace(recipe.training, epochs=1, learning_rate=RATE * recipe.training.learning_rate),
        transfer=TransferPart(),
        anomaly=None,
        expect=None,
        export=dataclasses.replace(recipe.export, calibration_samples=max(recipe.export.calibration_samples, classes)),
    )
    return recipe_from(own.as_dict(), f"recipe {recipe.name}")


def _first(split: Split, count: int) -> Split:
    return split.rows(np.arange(min(count, len(split))))
