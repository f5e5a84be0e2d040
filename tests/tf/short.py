"""The recipe that the tests of this lane train: a network of 2,458 weights, a few seconds."""

from __future__ import annotations

from typing import Any

from dlkit.recipe import Recipe, recipe_from

SHORT: dict[str, Any] = {
    "name": "short",
    "network": {"name": "cnn", "options": {"width": 8}},
    "data": {"name": "digits", "resize": "pad"},
    "training": {"epochs": 8, "learning_rate": 0.01},
}

TRAINED_FILES = ["confusion.csv", "history.csv", "model.json", "model.keras"]
"""What a training leaves, sorted."""


def short_recipe(**changes: Any) -> Recipe:
    """The recipe above with whole tables replaced."""
    return recipe_from(SHORT | changes, "short recipe")
