"""What is in a folder of images, and its splits: read once in full, so that nothing broken is met in training."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dlkit.datasets import Dataset, Split, Splits, Wanted
from dlkit.datasets._copies import kept_apart
from dlkit.datasets._splitting import divided
from dlkit.datasets.folder import FolderOptions
from dlkit.errors import DataError
from dlkit.extras import require
from dlkit.runtime.inputs import IMAGE_SUFFIXES, images_in
from dlkit.runtime.lazy_images import LazyImages, examined, in_threads
from dlkit.runtime.preprocessing import Preprocessing, preprocessing_for

if TYPE_CHECKING:
    from numpy.typing import NDArray

PIXELS = (0.0, 255.0)
SPLITS = {
    "train": "train", "training": "train", "val": "validation", "valid": "validation", "validation": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip
"""What a folder of a split is called → which it is."""
MOST_NAMED = 5
"""Broken files that a message names."""


@dataclasses.dataclass(frozen=True)
class Found:
    """Image files of one split, or of all.

    Attributes:
        paths: in the order of their names.
        labels: (N,) class numbers.
        digests: sha256 of each file, () where they were not read.
    """

    paths: tuple[Path, ...]
    labels: NDArray[np.int64]
    digests: tuple[str, ...] = ()

    def rows(self, positions: NDArray[np.int64]) -> Found:
        """Those at these positions."""
        return Found(
            tuple(self.paths[i] for i in positions), self.labels[positions], tuple(self.digests[i] for i in positions)
        )


def dataset_of_folder(options: FolderOptions, wanted: Wanted) -> Dataset:
    """The dataset in a folder. Raises DataError if there are no images, or not in folders of a class each."""
    root = Path(options.path)
    if not root.is_dir():
        raise DataError(f"data.options.path = {options.path!r}: there is no such folder (looked for {root.absolute()})")
    if wanted.image is None:
        raise DataError(f"{root}: holds images, and the network reads none; choose another: dlkit list networks")
    names, parts = _parts(root)
    preprocessing = preprocessing_for("unit", wanted.image, wanted.image, PIXELS, wanted.resize)
    return Dataset(
        name="folder",
        shape=wanted.image,
        labels=names,
        raw_range=PIXELS,
        samples=None,
        source=str(root),
        licence="the user's own",
        load=lambda: _splits(root, options, names, parts, preprocessing),
        kept="yours",
    )


def _parts(root: Path) -> tuple[tuple[str, ...], dict[str, Found]]:
    """Names of the classes, and what is found of each split; of all of them under "" where no folders tell them."""
    folders = _folders(root)
    split_of = {path: SPLITS[path.name.lower()] for path in folders if path.name.lower() in SPLITS}
    if "train" not in split_of.values():
        names = _class_names(root)
        return names, {"": _found(root, names)}
    if others := [path for path in folders if path not in split_of]:
        raise DataError(
            f"{root}: holds {others[0].name}/ beside {next(iter(split_of)).name}/; keep folders of classes alone, or "
            "of splits alone (train, validation, test)"
        )
    if len(set(split_of.values())) < len(split_of):
        raise DataError(f"{root}: has two folders of one split ({', '.join(p.name for p in split_of)}); join them")
    at = {split: path for path, split in split_of.items()}
    names = _class_names(at["train"])
    return names, {split: _found(path, names) for split, path in at.items()}


def _folders(root: Path) -> list[Path]:
    """What systems put there (.git, __MACOSX) is no class."""
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith((".", "__")))


def _class_names(root: Path) -> tuple[str, ...]:
    """Folders of `root`; where there are none it is itself the only class."""
    return tuple(path.name for path in _folders(root)) or (root.resolve().name,)


def _found(root: Path, names: tuple[str, ...]) -> Found:
    """Raises DataError for a class that training does not have, or an image in none."""
    folders = _folders(root)
    paths: list[Path] = []
    labels: list[int] = []
    if folders:
        strays = sorted(p for p in root.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and not p.is_dir())
        if strays:
            raise DataError(f"{strays[0]}: is in no class; put each image into the folder of its class")
    for folder in folders or [root]:
        name = folder.name if folders else names[0]
        if name not in names:
            raise DataError(f"{folder}: is a class that train/ does not have; its classes are {', '.join(names)}")
        images = images_in(folder)
        paths += images
        labels += [names.index(name)] * len(images)
    return Found(tuple(paths), np.asarray(labels, np.int64))


def _splits(
    root: Path, options: FolderOptions, names: tuple[str, ...], parts: dict[str, Found], preprocessing: Preprocessing
) -> Splits:
    """Raises DataError for images that cannot be read, and for the same one in two splits."""
    sound = _examined(root, options, parts, preprocessing)
    if "" in sound:
        drawn, whole = ["train", "validation", "test"], sound.pop("")
    else:
        sound = _apart(root, options, sound)
        drawn = ["train", *(part for part in ("validation", "test") if part not in sound)]
        whole = sound.pop("train")
    fractions = [getattr(options, part) for part in drawn[1:]]
    rows = divided(whole.labels, whole.digests, fractions, options.split_seed, names, str(root))
    sound |= {part: whole.rows(positions) for part, positions in zip(drawn, rows, strict=True)}
    return Splits(**{part: _split(sound[part], preprocessing) for part in ("train", "validation", "test")})


def _split(found: Found, preprocessing: Preprocessing) -> Split:
    return Split(LazyImages(found.paths, found.digests, preprocessing), found.labels)


def _examined(
    root: Path, options: FolderOptions, parts: dict[str, Found], preprocessing: Preprocessing
) -> dict[str, Found]:
    """The images that can be read, with their digests; files that have not changed since are not read again."""
    stamps = hashlib.sha256(f"{root} {options.broken} {preprocessing}".encode())
    for found in parts.values():
        for path in found.paths:
            state = path.stat() if path.exists() else None
            told = (state.st_ino, state.st_mtime_ns, state.st_size) if state else ()
            stamps.update(f"{path} {told} ".encode(errors="surrogateescape"))
    identity = stamps.hexdigest()
    if identity not in _LAST:
        sound = _read_once(root, options, parts, preprocessing)
        _LAST.clear()
        _LAST[identity] = sound
    return dict(_LAST[identity])


_LAST: dict[str, dict[str, Found]] = {}
"""What the last folder that was read held: a run trains on it, and then exports with it."""


def _read_once(
    root: Path, options: FolderOptions, parts: dict[str, Found], preprocessing: Preprocessing
) -> dict[str, Found]:
    require("PIL")
    broken: list[str] = []
    sound: dict[str, Found] = {}
    for part, found in parts.items():
        names = [(path, str(path.relative_to(root))) for path in found.paths]
        results = list(in_threads(lambda named: examined(named[0], preprocessing, named[1]), names))
        broken += [problem for _, problem in results if problem]
        good = [i for i, (digest, _) in enumerate(results) if digest]
        sound[part] = Found(tuple(found.paths[i] for i in good), found.labels[good], tuple(results[i][0] for i in good))
    if broken and options.broken == "refuse":
        shown = "; ".join(broken[:MOST_NAMED]) + ("; …" if len(broken) > MOST_NAMED else "")
        count = sum(len(found.paths) for found in parts.values())
        raise DataError(
            f"{root}: {len(broken)} of {count} images cannot be read: {shown}; mend them or take them away, or leave "
            "them out with data.options.broken = 'skip'"
        )
    for part, found in sound.items():
        if not found.paths:
            raise DataError(f"{root / part}: none of its images can be read; the first is {broken[0]}")
    return sound


def _apart(root: Path, options: FolderOptions, parts: dict[str, Found]) -> dict[str, Found]:
    """No file in two of the splits that are given."""
    digests = {part: found.digests for part, found in parts.items()}
    kept = kept_apart(
        digests, options.copies, str(root), lambda place: str(parts[place[0]].paths[place[1]].relative_to(root))
    )
    return {part: found.rows(kept[part]) for part, found in parts.items()}
