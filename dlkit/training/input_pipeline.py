"""Training batches: shuffled, augmented in raw values, then preprocessed as every runner does it."""

from __future__ import annotations

from typing import Any

from dlkit.datasets import Split
from dlkit.frameworks import keras
from dlkit.frameworks import tensorflow as tf
from dlkit.recipe import AugmentationPart
from dlkit.runtime.preprocessing import Preprocessing


def labelled_batches(
    split: Split, preprocessing: Preprocessing, augmentation: AugmentationPart, batch_size: int, seed: int
) -> Any:
    """A tf.data.Dataset of (inputs (B, *shape) float32, labels (B,) int64), reshuffled each epoch."""

    def ready(raw: Any, labels: Any) -> Any:
        return _preprocessed(raw, preprocessing), labels

    return _changed_batches(split, preprocessing, augmentation, batch_size, seed).map(ready).prefetch(tf.data.AUTOTUNE)


def rebuilt_batches(
    split: Split,
    preprocessing: Preprocessing,
    augmentation: AugmentationPart,
    noise: float,
    batch_size: int,
    seed: int,
) -> Any:
    """A tf.data.Dataset of (inputs, what is to be made of them), both (B, *shape) float32, reshuffled each epoch.

    Args:
        noise: see `recipe.DataPart`; it is in the inputs alone.
    """
    low, high = preprocessing.raw_range
    drawing = keras.layers.GaussianNoise(noise, seed=seed + 3)

    def ready(raw: Any, labels: Any) -> Any:
        drawn = (high - low) * drawing(tf.zeros_like(raw), training=True)
        noisy = tf.clip_by_value(raw + drawn, low, high) if noise else raw
        return _preprocessed(noisy, preprocessing), _preprocessed(raw, preprocessing)

    return _changed_batches(split, preprocessing, augmentation, batch_size, seed).map(ready).prefetch(tf.data.AUTOTUNE)


def _changed_batches(
    split: Split, preprocessing: Preprocessing, augmentation: AugmentationPart, batch_size: int, seed: int
) -> Any:
    """Batches of raw values and labels, in a new order and with new augmentation each epoch."""
    raw = preprocessing.raw_batch(split.samples)
    batches = tf.data.Dataset.from_tensor_slices((raw, split.labels))
    batches = batches.shuffle(len(split), seed=seed, reshuffle_each_iteration=True).batch(batch_size)
    changes = _changes(augmentation, preprocessing, seed)

    def changed(raw: Any, labels: Any) -> Any:
        for change in changes:
            raw = change(raw, training=True)
        return raw, labels

    return batches.map(changed) if changes else batches


def _changes(augmentation: AugmentationPart, preprocessing: Preprocessing, seed: int) -> list[Any]:
    """The Keras layers that change images at random; what moves in is the ground, the lowest value."""
    if preprocessing.image is None:
        return []
    layers = keras.layers
    ground: dict[str, Any] = {"fill_mode": "constant", "fill_value": preprocessing.raw_range[0]}
    changes = []
    if augmentation.shift:
        changes.append(layers.RandomTranslation(augmentation.shift, augmentation.shift, seed=seed, **ground))
    if augmentation.rotation:
        changes.append(layers.RandomRotation(augmentation.rotation, seed=seed + 1, **ground))
    if augmentation.zoom:
        changes.append(layers.RandomZoom(augmentation.zoom, seed=seed + 2, **ground))
    return changes


def _preprocessed(raw: Any, preprocessing: Preprocessing) -> Any:
    """`Preprocessing.apply` as TensorFlow operations; a test holds the two equal."""
    if preprocessing.color == "bgr":
        raw = raw[..., ::-1]
    scaled = raw * tf.constant(preprocessing.scale) + tf.constant(preprocessing.offset)
    return tf.reshape(scaled, (-1, *preprocessing.shape))
