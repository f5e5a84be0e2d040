"""Where an exported file loses what: the outputs of every layer against those of the float file, layer by layer.

Both files run in a child process with every tensor in between kept, which the runtime can only do without its
XNNPACK delegate; its own integer kernels differ from the delegate's by a step at most.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.conversion.child import run_task
from dlkit.conversion.layer_names import Operation, operations
from dlkit.errors import ConversionError
from dlkit.metrics import as_softmax_reads
from dlkit.noise import native_noise_aside
from dlkit.progress import Advance
from dlkit.report import LayerError
from dlkit.runtime.dtypes import TensorFormat
from dlkit.runtime.scores import scores_of
from dlkit.runtime.tensor_names import tensor_names
from dlkit.writing import temporary_folder

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_SAMPLES, MOST_SAMPLES = 2, 8
MOST_NUMBERS = 2**25
"""Of all tensors and samples, but for the least number of samples: a large network has millions for one, and without
the delegate each takes long. ResNet-50 with 2 samples in place of 8: 2.7 s in place of 7.5 s, the same worst
layers, their decibels within 0.1."""
EXACT_DB = 200.0
LOST = 1e20
"""Noise over signal of what is no number any more: −200 dB."""
WEIGHTED = {
    "BATCH_MATMUL",
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "FULLY_CONNECTED",
    "TRANSPOSE_CONV",
    "UNIDIRECTIONAL_SEQUENCE_LSTM",
}
"""What a layer is shown as, if it has one of these."""
_MOVING = {"GATHER", "MAX_POOL_2D", "PAD", "RESHAPE", "SLICE", "SPLIT", "STRIDED_SLICE", "TRANSPOSE", "UNPACK"}
# No layer of ten sound networks of the shelf adds more than 1e-3 to int8. On the digits, a unit of which was given
# 30, 100, 300 times its range, the layer that reads it adds 3e-3, 5e-2 and 4e-1, and the accuracy goes from
# 0.92 to 0.91, 0.89 … 0.92 and 0.61 … 0.69. With the layer before it kept float beside it, all of it comes back.
STANDS_OUT = 1e-2


@dataclasses.dataclass(frozen=True)
class LayerErrors:
    """What was measured of all layers.

    Attributes:
        layers: the one that adds the most noise first.
        unmatched: layers that could not be measured: their tensors have other names in the exported file, or
            do not vary.
    """

    layers: tuple[LayerError, ...]
    unmatched: int


def layer_errors(
    float_file: Path, file: Path, inputs: Mapping[str, NDArray[np.float32]], names: Sequence[str], advance: Advance
) -> LayerErrors:
    """Measure every layer of `file` against `float_file`, which it was made from.

    Args:
        inputs: of the network, (N, *shape) float32 by the name a signature gives them or by their tensor's; a
            single one by any name. At most `MOST_SAMPLES` are looked at, of a large network fewer.
        names: of the Keras layers, see `layer_names`; may be empty.

    Raises:
        ConversionError: the runtime failed or crashed.
    """
    with temporary_folder() as folder:
        samples, request, result = (folder / name for name in ("inputs.npz", "request.json", "layers.json"))
        np.savez(samples, *(x[:MOST_SAMPLES] for x in inputs.values()))
        request.write_text(json.dumps({"inputs": list(inputs), "layers": list(names)}))
        run_task(
            "layer_errors",
            advance,
            float_tflite=str(float_file),
            tflite=str(file),
            inputs=str(samples),
            request=str(request),
            result=str(result),
        )
        found = json.loads(result.read_text())
    layers = (LayerError(**{**layer, "feeders": tuple(layer["feeders"])}) for layer in found["layers"])
    return LayerErrors(tuple(layers), found["unmatched"])


def measure(float_tflite: str, tflite: str, inputs: str, request: str, result: str, advance: Advance) -> None:
    """The child's side: `layer_errors` of samples in an .npz file and names in a .json file, as a .json file."""
    asked = json.loads(Path(request).read_text())
    with np.load(inputs) as arrays:
        samples = {name: arrays[f"arr_{i}"] for i, name in enumerate(asked["inputs"])}
    exported = _Watched(Path(tflite))
    noise = _noise(_Watched(Path(float_tflite)), exported, samples, scores_of(Path(float_tflite)), advance)
    found = ranked(operations(Path(float_tflite), asked["layers"]), noise, exported.in_steps)
    Path(result).write_text(json.dumps(dataclasses.asdict(found)))


