"""Quantizing a float .tflite file with litert-quantizer; runs in a child process, without TensorFlow."""

from __future__ import annotations

import json
from collections.abc import Iterable

import numpy as np

from dlkit.conversion.calibrating import measured_ranges
from dlkit.conversion.ranges import workable
from dlkit.progress import Advance


def can_quantize(ops: Iterable[str]) -> bool:
    """Whether litert-quantizer has all of these operations in int8; around one that it has not, the file stays float.

    It has none for a fused LSTM, LEAKY_RELU or REVERSE_V2, for instance. It has one for SPLIT, but the
    runtime refused the files it made of recurrent layers with one ("failed to delegate SPLIT").
    """
    from litert_quantizer import default_policy

    names = set(json.loads(default_policy.DEFAULT_JSON_POLICY)["ops_per_config"]["static_wi8_ai8"])
    known = names - {"SPLIT"} | {"TRANSPOSE_CONV"}  # which the list calls CONV_2D_TRANSPOSE
    return known.issuperset(ops)


def quantize_flatbuffer(
    float_tflite: str, calibration: str, tflite: str, advance: Advance, method: str = "minmax"
) -> None:
    """Static int8: weights per channel, activations by the ranges they take on the samples.

    Args:
        float_tflite: file that `tflite.convert` wrote.
        calibration: .npy of (N, *shape) float32 network inputs.
        tflite: file for the result.
        method: how ranges are measured, see `calibrating.measured_ranges`.
    """
    from ai_edge_litert.interpreter import Interpreter
    from litert_quantizer import quantizer, recipe

    [signature] = Interpreter(model_path=float_tflite).get_signature_list().values()
    samples = {signature["inputs"][0]: np.load(calibration)}
    ranges = measured_ranges(float_tflite, samples, method, advance)
    static = quantizer.Quantizer(float_tflite, recipe.static_wi8_ai8())
    static.quantize(workable(float_tflite, ranges)).export_model(tflite, overwrite=True)
