"""The proof: an exported file against its float model on held-out data, and against its scheme's promise.

Every threshold is written so that NaN fails it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.errors import VerificationRefused
from dlkit.metrics import (
    CAP_DB,
    Naive,
    accuracy,
    auc,
    beside_naive,
    mean_squared_error,
    psnr_db,
    same_first,
    skill,
    sqnr_db,
    squared_errors,
    top_accuracy,
)
from dlkit.progress import Advance, further, ignore
from dlkit.report import Comparison
from dlkit.runtime.inspection import CONTROL_FLOW, FUSED_LSTM, Inspection
from dlkit.runtime.litert import Session
from dlkit.runtime.scores import with_scores_beside
from dlkit.schemes import WHOLE_NUMBERS, Scheme
from dlkit.schemes.float32 import FLOAT32
from dlkit.targets import Target

if TYPE_CHECKING:
    from numpy.typing import NDArray

FLOAT_GAP = FLOAT32.gap or 0.0
# Without labels a quantized file is held to its fidelity alone. Measured: 30 dB for VGG16 at full
# size, 31 to 38 dB for the networks of recipes/. A small one on the digits, one hidden unit of which
# was given 1, 30, 100, 300 and 1000 times its range: 40, 27, 15, 6 and 0 dB, with an accuracy of
# 0.92, 0.91, 0.92, 0.69 and 0.10.
MINIMUM_SQNR_DB = 10.0
# What int8 takes of the 10 to 20 dB that the small auto-encoders of the shelf reach on the digits: at most 0.02 dB.
# Of the dense one, a hidden unit of which was given 3, 10, 30, 100 and 300 times its range: 0.03, 0.1, 0.7, 4.5
# and 10.5 dB, with scores 35, 27, 18, 8 and 1 dB above their noise. 1 dB is a quarter more squared error.
MAXIMUM_PSNR_DROP_DB = 1.0
AT_ONCE = 256
"""Samples whose inputs are in memory together."""
TOP = 5
"""Places that a right class may be in, beside the first, where there are more classes than that."""
LABELLED = {"accuracy": "accuracy", "auc": "the area under the ROC curve", "skill": "the skill of its forecast"}
"""Metrics that need right answers, and what a refusal calls them."""


@dataclasses.dataclass(frozen=True)
class Judged:
    """One file on one set of inputs.

    Attributes:
        outputs: output name → (N, ...) float32, what a user gets.
        scores: output name → (N, ...) float32, the exponents of its last softmax, what it is applied to times its β
            (which is 1 but in odd files); the output where there is none.
        end_in_softmax: the outputs that have one.
    """

    outputs: Mapping[str, NDArray[np.float32]]
    scores: Mapping[str, NDArray[np.float32]]
    end_in_softmax: frozenset[str]


@dataclasses.dataclass(frozen=True)
class Rebuilt:
    """What an auto-encoder is to give again.

    Attributes:
        wanted: (N, ...) float32, the network's input.
        peak: the span of what an input can be, above 0.
        anomalous: (N,) 0 for normal samples and 1 for others, which its errors are to tell apart; None elsewhere.
    """

    wanted: NDArray[np.float32]
    peak: float
    anomalous: NDArray[np.int64] | None = None


@dataclasses.dataclass(frozen=True)
class Forecast:
    """What a forecaster is to give.

    Attributes:
        wanted: (N, horizon, features) float32, what came to pass, in the range of what the network reads.
        given: (N, steps, features) float32, the network's input.
        naive: the forecast that it is held against.
    """

    wanted: NDArray[np.float32]
    given: NDArray[np.float32]
    naive: Naive


def judged(
    content: bytes, inputs: Mapping[str, NDArray[Any]], advance: Advance = ignore, threads: int | None = None
) -> Judged:
    """What a whole .tflite file answers. Raises ModelFileError if the runtime refuses it.

    Args:
        threads: see `Session`.
    """
    content, betas = with_scores_beside(content)
    found = list(_answers(Session(content, threads), inputs, advance).items())
    plain, gained = found[: len(found) - len(betas)], found[len(found) - len(betas) :]
    scores = {plain[place][0]: values * beta for (place, beta), (_, values) in zip(betas.items(), gained, strict=True)}
    return Judged(dict(plain), dict(plain) | scores, frozenset(scores))


def _answers(session: Session, inputs: Mapping[str, NDArray[Any]], advance: Advance) -> dict[str, NDArray[np.float32]]:
    """To all samples, some at a time: they need not fit into memory."""
    total = max(map(len, inputs.values()))
    found = []
    for start in range(0, total, AT_ONCE):
        rows = {name: np.asarray(values[start : start + AT_ONCE]) for name, values in inputs.items()}
        found.append(session.run_named(rows, further(advance, start, total)))
    return {name: np.concatenate([part[name] for part in found]) for name in found[0]}


def compare(
    split: str,
    reference: Mapping[str, NDArray[np.float32]],
    original: Judged,
    exported: Judged,
    labels: NDArray[np.int64] | None,
    rebuilt: Rebuilt | Forecast | None = None,
) -> tuple[Comparison, ...]:
    """Measure each output of `exported` against the float model.

    Args:
        reference: output name → (N, ...) outputs of the Keras model.
        original: the float file, for its scores.
        labels: (N,) the right classes, 0 and 1 where an output is one number a sample; or None.
        rebuilt: what outputs of its shape are to give again, or to forecast, which is then what they are judged by;
            or None.
    """
    return tuple(
        _compare_output(split, name if len(reference) > 1 else "", outputs, original, exported, name, labels, rebuilt)
        for name, outputs in reference.items()
    )


def is_one_score(reference: Mapping[str, NDArray[np.float32]]) -> bool:
    """Whether there is one output, of one number a sample, as a binary classifier has."""
    return len(reference) == 1 and all(outputs.size == len(outputs) for outputs in reference.values())


def _compare_output(
    split: str,
    shown: str,
    reference: NDArray[np.float32],
    original: Judged,
    exported: Judged,
    name: str,
    labels: NDArray[np.int64] | None,
    rebuilt: Rebuilt | Forecast | None,
) -> Comparison:
    outputs, before, after = exported.outputs[name], original.scores[name], exported.scores[name]
    agreement = score_agreement = None
    if rebuilt is not None and rebuilt.wanted.shape != reference.shape:
        rebuilt = None
    if reference.ndim == 2 and reference.shape[1] > 1 and rebuilt is None:
        agreement, score_agreement = same_first(reference, outputs), same_first(before, after)
    if original is exported:
        sqnr = sqnr_db(reference, outputs, softmax_follows=False)
    else:
        sqnr = sqnr_db(before, after, softmax_follows=name in original.end_in_softmax)
    float_top5 = exported_top5 = float_mse = exported_mse = None
    float_besides: dict[str, float] = {}
    exported_besides: dict[str, float] = {}
    if isinstance(rebuilt, Forecast):
        float_mse, exported_mse = (mean_squared_error(rebuilt.wanted, given) for given in (reference, outputs))
        metric, float_value = "skill", skill(rebuilt.wanted, reference, rebuilt.given)
        exported_value = skill(rebuilt.wanted, outputs, rebuilt.given)
        float_besides, exported_besides = (
            beside_naive(rebuilt.wanted, given, rebuilt.given, rebuilt.naive) for given in (reference, outputs)
        )
    elif rebuilt is not None and rebuilt.anomalous is not None:
        float_errors, exported_errors = (squared_errors(rebuilt.wanted, given) for given in (reference, outputs))
        metric, float_value = "auc", auc(float_errors, rebuilt.anomalous)
        exported_value = auc(exported_errors, rebuilt.anomalous)
    elif rebuilt is not None:
        float_mse, exported_mse = (mean_squared_error(rebuilt.wanted, given) for given in (reference, outputs))
        metric, float_value = "psnr_db", psnr_db(float_mse, rebuilt.peak)
        exported_value = psnr_db(exported_mse, rebuilt.peak)
    elif labels is not None and reference.size == len(reference):
        metric, float_value, exported_value = "auc", auc(reference, labels), auc(outputs, labels)
    elif labels is not None:
        metric, float_value, exported_value = "accuracy", accuracy(reference, labels), accuracy(outputs, labels)
        if reference.ndim == 2 and reference.shape[1] > TOP:
            float_top5, exported_top5 = (top_accuracy(given, labels, TOP) for given in (reference, outputs))
    elif agreement is not None:
        metric, float_value, exported_value = "agreement", 1.0, agreement
    else:
        metric, float_value, exported_value = "sqnr_db", CAP_DB, sqnr
    return Comparison(
        split=split,
        samples=len(reference),
        metric=metric,
        float=float_value,
        exported=exported_value,
        agreement=agreement,
        score_agreement=score_agreement,
        largest_output=float(np.max(np.abs(reference))),
        largest_gap=float(np.max(np.abs(reference - outputs))),
        sqnr_db=sqnr,
        output=shown,
        float_top5=float_top5,
        exported_top5=exported_top5,
        float_mse=float_mse,
        exported_mse=exported_mse,
        float_seasonal_skill=float_besides.get("seasonal_skill"),
        exported_seasonal_skill=exported_besides.get("seasonal_skill"),
        float_mase=float_besides.get("mase"),
        exported_mase=exported_besides.get("mase"),
    )


def broken_promises(inspection: Inspection, scheme: Scheme, target: Target | None = None) -> list[str]:
    """What in the file is not as the scheme, and the target if there is one, say; empty if all of it is."""
    broken = _foreign_operations(inspection) + _control_flow(inspection, scheme, target)
    if inspection.resized:
        broken.append(f"the shape of {inspection.resized[0]} is only known at run time")
    ends = (*inspection.inputs, *inspection.outputs)
    # The int8 kernel of the fused LSTM keeps its cell state in int16: one tensor for each.
    allowed = {"int16": inspection.ops.get(FUSED_LSTM, 0), scheme.io: len(ends)}
    for dtype, count in inspection.tensors.items():
        if dtype not in scheme.tensors and count > allowed.get(dtype, 0):
            broken.append(f"{count} tensors are {dtype}, which a {scheme.name} file must not hold")
    for kind, tensors in (("input", inspection.inputs), ("output", inspection.outputs)):
        good = {scheme.io, *WHOLE_NUMBERS} if kind == "input" else {scheme.io}
        broken += [f"{kind} {t.name} is {t.dtype}, not {scheme.io}" for t in tensors if t.dtype not in good]
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

    A float file must give the model's own numbers, one of shorter floats nearly so. A quantized one
    may lose `max_drop` of the metric where there are labels; where there are none its scores must be at least
    `MINIMUM_SQNR_DB` above their noise. A quantized reconstruction must be that too, and its peak signal-to-noise
    ratio, against what it is to give again, at most `MAXIMUM_PSNR_DROP_DB` below the float model's: the
    counterpart of a point of accuracy; int8 was measured to take 0.02 dB. Top-5 accuracy is not held to anything.
    """
    failed = []
    which = f"output {comparison.output!r}: " if comparison.output else ""
    if scheme.gap is not None:
        limit = scheme.gap * max(1.0, comparison.largest_output)
        if not comparison.largest_gap <= limit:
            failed.append(which + _float_gap(comparison.largest_gap, limit))
    elif comparison.metric in LABELLED:
        if not comparison.float - comparison.exported <= max_drop:
            failed.append(
                f"{which}{LABELLED[comparison.metric]} fell from {comparison.float:.4f} to {comparison.exported:.4f} "
                f"on {comparison.samples} samples (limit {max_drop:g})"
            )
    else:
        failed += [which + found for found in _lost_signal(comparison)]
    return failed


