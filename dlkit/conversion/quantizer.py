"""Quantizing a float .tflite file with litert-quantizer; runs in a child process, without TensorFlow."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

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


def quantize_flatbuffer(float_tflite: str, calibration: str, tflite: str, advance: Advance) -> None:
    """Static int8: weights per channel, activations by the smallest and largest value seen.

    Args:
        float_tflite: file that `tflite.convert` wrote.
        calibration: .npy of (N, *shape) float32 network inputs.
        tflite: file for the result.
    """
    from ai_edge_litert.interpreter import Interpreter
    from litert_quantizer import calibrator, quantizer, recipe
    from litert_quantizer.utils import qsv_utils

    [(signature, tensors)] = Interpreter(model_path=float_tflite).get_signature_list().items()
    samples = np.load(calibration)

    class CalibrationData:  # iterated twice: the calibrator counts first
        def __iter__(self) -> Iterator[dict[str, Any]]:
            for done, sample in enumerate(samples, start=1):
                yield {tensors["inputs"][0]: sample[np.newaxis]}
                advance(done, len(samples))

    static = quantizer.Quantizer(float_tflite, recipe.static_wi8_ai8())
    # The default, a moving average of the ranges, clips scores (largest error 0.33 against 0.04
    # measured on a small network), so the plain smallest and largest are asked for. There is no
    # public way to hand a calibrator to the quantizer (litert-quantizer 0.11).
    ranges = calibrator.Calibrator(
        float_tflite,
        num_threads=2,
        mode=calibrator.CalibrationMode.CALIBRATION_PROFILER_BASED,
        qsv_update_func=qsv_utils.min_max_update,
    )
    ranges.calibrate({signature: CalibrationData()}, static._recipe_manager)
    static.quantize(workable(float_tflite, ranges.get_model_qsvs())).export_model(tflite, overwrite=True)
