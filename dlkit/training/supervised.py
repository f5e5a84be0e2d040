"""Supervised classification: AdamW on a schedule that warms up and falls as a cosine.

Loshchilov & Hutter 2017, arXiv:1608.03983 (the cosine, without restarts) and 2019,
arXiv:1711.05101 (AdamW); warm-up as in Goyal et al. 2017, arXiv:1706.02677.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dlkit.datasets import Splits
from dlkit.errors import TrainingError
from dlkit.frameworks import keras
from dlkit.progress import Advance
from dlkit.recipe import Recipe, TrainingPart
from dlkit.runtime.preprocessing import Preprocessing
from dlkit.training.input_pipeline import training_batches

History = list[dict[str, float]]
"""One entry an epoch: loss, accuracy, val_loss, val_accuracy."""


def fit(model: keras.Model, recipe: Recipe, splits: Splits, preprocessing: Preprocessing, advance: Advance) -> History:
    """Train `model` in place on the training split; the validation split is only watched.

    Raises:
        TrainingError: the loss is no longer a number, or the network does not end as a classifier does.
    """
    part = recipe.training
    batches = training_batches(splits.train, preprocessing, recipe.augmentation, part.batch_size, recipe.seed)
    classes = model.output_shape[-1]
    batches = batches.map(lambda x, y: (x, keras.ops.one_hot(y, classes)))
    validation = (preprocessing.apply(splits.validation.samples), np.eye(classes)[splits.validation.labels])
    steps = math.ceil(len(splits.train) / part.batch_size) * part.epochs
    model.compile(
        optimizer=keras.optimizers.AdamW(_schedule(part, steps), weight_decay=part.weight_decay),
        loss=keras.losses.CategoricalCrossentropy(_gives_logits(model), label_smoothing=part.label_smoothing),
        metrics=["accuracy"],
    )
    watcher = _watcher(part.epochs, advance)
    # shuffle=False: the batches are shuffled already.
    model.fit(batches, epochs=part.epochs, validation_data=validation, verbose=0, callbacks=[watcher], shuffle=False)
    return watcher.history_of_epochs


def _gives_logits(model: keras.Model) -> bool:
    """Whether the model ends before its softmax. Raises TrainingError if it ends in something else."""
    last = model.layers[-1].activation
    if last not in (keras.activations.softmax, keras.activations.linear):
        raise TrainingError(
            f"the network ends in {last.__name__}; a classifier is trained on softmax or linear: "
            "--set network.options.activation=softmax"
        )
    return bool(last is keras.activations.linear)


def _schedule(part: TrainingPart, steps: int) -> Any:
    warmup = int(steps * part.warmup)
    if warmup == 0:
        return keras.optimizers.schedules.CosineDecay(part.learning_rate, steps)
    return keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - warmup), warmup_target=part.learning_rate, warmup_steps=warmup
    )


def _watcher(epochs: int, advance: Advance) -> Any:
    """A Keras callback that reports epochs and stops at a loss that is not a number."""

    class Watcher(keras.callbacks.Callback):
        def __init__(self) -> None:
            super().__init__()
            self.history_of_epochs: History = []

        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            measured = {name: float(value) for name, value in (logs or {}).items()}
            losses = (measured.get("loss", math.nan), measured.get("val_loss", math.nan))
            if not all(math.isfinite(loss) for loss in losses):
                raise TrainingError(
                    f"the loss is {losses[0]} in epoch {epoch + 1}, {losses[1]} on the validation split; try a smaller "
                    "rate: --set training.learning_rate=0.0003"
                )
            self.history_of_epochs.append(measured)
            advance(epoch + 1, epochs)

    return Watcher()
