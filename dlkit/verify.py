"""The proof: an exported file against its float model on held-out data, and against its scheme's promise.

Every threshold is written so that NaN fails it.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from dlkit.errors import VerificationRefused
from dlkit.progress import Advance, ignore
from dlkit.report import Comparison
from dlkit.runtime.inspection import CONTROL_FLOW, FUSED_LSTM, Inspection
from dlkit.runtime.litert import Session
from dlkit.runtime.scores import with_scores_as_output
from dlkit.schemes import Scheme
from dlkit.targets import Target

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A float file computes what the model computes but for the order of its additions. Measured on this
# project's networks: 5e-7 at most, in units of the largest output.
FLOAT_GAP = 1e-4
# Without labels a quantized file is held to its fidelity alone. Measured: 30 dB for VGG16 at full
# size, 31 to 38 dB for the networks of recipes/. A small one on the digits, one hidden unit of which
# was given 1, 30, 100, 300 and 1000 times its range: 40, 27, 15, 6 and 0 dB, with an accuracy of
# 0.92, 0.91, 0.92, 0.69 and 0.10.
MINIMUM_SQNR_DB = 10.0
SQNR_CAP_DB = 200.0


@dataclasses.dataclass(frozen=True)
class Judged:
    """One file on one set of inputs.

    Attributes:
        outputs: (N, ...) float32, what a user gets.
        scores: (N, ...) float32, what the last softmax is applied to; the outputs where there is none.
        ends_in_softmax: whether there is one.
    """

    outputs: NDArray[np.float32]
    scores: NDArray[np.float32]
    ends_in_softmax: bool


def judged(content: bytes, inputs: NDArray[np.float32], advance: Advance = ignore) -> Judged:
    """What a whole .tflite file answers. Raises ModelFileError if the runtime refuses it."""
    outputs, by_scores = Session(content).run(inputs, advance), with_scores_as_output(content)
    if by_scores is None:
        return Judged(outputs, outputs, ends_in_softmax=False)
    return Judged(outputs, Session(by_scores).run(inputs, advance), ends_in_softmax=True)


def compare(
    split: str,
    reference: NDArray[np.float32],
    original: Judged,
    exported: Judged,
    labels: NDArray[np.int64] | None,
) -> Comparison:
    """Measure `exported` against the float model.

    Args:
        reference: (N, ...) outputs of the Keras model.
        original: the float file, for its scores.
        labels: (N,) the right classes, or None.
    """
    agreement = score_agreement = None
    if reference.ndim == 2 and reference.shape[1] > 1:
        agreement = _same_first(reference, exported.outputs)
        score_agreement = _same_first(original.scores, exported.scores)
    if original is exported:
        sqnr = sqnr_db(reference, exported.outputs, softmax_follows=False)
    else:
        sqnr = sqnr_db(original.scores, exported.scores, softmax_follows=original.ends_in_softmax)
    if labels is not None:
        metric, before, after = "accuracy", accuracy(reference, labels), accuracy(exported.outputs, labels)
    elif agreement is not None:
        metric, before, after = "agreement", 1.0, agreement
    else:
        metric, before, after = "sqnr_db", SQNR_CAP_DB, sqnr
    return Comparison(
        split=split,
        samples=len(reference),
        metric=metric,
        float=before,
        exported=after,
        agreement=agreement,
        score_agreement=score_agreement,
        largest_output=float(np.max(np.abs(reference))),
        largest_gap=float(np.max(np.abs(reference - exported.outputs))),
        sqnr_db=sqnr,
    )


def accuracy(outputs: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Top-1 accuracy of (N, classes) outputs; NaN if an output is no finite number."""
    if not np.isfinite(outputs).all():
        return float("nan")
    return float(np.mean(outputs.argmax(axis=1) == labels))


