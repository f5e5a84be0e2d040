"""Calibration samples: spread over the classes, seeded."""

from __future__ import annotations

import numpy as np
import pytest

from dlkit.datasets import DATASETS, stratified
from dlkit.recipe import recipe_from

LABELS = np.asarray([0] * 50 + [1] * 3 + [2] * 20)


@pytest.mark.parametrize(
    ("count", "wanted"), [(3, [1, 1, 1]), (9, [3, 3, 3]), (10, [4, 3, 3]), (15, [6, 3, 6]), (2, [1, 1, 0])]
)
def test_classes_come_in_turn(count: int, wanted: list[int]) -> None:
    """As even as the classes allow; a small class gives all it has."""
    assert np.bincount(LABELS[stratified(LABELS, count, 0)], minlength=3).tolist() == wanted


def test_no_sample_comes_twice() -> None:
    """Asked for more than there are, all of them come."""
    assert sorted(stratified(LABELS, 1000, 0)) == list(range(len(LABELS)))


def test_the_seed_decides() -> None:
    """The same seed, the same samples; another seed, others."""
    assert stratified(LABELS, 9, 1).tolist() == stratified(LABELS, 9, 1).tolist()
    assert stratified(LABELS, 9, 1).tolist() != stratified(LABELS, 9, 2).tolist()


def test_order_of_the_data_does_not_favour_its_head() -> None:
    """Not the first of each class."""
    assert not {0, 50, 53} >= set(stratified(LABELS, 3, 0).tolist())


def test_nothing_gives_nothing() -> None:
    """No labels, or none wanted."""
    assert stratified(np.asarray([], int), 5, 0).tolist() == []
    assert stratified(LABELS, 0, 0).tolist() == []


def test_calibration_never_sees_what_proves() -> None:
    """Calibration samples of a recipe are of the training split, and of every class alike."""
    from dlkit.calibration.samples import samples_of_recipe

    recipe = recipe_from(
        {"name": "x", "network": {"name": "cnn"}, "data": {"name": "digits"}, "training": {"epochs": 1}}, "x"
    )
    samples = samples_of_recipe(recipe, "image")
    splits = DATASETS["digits"].load()
    calibration = {sample.tobytes() for sample in samples.calibration.raw["image"]}
    assert len(samples.calibration.raw["image"]) == 300
    assert calibration <= {sample.tobytes() for sample in splits.train.samples}
    assert not calibration & {sample.tobytes() for sample in samples.gate.raw["image"]}
