"""What a recipe's network sees of its dataset: raw values in the network's size, with the recipe's noise."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.datasets import Dataset, Split, Splits
from dlkit.datasets._joining import joined
from dlkit.metrics import Naive
from dlkit.networks import NETWORKS
from dlkit.recipe import Recipe, opened
from dlkit.recipe.rules import agreeing
from dlkit.runtime.conditions import told, told_each
from dlkit.runtime.fitting import fitted_samples
from dlkit.runtime.lazy_sounds import SoundFeatures
from dlkit.runtime.preprocessing import Preprocessing, preprocessing_for
from dlkit.runtime.rows import ChangedRows, is_lazy

if TYPE_CHECKING:
    from numpy.typing import NDArray


def preprocessing_of(recipe: Recipe) -> Preprocessing:
    """From raw values to what the recipe's network reads: those of its dataset, or noise as it is."""
    network = NETWORKS[recipe.network.name]
    if network.task != "generation":
        return data_preprocessing(recipe)
    shape = tuple(recipe.network.options.get("input_shape", network.input))
    return preprocessing_for(network.preprocessing, shape, None, network.raw_range, recipe.data.resize)


def data_preprocessing(recipe: Recipe) -> Preprocessing:
    """From the raw values of the recipe's dataset to what its network reads or, a generator, makes."""
    return _preprocessing(recipe, opened(recipe))


def _preprocessing(recipe: Recipe, dataset: Dataset) -> Preprocessing:
    options = recipe.network.options
    shape = tuple(options["image_shape" if "image_shape" in options else "input_shape"])
    behind = shape if len(shape) == 3 else dataset.shape  # rows of an image are read as the image they are of
    image = (behind[0], behind[1], behind[2]) if len(dataset.shape) == 3 else None
    part = recipe.data
    if dataset.sound is not None:  # whose shape may be another than a stored recipe says
        agreeing(recipe, dataset, f"recipe {recipe.name}")
    facts = dataset.raw_range, part.resize, dataset.statistics, dataset.sound
    return preprocessing_for(part.preprocessing, shape, image, *facts)


def latent_noise(recipe: Recipe, count: int, seed: int) -> NDArray[np.float32]:
    """(count, *input) standard normal numbers for the recipe's generator, inside the range of its inputs.

    One that is told a class is told each in turn; see `asked_of`.
    """
    noise, asked = preprocessing_of(recipe).noise(count, seed), asked_of(recipe, count)
    return noise if asked is None else told(noise, asked, _classes_told(recipe))


def latent_noise_of_each(recipe: Recipe, count: int, seed: int) -> NDArray[np.float32]:
    """(classes · count, *input) the same noise for every class that the recipe's generator is told, class by class."""
    classes = _classes_told(recipe)
    return told_each(preprocessing_of(recipe).noise(count, seed), np.arange(classes), classes)


def asked_of(recipe: Recipe, count: int) -> NDArray[np.int64] | None:
    """(count,) classes that `latent_noise` asks for; None of a generator that is told none."""
    classes = _classes_told(recipe)
    return np.arange(count) % classes if classes else None


def _classes_told(recipe: Recipe) -> int:
    """How many classes the recipe's generator is told; 0 if none."""
    conditional = NETWORKS[recipe.network.name].is_conditional
    return int(recipe.network.options["classes"]) if conditional else 0


