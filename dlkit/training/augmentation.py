"""Random changes to training samples, each decided by the seed of its batch alone.

Keras' layers draw their numbers from a variable that moves on with every call; here they are given
a seed for each batch, so that a training which is taken up again sees what it would have seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from dlkit.frameworks import keras
from dlkit.frameworks import tensorflow as tf
from dlkit.recipe import AugmentationPart
from dlkit.runtime.front_end import FrontEnd
from dlkit.runtime.preprocessing import Preprocessing

Change = Callable[[Any, Any, Any], tuple[Any, Any]]
"""(raw values (B, *shape) float32, targets (B, classes), seeds) → the two, changed."""
UNIT = (0.0, 1.0)
PROPORTIONS = 3 / 4, 4 / 3
"""Least and largest width by height of a random part of an image; Szegedy et al. 2015, arXiv:1409.4842, section 6."""


def changes_of(part: AugmentationPart, preprocessing: Preprocessing) -> Callable[[Any, Any, Any], tuple[Any, Any]]:
    """All changes that the recipe asks for, as one: (raw, targets, seed (2,) int64) → (raw, targets)."""
    steps = [*_of_images(part, preprocessing), *_of_values(part, preprocessing), *_of_pairs(part), *_of_features(part)]

    def changed(raw: Any, targets: Any, seed: Any) -> tuple[Any, Any]:
        seeds = seeds_from(seed)
        for step in steps:
            raw, targets = step(raw, targets, seeds)
        return raw, targets

    return changed


def seeds_from(seed: Any) -> Any:
    """A generator of seeds for Keras that draws from a tensor (2,) int64; the same tensor gives the same numbers."""

    class Seeds(keras.random.SeedGenerator):
        def __init__(self) -> None:
            self.drawn = 0

        def next(self, ordered: bool = True) -> Any:
            self.drawn += 1
            return tf.random.experimental.stateless_fold_in(seed, self.drawn)

    return Seeds()


def _of_images(part: AugmentationPart, preprocessing: Preprocessing) -> list[Change]:
    """What moves in is the ground, the lowest value."""
    if preprocessing.image is None:
        return []
    layers, (low, high) = keras.layers, preprocessing.raw_range
    ground: dict[str, Any] = {"fill_mode": "constant", "fill_value": low}
    unit: dict[str, Any] = {"value_range": UNIT}
    flips = {"both": "horizontal_and_vertical"}
    wanted: list[tuple[Any, Callable[[], Any]]] = [
        (part.flip != "none", lambda: layers.RandomFlip(flips.get(part.flip, part.flip))),
        (part.shift, lambda: layers.RandomTranslation(part.shift, part.shift, **ground)),
        (part.rotation, lambda: layers.RandomRotation(part.rotation, **ground)),
        (part.zoom, lambda: layers.RandomZoom(part.zoom, **ground)),
        (part.brightness, lambda: layers.RandomBrightness(part.brightness, **unit)),
        (part.contrast, lambda: layers.RandomContrast(part.contrast, **unit)),
        (part.saturation, lambda: layers.RandomSaturation(_around_half(part.saturation), **unit)),
        (part.hue, lambda: layers.RandomHue(part.hue, **unit)),
        (
            part.erasing,
            lambda: layers.RandomErasing((part.erasing, part.erasing), fill_value=low, value_range=(low, high)),
        ),
    ]
    cropped = [_cropping(part.crop)] if part.crop else []
    return [*cropped, *(_by_layer(make(), low, high) for wants, make in wanted if wants)]


def _around_half(factor: float) -> tuple[float, float]:
    """Keras' saturation is unchanged at 0.5."""
    return 0.5 - factor / 2, 0.5 + factor / 2


def _by_layer(layer: Any, low: float, high: float) -> Change:
    """What a layer of Keras does; those for saturation and hue are right on 0…1 alone, whatever range they are told."""
    span, of_unit = high - low, tuple(getattr(layer, "value_range", ())) == UNIT

    def change(raw: Any, targets: Any, seeds: Any) -> tuple[Any, Any]:
        drawn = layer.get_random_transformation(raw, training=True, seed=seeds)
        if not of_unit:
            return layer.transform_images(raw, drawn, training=True), targets
        return layer.transform_images((raw - low) / span, drawn, training=True) * span + low, targets

    return change


