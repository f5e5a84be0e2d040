"""Making the file: convert once to float, quantize if the scheme says so, label it."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dlkit.conversion.child import run_task
from dlkit.conversion.quantizer import can_quantize
from dlkit.conversion.without_loops import MOST_STEPS
from dlkit.errors import IllegalCombination
from dlkit.progress import Progress
from dlkit.runtime.inspection import inspect_file
from dlkit.schemes import Scheme


@dataclasses.dataclass(frozen=True)
class Made:
    """What conversion produced.

    Attributes:
        file: the .tflite file the scheme asked for.
        float_file: the float .tflite file it was made from.
        reference: (N, ...) float32, the Keras model's own answers to the inputs given.
        quantizer: what made the file, with its version.
        weights_sha256: of the numbers of the model's weights.
    """

    file: Path
    float_file: Path
    reference: NDArray[np.float32]
    quantizer: str
    weights_sha256: str


def make_file(
    model: Path,
    scheme: Scheme,
    calibration: NDArray[np.float32],
    inputs: NDArray[np.float32],
    folder: Path,
    progress: Progress,
) -> Made:
    """Convert `model` and quantize it as `scheme` says, in child processes, into `folder`.

    Args:
        calibration: (N, *shape) network inputs.
        inputs: (N, *shape) held-out network inputs that the Keras model is to answer.

    Raises:
        ConversionError: converter or quantizer failed, crashed or hung.
        IllegalCombination: the network cannot have the scheme.
    """
    names = ("inputs.npy", "calibration.npy", "reference.npy", "weights.sha256")
    paths = {name: str(folder / name) for name in names}
    saved_model, float_file, file = folder / "saved_model", folder / "float.tflite", folder / "quantized.tflite"
    np.save(paths["inputs.npy"], inputs)
    np.save(paths["calibration.npy"], calibration)
    with progress.step("Converting to a float file") as advance:
        run_task(
            "convert",
            advance,
            model=str(model),
            inputs=paths["inputs.npy"],
            saved_model=str(saved_model),
            tflite=str(float_file),
            reference=paths["reference.npy"],
            weights_sha256=paths["weights.sha256"],
        )
    reference, identity = np.load(paths["reference.npy"]), Path(paths["weights.sha256"]).read_text(encoding="ascii")
    if scheme.quantizer == "none":
        return Made(float_file, float_file, reference, f"TensorFlow converter {_version('tensorflow')}", identity)
    ops = inspect_file(float_file).ops
    if "WHILE" in ops:
        raise IllegalCombination(
            f"the {scheme.name} scheme cannot quantize a loop, and this network has a recurrent layer that needs one: "
            f"it keeps its state, or reads more than {MOST_STEPS} steps and is no LSTM with Keras' own activations; "
            "use --scheme float32"
        )
    with progress.step("Quantizing with calibration samples") as advance:
        # Where both can, litert-quantizer's file is the smaller and mostly the closer one. Scores of
        # GRU and SimpleRNN on the digits, 28 steps of 32 units, one layer and two: 35.8 and 36.1, 31.9
        # and 31.4 dB above their noise; by the TensorFlow converter 33.5 and 36.4, 30.7 and 31.9 dB.
        if can_quantize(ops):
            run_task(
                "quantize_flatbuffer",
                advance,
                float_tflite=str(float_file),
                calibration=paths["calibration.npy"],
                tflite=str(file),
            )
            quantizer = f"litert-quantizer {_version('litert-quantizer')}, min/max calibration"
        else:
            run_task(
                "quantize_saved_model",
                advance,
                model=str(model),
                saved_model=str(saved_model),
                calibration=paths["calibration.npy"],
                tflite=str(file),
            )
            quantizer = f"TensorFlow converter {_version('tensorflow')}"
    return Made(file, float_file, reference, quantizer, identity)


def append_files(tflite: Path, contents: dict[str, bytes]) -> None:
    """Append an archive of `contents` to a .tflite file; runtimes do not read past the model's end.

    `unzip -p model.tflite labels.txt` reads one back. Dates are fixed, so same contents, same bytes.
    """
    with zipfile.ZipFile(tflite, "a", zipfile.ZIP_STORED) as archive:
        for name, content in contents.items():
            archive.writestr(zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0)), content)


def _version(distribution: str) -> str:
    return importlib.metadata.version(distribution)
