"""The proof: an exported file against its float model on held-out data, and against its scheme's promise.

Every threshold is written so that NaN fails it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.errors import VerificationRefused
from dlkit.progress import Advance, ignore
from dlkit.report import Comparison
from dlkit.runtime.inspection import Inspection
from dlkit.runtime.litert import Session
from dlkit.runtime.scores import with_scores_as_output
from dlkit.schemes import Scheme

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A float file computes what the model computes; the rest is the order of additions.
FLOAT_GAP = 1e-4
# Without labels a quantized file is held to its fidelity alone. See `fidelity` for what was measured.
MINIMUM_SQNR_DB = 15.0
SQNR_CAP_DB = 200.0


class Judged:
    """One file on one set of inputs: its outputs and its scores.

    Attributes:
        outputs: (N, ...) float32, what a user gets.
        scores: (N, classes) float32, what the last softmax is applied to; the outputs without one.
    """

    def __init__(self, content: bytes, inputs: NDArray[np.float32], advance: Advance = ignore) -> None:
        self.outputs = Session(content).run(inputs, advance)
        by_scores = with_scores_as_output(content)
        self.scores = self.outputs if by_scores is content else Session(by_scores).run(inputs, advance)


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
    classifies = reference.ndim == 2 and reference.shape[1] > 1
    agreement = _agreement(original.scores, exported.scores) if classifies else None
    sqnr = sqnr_db(reference, exported.outputs) if original is exported else sqnr_db(original.scores, exported.scores)
    if labels is not None:
        metric, before, after = "accuracy", accuracy(reference, labels), accuracy(exported.outputs, labels)
    elif agreement is not None:
        metric, before, after = "agreement", 1.0, agreement
    else:
        metric, before, after = "sqnr_db", SQNR_CAP_DB, sqnr
    gap = float(np.max(np.abs(reference - exported.outputs)))
    return Comparison(split, len(reference), metric, before, after, agreement, gap, sqnr)


def accuracy(outputs: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Top-1 accuracy of (N, classes) outputs."""
    return float(np.mean(outputs.argmax(axis=1) == labels))


def _agreement(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(np.mean(a.argmax(axis=1) == b.argmax(axis=1)))


def sqnr_db(signal: NDArray[np.float32], noisy: NDArray[np.float32]) -> float:
    """10 log10 of the energy of `signal` over that of `noisy − signal`, each sample less its mean.

    A constant added to all scores of a sample changes no probability, so it is no noise either.
    Capped at 200 dB; NaN if either holds one.
    """
    centred, other = (_less_mean(x.astype(np.float64)) for x in (signal, noisy))
    energy, noise = float(np.sum(centred**2)), float(np.sum((other - centred) ** 2))
    if noise == 0.0:
        return SQNR_CAP_DB
    if energy == 0.0:
        return 0.0
    return float(np.minimum(SQNR_CAP_DB, 10.0 * np.log10(energy / noise)))  # unlike min(), keeps NaN


def _less_mean(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(x - x.mean(axis=tuple(range(1, x.ndim)), keepdims=True))


def broken_promises(inspection: Inspection, scheme: Scheme) -> list[str]:
    """What in the file is not as the scheme says; empty if all of it is."""
    broken = []
    for dtype, count in inspection.tensors.items():
        if dtype not in scheme.tensors:
            broken.append(f"{count} tensors are {dtype}, which a {scheme.name} file must not hold")
    for kind, tensors in (("input", inspection.inputs), ("output", inspection.outputs)):
        broken += [f"{kind} {t.name} is {t.dtype}, not {scheme.io}" for t in tensors if t.dtype != scheme.io]
    broken += [f"{name} is not an operation of the runtime" for name in inspection.ops if name.startswith("CUSTOM")]
    if scheme.weights not in inspection.tensors:
        broken.append(f"no tensor is {scheme.weights}")
    return broken


def failed_gates(comparison: Comparison, scheme: Scheme, max_drop: float) -> list[str]:
    """Which measurements are not good enough; empty if all are.

    A float file must give the model's own numbers. A quantized one may lose `max_drop` of the
    metric where there are labels; where there are none its scores must be at least
    `MINIMUM_SQNR_DB` above their noise.
    """
    failed = []
    if scheme.quantizer == "none":
        if not comparison.largest_gap <= FLOAT_GAP:
            failed.append(f"its outputs are up to {comparison.largest_gap:.3g} from the model's (limit {FLOAT_GAP:g})")
    elif comparison.metric == "accuracy":
        if not comparison.float - comparison.exported <= max_drop:
            failed.append(
                f"accuracy fell from {comparison.float:.4f} to {comparison.exported:.4f} "
                f"on {comparison.samples} samples (limit {max_drop:g})"
            )
    elif not comparison.sqnr_db >= MINIMUM_SQNR_DB:
        failed.append(f"its scores are {comparison.sqnr_db:.1f} dB above their noise (limit {MINIMUM_SQNR_DB:g} dB)")
    return failed


def refuse_unless_good(inspection: Inspection, scheme: Scheme, comparison: Comparison, max_drop: float) -> None:
    """Raise VerificationRefused, naming everything that is wrong, unless nothing is."""
    wrong = broken_promises(inspection, scheme) + failed_gates(comparison, scheme, max_drop)
    if wrong:
        advice = "" if scheme.quantizer == "none" else "; a file without loss: dlkit export --scheme float32"
        found = "; ".join(wrong)
        raise VerificationRefused(f"the {scheme.name} file was refused and nothing was written: {found}{advice}")


def check_conversion(reference: NDArray[np.float32], original: Judged) -> None:
    """Raise VerificationRefused unless the float file gives the Keras model's own numbers."""
    gap: Any = np.max(np.abs(reference - original.outputs)) if reference.shape == original.outputs.shape else np.nan
    scale = max(1.0, float(np.max(np.abs(reference))))
    if not gap <= FLOAT_GAP * scale:
        raise VerificationRefused(
            f"the conversion was refused and nothing was written: the float file is up to {gap:.3g} from the model"
        )
