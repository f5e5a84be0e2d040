"""The last step before a bundle: a made file → what was measured of it, or a refusal."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from dlkit.archive import gzip_bytes
from dlkit.bundle.writing import Reference
from dlkit.calibration.samples import ExportSamples, HeldOut
from dlkit.compression.compressing import Compressed
from dlkit.conversion.answering import judged_export
from dlkit.conversion.batches import Batch, count_of_samples
from dlkit.conversion.keeping import mixed
from dlkit.conversion.kept_compression import broken_compression
from dlkit.conversion.layer_errors import MOST_SAMPLES, layer_errors, worth_keeping
from dlkit.conversion.making import Float, Made
from dlkit.errors import ConversionError, EndedBySystem, VerificationRefused
from dlkit.metrics import confusion_pairs
from dlkit.pipeline.detecting import detection_of
from dlkit.pipeline.rebuilding import wanted_of
from dlkit.progress import Advance, ignore
from dlkit.report import Comparison, Compression, Confusion, LayerError, Report, keep_float_advice
from dlkit.runtime.inspection import Inspection, inspect_model
from dlkit.runtime.stored_weights import stored_weights
from dlkit.schemes import Scheme
from dlkit.targets import Target
from dlkit.trained import Trained
from dlkit.verify import Judged, check_conversion, compare, is_one_score, refuse_broken, refuse_unless_good

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_DROP = 0.01
"""What a recipe would say, for a model without one."""


class FloatAnswers:
    """What the float file answers to held-out samples; asked once, however many files are held against it."""

    def __init__(
        self,
        converted: Float,
        inputs: Batch,
        gate: HeldOut,
        original: FloatAnswers | None = None,
        compressed: Compressed | None = None,
    ) -> None:
        """
        Args:
            inputs: those that `converted` was made with: of the gate first, then of the test split.
            original: of a compressed model, the answers of the one it was made from; they are what is wanted of it.
            compressed: how it was.
        """
        self.converted, self.compressed = converted, compressed
        self._inputs, self._gate, self._original = inputs, gate, original
        self._known: dict[str, Judged] = {}

    @property
    def original(self) -> FloatAnswers:
        """Those of the model that a user trained."""
        return self._original or self

    def wanted(self, held_out: HeldOut) -> dict[str, NDArray[np.float32]]:
        """Output name → (N, ...) what the Keras model itself answers to them."""
        return {name: outputs[self._rows(held_out)] for name, outputs in self.converted.reference.items()}

    @functools.cached_property
    def float_gzip_bytes(self) -> int:
        """See `Report`."""
        return gzip_bytes(self.converted.file)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of how the float file came about."""
        return self.converted.notes + (self.compressed.notes if self.compressed else ())

    def inputs(self, held_out: HeldOut) -> Batch:
        """What the network reads of them."""
        return {name: values[self._rows(held_out)] for name, values in self._inputs.items()}

    def of_gate(self, gate: HeldOut) -> FloatAnswers:
        """The same for the gate's samples alone, asked by now and in memory, so that they can be sent elsewhere.

        Args:
            gate: stands for the samples there.

        Raises:
            VerificationRefused: the runtime refuses the file.
        """
        known = self.on(self._gate, ignore)
        inputs = {name: np.array(values) for name, values in self.inputs(self._gate).items()}
        reference = {name: np.array(outputs) for name, outputs in self.wanted(self._gate).items()}
        original = self._original.of_gate(gate) if self._original else None
        converted = dataclasses.replace(self.converted, reference=reference)
        sent = FloatAnswers(converted, inputs, gate, original, self.compressed)
        sent._known = {gate.name: known}
        return sent

    def _rows(self, held_out: HeldOut) -> slice:
        count = count_of_samples(self._gate.raw)
        return slice(count) if held_out is self._gate else slice(count, None)

    def on(self, held_out: HeldOut, advance: Advance) -> Judged:
        """Raises VerificationRefused if the runtime refuses the file."""
        if held_out.name not in self._known:
            self._known[held_out.name] = judged_export(self.converted.file, self.inputs(held_out), advance)
        return self._known[held_out.name]


@dataclasses.dataclass(frozen=True)
class Gated:
    """A made file that keeps its scheme's promise, on the gate's samples; whether it lost too much is not decided.

    Attributes:
        promised: the scheme, with the floats of layers that are not quantized.
        compression: what a scheme that fits the network again came to in the file; None of others.
        outputs: (N, ...) float32, the file's first output.
    """

    made: Made
    promised: Scheme
    inspection: Inspection
    compression: Compression | None
    gates: tuple[Comparison, ...]
    outputs: NDArray[np.float32]


