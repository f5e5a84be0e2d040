"""The centres of a kernel's clusters."""

from __future__ import annotations

import numpy as np

from dlkit.compression.clustering import centres_of, distinct, nearest


def test_clusters_that_lie_apart_are_found() -> None:
    rng = np.random.default_rng(0)
    middles = np.array([-3.0, -1.0, 0.5, 2.0], np.float32)
    values = (middles[rng.integers(0, 4, 400)] + rng.normal(0, 0.01, 400)).astype(np.float32)
    assert np.abs(centres_of(values, 4, 0) - middles).max() < 0.01


def test_few_distinct_values_are_their_own_centres() -> None:
    assert centres_of(np.array([2.0, 1.0, 2.0], np.float32), 8, 0).tolist() == [1.0, 2.0]


def test_a_value_belongs_to_its_nearest_centre() -> None:
    centres = np.array([-1.0, 0.0, 2.0], np.float32)
    values = np.array([-5.0, -0.6, -0.4, 0.9, 1.1, 9.0], np.float32)
    assert nearest(values, centres).tolist() == [0, 0, 1, 1, 2, 2]


def test_the_same_seed_gives_the_same_centres() -> None:
    values = np.random.default_rng(1).normal(size=5000).astype(np.float32)
    assert centres_of(values, 16, 3).tolist() == centres_of(values, 16, 3).tolist()


def test_distinct_weights_are_counted_by_output() -> None:
    cube = np.array([[[1.0, 1.0], [1.0, 2.0], [1.0, 3.0]]], np.float32)  # (positions, inputs, outputs)
    assert distinct(cube) == 3
