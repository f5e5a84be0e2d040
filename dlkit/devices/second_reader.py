"""OpenVINO as a second reader of a model for servers: code that had no part in writing the file."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.conversion.batches import read_batch
from dlkit.conversion.child import run_task
from dlkit.errors import ModelFileError
from dlkit.extras import require
from dlkit.progress import Advance, ignore
from dlkit.runtime.arrays import write_npz
from dlkit.writing import temporary_folder

if TYPE_CHECKING:
    from numpy.typing import NDArray

PRECISION = {"INFERENCE_PRECISION_HINT": "f32"}
"""Left to itself it takes bfloat16 on a processor that has it."""
TIME_LIMIT_S = 300.0


def is_installed() -> bool:
    """Whether there is a second reader."""
    return importlib.util.find_spec("openvino") is not None


def second_answers(model: Path, inputs: Path) -> dict[str, NDArray[np.float32]]:
    """Outputs by all their names, (N, ...) float32, of a SavedModel's folder or an .onnx file; from a child process.

    Args:
        inputs: .npz of network inputs by name, (N, ...) each.

    Raises:
        ModelFileError: OpenVINO does not read the model, or not as it is meant.
        ConversionError: it crashes, or does not end.
        ExtraMissing: it is not installed.
    """
    with temporary_folder() as folder:
        found = folder / "outputs.npz"
        run_task("dlkit.devices.second_reader:answer", ignore, TIME_LIMIT_S, frameworks=False, model=str(model),
                 inputs=str(inputs), result=str(found))  # fmt: skip
        return read_batch(found)


def answer(model: str, inputs: str, result: str, advance: Advance) -> None:
    """The child's side: outputs as an archive."""
    openvino = require("openvino")
    core = openvino.Core()
    try:
        compiled = core.compile_model(core.read_model(model), "CPU", PRECISION)
    except Exception as error:  # it raises RuntimeError with what its front-end said, over many lines
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise ModelFileError(f"OpenVINO does not read it: {lines[-1][:200] if lines else 'no reason given'}") from None
    given = {name: values for name, values in read_batch(inputs).items() if _are_called(compiled.inputs, name)}
    found = compiled(given)
    named = {name: np.asarray(found[end], np.float32) for end in compiled.outputs for name in end.get_names()}
    write_npz(result, named)
    advance(1, 1)


def _are_called(ends: Any, name: str) -> bool:
    """Whether one of OpenVINO's ends goes by that name among others."""
    return any(name in end.get_names() for end in ends)