def measure_gate(
    answers: FloatAnswers,
    made: Made,
    trained: Trained,
    samples: ExportSamples,
    scheme: Scheme,
    target: Target,
    advance: Advance,
) -> Gated:
    """Open the file, hold it to its promise and measure it on the gate's samples, which alone may decide anything.

    Raises:
        VerificationRefused: the file broke its promise, or the float file does not give the Keras model's numbers.
    """
    content = made.file.read_bytes()
    inspection = inspect_model(content, made.file.name)
    promised = mixed(scheme) if made.kept_float else scheme
    refuse_broken(inspection, promised, target)  # before the runtime stumbles over it, with less to say
    compression = _compression(answers.compressed, content, scheme) if answers.compressed else None
    before, after = _both(answers, made, samples.gate, scheme, advance)
    check_conversion(answers.wanted(samples.gate), before)
    gates = _compared(answers, trained, samples.gate, before, after, advance)
    return Gated(made, promised, inspection, compression, gates, _first(after))


def prove(
    answers: FloatAnswers,
    made: Made,
    trained: Trained,
    samples: ExportSamples,
    scheme: Scheme,
    target: Target,
    advance: Advance,
    max_drop: float | None = None,
) -> tuple[Report, Reference | None]:
    """The report of a file that passed, and what the float model said on the test split.

    Args:
        max_drop: largest loss of the metric; None is what the recipe says.

    Raises:
        VerificationRefused: the file broke its promise or lost too much on the gate's samples. The
            test split is measured after that and decides nothing.
    """
    gated = measure_gate(answers, made, trained, samples, scheme, target, advance)
    inspection, gates = gated.inspection, gated.gates
    if max_drop is None:
        max_drop = trained.recipe.export.max_drop if trained.recipe else MAX_DROP
    layers, keep, unmeasured = _layers(made, answers.inputs(samples.gate), scheme, advance)
    try:
        refuse_unless_good(inspection, gated.promised, gates, max_drop)
    except VerificationRefused as refusal:
        raise VerificationRefused(f"{refusal}{keep_float_advice(keep)}") from None
    tests: tuple[Comparison, ...] = ()
    remembered = on_test = None
    if samples.test is not None:
        before_test, after_test = _both(answers, made, samples.test, scheme, advance)
        tests = _compared(answers, trained, samples.test, before_test, after_test, advance)
        on_test = _first(after_test)
        remembered = remember(samples.test, next(iter(answers.original.wanted(samples.test).values())), tests[0])
    report = Report(
        scheme=scheme.name,
        target=target.name,
        quantizer=made.quantizer,
        gates=gates,
        tests=tests,
        calibration_samples=len(samples.calibration) if scheme.needs_calibration else 0,
        calibration_source=samples.calibration.source if scheme.needs_calibration else "",
        bytes=inspection.size,
        float_bytes=answers.original.converted.file.stat().st_size,
        gzip_bytes=gzip_bytes(made.file),
        float_gzip_bytes=answers.original.float_gzip_bytes,
        ops=inspection.ops,
        tensors=inspection.tensors,
        warnings=answers.notes + _warnings(gates[0], gated.outputs, inspection) + unmeasured,
        minimum_runtime=inspection.minimum_runtime,
        unknown_versions=inspection.unknown_versions,
        layers=layers,
        keep_float=keep,
        kept_float=made.kept_float,
        kept_int8=made.kept_int8,
        compression=gated.compression,
        detection=detection_of(trained, samples.gate, gated.outputs, samples.test, on_test),
        confusions=confusions_of(trained, answers.original.wanted, samples, {"gate": gated.outputs, "test": on_test}),
    )
    return report, remembered


def _both(
    answers: FloatAnswers, made: Made, held_out: HeldOut, scheme: Scheme, advance: Advance
) -> tuple[Judged, Judged]:
    """What the float file answers, and what the made one does."""
    after = judged_export(made.file, answers.inputs(held_out), advance)
    return after if scheme.quantizer == "none" else answers.on(held_out, advance), after