def ranked(made: Sequence[Operation], noise: Mapping[str, float], in_steps: Collection[str]) -> LayerErrors:
    """The layers of `made`, the operations of the float file in order, by the noise they add.

    Args:
        noise: tensor → energy of its error over the energy of its signal about its mean, of scores as a softmax
            reads them.
        in_steps: tensors that are integers in the exported file.
    """
    read = {tensor for operation in made for tensor in operation.reads}
    of_layer: dict[str, list[Operation]] = {}
    for operation in made:
        # The fixed 256 steps of an 8-bit softmax at the end say nothing about a layer: its scores count.
        if operation.layers and not (operation.name == "SOFTMAX" and read.isdisjoint(operation.writes)):
            of_layer.setdefault(operation.layers[0], []).append(operation)
    made_by = {tensor: operation for operation in made for tensor in operation.writes if tensor in in_steps}
    found = [_layer_error(layer, own, made_by, noise, place) for place, (layer, own) in enumerate(of_layer.items())]
    layers = sorted((error for error in found if error), key=lambda error: (-error.added, error.layer))
    return LayerErrors(tuple(layers), len(found) - len(layers))


def _layer_error(
    layer: str, own: Sequence[Operation], made_by: Mapping[str, Operation], noise: Mapping[str, float], place: int
) -> LayerError | None:
    """Of the layer that became the operations `own`; None if its output was not measured.

    Args:
        made_by: tensor that is in steps → the operation that writes it.
        place: of the layer in the network.
    """
    inside = {tensor for operation in own for tensor in operation.writes}
    results = [tensor for operation in own for tensor in operation.writes if tensor in noise]
    if not results:
        return None
    after = noise[results[-1]]
    read = {tensor for operation in own for tensor in operation.reads} - inside
    before = max((noise[tensor] for tensor in read if tensor in noise), default=0.0)
    names = [operation.name for operation in own]
    return LayerError(
        layer=layer,
        operation=next((name for name in names if name in WEIGHTED), names[-1]),
        sqnr_db=_db(after),
        before_db=_db(before),
        added=max(0.0, after - before),
        feeders=_feeders(layer, own, made_by),
        place=place,
    )


def _feeders(layer: str, own: Sequence[Operation], made_by: Mapping[str, Operation]) -> tuple[str, ...]:
    """See `LayerError.feeders`; the nearest first."""
    found: dict[str, None] = {}
    waiting = [tensor for operation in own for tensor in operation.reads]
    seen = set(waiting)
    while waiting:
        operation = made_by.get(waiting.pop(0))
        if operation is None or not operation.layers:
            continue
        if operation.layers[0] != layer:
            found.setdefault(operation.layers[0])
            if operation.name in WEIGHTED:
                continue
        waiting += [tensor for tensor in operation.reads if tensor not in seen]
        seen.update(operation.reads)
    return tuple(found)


def worth_keeping(errors: Sequence[LayerError]) -> tuple[str, ...]:
    """The layers that stand out by what they lose, each with what feeds it: what to say after `--keep-float`.

    Those that only move numbers lose nothing of their own, and what is fed by a layer that stands out does
    so because of that.
    """
    standing = {e.layer: e for e in errors if e.added >= STANDS_OUT and e.operation not in _MOVING}
    first = [error for error in standing.values() if standing.keys().isdisjoint(error.feeders)]
    return tuple(dict.fromkeys(name for error in first for name in (error.layer, *error.feeders)))


def _db(noise: float) -> float:
    """A ratio of noise to signal in decibels of signal to noise."""
    return EXACT_DB if noise == 0.0 else float(min(EXACT_DB, -10.0 * np.log10(noise)))


