"""How a network of each task is trained, and by what it is measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dlkit.training import adversarial, reconstruction, supervised
from dlkit.training.measuring import Quality, classified, generated, rebuilt
from dlkit.training.watching import History

Fit = Callable[..., History]
Measure = Callable[[Any, Any, Any, Any], tuple[Quality, Quality]]

LEARNING: dict[str, tuple[Fit, Measure]] = {
    "classification": (supervised.fit, classified),
    "reconstruction": (reconstruction.fit, rebuilt),
    "generation": (adversarial.fit, generated),
}
"""Task of a network → its training, its measure; `recipe.rules.TRAINED` names the same tasks."""