def splits_of(recipe: Recipe) -> Splits:
    """The dataset's splits, images fitted to those that the network reads or makes.

    Validation and test come through the recipe's noise, which is the same each time; the training split
    does not, for its noise is drawn anew for each batch. Of an anomaly detector the training split is of normal
    samples, and there is no noise in the others. Of data that need not fit into memory (image files, mapped
    arrays) the samples are made as they are asked for.

    Raises:
        RecipeError: the data are no longer those that the recipe was completed for.
        DataError: they are not there, or not good.
    """
    dataset = opened(recipe)
    agreeing(recipe, dataset, f"recipe {recipe.name}")
    preprocessing, splits = _preprocessing(recipe, dataset), dataset.load()
    train, validation, test = (
        _fitted(split, preprocessing) for split in (splits.train, splits.validation, splits.test)
    )
    noise, raw_range = held_out_noise(recipe), preprocessing.raw_range
    if recipe.anomaly is not None:
        train = normal_samples(recipe, train)
    return Splits(
        train,
        through_noise(validation, noise, raw_range, recipe.seed + 1),
        through_noise(test, noise, raw_range, recipe.seed + 2),
    )


def trained_on(recipe: Recipe, splits: Splits) -> Split:
    """What the recipe's network learns from: its training split, and the validation split after it if it says so."""
    return joined(splits.train, splits.validation) if recipe.training.with_validation else splits.train


def held_out_noise(recipe: Recipe) -> float:
    """What lies over samples that no one trains on; a detector is to judge samples as they come."""
    return 0.0 if recipe.anomaly is not None else recipe.data.noise


def naive_of(recipe: Recipe, preprocessing: Preprocessing) -> Naive:
    """What is known of the naive forecast of the recipe's series.

    Args:
        preprocessing: of the network's input.
    """
    dataset = opened(recipe)
    return Naive(dataset.season, np.asarray(dataset.naive_errors) * np.abs(np.asarray(preprocessing.scale)))


def anomalous(recipe: Recipe, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) 0 for the classes that the recipe's detector takes as normal, 1 for others."""
    normal = recipe.anomaly.classes if recipe.anomaly is not None else ()
    known = opened(recipe).labels
    places = [known.index(name) for name in normal]
    return np.isin(labels, places, invert=True).astype(np.int64)


def normal_samples(recipe: Recipe, split: Split) -> Split:
    """Those of `split` that the recipe's detector takes as normal."""
    places = np.flatnonzero(anomalous(recipe, split.labels) == 0)
    if isinstance(split.samples, SoundFeatures):  # which are changed as sounds, and so stay some
        return Split(split.samples.chosen(places), split.labels[places])
    return split.rows(places)


def through_noise(split: Split, noise: float, raw_range: tuple[float, float], seed: int) -> Split:
    """`split` with Gaussian noise in its samples, cut off at the ends of the raw range; without it they are `clean`.

    Args:
        noise: standard deviation, as a fraction of the raw range; 0 is none.
    """
    if not noise:
        return split
    if is_lazy(split.samples):
        return _through_noise_as_read(split, noise, raw_range, seed)
    low, high = raw_range
    drawn = np.random.default_rng(seed).normal(0.0, noise * (high - low), split.samples.shape)
    noisy = np.clip(np.asarray(split.samples) + drawn, low, high).astype(np.float32)
    return dataclasses.replace(split, samples=noisy, clean=split.samples, original=split.original or split)


def _through_noise_as_read(split: Split, noise: float, raw_range: tuple[float, float], seed: int) -> Split:
    """The noise of a sample is drawn by its place, so that it is the same in whatever batch it is read."""
    low, high = raw_range

    def noisy(samples: NDArray[Any], positions: NDArray[np.int64]) -> NDArray[np.float32]:
        shape = samples.shape[1:]
        drawn = [np.random.default_rng((seed, int(p))).normal(0.0, noise * (high - low), shape) for p in positions]
        return np.asarray(np.clip(samples + np.reshape(drawn, samples.shape), low, high), np.float32)

    samples = ChangedRows(split.samples, noisy, split.samples.shape[1:], np.float32)
    return dataclasses.replace(split, samples=samples, clean=split.samples, original=split.original or split)


def _fitted(split: Split, preprocessing: Preprocessing) -> Split:
    samples = fitted_samples(split.samples, preprocessing)
    return split if samples is split.samples else dataclasses.replace(split, samples=samples, original=split)
