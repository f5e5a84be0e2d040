"""The levels of a clustered kernel's weights, as fractions of the largest of their output."""

from __future__ import annotations

import numpy as np
import pytest

from dlkit.compression.clustering import distinct, levels_of, nearest, pairs

RNG = np.random.default_rng(0)


def test_levels_that_lie_apart_are_found() -> None:
    middles = np.array([0.1, 0.3, 0.6, 1.0], np.float32)
    sizes = np.clip(middles[RNG.integers(0, 4, 400)] + RNG.normal(0, 0.01, 400), 0, 1).astype(np.float32)
    assert np.abs(levels_of(sizes, np.ones(400, np.float32), 4, 0) - middles).max() < 0.01


@pytest.mark.parametrize("count", [1, 2, 8])
def test_the_last_level_is_one_and_levels_rise(count: int) -> None:
    sizes = RNG.random(1000, dtype=np.float32) * 0.9
    levels = levels_of(sizes, np.ones(1000, np.float32), count, 0)
    assert len(levels) == count
    assert levels[-1] == 1.0
    assert (np.diff(levels) >= 0).all()


def test_few_distinct_sizes_have_levels_of_their_own() -> None:
    levels = levels_of(np.array([0.25, 1.0, 0.25], np.float32), np.ones(3, np.float32), 5, 0)
    assert set(levels.tolist()) == {0.25, 1.0}


def test_levels_follow_what_weighs_more() -> None:
    sizes = np.array([0.2, 0.4, 1.0], np.float32)
    low, _ = levels_of(sizes, np.array([9.0, 1.0, 1.0], np.float32), 2, 0)
    assert low == pytest.approx((9 * 0.2 + 0.4) / 10)


def test_a_size_belongs_to_its_nearest_level() -> None:
    levels = np.array([0.1, 0.5, 1.0], np.float32)
    sizes = np.array([0.0, 0.29, 0.31, 0.74, 0.76, 1.0], np.float32)
    assert nearest(sizes, levels).tolist() == [0, 0, 1, 1, 2, 2]


def test_the_same_seed_gives_the_same_levels() -> None:
    sizes, ones = RNG.random(5000, dtype=np.float32), np.ones(5000, np.float32)
    assert levels_of(sizes, ones, 16, 3).tolist() == levels_of(sizes, ones, 16, 3).tolist()


def test_either_sign_of_a_level_and_zero_are_counted() -> None:
    assert [pairs(count, keep_zeros=False) for count in (2, 3, 16)] == [1, 1, 8]
    assert [pairs(count, keep_zeros=True) for count in (2, 3, 16)] == [0, 1, 7]


def test_distinct_weights_are_counted_by_output() -> None:
    cube = np.array([[[1.0, 1.0], [1.0, 2.0], [1.0, 3.0]]], np.float32)  # (positions, inputs, outputs)
    assert distinct(cube) == 3
