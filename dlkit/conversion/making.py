"""Making the file: convert once to float, then quantize it for each scheme, and label it."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import zipfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dlkit.conversion.batches import Batch, read_batch
from dlkit.conversion.child import run_task
from dlkit.conversion.custom_code import as_argument
from dlkit.conversion.keeping import left_to_quantize
from dlkit.conversion.kinds import Kind, kind_of
from dlkit.conversion.layer_names import layer_names
from dlkit.conversion.quantizer import can_quantize, left_as_they_are
from dlkit.conversion.without_loops import MOST_STEPS
from dlkit.errors import IllegalCombination
from dlkit.progress import Progress
from dlkit.runtime.arrays import write_npz
from dlkit.runtime.inspection import FUSED_LSTM, inspect_file
from dlkit.schemes import Scheme

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NO_16_BIT_FORM = (FUSED_LSTM, "HARD_SWISH")
"""Operations of which neither quantizer has one with 16-bit activations."""
NO_INTEGER_FORM = ("CONV_3D", "CONV_3D_TRANSPOSE")
"""Operations of which the runtime has none in integers at all."""


@dataclasses.dataclass(frozen=True)
class Float:
    """A model converted to float, from which the files of all schemes are made.

    Attributes:
        folder: where it and what is made of it lie.
        model: the file or folder it was made from.
        reference: output name → (N, ...) float32, the Keras model's own answers to the inputs given.
        weights_sha256: of the numbers of the model's weights.
        layer_names: of the Keras model; () where it is none.
        kind: of what it was converted from.
        custom: modules of the user's own code that the model is made of.
        notes: what a user should know about the conversion.
    """

    folder: Path
    model: Path
    reference: dict[str, NDArray[np.float32]]
    weights_sha256: str
    layer_names: tuple[str, ...]
    kind: Kind = "keras"
    custom: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def file(self) -> Path:
        return self.folder / "float.tflite"

    @property
    def saved_model(self) -> Path:
        return self.folder / "saved_model"

    def linked(self, folder: Path, *besides: Path) -> Float:
        """The same in another folder, by links, so that files can be made in both at once.

        Args:
            folder: exists.
            besides: folders all of whose files are linked there too: calibration samples, measured ranges.
        """
        given = [self.file, self.saved_model, *(file for each in besides if each.is_dir() for file in each.iterdir())]
        for path in given:
            if path.exists():
                (folder / path.name).symlink_to(path)
        return dataclasses.replace(self, folder=folder)


@dataclasses.dataclass(frozen=True)
class Made:
    """The file of a scheme.

    Attributes:
        file: the .tflite file the scheme asked for.
        float_file: the float .tflite file it was made from.
        quantizer: what made the file, with its version.
        layer_names: of the Keras model, for telling which layer an operation came from.
        kept_float: patterns of layers that were not quantized.
        kept_int8: names of layers whose weights took 8 bits, of a scheme of fewer.
        can_keep_float: whether layers can be.
    """

    file: Path
    float_file: Path
    quantizer: str
    layer_names: tuple[str, ...]
    kept_float: tuple[str, ...] = ()
    kept_int8: tuple[str, ...] = ()
    can_keep_float: bool = True


def convert_model(
    model: Path,
    inputs: Batch,
    folder: Path,
    progress: Progress,
    custom: Sequence[str] = (),
    avoid: Sequence[str] = (),
) -> Float:
    """Convert `model` to float in a child process, into `folder`.

    Args:
        model: the .keras, .h5 or .tflite file, or the folder of a SavedModel.
        inputs: held-out network inputs that the model itself is to answer.
        custom: modules of the user's own code that it is made of.
        avoid: forms of layers that the target does not run, see `targets.Target`.

    Raises:
        ConversionError: the converter failed, crashed or hung.
    """
    write_npz(folder / "inputs.npz", inputs)
    reference, identity, notes = folder / "reference.npz", folder / "weights.sha256", folder / "notes.json"
    made = Float(folder, model, {}, "", layer_names(model), kind_of(model), tuple(custom))
    with progress.step("Converting to a float file") as advance:
        run_task(
            "convert",
            advance,
            model=str(model),
            inputs=str(folder / "inputs.npz"),
            saved_model=str(made.saved_model),
            tflite=str(made.file),
            reference=str(reference),
            weights_sha256=str(identity),
            custom=as_argument(custom),
            notes=str(notes),
            avoid=",".join(avoid),
        )
    return dataclasses.replace(
        made,
        reference=read_batch(reference),
        weights_sha256=identity.read_text(encoding="ascii"),
        notes=tuple(json.loads(notes.read_text(encoding="utf-8"))),
    )


def make_file(
    converted: Float,
    scheme: Scheme,
    calibration: Batch,
    progress: Progress,
    method: str = "minmax",
    keep_float: Sequence[str] = (),
    keep_int8: Sequence[str] = (),
) -> Made:
    """The file of `scheme`, made in child processes.

    Args:
        calibration: network inputs; they are looked at if the scheme needs them.
        method: how ranges are chosen, a key of `observers.OBSERVERS`.
        keep_float: names or patterns of layers that are not quantized.
        keep_int8: likewise of layers whose weights take 8 bits, of a scheme that has 4 for others.

    Raises:
        ConversionError: a quantizer failed, crashed or hung.
        IllegalCombination: the network cannot have the scheme.
        UnknownName: no layer has a name of `keep_float`.
    """
    names, by_tensorflow = converted.layer_names, f"TensorFlow converter {_version('tensorflow')}"
    if scheme.quantizer == "none":
        return Made(converted.file, converted.file, "as given" if converted.kind == "tflite" else by_tensorflow, names)
    ops = left_to_quantize(converted.file, keep_float, names) if keep_float else set(inspect_file(converted.file).ops)
    check_possible(ops, scheme)
    check_settings(ops, scheme, method, keep_float)
    file, samples = converted.folder / f"{scheme.name}.tflite", converted.folder / "calibration.npz"
    if scheme.needs_calibration and not samples.exists():
        write_npz(samples, calibration)
    # Where both can, litert-quantizer's file is the smaller and mostly the closer one. Scores of
    # GRU and SimpleRNN on the digits, 28 steps of 32 units, one layer and two: 35.8 and 36.1, 31.9
    # and 31.4 dB above their noise; by the TensorFlow converter 33.5 and 36.4, 30.7 and 31.9 dB.
    if can_quantize(ops, scheme):
        _quantize(converted, scheme, samples, file, progress, method, keep_float, keep_int8)
        how = f", {method} calibration" if scheme.needs_calibration else ""
        quantizer = f"litert-quantizer {_version('litert-quantizer')}{how}"
        return Made(file, converted.file, quantizer, names, tuple(keep_float), tuple(keep_int8))
    if converted.kind == "tflite":
        which = ", ".join(sorted(left_as_they_are(ops, scheme)))
        raise IllegalCombination(
            f"{scheme.name} of this network needs the TensorFlow converter (for {which}), which reads no .tflite "
            f"files; use --scheme {_without_converter(scheme)}, or export the Keras model it was made from"
        )
    _quantize_by_tensorflow(converted, scheme, samples, file, progress)
    return Made(file, converted.file, by_tensorflow, names, can_keep_float=False)


def _quantize(
    converted: Float,
    scheme: Scheme,
    samples: Path,
    file: Path,
    progress: Progress,
    method: str,
    keep_float: Sequence[str],
    keep_int8: Sequence[str],
) -> None:
    """Write `file` by litert-quantizer, with ranges that are measured once for all schemes."""
    ranges = converted.folder / "ranges.json"
    if scheme.needs_calibration and not ranges.exists():
        measure_ranges(converted, samples, method, ranges, progress)
    with progress.step(f"Quantizing to {scheme.name}") as advance:
        run_task(
            "quantize_flatbuffer",
            advance,
            float_tflite=str(converted.file),
            scheme=scheme.name,
            ranges=str(ranges),
            keep_float=json.dumps(list(keep_float)),
            keep_int8=json.dumps(list(keep_int8)),
            layer_names=json.dumps(list(converted.layer_names)),
            tflite=str(file),
        )


def measure_ranges(converted: Float, samples: Path, method: str, ranges: Path, progress: Progress) -> None:
    """Write the ranges of all activations on the network inputs in the archive `samples` to the file `ranges`.

    Raises:
        DataError, ConversionError: see `calibrating.measured_ranges`; or it crashed or hung.
    """
    with progress.step("Measuring ranges on calibration samples") as advance:
        run_task(
            "calibrate",
            advance,
            float_tflite=str(converted.file),
            calibration=str(samples),
            method=method,
            ranges=str(ranges),
        )


def _quantize_by_tensorflow(converted: Float, scheme: Scheme, samples: Path, file: Path, progress: Progress) -> None:
    """Write `file` by the TensorFlow converter."""
    with progress.step(f"Quantizing to {scheme.name}") as advance:
        run_task(
            "quantize_saved_model",
            advance,
            model=str(converted.model),
            custom=as_argument(converted.custom),
            saved_model=str(converted.saved_model),
            scheme=scheme.name,
            calibration=str(samples),
            tflite=str(file),
        )


def check_possible(ops: Collection[str], scheme: Scheme) -> None:
    """Raise IllegalCombination, with the nearest legal scheme, if operations of the network cannot have this one."""
    use = f"use --scheme {scheme.instead}"
    if scheme.quantizer == "static" and "WHILE" in ops:
        raise IllegalCombination(
            f"the {scheme.name} scheme cannot quantize a loop, and this network has a recurrent layer that needs one: "
            "it gives or keeps its state, is part of a layer of your own, or "
            f"reads more than {MOST_STEPS} steps and is no LSTM with Keras' own activations; "
            "use --scheme dynamic_int8"
        )
    for name in NO_INTEGER_FORM if scheme.quantizer == "static" else ():
        if name in ops:
            raise IllegalCombination(f"the runtime has no integer form of {name}; use --scheme dynamic_int8")
    if scheme.activations == "int16":
        for name in NO_16_BIT_FORM:
            if name in ops:
                raise IllegalCombination(f"the runtime has no form of {name} with 16-bit activations; {use}")
    if scheme.quantizer == "weights" and FUSED_LSTM in ops:
        raise IllegalCombination(
            f"a fused LSTM ({FUSED_LSTM}) cannot turn its weights back into floats; use --scheme dynamic_int8"
        )


def check_settings(ops: Collection[str], scheme: Scheme, method: str, keep_float: Sequence[str]) -> None:
    """Raise IllegalCombination if ranges of a network cannot be chosen so, or layers not kept float."""
    if keep_float and not can_quantize(ops, scheme):
        raise IllegalCombination(
            f"only the TensorFlow converter makes this network {scheme.name}, and it quantizes all layers or none; "
            "leave out --keep-float, or keep the layers float that need it too"
        )
    if not scheme.needs_calibration or method == "minmax":
        return
    if method == "mse" and scheme.activations == "int16":
        raise IllegalCombination(f"mse chooses ranges for 8 bits, and {scheme.name} has 16; use --calibration minmax")
    if not can_quantize(ops, scheme):
        raise IllegalCombination(
            f"only the TensorFlow converter quantizes this network to {scheme.name}, and it knows no {method} "
            "calibration; use --calibration minmax"
        )


def _without_converter(scheme: Scheme) -> str:
    """The nearest scheme that litert-quantizer has of every network."""
    return "float32" if scheme.quantizer in ("cast", "weights") else "dynamic_int8"


def append_files(tflite: Path, contents: dict[str, bytes]) -> None:
    """Append an archive of `contents` to a .tflite file; runtimes do not read past the model's end.

    `unzip -p model.tflite labels.txt` reads one back. Dates are fixed, so same contents, same bytes.
    """
    with zipfile.ZipFile(tflite, "a", zipfile.ZIP_STORED) as archive:
        for name, content in contents.items():
            archive.writestr(zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0)), content)


def _version(distribution: str) -> str:
    return importlib.metadata.version(distribution)
