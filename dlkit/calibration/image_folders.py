"""A folder of images, or of folders that hold the images of a class each, the common form of labelled images.

Of a model that reads sounds, WAV files take their place.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.datasets import stratified
from dlkit.digest import sha256_of
from dlkit.errors import DataError
from dlkit.runtime.inputs import files_for, read_inputs
from dlkit.runtime.preprocessing import Preprocessing

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True)
class Images:
    """Images that were read.

    Attributes:
        raw: (N, *raw_shape) raw values.
        labels: (N,) places in `class_names`; None if the folder has no classes.
        class_names: of the folders with images, sorted as text; () if there are no classes.
        source: for the report.
    """

    raw: NDArray[Any]
    labels: NDArray[np.int64] | None
    class_names: tuple[str, ...]
    source: str


def read_images(folder: Path, preprocessing: Preprocessing, most: int | None, seed: int) -> Images:
    """The different images in `folder` and below, or `most` of them, drawn by `seed` and spread over the classes.

    It has classes if two or more folders in it hold images and none lies beside them. Of equal files one
    is read: what calibrates must not be held out under another name. No more are opened than needed.

    Raises:
        DataError: the folder is missing, holds no images or one that is broken, or the input is no image.
    """
    if not os.path.isdir(folder):  # noqa: PTH112 - false of a name that is too long
        raise DataError(f"--data {folder}: there is no such folder")
    kind = files_for(preprocessing)
    paths = kind.inside(folder)
    name = folder.resolve().name
    class_names = _classes_of(folder, paths)
    labels = np.asarray([class_names.index(_within(folder, path)) for path in paths]) if class_names else None
    chosen = _different(paths, _order(len(paths), labels, most, seed), most)
    raw = np.stack([sample.raw for sample in read_inputs([str(paths[i]) for i in chosen], preprocessing)])
    if labels is None:
        return Images(raw, None, (), f"{kind.many} of {name}/")
    source = f"{kind.many} of {name}/, {len(class_names)} classes"
    return Images(raw, labels[chosen].astype(np.int64), class_names, source)


def _classes_of(folder: Path, paths: list[Path]) -> tuple[str, ...]:
    """The folders that hold images, () if they are no classes."""
    if any(path.parent == folder for path in paths):
        return ()
    names = sorted({_within(folder, path) for path in paths})
    return tuple(names) if len(names) > 1 else ()


def _within(folder: Path, path: Path) -> str:
    return path.relative_to(folder).parts[0]


def _order(count: int, labels: NDArray[np.int64] | None, most: int | None, seed: int) -> NDArray[np.int64]:
    """The order in which images are taken."""
    if most is None or most >= count:
        return np.arange(count)
    if labels is not None:
        return stratified(labels, count, seed)
    return np.random.default_rng(seed).permutation(count)


def _different(paths: list[Path], order: NDArray[np.int64], most: int | None) -> list[int]:
    """The first `most` places of `order` whose files differ."""
    seen: set[str] = set()
    chosen: list[int] = []
    for place in order:
        if len(chosen) == most:
            break
        path = paths[place]
        try:
            identity = sha256_of(path)
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror}") from None
        if identity not in seen:
            seen.add(identity)
            chosen.append(int(place))
    return chosen
