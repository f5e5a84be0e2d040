"""Models from elsewhere, made into files in this process by the functions that `dlkit export` runs in children."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dlkit.conversion.batches import Batch, read_batch
from dlkit.conversion.custom_code import as_argument
from dlkit.conversion.kinds import kind_of
from dlkit.conversion.making import check_possible
from dlkit.progress import ignore
from dlkit.report import Comparison
from dlkit.runtime.arrays import write_npz
from dlkit.runtime.inspection import inspect_file
from dlkit.schemes import SCHEMES
from dlkit.verify import Judged, broken_promises, check_conversion, compare, judged

HELD_OUT = 8


@dataclasses.dataclass(frozen=True)
class Taken:
    """A model's float file, proven against the model itself.

    Attributes:
        model: the file or folder it was made from.
        folder: where its files are.
        inputs: name → (N, *shape); the first 8 are held out, the others calibrate.
        reference: what the model itself answers to the held-out ones.
        original: what the float file answers.
        notes: what is to be said about the conversion.
    """

    model: Path
    folder: Path
    inputs: Batch
    reference: dict[str, np.ndarray]
    original: Judged
    notes: list[str]

    @property
    def float_file(self) -> Path:
        return self.folder / "float.tflite"

    @property
    def ops(self) -> dict[str, int]:
        return inspect_file(self.float_file).ops

    @property
    def gap(self) -> float:
        """Largest difference of an output, in units of the largest output."""
        return max(
            float(np.max(np.abs(wanted - self.original.outputs[name]))) / max(1.0, float(np.max(np.abs(wanted))))
            for name, wanted in self.reference.items()
        )

    def quantized(self, name: str) -> tuple[Comparison, ...]:
        """The file of a scheme, which keeps its promise, on the held-out samples. Raises IllegalCombination."""
        from dlkit.conversion import tflite
        from dlkit.conversion.quantizer import calibrate, can_quantize, quantize_flatbuffer

        scheme, path, ranges = SCHEMES[name], self.folder / f"{name}.tflite", str(self.folder / "ranges.json")
        check_possible(self.ops, scheme)
        calibration = str(self.folder / "calibration.npz")
        write_npz(calibration, {end: values[HELD_OUT:] for end, values in self.inputs.items()})
        if can_quantize(self.ops, scheme):
            if scheme.needs_calibration:
                calibrate(str(self.float_file), calibration, "minmax", ranges, ignore)
            quantize_flatbuffer(str(self.float_file), name, ranges, "[]", "[]", str(path), ignore)
        else:
            tflite.quantize_saved_model(
                str(self.model), str(self.folder / "saved_model"), name, calibration, str(path), ignore
            )
        assert broken_promises(inspect_file(path), scheme) == []
        return compare("held out", self.reference, self.original, judged(path.read_bytes(), _held_out(self)), None)


def _held_out(taken: Taken) -> dict[str, np.ndarray]:
    return {name: values[:HELD_OUT] for name, values in taken.inputs.items()}


def samples_for(shapes: dict[str, tuple[int, ...]], *, words: int = 0, count: int = 40) -> dict[str, np.ndarray]:
    """Random inputs from 0 to 1; or whole numbers below `words`."""
    rng = np.random.default_rng(0)
    if words:
        return {name: rng.integers(0, words, (count, *shape)).astype(np.float32) for name, shape in shapes.items()}
    return {name: rng.random((count, *shape), dtype=np.float32) for name, shape in shapes.items()}


def taken(model: Path, inputs: Batch, folder: Path, custom: Sequence[str] = ()) -> Taken:
    """The float file of the model at `model`, made in `folder`, and held against the model."""
    from dlkit.conversion import tflite

    held_out = {name: values[:HELD_OUT] for name, values in inputs.items()}
    folder.mkdir(exist_ok=True)
    write_npz(folder / "inputs.npz", held_out)
    tflite.convert(
        model=str(model),
        inputs=str(folder / "inputs.npz"),
        saved_model=str(folder / "saved_model"),
        tflite=str(folder / "float.tflite"),
        reference=str(folder / "reference.npz"),
        weights_sha256=str(folder / "weights.sha256"),
        custom=as_argument(custom),
        notes=str(folder / "notes.json"),
        advance=ignore,
    )
    assert kind_of(model) == "tflite" or (folder / "saved_model").is_dir()
    reference = read_batch(folder / "reference.npz")
    original = judged((folder / "float.tflite").read_bytes(), held_out)
    check_conversion(reference, original)
    return Taken(model, folder, inputs, reference, original, json.loads((folder / "notes.json").read_text()))
