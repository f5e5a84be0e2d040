"""The verdict of a target on any file: a .tflite file of dlkit's or not, a bundle's model, a SavedModel."""

from __future__ import annotations

from pathlib import Path

from dlkit.bundle.loading import load_bundle
from dlkit.devices import RUNTIMES, known_target
from dlkit.errors import ModelFileError
from dlkit.progress import Advance, ignore
from dlkit.targets import Target
from dlkit.verdict import Verdict


def examined(file: str | Path, target: str | Target, advance: Advance = ignore) -> Verdict:
    """What the target makes of a file.

    Args:
        file: a .tflite file, a bundle, or for servers an .onnx file or the folder of a SavedModel.
        target: its name or its .toml file.

    Raises:
        ModelFileError: there is no such file, or it is not of the kind that the target's runtime takes.
        UnknownName, RecipeError: there is no such target.
        ExtraMissing: the tool that tells is not installed.
        ConversionError: it fails.
    """
    device = known_target(target) if isinstance(target, str) else target
    path = Path(file)
    if (path / "manifest.json").is_file():
        path = load_bundle(path).model
    if not path.exists():
        raise ModelFileError(f"there is no file {path}")
    if path.is_dir() and not RUNTIMES[device.runtime].of_folders:
        raise ModelFileError(f"{path}: {device.name} takes .tflite files, and this is a folder")
    return RUNTIMES[device.runtime].examine(path, device, advance)
