"""What an auto-encoder is to give again, or a forecaster to forecast, so that a file is judged by its own task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from dlkit.calibration.samples import HeldOut
from dlkit.networks import NETWORKS
from dlkit.recipe_data import anomalous, naive_of
from dlkit.runtime.preprocessing import Preprocessing
from dlkit.trained import Trained
from dlkit.verify import Forecast, Rebuilt

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dlkit.runtime.rows import Rows


def wanted_of(trained: Trained, held_out: HeldOut) -> Rebuilt | Forecast | None:
    """What the outputs for held-out samples are to be; None for another task, and for a model from elsewhere."""
    if held_out.targets is None:
        return to_rebuild(trained, held_out.wanted, held_out.labels)
    [(name, values)] = held_out.raw.items()
    inputs = trained.inputs[name]
    assert trained.recipe is not None  # no one else has targets
    after = inputs.of_shape(held_out.targets.shape[1:])
    return Forecast(after.apply(held_out.targets), inputs.apply(values), naive_of(trained.recipe, inputs))


def to_rebuild(trained: Trained, raw: Mapping[str, Rows], labels: NDArray[np.int64] | None = None) -> Rebuilt | None:
    """The input of a network whose task is reconstruction, with its span.

    Args:
        raw: name → (N, ...), held-out raw values, without the noise that is to be taken away.
        labels: (N,) their classes, by which a detector's anomalies are known.

    Returns:
        None for another task, for a model from elsewhere, which has none, and where they do not vary.
    """
    if trained.network not in NETWORKS or NETWORKS[trained.network].task != "reconstruction":
        return None
    [(name, values)] = raw.items()
    wanted = trained.inputs[name].apply(values)
    peak = span(trained.inputs[name], wanted)
    recipe = trained.recipe
    detects = recipe is not None and recipe.anomaly is not None
    others = anomalous(recipe, labels) if recipe is not None and detects and labels is not None else None
    return Rebuilt(wanted, peak, others) if peak > 0.0 else None


def span(preprocessing: Preprocessing, inputs: NDArray[np.float32]) -> float:
    """Of what preprocessing makes of the raw range, over all channels; of `inputs` where that range is not known."""
    if not preprocessing.is_bounded:
        return float(np.ptp(inputs))
    return preprocessing.span
