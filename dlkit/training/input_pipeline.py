"""Training batches: in a new order each epoch, augmented in raw values, preprocessed as every runner does it.

Order and augmentation are decided by (seed, epoch, step) alone, so that a training that is taken up
again at any epoch sees what it would have seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.datasets import Split
from dlkit.frameworks import tensorflow as tf
from dlkit.recipe import AugmentationPart, Recipe
from dlkit.runtime.lazy_sounds import SoundFeatures
from dlkit.runtime.preprocessing import Preprocessing
from dlkit.runtime.rows import Rows, is_lazy
from dlkit.runtime.spectra import features_of
from dlkit.training.augmentation import changed_waveforms, changes_of, changes_sounds, with_noise

if TYPE_CHECKING:
    from numpy.typing import NDArray

ORDER, CHANGES, NOISE, SOUND = 1, 2, 3, 1 << 20
"""What is folded into the seed of an epoch or a batch for each purpose."""


def steps_of(split: Split, recipe: Recipe) -> int:
    """Batches an epoch; the last may be smaller."""
    return math.ceil(len(split) / recipe.training.batch_size)


def balanced_weights(split: Split, classes: int) -> NDArray[np.float32]:
    """(classes,) what a sample of each class counts, so that all classes count the same and a sample 1 on average."""
    counts = np.bincount(split.labels, minlength=classes)
    return (len(split) / np.maximum(counts, 1) / np.count_nonzero(counts)).astype(np.float32)


def labelled_batches(split: Split, preprocessing: Preprocessing, recipe: Recipe, classes: int, first: int = 0) -> Any:
    """A tf.data.Dataset of (inputs (B, *shape), targets (B, classes), weights (B,)), float32, of all epochs in a row.

    There are weights where the recipe balances classes.

    Args:
        first: epoch that it begins with.
    """
    weights = tf.constant(balanced_weights(split, classes)) if recipe.training.class_weights == "balanced" else None

    def ready(raw: Any, targets: Any, seed: Any) -> Any:
        inputs = _preprocessed(raw, preprocessing)
        return (inputs, targets) if weights is None else (inputs, targets, tf.linalg.matvec(targets, weights))

    changed = _changed_batches(split, preprocessing, recipe, _one_hot(split, classes), first)
    return changed.map(ready).prefetch(tf.data.AUTOTUNE)


def forecast_batches(split: Split, preprocessing: Preprocessing, recipe: Recipe, first: int = 0) -> Any:
    """A tf.data.Dataset of (inputs (B, steps, features), what comes after (B, horizon, features)), of all epochs."""
    after = tf.constant(targets_of(split, preprocessing))

    def ready(raw: Any, targets: Any, seed: Any) -> Any:
        return _preprocessed(raw, preprocessing), targets

    changed = _changed_batches(split, preprocessing, recipe, lambda places: tf.gather(after, places), first)
    return changed.map(ready).prefetch(tf.data.AUTOTUNE)


def targets_of(split: Split, preprocessing: Preprocessing) -> NDArray[np.float32]:
    """(N, horizon, features) what a forecaster is to give, in the range of what it reads."""
    assert split.targets is not None  # rules.completed has seen to it
    return preprocessing.of_shape(split.targets.shape[1:]).apply(split.targets)


def rebuilt_batches(split: Split, preprocessing: Preprocessing, recipe: Recipe, first: int = 0) -> Any:
    """A tf.data.Dataset of (inputs, what is to be made of them), both (B, *shape) float32, of all epochs in a row.

    The noise of `recipe.DataPart` is in the inputs alone.
    """
    noise, raw_range = recipe.data.noise, preprocessing.raw_range

    def ready(raw: Any, targets: Any, seed: Any) -> Any:
        noisy = with_noise(raw, noise, raw_range, _folded(seed, NOISE)) if noise else raw
        return _preprocessed(noisy, preprocessing), _preprocessed(raw, preprocessing)

    classes = int(split.labels.max(initial=0)) + 1
    changed = _changed_batches(split, preprocessing, recipe, _one_hot(split, classes), first)
    return changed.map(ready).prefetch(tf.data.AUTOTUNE)


def held_out(split: Split, preprocessing: Preprocessing, recipe: Recipe, classes: int | None) -> Any:
    """What Keras is to watch: (inputs, targets) in order; batches of them where samples are made as they are asked for.

    Args:
        classes: of a classifier; None where the targets are the samples without noise.
    """
    if not is_lazy(split.samples):
        wanted = preprocessing.apply(np.asarray(split.wanted)) if classes is None else np.eye(classes)[split.labels]
        return preprocessing.apply(np.asarray(split.samples)), wanted
    read, wanted_of = (_reader(rows, preprocessing) for rows in (split.samples, split.wanted))
    labels = tf.constant(split.labels)

    def of_batch(places: Any) -> Any:
        inputs = _preprocessed(read(places), preprocessing)
        if classes is not None:
            return inputs, tf.one_hot(tf.gather(labels, places), classes)
        return inputs, _preprocessed(wanted_of(places), preprocessing)

    places = tf.data.Dataset.range(len(split), output_type=tf.int32).batch(recipe.training.batch_size)
    return places.map(of_batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)


def real_batches(split: Split, preprocessing: Preprocessing, recipe: Recipe, first: int = 0) -> Any:
    """A tf.data.Dataset of inputs (B, *shape) float32, of all epochs in a row."""
    return rebuilt_batches(split, preprocessing, recipe, first).map(lambda given, wanted: wanted)


def changes_of_prepared(part: AugmentationPart, preprocessing: Preprocessing) -> Callable[[Any, Any], Any]:
    """(images (B, *shape) as a network makes them, seed (2,) int64) → the same, changed; gradients go through it."""
    changed, scale, offset = changes_of(part, preprocessing), preprocessing.scale, preprocessing.offset

    def change(prepared: Any, seed: Any) -> Any:
        raw = (tf.reshape(prepared, (-1, *preprocessing.raw_shape)) - tf.constant(offset)) / tf.constant(scale)
        if preprocessing.color == "bgr":
            raw = raw[..., ::-1]
        return _preprocessed(changed(raw, tf.zeros((tf.shape(raw)[0], 1)), seed)[0], preprocessing)

    return change


def _one_hot(split: Split, classes: int) -> Callable[[Any], Any]:
    """places (B,) → (B, classes) float32."""
    labels = tf.constant(split.labels)
    return lambda places: tf.one_hot(tf.gather(labels, places), classes)


def _changed_batches(
    split: Split, preprocessing: Preprocessing, recipe: Recipe, targets_at: Callable[[Any], Any], first: int
) -> Any:
    """Batches of (raw values (B, *image) float32, targets (B, ...) float32, seed of the batch (2,) int64)."""
    part, read = recipe.training, _changing_reader(split.samples, preprocessing, recipe.augmentation)
    changed = changes_of(recipe.augmentation, preprocessing)
    seed = tf.constant([recipe.seed, 0], tf.int64)

    def of_epoch(epoch: Any) -> Any:
        own = _folded(seed, epoch)
        order = tf.random.experimental.stateless_shuffle(tf.range(len(split)), _folded(own, ORDER))
        return (
            tf.data.Dataset.from_tensor_slices(order)
            .batch(part.batch_size)
            .enumerate()
            .map(lambda step, places: (places, _folded(_folded(own, CHANGES), step)))
        )

    def of_batch(places: Any, seed: Any) -> Any:
        raw, targets = changed(read(places, seed), targets_at(places), seed)
        return raw, targets, seed

    epochs = tf.data.Dataset.range(first, part.epochs).flat_map(of_epoch)
    return epochs.map(of_batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def _folded(seed: Any, number: Any) -> Any:
    return tf.random.experimental.stateless_fold_in(seed, number)


def _changing_reader(samples: Rows, preprocessing: Preprocessing, part: AugmentationPart) -> Any:
    """(places (B,) int32, seed of the batch) → raw values (B, ...) float32; of sounds that are changed as such."""
    if not changes_sounds(part):
        read = _reader(samples, preprocessing)
        return lambda places, seed: read(places)
    assert isinstance(samples, SoundFeatures)  # rules.completed has seen to it
    waveforms, front_end = samples.waveforms, samples.front_end

    def heard(places: NDArray[np.int32]) -> NDArray[np.float32]:
        return waveforms.read(places.astype(np.int64))

    def features(changed: NDArray[np.float32]) -> NDArray[np.float32]:
        return features_of(changed, front_end)

    def fetched(places: Any, seed: Any) -> Any:
        sounds = tf.ensure_shape(tf.numpy_function(heard, [places], tf.float32), (None, front_end.length))
        changed = changed_waveforms(part, front_end, sounds, _folded(seed, SOUND))
        return tf.ensure_shape(tf.numpy_function(features, [changed], tf.float32), (None, *front_end.shape))

    return fetched


def _reader(samples: Rows, preprocessing: Preprocessing) -> Any:
    """places (B,) int32 → raw values (B, *image) float32, of samples in memory or read as they are asked for."""
    shape = preprocessing.raw_batch(np.asarray(samples[:1])).shape[1:]
    if not is_lazy(samples):
        held = tf.constant(np.asarray(samples))

        def gathered(places: Any) -> Any:
            return tf.reshape(tf.cast(tf.gather(held, places), tf.float32), (-1, *shape))

        return gathered

    def at(places: NDArray[np.int32]) -> NDArray[np.float32]:
        return preprocessing.raw_batch(samples[places.astype(np.int64)])

    def fetched(places: Any) -> Any:
        return tf.ensure_shape(tf.numpy_function(at, [places], tf.float32), (None, *shape))

    return fetched


def _preprocessed(raw: Any, preprocessing: Preprocessing) -> Any:
    """`Preprocessing.apply` as TensorFlow operations; a test holds the two equal."""
    if preprocessing.color == "bgr":
        raw = raw[..., ::-1]
    scaled = raw * tf.constant(preprocessing.scale) + tf.constant(preprocessing.offset)
    return tf.reshape(scaled, (-1, *preprocessing.shape))
