"""Reading a bundle back, and running it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.digest import sha256_of
from dlkit.errors import ModelFileError
from dlkit.runtime.litert import Session
from dlkit.runtime.preprocessing import Preprocessing, preprocessing_from

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Bundle:
    """An exported model on disk.

    Attributes:
        folder: where it is.
        manifest: the contents of manifest.json.
        labels: class names, in the order of the output.
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
        with np.load(self.folder / "samples.npz", allow_pickle=False) as samples:
            raw, expected = samples["raw"], samples["outputs"]
        outputs = self.session(threads).run(self.preprocessing.apply(raw))
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
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if manifest["format"] != FORMAT:
            raise ModelFileError(f"{path}: bundle format {manifest['format']}; this dlkit reads {FORMAT}")
        check_files(folder, manifest["sha256"])
        labels = tuple((folder / "labels.txt").read_text(encoding="utf-8").splitlines())
        return Bundle(folder, manifest, labels, preprocessing_from(manifest["preprocessing"]))
    except (ValueError, KeyError, TypeError, AttributeError, OSError):
        raise ModelFileError(f"{path}: is not a dlkit manifest, or is corrupt; export the bundle again") from None


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
        return f"there is no bundle {folder}"
    nearby = sorted(str(p.parent) for p in folder.glob("*/manifest.json"))
    if nearby:
        return f"{folder} is not a bundle, but holds some: {', '.join(nearby)}"
    return f"{folder} is not a bundle (no manifest.json); 'dlkit export' makes one"


def top_classes(outputs: NDArray[np.float32], labels: tuple[str, ...], count: int) -> list[tuple[str, float]]:
    """The `count` highest of one sample's outputs (classes,) with their labels, highest first."""
    order = np.argsort(-outputs, kind="stable")[:count]
    return [(labels[i] if i < len(labels) else str(i), float(outputs[i])) for i in order]
