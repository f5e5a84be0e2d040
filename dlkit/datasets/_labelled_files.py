"""What is in a folder of images or sounds, and its splits: read once in full, so that nothing broken is met later."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.datasets import Split, Splits
from dlkit.datasets._copies import Place, kept_apart
from dlkit.datasets._fractions import Filed
from dlkit.datasets._splitting import divided
from dlkit.errors import DataError
from dlkit.runtime.inputs import FileKind
from dlkit.runtime.rows import Rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

SPLITS = {
    "train": "train", "training": "train", "val": "validation", "valid": "validation", "validation": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip
"""What a folder of a split is called → which it is."""
NO_CLASS = "_background_noise_"
"""A folder of Speech Commands (Warden 2018, arXiv:1804.03209): minutes of noise to lay over its words."""
MOST_NAMED = 5
"""Broken files that a message names."""


@dataclasses.dataclass(frozen=True)
class Found:
    """Files of one split, or of all.

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


@dataclasses.dataclass(frozen=True)
class Reading:
    """How files of a kind are read.

    Attributes:
        kind: which.
        said: decides what is read of a file, to tell one reading from another.
        examined: (path, what it is called in messages) → sha256 of a file, and what is wrong with it, "" for nothing.
        each: maps a function over a sequence, several at a time.
        rows: (paths, their sha256) → a sample of each, made when it is asked for.
    """

    kind: FileKind
    said: str
    examined: Callable[[Path, str], tuple[str, str]]
    each: Callable[[Callable[[Any], Any], Sequence[Any]], Iterator[Any]]
    rows: Callable[[tuple[Path, ...], tuple[str, ...]], Rows]


@dataclasses.dataclass(frozen=True)
class LabelledFiles:
    """A folder with a folder for each class, or with folders of splits that hold those.

    Attributes:
        root: the folder.
        names: of the classes.
        parts: what is found of each split; of all of them under "" where no folders tell them.
        reading: how a sample is made of a file.
        options: how what is not given is drawn, and what is done about broken files.
    """

    root: Path
    names: tuple[str, ...]
    parts: dict[str, Found]
    reading: Reading
    options: Filed

    def splits(self) -> Splits:
        """Raises DataError for files that cannot be read, and for the same one in two splits."""
        sound = self._examined()
        if "" in sound:
            drawn, whole = ["train", "validation", "test"], sound.pop("")
        else:
            sound = self._apart(sound)
            drawn = ["train", *(part for part in ("validation", "test") if part not in sound)]
            whole = sound.pop("train")
        fractions = [getattr(self.options, part) for part in drawn[1:]]
        seed = self.options.split_seed
        rows = divided(whole.labels, whole.digests, fractions, seed, self.names, str(self.root))
        sound |= {part: whole.rows(positions) for part, positions in zip(drawn, rows, strict=True)}
        return Splits(**{part: self._split(sound[part]) for part in ("train", "validation", "test")})

    def _apart(self, parts: dict[str, Found]) -> dict[str, Found]:
        """No file in two of the splits that are given."""
        digests = {part: found.digests for part, found in parts.items()}

        def called(place: Place) -> str:
            part, position = place
            return str(parts[part].paths[position].relative_to(self.root))

        kept = kept_apart(digests, self.options.copies, str(self.root), called)
        return {part: found.rows(kept[part]) for part, found in parts.items()}

    def _split(self, found: Found) -> Split:
        return Split(self.reading.rows(found.paths, found.digests), found.labels)

    @property
    def identity(self) -> str:
        """Another one for other files, or where they are read otherwise."""
        stamps = hashlib.sha256(f"{self.root} {self.options.broken} {self.reading.said}".encode())
        for found in self.parts.values():
            for path in found.paths:
                state = path.stat() if path.exists() else None
                told = (state.st_ino, state.st_mtime_ns, state.st_size) if state else ()
                stamps.update(f"{path} {told} ".encode(errors="surrogateescape"))
        return stamps.hexdigest()

    def _examined(self) -> dict[str, Found]:
        """The files that can be read, with their digests; those that have not changed since are not read again."""
        identity = self.identity
        if identity not in _LAST:
            sound = self._read_once()
            _LAST.clear()
            _LAST[identity] = sound
        return dict(_LAST[identity])

    def _read_once(self) -> dict[str, Found]:
        root, reading, many = self.root, self.reading, self.reading.kind.many
        broken: list[str] = []
        sound: dict[str, Found] = {}
        for part, found in self.parts.items():
            names = [(path, str(path.relative_to(root))) for path in found.paths]
            results = list(reading.each(lambda named: reading.examined(*named), names))
            broken += [problem for _, problem in results if problem]
            good = [i for i, (digest, _) in enumerate(results) if digest]
            digests = tuple(results[i][0] for i in good)
            sound[part] = Found(tuple(found.paths[i] for i in good), found.labels[good], digests)
        if broken and self.options.broken == "refuse":
            shown = "; ".join(broken[:MOST_NAMED]) + ("; …" if len(broken) > MOST_NAMED else "")
            count = sum(len(found.paths) for found in self.parts.values())
            raise DataError(
                f"{root}: {len(broken)} of {count} {many} cannot be read: {shown}; mend them or take them away, or "
                "leave them out: --set data.options.broken=skip"
            )
        for part, found in sound.items():
            if not found.paths:
                raise DataError(f"{root / part}: none of its {many} can be read; the first is {broken[0]}")
        return sound