def _lost_signal(comparison: Comparison) -> list[str]:
    """What is too noisy in a quantized file that no labels judge."""
    lost = []
    if np.isnan(comparison.sqnr_db):
        lost.append("there is no telling its scores from noise: the samples do not move the float model's output")
    elif not comparison.sqnr_db >= MINIMUM_SQNR_DB:
        lost.append(f"its scores are {comparison.sqnr_db:.1f} dB above their noise (limit {MINIMUM_SQNR_DB:g} dB)")
    if comparison.metric == "psnr_db" and not comparison.float - comparison.exported <= MAXIMUM_PSNR_DROP_DB:
        lost.append(
            f"its reconstruction fell from {comparison.float:.2f} to {comparison.exported:.2f} dB of PSNR "
            f"on {comparison.samples} samples (limit {MAXIMUM_PSNR_DROP_DB:g} dB)"
        )
    return lost


def float_tolerance(largest_output: float) -> float:
    """How far a float file may be from the model whose largest absolute output this is."""
    return FLOAT_GAP * max(1.0, largest_output)


def _float_gap(gap: float, limit: float) -> str:
    return f"its outputs are up to {gap:.3g} from the model's (limit {limit:.3g})"


def refuse_broken(inspection: Inspection, scheme: Scheme, target: Target) -> None:
    """Raise VerificationRefused, naming every promise of the scheme and the target that the file breaks, if any."""
    if broken := broken_promises(inspection, scheme, target):
        found = "; ".join(broken)
        raise VerificationRefused(f"the {scheme.name} file was refused and no bundle was written: {found}")


