"""Training by recipe beside a plain `fit` of Keras: same network, same samples, same optimizer.

    python tests/benchmarks/train_beside_keras.py [RECIPE...] [--rounds N]

RECIPE is the name of one of recipes/. Without augmentation, which plain `fit` has not; with checkpoints as the recipe
has them. `an epoch`: each fit is of a model built for it, in one process and in turn, timed from the second epoch on,
so that building the graph is left out (the median epoch of a fit is one value). `the command`: all of `dlkit train`, in
a fresh interpreter, beside a script that builds the network, has Keras fit it, measures it on the test split and saves.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from pairing import in_turn
from parts import Part
from processes import DLKIT, PYTHON, ROOT, Used, used_by
from results import Measurement, measurement_of

from dlkit.recipe import AugmentationPart, Recipe, read_recipe

EPOCHS = 8
NOT_AUGMENTED = [f"augmentation.{field.name}" for field in dataclasses.fields(AugmentationPart)]
PLAIN = """
import json
import keras, numpy as np
from dlkit.networks import NETWORKS

data = np.load("data.npz")
keras.utils.set_random_seed(0)
model = NETWORKS[{network!r}].build({options!r}, "plain")
loss = keras.losses.CategoricalCrossentropy(label_smoothing={smoothing})
model.compile(keras.optimizers.deserialize(json.loads({optimizer!r})), loss, metrics=["accuracy"])
model.fit(data["x"], data["y"], {batch_size}, {epochs}, verbose=0, validation_data=(data["x1"], data["y1"]))
print(model.evaluate(data["x2"], data["y2"], verbose=0))
model.save("model.keras")
"""


def measure(subject: str, rounds: int) -> list[Measurement]:
    """One recipe: the command, then epochs within this process."""
    path = ROOT / "recipes" / f"{subject}.toml"
    recipe = dataclasses.replace(read_recipe(path, [f"training.epochs={EPOCHS}"]), augmentation=AugmentationPart())
    return [_command(path, recipe, max(2, rounds // 2)), _epochs(recipe, rounds)]


def _command(path: Path, recipe: Recipe, rounds: int) -> Measurement:
    from dlkit.frameworks import keras
    from dlkit.recipe_data import data_preprocessing, splits_of
    from dlkit.training.input_pipeline import steps_of
    from dlkit.training.optimizing import optimizer_for

    splits, preprocessing = splits_of(recipe), data_preprocessing(recipe)
    optimizer = optimizer_for(recipe.training, steps_of(splits.train, recipe) * recipe.training.epochs)
    classes, arrays = recipe.network.options["classes"], {}
    for mark, split in (("", splits.train), ("1", splits.validation), ("2", splits.test)):
        arrays |= {f"x{mark}": preprocessing.apply(split.samples), f"y{mark}": np.eye(classes)[split.labels]}
    part = recipe.training
    plain = PLAIN.format(
        network=recipe.network.name, options=dict(recipe.network.options), smoothing=part.label_smoothing,
        optimizer=json.dumps(keras.optimizers.serialize(optimizer)), batch_size=part.batch_size, epochs=part.epochs,
    )  # fmt: skip
    default = AugmentationPart()
    off = [f"{name}={_toml(getattr(default, name.partition('.')[2]))}" for name in NOT_AUGMENTED]
    overrides = [word for setting in (f"training.epochs={EPOCHS}", *off) for word in ("--set", setting)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.savez(folder / "data.npz", **arrays)
        ours = f"dlkit train {recipe.name}, {EPOCHS} epochs: the command"
        commands = {
            "dlkit": [*DLKIT, "train", str(path), *overrides, "--force", "--quiet"],
            "plain Keras": [*PYTHON, "-c", plain],
        }
        run = {way: functools.partial(used_by, command, folder, memory=True) for way, command in commands.items()}
        return measurement_of("train", ours, *in_turn(run, rounds))


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(list(value) if isinstance(value, tuple) else value)


def _epochs(recipe: Recipe, rounds: int) -> Measurement:
    from dlkit.recipe_data import data_preprocessing, splits_of

    given = recipe, splits_of(recipe), data_preprocessing(recipe)
    ours = f"dlkit train {recipe.name}: an epoch"
    run = {"dlkit": functools.partial(_ours, *given), "plain Keras": functools.partial(_plain, *given)}
    return measurement_of("train", ours, *in_turn(run, rounds), "ms")


class Clock:
    """Both clocks at the end of each epoch."""

    def __init__(self) -> None:
        self.ends: list[tuple[float, float]] = []

    def tick(self, *_: object, **__: object) -> None:
        self.ends.append((time.perf_counter(), time.process_time()))

    def median_epoch(self) -> Used:
        """Of those from the second on."""
        return Used(
            *(statistics.median(b - a for a, b in itertools.pairwise(ends)) for ends in zip(*self.ends, strict=True))
        )


def _ours(recipe: Recipe, splits: Any, preprocessing: Any) -> Used:
    from dlkit.training import supervised
    from dlkit.training.checkpoints import Checkpoints
    from dlkit.training.watching import Watch

    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        watch = Watch(clock.tick, Checkpoints(Path(folder), recipe))
        supervised.fit(_built(recipe), recipe, splits, preprocessing, watch)
    return clock.median_epoch()


def _plain(recipe: Recipe, splits: Any, preprocessing: Any) -> Used:
    """Likewise, of arrays in memory."""
    from dlkit.frameworks import keras
    from dlkit.training.input_pipeline import steps_of
    from dlkit.training.optimizing import optimizer_for

    model, part, classes, clock = _built(recipe), recipe.training, recipe.network.options["classes"], Clock()
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=part.label_smoothing)
    model.compile(optimizer_for(part, steps_of(splits.train, recipe) * part.epochs), loss, metrics=["accuracy"])
    x, held_out = (preprocessing.apply(split.samples) for split in (splits.train, splits.validation))
    y, wanted = (np.eye(classes)[split.labels] for split in (splits.train, splits.validation))
    watched = keras.callbacks.LambdaCallback(on_epoch_end=clock.tick)
    model.fit(x, y, part.batch_size, part.epochs, verbose=0, callbacks=[watched], validation_data=(held_out, wanted))
    return clock.median_epoch()


def _built(recipe: Recipe) -> Any:
    from dlkit.frameworks import make_deterministic
    from dlkit.networks import NETWORKS

    make_deterministic(recipe.seed)
    return NETWORKS[recipe.network.name].build(recipe.network.options, recipe.name)


PART = Part(
    "train", Path(__file__), ("digits-tiny", "digits", "digits-lstm"), measure, rounds=6, quick=("digits-tiny",)
)

if __name__ == "__main__":
    PART.main(__doc__)
