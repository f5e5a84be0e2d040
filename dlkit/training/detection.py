"""Anomaly detectors: auto-encoders that learn normal samples alone."""

from __future__ import annotations

import dataclasses

from dlkit.datasets import Splits
from dlkit.frameworks import keras
from dlkit.recipe import Recipe
from dlkit.recipe_data import normal_samples
from dlkit.runtime.preprocessing import Preprocessing
from dlkit.training import reconstruction
from dlkit.training.watching import History, Watch


def fit(model: keras.Model, recipe: Recipe, splits: Splits, preprocessing: Preprocessing, watch: Watch) -> History:
    """Train `model` in place as an auto-encoder, watched on the normal samples of the validation split.

    Args:
        splits: the training split of normal samples alone, see `splits_of`.

    Raises as that does.
    """
    watched = dataclasses.replace(splits, validation=normal_samples(recipe, splits.validation))
    return reconstruction.fit(model, recipe, watched, preprocessing, watch)
