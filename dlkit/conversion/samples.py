"""Which samples calibrate a file and which prove it; the two never overlap."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.datasets import DATASETS, Split, Splits, stratified
from dlkit.digest import sha256_of
from dlkit.errors import DataError
from dlkit.recipe import Recipe
from dlkit.runtime.inputs import images_in, read_samples
from dlkit.runtime.preprocessing import Preprocessing

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A fifth of the images, but enough to be a sample at all and no more than a few minutes of VGG16.
MINIMUM_IMAGES, LEAST_HELD_OUT, MOST_HELD_OUT = 10, 3, 100


@dataclasses.dataclass(frozen=True)
class HeldOut:
    """Samples no one has trained on or calibrated with.

    Attributes:
        name: for the report.
        raw: input name → (N, ...) raw values.
        labels: (N,) classes, or None where there are none.
        fingerprint: sha256 of the split they are, "" where they are none.
    """

    name: str
    raw: dict[str, NDArray[Any]]
    labels: NDArray[np.int64] | None
    fingerprint: str = ""


@dataclasses.dataclass(frozen=True)
class ExportSamples:
    """What an export needs to see.

    Attributes:
        calibration: input name → (N, ...) raw values of the training split, or of the images given.
        calibration_source: which, for the report.
        gate: what the file must pass on.
        test: looked at once, for the report.
    """

    calibration: dict[str, NDArray[Any]]
    calibration_source: str
    gate: HeldOut
    test: HeldOut | None


def samples_of_recipe(recipe: Recipe, name: str) -> ExportSamples:
    """Calibration from the training split, spread over the classes; the gate on validation; test for the report.

    Args:
        name: of the network's input.
    """
    splits: Splits = DATASETS[recipe.data.name].load()
    chosen = stratified(splits.train.labels, recipe.export.calibration_samples, recipe.seed)
    return ExportSamples(
        calibration={name: splits.train.samples[chosen]},
        calibration_source=f"training split of {recipe.data.name}",
        gate=_held_out("validation", splits.validation, name),
        test=_held_out("test", splits.test, name),
    )


def _held_out(split: str, samples: Split, name: str) -> HeldOut:
    return HeldOut(split, {name: samples.samples}, samples.labels, samples.fingerprint)


def calibrated_with(
    own: ExportSamples, folder: Path, inputs: Mapping[str, Preprocessing], recipe: Recipe
) -> ExportSamples:
    """A recipe's samples with a folder's images in place of the training split; what proves stays. Raises DataError."""
    paths = _different_images(folder)
    chosen = np.random.default_rng(recipe.seed).permutation(len(paths))[: recipe.export.calibration_samples]
    raw = _read([paths[i] for i in chosen], inputs)
    return dataclasses.replace(own, calibration=raw, calibration_source=f"images of {folder.resolve().name}/")


def samples_of_folder(
    folder: Path, inputs: Mapping[str, Preprocessing], calibration_samples: int, seed: int
) -> ExportSamples:
    """A fifth of a folder's images (at most 100), drawn by `seed`, is held out; others calibrate.

    Raises:
        DataError: the folder is missing or empty, has fewer than 10 images, or holds one that is broken.
    """
    paths = _different_images(folder)
    order = np.random.default_rng(seed).permutation(len(paths))
    count = min(MOST_HELD_OUT, max(LEAST_HELD_OUT, len(paths) // 5))
    held_out, rest = ([paths[i] for i in part] for part in (order[:count], order[count : count + calibration_samples]))
    name = folder.resolve().name
    gate = HeldOut(f"held-out images of {name}/", _read(held_out, inputs), None)
    return ExportSamples(_read(rest, inputs), f"other images of {name}/", gate, None)


def _different_images(folder: Path) -> list[Path]:
    """The images of a folder, without copies: what calibrates must not be held out under another name."""
    if not folder.is_dir():
        raise DataError(f"--data {folder}: there is no such folder")
    paths = images_in(folder)
    different = list({sha256_of(path): path for path in reversed(paths) if path.is_file()}.values())[::-1]
    if len(different) < MINIMUM_IMAGES:
        copies = f" (and {len(paths) - len(different)} copies)" if len(paths) > len(different) else ""
        found = f"{len(different)} different images{copies}"
        raise DataError(f"--data {folder}: {found}; at least {MINIMUM_IMAGES} are needed, 100 are better")
    return different


def _read(paths: list[Path], inputs: Mapping[str, Preprocessing]) -> dict[str, NDArray[Any]]:
    samples = list(read_samples([str(path) for path in paths], inputs))
    return {name: np.stack([sample.raw[name] for sample in samples]) for name in inputs}
