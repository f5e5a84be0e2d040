"""What an auto-encoder of the shelf is to give again, so that its file is judged by its own task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from dlkit.networks import NETWORKS
from dlkit.recipe_data import anomalous
from dlkit.runtime.preprocessing import Preprocessing
from dlkit.trained import Trained
from dlkit.verify import Rebuilt

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dlkit.runtime.rows import Rows


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
