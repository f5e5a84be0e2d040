"""A training is tried for two steps before there are data."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from dlkit.pipeline.trying import STEPS, try_training
from dlkit.recipe import read_recipe

RECIPES = Path(__file__).parents[2] / "recipes"

pytestmark = [pytest.mark.tf, pytest.mark.slow]


def test_the_loss_is_that_of_the_beginning() -> None:
    """A rate that only large batches bear does not end it; ten classes of which nothing is known cost ln 10."""
    overrides = ["training.optimizer=sgd", "training.learning_rate=30", "training.batch_size=2", "training.warmup=0"]
    trial = try_training(read_recipe(RECIPES / "digits-tiny.toml", overrides))
    assert trial.samples == STEPS == 2
    assert trial.loss == pytest.approx(math.log(10), rel=0.5)
    assert trial.peak_bytes > 1e8
