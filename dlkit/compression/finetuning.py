"""Fitting a twin again: by the recipe's own data, loss and optimizer, in tf_keras.

A classifier, forecaster or auto-encoder sees the batches and the loss of its training. Where a training needs more than
the network (the discriminator of a generator, the divergence of a variational auto-encoder) the network is fitted to
what it answered before: the mean squared difference to its own outputs, of a generator for noise as it is fed with.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dlkit.datasets import Split
from dlkit.errors import IllegalCombination, TrainingError
from dlkit.frameworks import keras
from dlkit.frameworks import tensorflow as tf
from dlkit.networks import NETWORKS
from dlkit.progress import Advance
from dlkit.recipe import Recipe
from dlkit.recipe_data import data_preprocessing, latent_noise, splits_of, trained_on
from dlkit.training.input_pipeline import forecast_batches, labelled_batches, rebuilt_batches, steps_of
from dlkit.training.supervised import gives_logits
from dlkit.training.watching import History

CLASSES = {"adamw": "AdamW", "adam": "Adam", "sgd": "SGD", "rmsprop": "RMSprop", "adagrad": "Adagrad", "lion": "Lion"}
"""Optimizer of a recipe → its class in tf_keras."""


@dataclasses.dataclass(frozen=True)
class Lesson:
    """What a network is fitted by.

    Attributes:
        recipe: with the epochs, rate and optimizer of the fitting as those of its training.
        batches: number of a step of compression → a tf.data.Dataset of the batches of all its epochs in a row.
        loss: as `tf_keras.Model.compile` takes it.
        metrics: likewise.
        steps: batches an epoch.
        distilled: whether the network is fitted to its own outputs.
    """

    recipe: Recipe
    batches: Callable[[int], Any]
    loss: Any
    metrics: list[str]
    steps: int
    distilled: bool

    def inputs(self, number: int, samples: int) -> list[Any]:
        """Batches of what the network reads in a step, of so many samples or a few more, from its beginning."""
        batches = self.batches(number).take(-(-samples // self.recipe.training.batch_size))
        return [batch[0] for batch in batches]

    @property
    def epochs(self) -> int:
        return self.recipe.training.epochs

    @property
    def all_steps(self) -> int:
        return self.steps * self.epochs


def lesson_of(recipe: Recipe, model: keras.Model) -> Lesson:
    """What the recipe's network is fitted by.

    Args:
        model: the network as it was trained.

    Raises:
        IllegalCombination: the optimizer is not there.
        TrainingError: the network does not end as one of its task does.
        DataError: the data are not there, or not good.
    """
    recipe = for_fitting(recipe)
    task, splits, preprocessing = NETWORKS[recipe.network.name].task, splits_of(recipe), data_preprocessing(recipe)
    train = trained_on(recipe, splits) if task == "classification" else splits.train
    steps, loss = steps_of(train, recipe), recipe.training.loss

    def seeded(number: int) -> Recipe:
        return dataclasses.replace(recipe, seed=recipe.seed + 1 + number)

    def classified(number: int) -> Any:
        return labelled_batches(train, preprocessing, seeded(number), model.output_shape[-1])

    def rebuilt(number: int) -> Any:
        return rebuilt_batches(train, preprocessing, seeded(number), 0)

    if task == "classification":
        import tf_keras

        entropy = tf_keras.losses.CategoricalCrossentropy(
            gives_logits(model), label_smoothing=recipe.training.label_smoothing
        )
        return Lesson(recipe, classified, entropy, ["accuracy"], steps, False)
    if task == "forecasting":
        return Lesson(
            recipe, lambda number: forecast_batches(train, preprocessing, seeded(number)), loss, [], steps, False
        )
    if task == "generation":
        return Lesson(recipe, lambda number: _noise_batches(seeded(number), train, model), "mse", [], steps, True)
    if _adds_to_its_loss(model):
        return Lesson(recipe, lambda number: _own_answers(rebuilt(number), model), "mse", [], steps, True)
    return Lesson(recipe, rebuilt, loss, [], steps, False)


def for_fitting(recipe: Recipe) -> Recipe:
    """The recipe with what [compression] says of the fitting as its training.

    Raises IllegalCombination if tf_keras does not have the optimizer.
    """
    own, part = recipe.compression, recipe.training
    optimizer = own.optimizer or part.optimizer
    if optimizer not in CLASSES:
        raise IllegalCombination(
            f"training.optimizer = {optimizer!r} is not there for compression, which trains with tf_keras; name "
            "another for it: --set compression.optimizer=adamw"
        )
    training = dataclasses.replace(
        part,
        epochs=own.epochs or max(1, part.epochs // 4),
        learning_rate=own.learning_rate or part.learning_rate / 10,
        optimizer=optimizer,
    )
    return dataclasses.replace(recipe, training=training)


def fit(twin: Any, lesson: Lesson, number: int, callbacks: Sequence[Any], advance: Advance) -> History:
    """Train a model of tf_keras in place; one entry an epoch.

    Args:
        number: of the step of compression, by which the order of samples is drawn.
        callbacks: of tf_keras, called before progress is told.
        advance: is told the epochs.

    Raises:
        TrainingError: the loss is no longer a number.
    """
    import tf_keras

    history: History = []

    class Telling(tf_keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            measured = {name: float(value) for name, value in sorted((logs or {}).items())}
            if not math.isfinite(measured.get("loss", math.nan)):
                raise TrainingError(
                    f"loss is {measured.get('loss')} in epoch {epoch + 1} of the fitting; try a smaller rate: "
                    "--set compression.learning_rate=0.0001"
                )
            history.append(measured)
            advance(epoch + 1, lesson.epochs)

    twin.compile(optimizer=_optimizer(lesson), loss=lesson.loss, metrics=list(lesson.metrics))
    twin.fit(
        lesson.batches(number),
        epochs=lesson.epochs,
        steps_per_epoch=lesson.steps,
        verbose=0,
        callbacks=[*callbacks, Telling()],
        shuffle=False,
    )
    return history


def _optimizer(lesson: Lesson) -> Any:
    """The recipe's optimizer, with a rate that falls as a cosine from the first step on."""
    import tf_keras

    part = lesson.recipe.training
    options: dict[str, Any] = {"weight_decay": part.weight_decay or None}
    if part.optimizer in ("sgd", "rmsprop"):
        options["momentum"] = part.momentum
    if part.optimizer == "sgd":
        options["nesterov"] = part.momentum > 0
    if part.optimizer == "adamw":
        options["weight_decay"] = part.weight_decay
    if part.epsilon and part.optimizer in ("adamw", "adam", "rmsprop", "adagrad"):
        options["epsilon"] = part.epsilon
    if part.clip_norm:
        options["global_clipnorm"] = part.clip_norm
    rate = tf_keras.optimizers.schedules.CosineDecay(part.learning_rate, lesson.all_steps)
    return getattr(tf_keras.optimizers, CLASSES[part.optimizer])(rate, **options)


