"""How fast a training goes through a folder of JPEG files, beside the same network on arrays in memory.

    python tests/benchmarks/train_on_a_folder.py [resnet18] [--rounds N]

The folder is made for it: 400 images of 90 pixels a side, read as 64×64. Both trainings are by the same recipe and run
in turn; the median epoch from the second on is one value. Memory is what the process grew by while files were read.
"""

from __future__ import annotations

import dataclasses
import functools
import resource
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from pairing import in_turn
from parts import Part
from PIL import Image
from processes import Used
from results import Measurement, measurement_of
from train_beside_keras import Clock

from dlkit.datasets import Split, Splits
from dlkit.frameworks import make_deterministic
from dlkit.networks import NETWORKS
from dlkit.recipe import Recipe, recipe_from
from dlkit.recipe_data import data_preprocessing, splits_of
from dlkit.training import supervised
from dlkit.training.watching import Watch

EPOCHS, CLASSES, FILES, PIXELS = 3, 4, 400, 64


def write_folder(folder: Path, files: int, side: int) -> None:
    """Smooth images with noise, which compress as photographs do, in a folder for each class."""
    rng = np.random.default_rng(0)
    for number in range(files):
        coarse = rng.uniform(0, 255, (6, 6, 3)).astype(np.uint8)
        image = np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC), np.int16)
        noisy = np.clip(image + rng.normal(0, 8, image.shape), 0, 255).astype(np.uint8)
        path = folder / f"class{number % CLASSES}" / f"{number:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noisy).save(path, quality=90)


def recipe_of(folder: Path, network: str) -> Recipe:
    table = {
        "name": "folder",
        "network": {"name": network, "options": {"input_shape": [PIXELS, PIXELS, 3]}},
        "data": {"name": "folder", "options": {"path": str(folder)}},
        "training": {"epochs": EPOCHS, "batch_size": 32},
    }
    return recipe_from(table, "folder.toml")


def an_epoch(recipe: Recipe, splits: Splits, preprocessing: Any) -> Used:
    """The median one."""
    make_deterministic(0)
    model, clock = NETWORKS[recipe.network.name].build(recipe.network.options), Clock()
    supervised.fit(model, recipe, splits, preprocessing, Watch(clock.tick))
    return clock.median_epoch()


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def measure(subject: str, rounds: int) -> list[Measurement]:
    """One network."""
    with tempfile.TemporaryDirectory() as folder:
        write_folder(Path(folder), FILES, round(1.4 * PIXELS))
        recipe = recipe_of(Path(folder), subject)
        lazy, preprocessing = splits_of(recipe), data_preprocessing(recipe)
        few = dataclasses.replace(lazy, validation=lazy.validation.rows(np.arange(32)))
        an_epoch(recipe, few, preprocessing)  # the runtime's own memory, and files into the page cache
        before = peak_mb()
        an_epoch(recipe, few, preprocessing)
        grown = peak_mb() - before
        held = dataclasses.replace(few, train=Split(np.asarray(few.train.samples), few.train.labels))
        run = {
            way: functools.partial(an_epoch, recipe, splits, preprocessing)
            for way, splits in (("from files", few), ("from memory", held))
        }
        what = f"{subject}, an epoch of {len(few.train)} images from files; memory grew by {grown:.0f} MB"
        return [measurement_of("folder", what, *in_turn(run, rounds), ours="from files")]


PART = Part("folder", Path(__file__), ("resnet18",), measure, rounds=3, quick=("resnet18",))

if __name__ == "__main__":
    PART.main(__doc__)
