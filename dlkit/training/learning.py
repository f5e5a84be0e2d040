"""How a network of each task is trained, and by what it is measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dlkit.networks import NETWORKS
from dlkit.recipe import Recipe
from dlkit.training import adversarial, detection, forecasting, reconstruction, supervised
from dlkit.training.measuring import Quality, classified, detected, forecast, generated, rebuilt
from dlkit.training.watching import History

Fit = Callable[..., History]
Measure = Callable[[Any, Any, Any, Any], tuple[Quality, Quality]]

LEARNING: dict[str, tuple[Fit, Measure]] = {
    "classification": (supervised.fit, classified),
    "forecasting": (forecasting.fit, forecast),
    "reconstruction": (reconstruction.fit, rebuilt),
    "generation": (adversarial.fit, generated),
}
"""Task of a network → its training, its measure; `recipe.rules.TRAINED` names the same tasks."""


def learning_of(recipe: Recipe) -> tuple[Fit, Measure]:
    """The training and the measure of what a recipe asks for; an auto-encoder may be there to detect anomalies."""
    if recipe.anomaly is not None:
        return detection.fit, detected
    return LEARNING[NETWORKS[recipe.network.name].task]
