"""Reading a bundle back, and running it."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from dlkit.digest import sha256_of
from dlkit.errors import ModelFileError
from dlkit.filing import read_file
from dlkit.runtime.arrays import read_npz
from dlkit.runtime.litert import Session
from dlkit.runtime.preprocessing import Preprocessing, preprocessing_from

FORMAT = 1
VOUCHED_FOR = ("model.tflite", "labels.txt", "samples.npz")
"""Files without whose sha256 a manifest says nothing."""
LARGEST_MANIFEST_BYTES = 2**24


@dataclasses.dataclass(frozen=True)
class Bundle:
    """An exported model on disk.

    Attributes:
        folder: where it is.
        manifest: the contents of manifest.json.
        labels: class names, in the order of the output; empty where the outputs are no classes.
        preprocessing: from raw values to network input.
    """

    folder: Path
    manifest: dict[str, Any]
    labels: tuple[str, ...]
    preprocessing: Preprocessing

    @property
    def model(self) -> Path:
        return self.folder / "model.tflite"

    @property
    def name(self) -> str:
        return f"{self.manifest['name']}/{self.manifest['target']}-{self.manifest['scheme']}"

    def session(self, threads: int | None = None) -> Session:
        """A loaded model, ready to run."""
        return Session(self.model, threads)

    def check(self, threads: int | None = None) -> tuple[int, float, float]:
        """Run the bundle's own samples: (how many, largest gap to the expected outputs, gap allowed)."""
        raw, expected = read_npz(self.folder / "samples.npz", ("raw", "outputs"))
        outputs = self.session(threads).run(self.preprocessing.apply(raw))
        if not len(raw) or outputs.shape != expected.shape:
            found = f"{len(raw)} inputs give {outputs.shape}, but outputs of {expected.shape} are expected"
            raise ModelFileError(f"{self.folder}: samples.npz does not belong to the model: {found}")
        return len(raw), float(np.max(np.abs(outputs - expected))), float(self.manifest["check"]["tolerance"])


def load_bundle(folder: Path) -> Bundle:
    """The bundle in `folder`, every file held against its sha256.

    Raises:
        ModelFileError: it is no bundle, a file is missing, or a file is not as it was written.
    """
    path = folder / "manifest.json"
    if not path.is_file():
        raise ModelFileError(_no_bundle(folder))
    try:
        manifest = json.loads(read_file(path, LARGEST_MANIFEST_BYTES))
        if manifest["format"] != FORMAT:
            raise ModelFileError(f"{path}: bundle format {manifest['format']}; this dlkit reads {FORMAT}")
        _check_types(manifest)
        check_files(folder, manifest["sha256"])
        labels = (folder / "labels.txt").read_text(encoding="utf-8").split("\n")[:-1]
        return Bundle(folder, manifest, tuple(labels), preprocessing_from(manifest["preprocessing"]))
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ModelFileError(f"{path}: is not a dlkit manifest, or is corrupt; export the bundle again") from None


def _check_types(manifest: dict[str, Any]) -> None:
    """Raise ValueError unless what is read from a manifest later on is there and of its type."""
    kinds: dict[str, Any] = {"name": str, "target": str, "scheme": str, "sha256": dict, "recipe": (dict, type(None))}
    if not all(isinstance(manifest[key], kind) for key, kind in kinds.items()):
        raise ValueError
    if manifest["answers"] not in ("probabilities", "scores"):
        raise ValueError
    if not 0 <= float(manifest["check"]["tolerance"]) < math.inf or not set(VOUCHED_FOR) <= set(manifest["sha256"]):
        raise ValueError


def check_files(folder: Path, sha256: dict[str, str]) -> None:
    """Raise ModelFileError unless every named file is there and has its sha256."""
    for name, wanted in sha256.items():
        path = folder / name
        if Path(name).name != name:
            raise ModelFileError(f"{folder}: the manifest names a file outside the bundle: {name!r}")
        if not path.is_file():
            raise ModelFileError(f"{folder}: {name} is missing; export the bundle again")
        if sha256_of(path) != wanted:
            raise ModelFileError(f"{path}: is not the file that was exported (sha256 differs); export it again")


def _no_bundle(folder: Path) -> str:
    if not folder.exists():
        return f"there is no bundle {folder}; 'dlkit export' makes one"
    if folder.is_file():
        return f"{folder} is a file; name the bundle, the folder with manifest.json"
    nearby = sorted(str(p.parent) for p in folder.glob("*/manifest.json"))
    if nearby:
        return f"{folder} is not a bundle, but holds some: {', '.join(nearby)}"
    return f"{folder} is not a bundle (no manifest.json); 'dlkit export' makes one"
