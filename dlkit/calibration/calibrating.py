"""The ranges that a network's activations take on calibration samples; runs in a child process, without TensorFlow."""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.calibration.exposing import Exposed, expose_activations
from dlkit.calibration.observers import Observer, observer_of, scores_observer_of
from dlkit.calibration.ranges import Ranges
from dlkit.errors import DataError
from dlkit.progress import Advance, ignore
from dlkit.writing import temporary_folder

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_THREADS = 4


def measured_ranges(
    float_tflite: str, samples: Mapping[str, NDArray[Any]], method: str = "minmax", advance: Advance = ignore
) -> Ranges:
    """Ranges of every float input and activation of a float .tflite file.

    The ranges are those of litert-quantizer's own calibrator with plain minima and maxima, and its
    int8 file of VGG16 is the same, byte for byte. That one is private, knows no other method, and takes
    1.7 GB for VGG16; this takes 1.3. Of the 0.34 s of processor time for a sample of VGG16, 0.33 are
    spent in its kernels and 0.01 on minima and maxima; a histogram takes 0.04 more. Batches of 4 save
    0.02 and cannot be had of a file in which a RESHAPE names the batch.

    Args:
        float_tflite: file that computes one sample at a time.
        samples: input's name in the file's signature → (N, *shape) network inputs, the same N for all.
        method: a key of `observers.OBSERVERS`.
        advance: called after each sample.

    Raises:
        UnknownName: there is no such method.
        DataError: samples do not fit the file's inputs, or lead to NaN or infinity inside the network.
        ConversionError: the file is one that cannot be calibrated.
    """
    make, make_for_scores = observer_of(method), scores_observer_of(method)
    with temporary_folder() as folder:
        exposed = expose_activations(Path(float_tflite), folder / "observed.tflite")
        observers: defaultdict[str, Observer] = defaultdict(make, {name: make_for_scores() for name in exposed.scores})
        _observe(str(folder / "observed.tflite"), exposed, samples, observers, advance)
    ranges = {name: observer.range() for name, observer in observers.items()}
    return {name: {"min": np.array([low]), "max": np.array([high])} for name, (low, high) in ranges.items()}


def _observe(
    tflite: str,
    exposed: Exposed,
    samples: Mapping[str, NDArray[Any]],
    observers: Mapping[str, Observer],
    advance: Advance,
) -> None:
    """Show each observer its tensor's values, sample after sample."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=tflite, num_threads=min(MOST_THREADS, os.cpu_count() or 1))
    interpreter.allocate_tensors()
    feeds = _feeds(exposed.inputs, interpreter.get_input_details(), samples)
    count = min(len(array) for array in feeds.values())
    for row in range(count):
        interpreter.reset_all_variables()
        for number, array in feeds.items():
            interpreter.set_tensor(number, array[row : row + 1])
        interpreter.invoke()
        for number, name in exposed.names.items():
            # A view, not a copy: the runtime goes on only after it is gone.
            values = feeds[number][row] if number in feeds else interpreter.tensor(number)()
            low, high = float(values.min()), float(values.max())
            if not math.isfinite(high - low):
                raise DataError(f"calibration sample {row} gives NaN or infinity in {name!r}; take it out of the data")
            observers[name].observe(values, low, high)
            del values
        advance(row + 1, count)


def _feeds(
    inputs: Mapping[str, int], details: list[dict[str, Any]], samples: Mapping[str, NDArray[Any]]
) -> dict[int, NDArray[Any]]:
    """Number of each input → (N, *shape) of its dtype. Raises DataError where samples do not fit."""
    if set(samples) != set(inputs):
        raise DataError(f"calibration samples for {', '.join(samples)}, but the model takes {', '.join(inputs)}")
    lengths = {len(array) for array in samples.values()}
    if len(lengths) != 1 or 0 in lengths:
        found = ", ".join(f"{len(array)} for {name}" for name, array in samples.items())
        raise DataError(f"calibration samples: {found}; each input needs as many, and at least one")
    formats = {d["index"]: (tuple(int(n) for n in d["shape"]), d["dtype"]) for d in details}
    feeds = {}
    for name, number in inputs.items():
        shape, dtype = formats[number]
        if (1, *samples[name].shape[1:]) != shape:
            raise DataError(f"calibration samples of {(1, *samples[name].shape[1:])} for {name}, which takes {shape}")
        feeds[number] = samples[name].astype(dtype, copy=False)
    return feeds
