"""How a network of each task is trained, and by what it is measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dlkit.training import reconstruction, supervised
from dlkit.training.measuring import Quality, accuracy_of, psnr_of
from dlkit.training.watching import History

Fit = Callable[..., History]
Measure = Callable[[Any, Any, Any], Quality]

LEARNING: dict[str, tuple[Fit, Measure]] = {
    "classification": (supervised.fit, accuracy_of),
    "reconstruction": (reconstruction.fit, psnr_of),
}
"""Task of a network → its training, its measure; `recipe.TRAINED` names the same tasks."""
