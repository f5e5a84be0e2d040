"""How fast a training goes through a folder of JPEG files, beside the same network on arrays in memory.

    python tests/benchmarks/train_on_a_folder.py [FILES [PIXELS]]

The folder is made for it: FILES images (400) of 1.4 times PIXELS (64) a side. Both trainings are of ResNet-18
by the same recipe and run in turn, A B B A; epochs from the second on are timed. The table shows images a second,
the median of the paired ratios (at least 0.9), and what the process's memory grew by while files were read.
"""

from __future__ import annotations

import dataclasses
import itertools
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dlkit.datasets import Split, Splits
from dlkit.frameworks import make_deterministic
from dlkit.networks import NETWORKS
from dlkit.recipe import Recipe, recipe_from
from dlkit.recipe_data import data_preprocessing, splits_of
from dlkit.training import supervised
from dlkit.training.watching import Watch

PAIRS, EPOCHS, CLASSES = 2, 3, 4


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


def recipe_of(folder: Path, pixels: int) -> Recipe:
    table = {
        "name": "folder",
        "network": {"name": "resnet18", "options": {"input_shape": [pixels, pixels, 3]}},
        "data": {"name": "folder", "options": {"path": str(folder)}},
        "training": {"epochs": EPOCHS, "batch_size": 32},
    }
    return recipe_from(table, "folder.toml")


def images_a_second(recipe: Recipe, splits: Splits, preprocessing: Any) -> float:
    make_deterministic(0)
    model, times = NETWORKS[recipe.network.name].build(recipe.network.options), [time.perf_counter()]
    supervised.fit(model, recipe, splits, preprocessing, Watch(lambda done, of: times.append(time.perf_counter())))
    return len(splits.train) / statistics.median(b - a for a, b in itertools.pairwise(times[1:]))


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Print the table."""
    files, pixels = (int(text) for text in [*sys.argv[1:], "400", "64"][:2])
    with tempfile.TemporaryDirectory() as folder:
        write_folder(Path(folder), files, round(1.4 * pixels))
        recipe = recipe_of(Path(folder), pixels)
        lazy, preprocessing = splits_of(recipe), data_preprocessing(recipe)
        few = dataclasses.replace(lazy, train=lazy.train, validation=lazy.validation.rows(np.arange(32)))
        images_a_second(recipe, few, preprocessing)  # the runtime's own memory, and files into the page cache
        before = peak_bytes()
        read = [images_a_second(recipe, few, preprocessing)]
        grown = peak_bytes() - before
        held = dataclasses.replace(few, train=Split(np.asarray(few.train.samples), few.train.labels))
        whole = held.train.samples.nbytes
        memory: list[float] = []
        for pair in range(PAIRS):
            order = [(read, few), (memory, held)]
            for rates, splits in order[:: 1 if pair % 2 else -1]:
                rates.append(images_a_second(recipe, splits, preprocessing))
    ratio = statistics.median(a / b for a, b in zip(read[1:], memory, strict=True))
    print(f"from files {statistics.median(read):.1f} images/s, from memory {statistics.median(memory):.1f}, ", end="")
    print(f"ratio {ratio:.3f}; memory grew by {grown / 1e6:.0f} MB for images of {whole / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