def _cropping(least: float) -> Change:
    """A part of each image of at least `least` of its area, stretched to the size of the whole."""

    def change(raw: Any, targets: Any, seeds: Any) -> tuple[Any, Any]:
        count, height, width = tf.shape(raw)[0], raw.shape[1], raw.shape[2]

        def drawn(low: float, high: float) -> Any:
            return tf.random.stateless_uniform((count,), seeds.next(), low, high)

        area, stretch = drawn(least, 1.0), tf.exp(drawn(*(math.log(end) for end in PROPORTIONS)))
        tall, wide = tf.minimum(1.0, tf.sqrt(area / stretch)), tf.minimum(1.0, tf.sqrt(area * stretch))
        top, left = drawn(0.0, 1.0) * (1.0 - tall), drawn(0.0, 1.0) * (1.0 - wide)
        boxes = tf.stack([top, left, top + tall, left + wide], axis=1)
        return tf.image.crop_and_resize(raw, boxes, tf.range(count), (height, width)), targets

    return change


def _of_values(part: AugmentationPart, preprocessing: Preprocessing) -> list[Change]:
    """Gaussian noise, cut off at the ends of the raw range."""
    low, high = preprocessing.raw_range

    def change(raw: Any, targets: Any, seeds: Any) -> tuple[Any, Any]:
        return with_noise(raw, part.noise, (low, high), seeds.next()), targets

    return [change] if part.noise else []


def with_noise(raw: Any, noise: float, raw_range: tuple[float, float], seed: Any) -> Any:
    """`raw` with Gaussian noise whose deviation is `noise` of the range, cut off at its ends."""
    low, high = raw_range
    drawn = tf.random.stateless_normal(tf.shape(raw), seed, stddev=noise * (high - low))
    return tf.clip_by_value(raw + drawn, low, high)


def _of_pairs(part: AugmentationPart) -> list[Change]:
    """Mixtures of two samples and their targets; Zhang et al. 2018, arXiv:1710.09412, Yun et al. 2019, 1905.04899."""

    def mixing(layer: Any) -> Change:
        def change(raw: Any, targets: Any, seeds: Any) -> tuple[Any, Any]:
            shape = tf.shape(raw)
            # Keras knows no samples but images: values of a sequence become images one pixel high.
            images = raw if raw.shape.rank == 4 else tf.reshape(raw, (shape[0], 1, 1, -1))
            drawn = layer.get_random_transformation({"images": images, "labels": targets}, training=True, seed=seeds)
            mixed = layer.transform_images(images, drawn, training=True)
            return tf.reshape(mixed, shape), layer.transform_labels(targets, drawn, training=True)

        return change

    layers = keras.layers
    wanted = [(part.mixup, layers.MixUp), (part.cutmix, layers.CutMix)]
    return [mixing(layer(alpha)) for alpha, layer in wanted if alpha]


def _of_features(part: AugmentationPart) -> list[Change]:
    """Frames or bands of a sound, in one piece, become the mean over the others' axis; Park et al. 2019, 1904.08779."""
    return [_masking(axis, most) for axis, most in ((1, part.time_mask), (2, part.frequency_mask)) if most]


def _masking(axis: int, most: float) -> Change:
    def change(raw: Any, targets: Any, seeds: Any) -> tuple[Any, Any]:
        count, size = tf.shape(raw)[0], raw.shape[axis]
        width = tf.random.stateless_uniform((count,), seeds.next(), 0, math.floor(most * size) + 1, tf.int32)
        start = tf.random.stateless_uniform((count,), seeds.next()) * tf.cast(size - width + 1, tf.float32)
        start, places = tf.cast(start, tf.int32)[:, tf.newaxis], tf.range(size)[tf.newaxis]
        masked = (places >= start) & (places < start + width[:, tf.newaxis])  # (B, size)
        return tf.where(tf.expand_dims(masked, 3 - axis), tf.reduce_mean(raw, axis, keepdims=True), raw), targets

    return change


def changes_sounds(part: AugmentationPart) -> bool:
    """Whether waveforms are changed, before there are features of them."""
    return bool(part.time_shift or part.background)


def changed_waveforms(part: AugmentationPart, front_end: FrontEnd, waveforms: Any, seed: Any) -> Any:
    """Waveforms (B, length) float32 from -1 to 1, shifted and under noise as their seed (2,) int64 decides."""
    seeds, count = seeds_from(seed), tf.shape(waveforms)[0]
    if part.time_shift:
        most = math.floor(part.time_shift * front_end.sample_rate)
        later = tf.random.stateless_uniform((count, 1), seeds.next(), -most, most + 1, tf.int32)
        places = tf.range(front_end.length)[tf.newaxis] + most - later
        waveforms = tf.gather(tf.pad(waveforms, ((0, 0), (most, most))), places, batch_dims=1)
    if part.background:
        loud = tf.random.stateless_uniform((count, 1), seeds.next(), 0.0, part.background)
        noise = tf.random.stateless_normal(tf.shape(waveforms), seeds.next()) * loud
        waveforms = tf.clip_by_value(waveforms + noise, -1.0, 1.0)
    return waveforms