def _same_first(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(np.mean(a.argmax(axis=1) == b.argmax(axis=1)))


def sqnr_db(signal: NDArray[np.float32], noisy: NDArray[np.float32], *, softmax_follows: bool) -> float:
    """10 log10 of the energy of `signal` about its mean over the energy of `noisy − signal`.

    Where a softmax follows, a constant added to all scores of a sample changes nothing; the mean of
    each sample is therefore taken from the signal and from the noise. Elsewhere it is noise like any
    other, and the signal is what varies over all samples and outputs. Capped at 200 dB; NaN if
    either holds one, or if there is no signal.
    """
    signal, difference = signal.astype(np.float64), noisy.astype(np.float64) - signal.astype(np.float64)
    if softmax_follows:
        axes = tuple(range(1, signal.ndim))
        signal = signal - signal.mean(axis=axes, keepdims=True)
        difference = difference - difference.mean(axis=axes, keepdims=True)
    else:
        signal = signal - signal.mean()
    energy, noise = float(np.sum(signal**2)), float(np.sum(difference**2))
    if not energy > 0.0:
        return float("nan")
    if noise == 0.0:
        return SQNR_CAP_DB
    return float(np.minimum(SQNR_CAP_DB, 10.0 * np.log10(energy / noise)))  # unlike min(), keeps NaN


def broken_promises(inspection: Inspection, scheme: Scheme, target: Target | None = None) -> list[str]:
    """What in the file is not as the scheme, and the target if there is one, say; empty if all of it is."""
    broken = _foreign_operations(inspection) + _control_flow(inspection, scheme, target)
    if inspection.resized:
        broken.append(f"the shape of {inspection.resized[0]} is only known at run time")
    # The int8 kernel of the fused LSTM keeps its cell state in int16: one tensor for each.
    states = {"int16": inspection.ops.get(FUSED_LSTM, 0)}
    for dtype, count in inspection.tensors.items():
        if dtype not in scheme.tensors and count > states.get(dtype, 0):
            broken.append(f"{count} tensors are {dtype}, which a {scheme.name} file must not hold")
    for kind, tensors in (("input", inspection.inputs), ("output", inspection.outputs)):
        broken += [f"{kind} {t.name} is {t.dtype}, not {scheme.io}" for t in tensors if t.dtype != scheme.io]
    if scheme.weights not in inspection.constants:
        broken.append(f"no weights are {scheme.weights}")
    return broken


def _foreign_operations(inspection: Inspection) -> list[str]:
    """Custom operations, by name and with the layer they came from if a tensor's name tells."""
    broken = []
    for name in inspection.ops:
        if not name.startswith("CUSTOM"):
            continue
        own, tensor = name.removeprefix("CUSTOM "), inspection.custom.get(name, "")
        place = f" (it computes {tensor})" if tensor else ""
        if own.startswith("Flex"):
            operation = own.removeprefix("Flex")
            broken.append(f"{operation} is an operation that only full TensorFlow has, as a Flex operation{place}")
        else:
            broken.append(f"{own} is a custom operation, which the runtime does not have{place}")
    return broken


def _control_flow(inspection: Inspection, scheme: Scheme, target: Target | None) -> list[str]:
    broken = []
    for name in sorted(CONTROL_FLOW & inspection.ops.keys()):
        if name not in scheme.control_flow:
            broken.append(f"it holds {name}, control flow that {scheme.name} files must not hold")
        elif target is not None and name not in target.control_flow:
            broken.append(f"it holds {name}, control flow that {target.name} cannot run")
    return broken


def failed_gates(comparison: Comparison, scheme: Scheme, max_drop: float) -> list[str]:
    """Which measurements are not good enough; empty if all are.

    A float file must give the model's own numbers. A quantized one may lose `max_drop` of the
    metric where there are labels; where there are none its scores must be at least
    `MINIMUM_SQNR_DB` above their noise.
    """
    failed = []
    if scheme.quantizer == "none":
        if not comparison.largest_gap <= float_tolerance(comparison.largest_output):
            failed.append(_float_gap(comparison.largest_gap, comparison.largest_output))
    elif comparison.metric == "accuracy":
        if not comparison.float - comparison.exported <= max_drop:
            failed.append(
                f"accuracy fell from {comparison.float:.4f} to {comparison.exported:.4f} "
                f"on {comparison.samples} samples (limit {max_drop:g})"
            )
    elif np.isnan(comparison.sqnr_db):
        failed.append("there is no telling its scores from noise: the samples do not move the float model's output")
    elif not comparison.sqnr_db >= MINIMUM_SQNR_DB:
        failed.append(f"its scores are {comparison.sqnr_db:.1f} dB above their noise (limit {MINIMUM_SQNR_DB:g} dB)")
    return failed


def float_tolerance(largest_output: float) -> float:
    """How far a float file may be from the model whose largest absolute output this is."""
    return FLOAT_GAP * max(1.0, largest_output)


def _float_gap(gap: float, largest_output: float) -> str:
    return f"its outputs are up to {gap:.3g} from the model's (limit {float_tolerance(largest_output):.3g})"


def refuse_broken(inspection: Inspection, scheme: Scheme, target: Target) -> None:
    """Raise VerificationRefused, naming every promise of the scheme and the target that the file breaks, if any."""
    if broken := broken_promises(inspection, scheme, target):
        found = "; ".join(broken)
        raise VerificationRefused(f"the {scheme.name} file was refused and no bundle was written: {found}")


def refuse_unless_good(inspection: Inspection, scheme: Scheme, comparison: Comparison, max_drop: float) -> None:
    """Raise VerificationRefused, naming everything that is wrong, unless nothing is."""
    wrong = broken_promises(inspection, scheme) + failed_gates(comparison, scheme, max_drop)
    if wrong:
        advice = "" if scheme.quantizer == "none" else "; a file without loss: dlkit export --scheme float32"
        found = "; ".join(wrong)
        raise VerificationRefused(f"the {scheme.name} file was refused and no bundle was written: {found}{advice}")


def check_conversion(reference: NDArray[np.float32], original: Judged) -> None:
    """Raise VerificationRefused unless the float file gives the Keras model's own numbers."""
    if reference.shape != original.outputs.shape:
        found = f"it computes {original.outputs.shape} for {reference.shape}"
    else:
        gap, largest = float(np.max(np.abs(reference - original.outputs))), float(np.max(np.abs(reference)))
        if gap <= float_tolerance(largest):
            return
        found = _float_gap(gap, largest)
    raise VerificationRefused(f"the float file was refused and no bundle was written: {found}")
