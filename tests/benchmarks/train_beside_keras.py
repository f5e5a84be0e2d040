"""Time of a training by recipe beside a plain `fit` of Keras: same network, same samples, same optimizer.

    python tests/benchmarks/train_beside_keras.py [RECIPE [EPOCHS]]

Without augmentation, which plain `fit` has not; with checkpoints as the recipe has them. Each fit is of a
model built for it, in one process and in turn, A B B A; both are timed from the second epoch on, so that
building the graph is left out. The table shows milliseconds an epoch (the median) and the median of the paired
ratios, of which dlkit may take 1.03.
"""

from __future__ import annotations

import dataclasses
import itertools
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from dlkit.frameworks import keras, make_deterministic
from dlkit.networks import NETWORKS
from dlkit.recipe import AugmentationPart, Recipe, read_recipe
from dlkit.recipe_data import data_preprocessing, splits_of
from dlkit.training import supervised
from dlkit.training.checkpoints import Checkpoints
from dlkit.training.input_pipeline import steps_of
from dlkit.training.optimizing import optimizer_for
from dlkit.training.watching import Watch

PAIRS = 6


def milliseconds_of_ours(recipe: Recipe, splits: Any, preprocessing: Any) -> list[float]:
    """Of each epoch but the first."""
    times = [time.perf_counter()]
    with tempfile.TemporaryDirectory() as folder:
        watch = Watch(lambda done, total: times.append(time.perf_counter()), Checkpoints(Path(folder), recipe))
        supervised.fit(built(recipe), recipe, splits, preprocessing, watch)
    return [1000 * (end - start) for start, end in itertools.pairwise(times[1:])]


def milliseconds_of_keras(recipe: Recipe, splits: Any, preprocessing: Any) -> list[float]:
    """Likewise, of arrays in memory."""
    model, part, classes = built(recipe), recipe.training, recipe.network.options["classes"]
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=part.label_smoothing)
    model.compile(optimizer_for(part, steps_of(splits.train, recipe) * part.epochs), loss, metrics=["accuracy"])
    x, held_out = (preprocessing.apply(split.samples) for split in (splits.train, splits.validation))
    y, wanted = (np.eye(classes)[split.labels] for split in (splits.train, splits.validation))
    times = [time.perf_counter()]
    clock = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: times.append(time.perf_counter()))
    model.fit(x, y, part.batch_size, part.epochs, verbose=0, callbacks=[clock], validation_data=(held_out, wanted))
    return [1000 * (end - start) for start, end in itertools.pairwise(times[1:])]


def built(recipe: Recipe) -> keras.Model:
    make_deterministic(recipe.seed)
    return NETWORKS[recipe.network.name].build(recipe.network.options, recipe.name)


def main() -> None:
    """Print the table."""
    path = sys.argv[1] if len(sys.argv) > 1 else "recipes/digits.toml"
    epochs = sys.argv[2] if len(sys.argv) > 2 else "8"
    recipe = dataclasses.replace(read_recipe(path, [f"training.epochs={epochs}"]), augmentation=AugmentationPart())
    splits, preprocessing = splits_of(recipe), data_preprocessing(recipe)
    ours: list[float] = []
    plain: list[float] = []
    for pair in range(PAIRS):
        order = [(ours, milliseconds_of_ours), (plain, milliseconds_of_keras)]
        for times, measure in order[:: 1 if pair % 2 else -1]:
            times.append(statistics.median(measure(recipe, splits, preprocessing)))
    ratio = statistics.median(a / b for a, b in zip(ours, plain, strict=True))
    print(
        f"{recipe.name}: {statistics.median(ours):.0f} ms an epoch, Keras {statistics.median(plain):.0f} ms, ", end=""
    )
    print(f"ratio {ratio:.3f} ({PAIRS} pairs)")


if __name__ == "__main__":
    main()
