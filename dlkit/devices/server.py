"""Models for servers, by whatever runs their format: TensorFlow or ONNX Runtime, which also proved them."""

from __future__ import annotations

from pathlib import Path

from dlkit.devices import Runtime
from dlkit.errors import ModelFileError
from dlkit.filing import bytes_in
from dlkit.progress import Advance
from dlkit.runtime.served import open_model
from dlkit.targets import Target
from dlkit.verdict import Budget, Verdict


def examine(file: Path, target: Target, advance: Advance) -> Verdict:
    """Loaded once; what is in its graph is checked before that."""
    if not file.is_dir() and file.suffix != ".onnx":
        raise ModelFileError(f"{file}: {target.name} takes the folder of a SavedModel, or an .onnx file")
    session = open_model(file)
    ends = f"{', '.join(session.inputs)} → {', '.join(session.outputs)}"
    budget = Budget("size", bytes_in(file))
    return Verdict(target.name, f"loaded on this machine: {ends}", (), (budget,))


SERVER = Runtime("server", "TensorFlow or ONNX Runtime, on a processor or a GPU", examine, of_folders=True)