def _noise_batches(recipe: Recipe, train: Split, model: keras.Model) -> Any:
    """As much noise an epoch as there are samples, with what the generator makes of it."""
    size, count = recipe.training.batch_size, len(train)

    def of_epoch(epoch: Any) -> Any:
        noise = latent_noise(recipe, count, recipe.seed * 1000 + int(epoch))
        return np.random.default_rng(int(epoch)).permutation(noise).astype(np.float32)

    def batches(epoch: Any) -> Any:
        noise = tf.ensure_shape(tf.numpy_function(of_epoch, [epoch], tf.float32), (None, *model.input_shape[1:]))
        return tf.data.Dataset.from_tensor_slices(noise).batch(size)

    every = tf.data.Dataset.range(recipe.training.epochs).flat_map(batches)
    return every.map(lambda noise: (noise, model(noise, training=False))).prefetch(tf.data.AUTOTUNE)


def _own_answers(batches: Any, model: keras.Model) -> Any:
    """The inputs of batches with what the network makes of them."""
    return batches.map(lambda inputs, _: (inputs, model(inputs, training=False))).prefetch(tf.data.AUTOTUNE)


def _adds_to_its_loss(model: keras.Model) -> bool:
    """Whether a layer adds something to the loss that its twin does not."""
    return any(type(layer).__name__ == "Sampling" for layer in model.layers)
