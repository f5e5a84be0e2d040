"""What the answers of a file are held against, where many files of one network are made and measured."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np

from dlkit.calibration.samples import HeldOut
from dlkit.conversion.batches import Batch, count_of_samples
from dlkit.datasets import stratified
from dlkit.pipeline.proving import MAX_DROP, FloatAnswers
from dlkit.pipeline.rebuilding import wanted_of
from dlkit.progress import Advance, ignore
from dlkit.schemes import Scheme
from dlkit.trained import Trained
from dlkit.verify import Forecast, Judged, Rebuilt, check_conversion, compare, failed_gates, is_one_score

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_SAMPLES, SEED = 500, 0
"""Held-out samples that each file is asked; of more, so many are drawn, spread over the classes."""


@dataclasses.dataclass(frozen=True)
class Measured:
    """One file on held-out samples.

    Attributes:
        metric: the task's, see `report.Comparison`; of the first output. More is better.
        original, value: of the float model and of the file.
        sqnr_db: how far its scores are above their noise, the lowest of all outputs.
        failed: why an export would refuse it; () if it would not.
    """

    metric: str
    original: float
    value: float
    sqnr_db: float
    failed: tuple[str, ...] = ()

    @property
    def is_sound(self) -> bool:
        """Whether it could be measured at all."""
        return math.isfinite(self.value) and math.isfinite(self.sqnr_db)


@dataclasses.dataclass(frozen=True)
class Judge:
    """Measures the answers of a file. It may be called in several threads.

    Attributes:
        gate: the samples; never those of a test split.
        inputs: that a file is to answer.
        wanted: output name → (N, ...) float32 of the Keras model that a user trained.
        before: of the float file.
        labels: the right classes, None where there are none.
        rebuilt: what outputs are to give again or forecast; None where nothing is.
        scheme, max_drop: whose limits decide what is good enough.
    """

    gate: HeldOut
    inputs: Batch
    wanted: dict[str, NDArray[np.float32]]
    before: Judged
    labels: NDArray[np.int64] | None
    rebuilt: Rebuilt | Forecast | None
    scheme: Scheme
    max_drop: float

    def __call__(self, after: Judged) -> Measured:
        found = compare(self.gate.name, self.wanted, self.before, after, self.labels, self.rebuilt)
        failed = [text for comparison in found for text in failed_gates(comparison, self.scheme, self.max_drop)]
        decibels = float(np.min([comparison.sqnr_db for comparison in found]))  # unlike min(), keeps NaN
        return Measured(found[0].metric, found[0].float, found[0].exported, decibels, tuple(failed))


def judge_of(
    trained: Trained, gate: HeldOut, answers: FloatAnswers, scheme: Scheme, advance: Advance = ignore
) -> Judge:
    """The judge of files of a model that is converted.

    Args:
        answers: to the samples of `gate` at least.

    Raises:
        VerificationRefused: the float file is not what the model is, or the runtime refuses it.
    """
    some, positions = some_of(gate)
    before = answers.on(gate, advance)
    check_conversion(answers.wanted(gate), before)
    wanted = {name: values[positions] for name, values in answers.original.wanted(gate).items()}
    return Judge(
        gate=some,
        inputs={name: np.asarray(values[positions]) for name, values in answers.inputs(gate).items()},
        wanted=wanted,
        before=Judged(
            {name: values[positions] for name, values in before.outputs.items()},
            {name: values[positions] for name, values in before.scores.items()},
            before.end_in_softmax,
        ),
        labels=some.labels if trained.labels or is_one_score(wanted) else None,
        rebuilt=wanted_of(trained, some),
        scheme=scheme,
        max_drop=trained.recipe.export.max_drop if trained.recipe else MAX_DROP,
    )


def some_of(held_out: HeldOut) -> tuple[HeldOut, NDArray[np.int64]]:
    """At most `MOST_SAMPLES` of them, in their order, and their positions."""
    count = count_of_samples(held_out.raw)
    if count <= MOST_SAMPLES:
        return held_out, np.arange(count)
    if held_out.labels is None:
        drawn = np.random.default_rng(SEED).permutation(count)[:MOST_SAMPLES]
    else:
        drawn = stratified(held_out.labels, MOST_SAMPLES, SEED)
    positions = np.sort(drawn)
    return held_out.rows(positions), positions