_LAST: dict[str, dict[str, Found]] = {}
"""What the last folder that was read held: a run trains on it, and then exports with it."""


def labelled_files(options: Filed, reading: Reading) -> LabelledFiles:
    """The files below `options.path`. Raises DataError if there are none, or not in folders of a class each."""
    root = root_of(options)
    names, parts = _parts(root, reading.kind)
    return LabelledFiles(root, names, parts, reading, options)


def root_of(options: Filed) -> Path:
    """The folder. Raises DataError if it is none."""
    root = Path(options.path).expanduser()  # shells leave the ~ of --set data.options.path=~/photos
    if not os.path.isdir(root):  # noqa: PTH112 - false of a name that is too long
        raise DataError(
            f"data.options.path = {options.path!r}: there is no such folder (looked for {root.absolute()}); "
            "name yours: --set data.options.path=FOLDER"
        )
    return root


def _parts(root: Path, kind: FileKind) -> tuple[tuple[str, ...], dict[str, Found]]:
    """Names of the classes, and what is found of each split; of all of them under "" where no folders tell them."""
    folders = _folders(root)
    split_of = {path: SPLITS[path.name.lower()] for path in folders if path.name.lower() in SPLITS}
    if "train" not in split_of.values():
        names = _class_names(root)
        return names, {"": _found(root, kind, names)}
    if others := [path for path in folders if path not in split_of]:
        raise DataError(
            f"{root}: holds {others[0].name}/ beside {next(iter(split_of)).name}/; keep folders of classes alone, or "
            "of splits alone (train, validation, test)"
        )
    if len(set(split_of.values())) < len(split_of):
        raise DataError(f"{root}: has two folders of one split ({', '.join(p.name for p in split_of)}); join them")
    at = {split: path for path, split in split_of.items()}
    names = _class_names(at["train"])
    return names, {split: _found(path, kind, names) for split, path in at.items()}


def _folders(root: Path) -> list[Path]:
    """What systems put there (.git, __MACOSX) is no class, and neither is noise."""
    others = (".", "__", NO_CLASS)
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith(others))


def _class_names(root: Path) -> tuple[str, ...]:
    """Folders of `root`; where there are none it is itself the only class."""
    return tuple(path.name for path in _folders(root)) or (root.resolve().name,)


def _found(root: Path, kind: FileKind, names: tuple[str, ...]) -> Found:
    """Raises DataError for a class that training does not have, or a file in none."""
    folders = _folders(root)
    paths: list[Path] = []
    labels: list[int] = []
    if folders and (strays := kind.strays(root)):
        raise DataError(f"{strays[0]}: is in no class; put each {kind.one} into the folder of its class")
    for folder in folders or [root]:
        name = folder.name if folders else names[0]
        if name not in names:
            raise DataError(f"{folder}: is a class that train/ does not have; its classes are {', '.join(names)}")
        files = kind.inside(folder)
        paths += files
        labels += [names.index(name)] * len(files)
    return Found(tuple(paths), np.asarray(labels, np.int64))
