"""Which samples calibrate a file and which prove it; the two never overlap."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.datasets import DATASETS, Splits, stratified
from dlkit.errors import DataError
from dlkit.recipe import Recipe
from dlkit.runtime.inputs import images_in, read_inputs
from dlkit.runtime.preprocessing import Preprocessing

if TYPE_CHECKING:
    from numpy.typing import NDArray

MINIMUM_IMAGES = 10
MOST_HELD_OUT = 100


@dataclasses.dataclass(frozen=True)
class HeldOut:
    """Samples no one has trained on or calibrated with.

    Attributes:
        name: for the report.
        raw: (N, ...) raw values.
        labels: (N,) classes, or None where there are none.
        fingerprint: sha256 of the split they are, "" where they are none.
    """

    name: str
    raw: NDArray[Any]
    labels: NDArray[np.int64] | None
    fingerprint: str = ""


@dataclasses.dataclass(frozen=True)
class ExportSamples:
    """What an export needs to see.

    Attributes:
        calibration: (N, ...) raw values of the training split, or of the images given.
        calibration_source: which, for the report.
        gate: what the file must pass on.
        test: looked at once, for the report.
    """

    calibration: NDArray[Any]
    calibration_source: str
    gate: HeldOut
    test: HeldOut | None


def samples_of_recipe(recipe: Recipe) -> ExportSamples:
    """Calibration from the training split, spread over the classes; the gate on validation; test for the report."""
    splits: Splits = DATASETS[recipe.data.name].load()
    chosen = stratified(splits.train.labels, recipe.export.calibration_samples, recipe.seed)
    return ExportSamples(
        calibration=splits.train.samples[chosen],
        calibration_source=f"training split of {recipe.data.name}",
        gate=HeldOut("validation", splits.validation.samples, splits.validation.labels, splits.validation.fingerprint),
        test=HeldOut("test", splits.test.samples, splits.test.labels, splits.test.fingerprint),
    )


def samples_of_folder(folder: Path, preprocessing: Preprocessing, calibration_samples: int, seed: int) -> ExportSamples:
    """A fifth of a folder's images (at most 100), drawn by `seed`, is held out; others calibrate.

    Raises:
        DataError: the folder is missing or empty, has fewer than 10 images, or holds one that is broken.
    """
    if not folder.is_dir():
        raise DataError(f"--data {folder}: there is no such folder")
    paths = images_in(folder)
    if len(paths) < MINIMUM_IMAGES:
        raise DataError(f"--data {folder}: {len(paths)} images; at least {MINIMUM_IMAGES} are needed, 100 are better")
    order = np.random.default_rng(seed).permutation(len(paths))
    count = min(MOST_HELD_OUT, len(paths) // 5)
    held_out, rest = order[:count], order[count : count + calibration_samples]

    def read(positions: NDArray[np.int64]) -> NDArray[Any]:
        names = [str(paths[i]) for i in positions]
        return np.stack([sample.raw for sample in read_inputs(names, preprocessing)])

    name = folder.resolve().name
    gate = HeldOut(f"held-out images of {name}/", read(held_out), None)
    return ExportSamples(read(rest), f"other images of {name}/", gate, None)
