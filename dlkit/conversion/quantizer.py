"""Quantizing a float .tflite file with litert-quantizer; runs in a child process, without TensorFlow."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from dlkit.calibration.calibrating import measured_ranges
from dlkit.calibration.ranges import Ranges, workable
from dlkit.conversion.batches import read_batch
from dlkit.conversion.fused_weights import quantize_fused_lstm
from dlkit.conversion.keeping import kept_operations, with_kept
from dlkit.conversion.layer_names import Operation
from dlkit.conversion.quantizer_recipes import recipe_of, with_small_kernels
from dlkit.progress import Advance
from dlkit.runtime.inspection import FUSED_LSTM, inspect_file
from dlkit.schemes import SCHEMES, Scheme

WITHOUT_NUMBERS = {"LOGICAL_AND", "LOGICAL_NOT", "LOGICAL_OR", "REDUCE_ALL", "REDUCE_ANY"}
"""Operations on truth values alone, of which there is nothing to quantize."""


def can_quantize(ops: Iterable[str], scheme: Scheme) -> bool:
    """Whether litert-quantizer has all of these operations in `scheme`; what it has not it leaves as it is.

    Of a fused LSTM it quantizes nothing (`quantize_flatbuffer` does, where activations are dynamic). It has no
    integer form of LEAKY_RELU or REVERSE_V2, for instance. It has one of SPLIT, but the runtime refused
    the files it made of recurrent layers with one ("failed to delegate SPLIT").
    """
    return not left_as_they_are(ops, scheme)


def left_as_they_are(ops: Iterable[str], scheme: Scheme) -> list[str]:
    """Those of the operations that `can_quantize` is about."""
    if scheme.quantizer != "static":
        return [name for name in ops if name == FUSED_LSTM and scheme.quantizer != "dynamic"]
    from litert_quantizer import default_policy

    policy = "static_wi8_ai16" if scheme.activations == "int16" else "static_wi8_ai8"
    names = set(json.loads(default_policy.DEFAULT_JSON_POLICY)["ops_per_config"][policy])
    known = names - {"SPLIT"} | {"TRANSPOSE_CONV"}  # which the list calls CONV_2D_TRANSPOSE
    return [name for name in ops if name not in known | WITHOUT_NUMBERS]


def calibrate(float_tflite: str, calibration: str, method: str, ranges: str, advance: Advance) -> None:
    """Measure the range of every activation of a float file.

    Args:
        float_tflite: file that `tflite.convert` wrote.
        calibration: .npz of the network's inputs by name, (N, *shape) float32 each.
        method: how ranges are chosen, see `calibrating.measured_ranges`.
        ranges: .json file for tensor → "min" and "max".
    """
    measured = measured_ranges(float_tflite, read_batch(calibration), method, advance)
    plain = {name: {end: np.asarray(value).tolist() for end, value in r.items()} for name, r in measured.items()}
    Path(ranges).write_text(json.dumps(plain), encoding="utf-8")


def quantize_flatbuffer(
    float_tflite: str, scheme: str, ranges: str, keep_float: str, layer_names: str, tflite: str, advance: Advance
) -> None:
    """Make the file of a scheme.

    Args:
        float_tflite: file that `tflite.convert` wrote.
        scheme: name of one that is not float32.
        ranges: file that `calibrate` wrote; read only if the scheme needs it.
        keep_float: JSON list of the names or patterns of layers that are not quantized.
        layer_names: JSON list of the names of the Keras layers.
        tflite: file for the result.
    """
    source, file, wanted = Path(float_tflite), Path(tflite), SCHEMES[scheme]
    keep = json.loads(keep_float)
    kept = kept_operations(source, keep, json.loads(layer_names)) if keep else []
    known = known_ranges(source, wanted, ranges)
    write_quantized(source, wanted, known, kept, file)
    if has_small_kernels_alone(file, wanted):
        write_quantized(source, wanted, known, kept, file, small_kernels=True)


def known_ranges(float_tflite: Path, scheme: Scheme, ranges: str) -> Ranges | None:
    """Those in a file that `calibrate` wrote, as the scheme can use them; None if it needs none."""
    bits = 16 if scheme.activations == "int16" else 8
    return workable(str(float_tflite), _read_ranges(ranges), bits) if scheme.needs_calibration else None


def write_quantized(
    float_tflite: Path,
    scheme: Scheme,
    ranges: Ranges | None,
    kept: Sequence[Operation],
    file: Path,
    *,
    small_kernels: bool = False,
) -> None:
    """Write the file of a scheme in which the operations `kept` are float.

    Args:
        ranges: see `known_ranges`.
        small_kernels: whether a dynamic scheme takes kernels of any size, see `has_small_kernels_alone`.
    """
    from litert_quantizer import quantizer

    rules = recipe_of(scheme)
    rules = with_kept(with_small_kernels(rules) if small_kernels else rules, kept)
    quantizer.Quantizer(str(float_tflite), rules).quantize(ranges).export_model(str(file), overwrite=True)
    if scheme.quantizer == "dynamic":
        quantize_fused_lstm(file, {tensor for operation in kept for tensor in operation.writes})


def has_small_kernels_alone(file: Path, scheme: Scheme) -> bool:
    """Whether a dynamic scheme found no kernel in `file` that is large enough for it."""
    return scheme.quantizer == "dynamic" and scheme.weights not in inspect_file(file).constants


def _read_ranges(path: str) -> Ranges:
    stored = json.loads(Path(path).read_text(encoding="utf-8"))
    return {name: {end: np.asarray(v, np.float32) for end, v in measured.items()} for name, measured in stored.items()}
