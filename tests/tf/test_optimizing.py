"""Optimizers and schedules are those the recipe names."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from dlkit.frameworks import keras
from dlkit.recipe import TrainingPart
from dlkit.training.optimizing import CLASSES, optimizer_for, schedule_of

pytestmark = pytest.mark.tf

TOP, STEPS = 0.4, 100


def rates(**own: Any) -> list[float]:
    """Of steps 0 to 99."""
    schedule = schedule_of(TrainingPart(epochs=1, learning_rate=TOP, **own), STEPS)
    return [float(schedule(step)) for step in range(STEPS)]


def test_every_optimizer_of_a_recipe_is_on_the_shelf() -> None:
    """The choices of training.optimizer are the keys of CLASSES."""
    from typing import get_args

    from dlkit.recipe.parts import Optimizer

    assert set(get_args(Optimizer)) == set(CLASSES)


@pytest.mark.parametrize("name", CLASSES)
def test_each_optimizer_lessens_a_loss(name: str) -> None:
    """On a bowl, with clipping and decay."""
    part = TrainingPart(
        epochs=60, optimizer=name, learning_rate=0.05, clip_norm=1.0, weight_decay=1e-4, schedule="constant", warmup=0.0
    )
    optimizer, bowl = optimizer_for(part, part.epochs), keras.Variable(np.array([3.0, -2.0], np.float32))
    optimizer.build([bowl])
    for _ in range(part.epochs):
        optimizer.apply([2 * bowl.value], [bowl])
    assert np.square(bowl.numpy()).sum() < 13 * 0.95


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_a_rate_climbs_to_the_top_and_goes_on_as_its_name_says(schedule: str) -> None:
    """Warm-up over the first tenth; then to nothing, or level."""
    found = rates(schedule=schedule)
    assert found[0] == pytest.approx(0.0, abs=1e-6)
    assert found[5] == pytest.approx(TOP / 2, rel=1e-5)
    assert found[10] == pytest.approx(TOP, rel=1e-5)
    middle = {"cosine": TOP * (1 + math.cos(math.pi / 2)) / 2, "linear": TOP / 2, "constant": TOP}[schedule]
    assert found[55] == pytest.approx(middle, rel=1e-4)
    assert found[-1] == (pytest.approx(TOP) if schedule == "constant" else pytest.approx(0.0, abs=TOP / 50))


def test_steps_are_taken_at_the_milestones() -> None:
    """Fractions of all steps, the warm-up among them."""
    found = rates(schedule="step", milestones=(0.5, 0.8), factor=0.1, warmup=0.0)
    assert found[49] == pytest.approx(TOP)
    assert found[52] == pytest.approx(TOP / 10)
    assert found[82] == pytest.approx(TOP / 100)


def test_a_rate_falls_by_its_factor_every_so_many_epochs() -> None:
    """Ten epochs of ten steps, a half every two of them."""
    part = TrainingPart(epochs=10, learning_rate=TOP, schedule="exponential", factor=0.5, every=2.0, warmup=0.0)
    schedule = schedule_of(part, STEPS)
    assert [float(schedule(step)) for step in (0, 19, 20, 59)] == pytest.approx([TOP, TOP, TOP / 2, TOP / 4])


def test_without_warm_up_the_first_step_is_at_the_top() -> None:
    """For each schedule."""
    for schedule in ("cosine", "linear", "constant"):
        assert rates(schedule=schedule, warmup=0.0)[0] == pytest.approx(TOP)


def test_gradients_are_clipped_together() -> None:
    """A step of SGD is no longer than the rate times the norm."""
    part = TrainingPart(
        epochs=1, optimizer="sgd", momentum=0.0, learning_rate=1.0, schedule="constant", warmup=0.0, clip_norm=0.5
    )
    optimizer, variables = optimizer_for(part, 1), [keras.Variable(np.zeros(2, np.float32)) for _ in range(2)]
    optimizer.build(variables)
    optimizer.apply([np.array([30.0, 0.0], np.float32), np.array([0.0, 40.0], np.float32)], variables)
    assert np.concatenate([v.numpy() for v in variables]) == pytest.approx([-0.3, 0, 0, -0.4], abs=1e-5)