def refuse_unless_good(
    inspection: Inspection, scheme: Scheme, comparisons: Iterable[Comparison], max_drop: float
) -> None:
    """Raise VerificationRefused, naming everything that is wrong, unless nothing is."""
    wrong = broken_promises(inspection, scheme)
    for comparison in comparisons:
        wrong += failed_gates(comparison, scheme, max_drop)
    if wrong:
        advice = "" if scheme.name == FLOAT32.name else "; a file without loss: dlkit export --scheme float32"
        found = "; ".join(wrong)
        raise VerificationRefused(f"the {scheme.name} file was refused and no bundle was written: {found}{advice}")


def refuse_unless_near(
    weights: Mapping[str, int], scheme: Scheme, comparisons: Iterable[Comparison], max_drop: float
) -> None:
    """Raise VerificationRefused, naming everything that is wrong with a model for servers, unless nothing is.

    Args:
        weights: dtype → how many numbers of the model's weights are in it.
    """
    wrong = [f"{n:,} weights are {dtype}" for dtype, n in weights.items() if dtype not in scheme.tensors]
    if not weights.get(scheme.weights):
        wrong.append(f"no weights are {scheme.weights}")
    for comparison in comparisons:
        wrong += failed_gates(comparison, scheme, max_drop)
    if wrong:
        found = "; ".join(wrong)
        advice = "" if scheme.instead == FLOAT32.name else f"; use --scheme {scheme.instead}"
        raise VerificationRefused(f"the {scheme.name} model was refused and no bundle was written: {found}{advice}")


def check_conversion(reference: Mapping[str, NDArray[np.float32]], original: Judged) -> None:
    """Raise VerificationRefused unless the float file gives the Keras model's own numbers."""
    if reference.keys() != original.outputs.keys():
        found = f"it computes {', '.join(original.outputs)} for {', '.join(reference)}"
        raise VerificationRefused(f"the float file was refused and no bundle was written: {found}")
    for name, wanted in reference.items():
        outputs, which = original.outputs[name], f"output {name!r}: " if len(reference) > 1 else ""
        if wanted.shape != outputs.shape:
            found = f"it computes {outputs.shape} for {wanted.shape}"
        else:
            gap, limit = float(np.max(np.abs(wanted - outputs))), float_tolerance(float(np.max(np.abs(wanted))))
            if gap <= limit:
                continue
            found = _float_gap(gap, limit)
        raise VerificationRefused(f"the float file was refused and no bundle was written: {which}{found}")
