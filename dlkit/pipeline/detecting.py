"""The threshold of an anomaly detector, by the answers of the file that is exported."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dlkit.calibration.samples import HeldOut
from dlkit.metrics import NAN, squared_errors
from dlkit.recipe_data import anomalous
from dlkit.report import Detection
from dlkit.trained import Trained

if TYPE_CHECKING:
    from numpy.typing import NDArray


def detection_of(
    trained: Trained,
    gate: HeldOut,
    on_gate: NDArray[np.float32],
    test: HeldOut | None,
    on_test: NDArray[np.float32] | None,
) -> Detection | None:
    """The threshold, by normal samples of the gate alone, and what it does on the test split; None if nothing detects.

    Args:
        on_gate, on_test: (N, ...) what the exported file answers.
    """
    recipe = trained.recipe
    if recipe is None or recipe.anomaly is None or gate.labels is None:
        return None
    scores, others = scored(trained, gate, on_gate)
    normal = scores[others == 0]
    threshold = float(np.quantile(normal, 1.0 - recipe.anomaly.false_alarms))
    alarms = found = NAN
    if test is not None and on_test is not None:
        alarms, found = beyond(threshold, *scored(trained, test, on_test))
    return Detection(recipe.anomaly.classes, recipe.anomaly.false_alarms, threshold, len(normal), alarms, found)


def scored(
    trained: Trained, held_out: HeldOut, outputs: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(N,) scores of held-out samples, and 1 for those that are anomalies."""
    assert trained.recipe is not None and held_out.labels is not None  # noqa: PT018
    [(name, raw)] = held_out.wanted.items()
    return squared_errors(trained.inputs[name].apply(raw), outputs), anomalous(trained.recipe, held_out.labels)


def beyond(threshold: float, scores: NDArray[np.float64], others: NDArray[np.int64]) -> tuple[float, float]:
    """Fraction of the normal samples, and of the others, whose score is beyond the threshold; NaN of none."""
    normal, rest = scores[others == 0], scores[others == 1]
    alarms, found = (float(np.mean(part > threshold)) if len(part) else NAN for part in (normal, rest))
    return alarms, found