def _compared(
    answers: FloatAnswers, trained: Trained, held_out: HeldOut, before: Judged, after: Judged, advance: Advance
) -> tuple[Comparison, ...]:
    wanted = answers.original.wanted(held_out)
    labels = held_out.labels if trained.labels or is_one_score(wanted) else None
    again = wanted_of(trained, held_out)
    if answers.original is not answers and labels is None and again is None:
        before = answers.original.on(held_out, advance)  # nothing else says what the fitting again cost
    return compare(held_out.name, wanted, before, after, labels, again)


def _compression(compressed: Compressed, content: bytes, scheme: Scheme) -> Compression:
    """What it came to in the file. Raises VerificationRefused if that is not what was promised."""
    weights = stored_weights(content, scheme.name)
    if broken := broken_compression(compressed.promises, weights):
        raise VerificationRefused(
            f"the {scheme.name} file was refused and no bundle was written: {'; '.join(broken)}; "
            f"use --scheme {scheme.instead}"
        )
    total = sum(each.values.size for each in weights)
    zeros = total - sum(int(np.count_nonzero(each.values)) for each in weights)
    return Compression(
        steps=tuple(step.name for step in compressed.steps),
        epochs=sum(len(step.history) for step in compressed.steps),
        kernels=len(compressed.promises),
        pattern=compressed.pattern if compressed.pruned else "",
        clusters=compressed.clusters,
        sparsity=zeros / total if total else 0.0,
    )


def _first(judged: Judged) -> NDArray[np.float32]:
    """The first output."""
    return next(iter(judged.outputs.values()))


def remember(test: HeldOut, outputs: NDArray[np.float32], measured: Comparison) -> Reference:
    """What `dlkit evaluate` needs to know of the float model's first output on the test split."""
    if measured.metric == "auc":
        return Reference("test", test.fingerprint, None, auc=measured.float)
    if measured.metric == "skill":
        return Reference("test", test.fingerprint, None, skill=measured.float)
    if measured.metric == "psnr_db":
        return Reference("test", test.fingerprint, None, measured.float)
    return Reference("test", test.fingerprint, outputs.argmax(axis=1))


def confusions_of(
    trained: Trained,
    wanted: Callable[[HeldOut], Mapping[str, NDArray[np.float32]]],
    samples: ExportSamples,
    exported: Mapping[str, NDArray[np.float32] | None],
) -> tuple[Confusion, ...]:
    """What a classifier takes its samples for; () of other models and of samples without classes.

    Args:
        wanted: what the float model answers to samples, by output name.
        exported: "gate" and "test" → (N, classes), the file's first output for these.
    """
    found = []
    for held_out, outputs in ((samples.gate, exported["gate"]), (samples.test, exported["test"])):
        if held_out is None or outputs is None or held_out.labels is None:
            continue
        if outputs.ndim == 2 and outputs.shape[1] == len(trained.labels):
            pairs = [confusion_pairs(o, held_out.labels) for o in (next(iter(wanted(held_out).values())), outputs)]
            found.append(Confusion(held_out.name, *pairs))
    return tuple(found)


def _layers(
    made: Made, inputs: Batch, scheme: Scheme, advance: Advance
) -> tuple[tuple[LayerError, ...], tuple[str, ...], tuple[str, ...]]:
    """What every layer loses, which to keep float, and a warning where that could not be measured."""
    if scheme.quantizer == "none":
        return (), (), ()
    few = {name: values[:MOST_SAMPLES] for name, values in inputs.items()}
    try:
        found = layer_errors(made.float_file, made.file, few, made.layer_names, advance)
    except (ConversionError, EndedBySystem) as error:
        return (), (), (f"what each layer loses could not be measured: {error}",)
    # The TensorFlow converter quantizes all layers or none, so there is nothing to suggest of its files.
    return found.layers, worth_keeping(found.layers) if made.can_keep_float else (), ()


def _warnings(gate: Comparison, outputs: NDArray[np.float32], inspection: Inspection) -> tuple[str, ...]:
    """What passed and is still worth knowing."""
    step = inspection.outputs[0].scale
    if not gate.output and gate.agreement is not None and step and float(np.median(outputs.max(axis=1))) < 2 * step:
        return (
            f"the 8-bit output has steps of {step:.4f}, and most answers are below two of them: it cannot tell the "
            f"classes apart, though the scores can ({gate.score_agreement:.4f} have the same class first); a network "
            "built with --set activation=linear gives the scores themselves",
        )
    return ()
