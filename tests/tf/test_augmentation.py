"""Each random change does what its key says, and the same for the same seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dlkit.frameworks import tensorflow as tf
from dlkit.recipe import AugmentationPart
from dlkit.recipe.parts import NOT_DIFFERENTIABLE
from dlkit.runtime.preprocessing import preprocessing_for
from dlkit.training.augmentation import changes_of
from dlkit.training.input_pipeline import changes_of_prepared

pytestmark = pytest.mark.tf

SHAPE = (16, 12, 3)
PREPROCESSING = preprocessing_for("unit", SHAPE, SHAPE, (0.0, 255.0), "crop")
CHANGES: list[dict[str, Any]] = [
    {"shift": 0.3},
    {"rotation": 0.2},
    {"zoom": 0.3},
    {"flip": "horizontal"},
    {"flip": "vertical"},
    {"flip": "both"},
    {"crop": 0.2},
    {"brightness": 0.3},
    {"contrast": 0.5},
    {"saturation": 0.5},
    {"hue": 0.3},
    {"erasing": 1.0},
    {"mixup": 1.0},
    {"cutmix": 1.0},
    {"noise": 0.1},
]
OF_ONE = [part for part in CHANGES if not {"mixup", "cutmix"} & part.keys()]
"""Those that make nothing of two samples."""
DIFFERENTIABLE = [part for part in OF_ONE if not set(NOT_DIFFERENTIABLE) & part.keys()]
IMAGES = np.random.default_rng(0).uniform(0, 255, (12, *SHAPE)).astype(np.float32)
TARGETS = np.eye(3, dtype=np.float32)[np.arange(12) % 3]


def changed(part: dict[str, Any], seed: int = 0) -> tuple[Any, Any]:
    """In a graph, as the input pipeline does it."""
    step = tf.function(changes_of(AugmentationPart(**part), PREPROCESSING))
    images, targets = step(tf.constant(IMAGES), tf.constant(TARGETS), tf.constant([seed, 1], tf.int64))
    return images.numpy(), targets.numpy()


@pytest.mark.parametrize("part", CHANGES, ids=lambda part: "-".join(part))
def test_a_change_is_of_its_seed(part: dict[str, Any]) -> None:
    """Images are changed, inside the raw range, and alike only for the same seed."""
    images, targets = changed(part)
    again, other = changed(part)[0], changed(part, 1)[0]
    assert images.shape == IMAGES.shape
    assert not np.array_equal(images, IMAGES)
    assert np.array_equal(images, again)
    assert not np.array_equal(images, other)
    assert images.min() >= -1e-3
    assert images.max() <= 255.001
    assert targets.sum(axis=1) == pytest.approx(np.ones(12))


@pytest.mark.parametrize("mode", ["signed", "caffe"])
@pytest.mark.parametrize("part", OF_ONE, ids=lambda part: "-".join(part))
def test_images_of_a_network_are_changed_as_raw_ones(part: dict[str, Any], mode: str) -> None:
    """In the range and order of channels that the network has, by the same seed."""
    prepared = preprocessing_for(mode, SHAPE, SHAPE, (0.0, 255.0), "crop")
    step = tf.function(changes_of_prepared(AugmentationPart(**part), prepared))
    got = step(tf.constant(prepared.apply(IMAGES)), tf.constant([0, 1], tf.int64)).numpy()
    raw = prepared.raw_of(got)
    raw = raw[..., ::-1] if prepared.color == "bgr" else raw
    assert raw == pytest.approx(changed(part)[0], abs=0.01)


@pytest.mark.parametrize("part", DIFFERENTIABLE, ids=lambda part: "-".join(part))
def test_a_generator_learns_through_a_change(part: dict[str, Any]) -> None:
    """The gradient of every image arrives, and is that of the difference that a step makes."""
    step, seed = changes_of_prepared(AugmentationPart(**part), PREPROCESSING), tf.constant([0, 1], tf.int64)
    images = tf.constant(PREPROCESSING.apply(IMAGES) * 0.6 + 0.2)
    weights = tf.constant(np.random.default_rng(1).normal(size=(12, *SHAPE)).astype(np.float32))
    with tf.GradientTape() as tape:
        tape.watch(images)
        seen = tf.reduce_sum(step(images, seed) * weights)
    gradient = tape.gradient(seen, images)
    assert np.abs(gradient.numpy()).reshape(12, -1).max(axis=1).min() > 0
    along = gradient / tf.norm(gradient) * 0.01
    rise = tf.reduce_sum((step(images + along, seed) - step(images - along, seed)) * weights)
    assert rise.numpy() / 0.02 == pytest.approx(tf.norm(gradient).numpy(), rel=0.05)


def test_nothing_asked_for_changes_nothing() -> None:
    """The default is no augmentation."""
    images, targets = changed({})
    assert np.array_equal(images, IMAGES)
    assert np.array_equal(targets, TARGETS)


@pytest.mark.parametrize(("flip", "axis"), [("horizontal", 1), ("vertical", 0)])
def test_a_flip_mirrors_some_images_and_leaves_the_others(flip: str, axis: int) -> None:
    """Along its own axis alone."""
    images, _ = changed({"flip": flip})
    kinds = {
        "same" if np.array_equal(image, own) else "mirrored" if np.array_equal(image, np.flip(own, axis)) else "else"
        for image, own in zip(images, IMAGES, strict=True)
    }
    assert kinds == {"same", "mirrored"}


@pytest.mark.parametrize("key", ["mixup", "cutmix"])
def test_classes_are_mixed_as_images_are(key: str) -> None:
    """A target says the share of each image in what is left."""
    images, targets = changed({key: 1.0}, seed=3)
    assert not np.array_equal(targets, TARGETS)
    if key == "mixup":
        weight = float(targets[0].max())
        assert any(
            np.allclose(images[0], share * IMAGES[0] + (1 - share) * other, atol=0.1)
            for other in IMAGES
            for share in (weight, 1 - weight, 1.0)
        )


def test_sequences_are_mixed_as_images_are() -> None:
    """Every value of a sequence and of its target with the same share of one other sample's."""
    sequences = np.random.default_rng(1).normal(0, 1, (9, 7, 5)).astype(np.float32)
    classes = np.eye(9, dtype=np.float32)
    preprocessing = preprocessing_for("none", (7, 5), None, (-9.0, 9.0), "crop")
    step = tf.function(changes_of(AugmentationPart(mixup=1.0), preprocessing))
    signature = tf.constant(sequences), tf.constant(classes), tf.constant([3, 1], tf.int64)
    mixed, targets = (given.numpy() for given in step(*signature))
    assert not np.array_equal(targets, classes)
    assert np.allclose(targets.sum(axis=1), 1)
    assert np.allclose(mixed, np.tensordot(targets, sequences, 1), atol=1e-5)


def test_erasing_paints_with_the_ground() -> None:
    """A rectangle of each image is the lowest raw value, and the rest is as it was."""
    images, _ = changed({"erasing": 1.0})
    different = images != IMAGES
    assert (images[different] == 0).all()
    assert different.any(axis=(1, 2, 3)).mean() > 0.7