def _noise(
    original: _Watched,
    exported: _Watched,
    inputs: Mapping[str, NDArray[np.float32]],
    scores: Mapping[str, float],
    advance: Advance,
) -> dict[str, float]:
    """Tensor → noise over signal, of those that both files have and that vary.

    Args:
        scores: tensor that a softmax alone reads → its β.
    """
    common = [n for n in original.formats if n in exported.formats and original.shape(n) == exported.shape(n)]
    totals = {name: np.zeros(4) for name in common}  # numbers, their sum, their energy, that of the error
    numbers = sum(math.prod(original.shape(name)) for name in common)
    count = min(len(next(iter(inputs.values()))), max(LEAST_SAMPLES, MOST_NUMBERS // max(1, numbers)))
    for done in range(count):
        sample = {name: x[done] for name, x in inputs.items()}
        original.run(sample)
        exported.run(sample)
        for name in common:
            signal, found = (watched.read(name, scores.get(name)) for watched in (original, exported))
            gap = found - signal
            totals[name] += np.array([signal.size, signal.sum(), np.square(signal).sum(), np.square(gap).sum()])
        advance(done + 1, count)
    ratios = {}
    for name, sums in totals.items():
        size, total, energy, error = sums.tolist()
        about_mean = energy - total**2 / size
        # A signal that is rounding of its mean is none.
        if about_mean > 1e-12 * energy:
            ratios[name] = min(LOST, error / about_mean) if math.isfinite(error) else LOST
    return ratios


class _Watched:
    """A file that keeps the tensors between its operations.

    Attributes:
        formats: tensor's name → number and format, of those that hold numbers of one scale.
    """

    def __init__(self, tflite: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        with native_noise_aside():
            self._interpreter = Interpreter(
                model_path=str(tflite),
                num_threads=2,
                experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
                experimental_preserve_all_tensors=True,
            )
            self._interpreter.allocate_tensors()
        self._inputs = tensor_names(tflite)[0]
        self._entries = self._interpreter.get_input_details()
        wanted = _variable(operations(tflite, ()), [names[-1] for names, _ in self._inputs])
        self.formats: dict[str, tuple[int, TensorFormat]] = {}
        for details in self._interpreter.get_tensor_details():
            if details["name"] in wanted and details["quantization_parameters"]["scales"].size <= 1:
                self.formats[details["name"]] = details["index"], _format(details)

    @property
    def in_steps(self) -> set[str]:
        """Names of the tensors that are integers with a scale."""
        return {name for name, (_, form) in self.formats.items() if form.quantized}

    def shape(self, name: str) -> tuple[int, ...]:
        return self.formats[name][1].shape

    def run(self, sample: Mapping[str, NDArray[np.float32]]) -> None:
        """One inference; `sample` holds (*shape) float32 by the name of the input."""
        self._interpreter.reset_all_variables()
        for (names, _), entry in zip(self._inputs, self._entries, strict=True):
            value = next((sample[name] for name in names if name in sample), None)
            if value is None:
                if len(self._entries) > 1 or len(sample) != 1:
                    raise ConversionError(f"no samples for the input {names[0]!r}")
                [value] = sample.values()
            self._interpreter.set_tensor(entry["index"], _format(entry).quantize(value)[np.newaxis])
        self._interpreter.invoke()

    def values(self, name: str) -> NDArray[np.float32]:
        """The real numbers a tensor holds now."""
        number, form = self.formats[name]
        return form.dequantize(self._interpreter.get_tensor(number))

    def read(self, name: str, beta: float | None) -> NDArray[np.float64]:
        """The same, as a softmax of that β reads them if there is one."""
        values = self.values(name)
        return values.astype(np.float64) if beta is None else as_softmax_reads(values * beta)


def _variable(made: Iterable[Operation], inputs: Sequence[str]) -> set[str]:
    """Names of the tensors that are computed, and of the network's inputs."""
    return {tensor for operation in made for tensor in operation.writes} | set(inputs)


def _format(details: dict[str, Any]) -> TensorFormat:
    scale, zero_point = details["quantization"]
    shape = tuple(int(n) for n in details["shape"])
    return TensorFormat(details["name"], shape, np.dtype(details["dtype"]).name, float(scale), int(zero_point))
