"""The metrics of each task, by values worked out by hand; NaN where there is nothing to measure."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from dlkit.metrics import (
    CAP_DB,
    FAR,
    Naive,
    accuracy,
    as_softmax_reads,
    auc,
    beside_naive,
    frechet_distance,
    mase,
    mean_squared_error,
    psnr_db,
    skill,
    sqnr_db,
    squared_errors,
    top_accuracy,
)

NAN = float("nan")


def column(*values: float) -> np.ndarray:
    return np.array(values, np.float32)[:, None]


def test_top_accuracy_counts_the_first_places() -> None:
    """The right class is first, second and third of three."""
    outputs = np.array([[3, 2, 1]] * 3, np.float32)
    labels = np.array([0, 1, 2])
    assert [top_accuracy(outputs, labels, places) for places in (1, 2, 3)] == [1 / 3, 2 / 3, 1.0]


def test_of_equal_outputs_the_first_is_ahead() -> None:
    """As `argmax` has it: a constant network is right where the class is 0, or among the first five."""
    outputs, labels = np.zeros((6, 6), np.float32), np.arange(6)
    assert accuracy(outputs, labels) == 1 / 6
    assert top_accuracy(outputs, labels, 5) == 5 / 6


def test_auc_is_the_fraction_of_pairs_in_order() -> None:
    """Against all pairs one by one, with equal outputs among them."""
    rng = np.random.default_rng(0)
    outputs, labels = rng.integers(0, 8, 40).astype(np.float32), rng.integers(0, 2, 40)
    pairs = list(itertools.product(outputs[labels == 1], outputs[labels == 0]))
    wins = sum(1.0 if one > zero else 0.5 if one == zero else 0.0 for one, zero in pairs)
    assert auc(outputs[:, None], labels) == pytest.approx(wins / len(pairs), abs=1e-12)


@pytest.mark.parametrize(
    ("outputs", "area"),
    [
        ((0.1, 0.2, 0.8, 0.9), 1.0),
        ((0.9, 0.8, 0.2, 0.1), 0.0),
        ((0.5, 0.5, 0.5, 0.5), 0.5),
        ((0.1, 0.5, 0.5, 0.9), 0.875),
    ],
)
def test_auc_of_four_samples(outputs: tuple[float, ...], area: float) -> None:
    """In order, the other way round, all equal, and with one pair of four equal."""
    assert auc(column(*outputs), np.array([0, 0, 1, 1])) == area


@pytest.mark.parametrize("broken", [NAN, float("inf")])
def test_no_finite_output_is_nan(broken: float) -> None:
    """It has no place in an order."""
    assert np.isnan(auc(column(0.1, broken), np.array([0, 1])))
    assert np.isnan(top_accuracy(np.array([[0.1, broken]], np.float32), np.array([0]), 5))
    assert np.isnan(psnr_db(mean_squared_error(column(0.1, 0.2), column(0.1, broken)), 1.0))


@pytest.mark.parametrize("label", [0, 1])
def test_auc_of_one_class_is_nan(label: int) -> None:
    """There are no pairs."""
    assert np.isnan(auc(column(0.1, 0.2), np.array([label, label])))


def test_psnr_of_a_tenth_of_the_peak_is_twenty_decibels() -> None:
    """10 log10(1 / 0.01) and 10 log10(4 / 0.04); no error at all is the cap."""
    assert psnr_db(0.01, 1.0) == pytest.approx(20.0)
    assert psnr_db(0.04, 2.0) == pytest.approx(20.0)
    assert psnr_db(0.0, 1.0) == 200.0


@pytest.mark.parametrize("peak", [0.0, NAN, float("inf")])
def test_psnr_without_a_peak_is_nan(peak: float) -> None:
    """There is no signal to hold the error against."""
    assert np.isnan(psnr_db(0.01, peak))
    assert np.isnan(psnr_db(0.0, peak))


def test_mean_squared_error_is_over_all_numbers() -> None:
    """(1 + 0 + 0 + 9) / 4."""
    wanted, given = np.zeros((2, 2), np.float32), np.array([[1, 0], [0, 3]], np.float32)
    assert mean_squared_error(wanted, given) == 2.5


def test_squared_errors_are_one_a_sample() -> None:
    """The mean over all numbers of each."""
    wanted = np.zeros((2, 2, 2, 1), np.float32)
    outputs = np.array([[1, 1, 1, 1], [0, 0, 0, 4]], np.float32).reshape(2, 2, 2, 1)
    assert squared_errors(wanted, outputs).tolist() == [1.0, 4.0]


def test_frechet_distance_of_known_distributions() -> None:
    """0 to itself; |d|² where only the means differ; for one feature (μ - ν)² + (σ - τ)² (Dowson & Landau 1982)."""
    rng = np.random.default_rng(0)
    ones = rng.normal(size=(400, 5)).astype(np.float32) @ rng.normal(size=(5, 5)).astype(np.float32)
    assert frechet_distance(ones, ones) == pytest.approx(0.0, abs=1e-5)
    assert frechet_distance(ones, ones + np.float32([3, 0, 4, 0, 0])) == pytest.approx(25.0, rel=1e-4)
    wide = (ones[:, :1] - ones[:, :1].mean()) * 3
    narrow = wide / 2 + 1
    sigma = wide.std(ddof=1)
    assert frechet_distance(wide, narrow) == pytest.approx(1 + (sigma / 2) ** 2, rel=1e-3)


def test_frechet_distance_that_there_is_not() -> None:
    """Of what is no number, or of one sample."""
    ones = np.zeros((3, 2), np.float32)
    assert np.isnan(frechet_distance(ones, np.full((3, 2), np.nan, np.float32)))
    assert np.isnan(frechet_distance(ones, ones[:1]))


def test_skill_is_the_part_of_the_naive_error_that_is_gone() -> None:
    """Of two series whose last values are 1 and 2, and 3 and 2 come after: the naive errors are 2 and 0."""
    given, wanted = np.array([[[0], [1]], [[9], [2]]], np.float32), np.array([[[3]], [[2]]], np.float32)
    naive = given[:, -1:]
    assert skill(wanted, wanted, given) == 1.0
    assert skill(wanted, naive, given) == 0.0
    assert skill(wanted, np.array([[[2]], [[2]]], np.float32), given) == 0.75
    assert skill(wanted, 2 * wanted, given) < 0.0


def test_seasonal_skill_is_against_the_value_of_a_season_before() -> None:
    """A season of three steps, repeated over a horizon of four: 2, 3, 4 and 2 again are what it says."""
    given = np.array([[[9], [2], [3], [4]]], np.float32)
    wanted = np.array([[[2], [3], [4], [4]]], np.float32)
    assert skill(wanted, np.array([[[2], [3], [4], [2]]], np.float32), given, 3) == 0.0
    assert skill(wanted, np.array([[[2], [3], [4], [3]]], np.float32), given, 3) == 0.75
    assert skill(wanted, wanted, given, 3) == 1.0


def test_scaled_errors_are_in_units_of_the_naive_one_of_training() -> None:
    """Of each feature by its own: errors of 1 and 30, where the naive ones are 2 and 20, are 0.5 and 1.5."""
    wanted = np.zeros((2, 2, 2), np.float32)
    outputs = wanted + np.float32([1, -30])
    assert mase(wanted, outputs, Naive(0, np.array([2.0, 20.0]))) == 1.0
    assert mase(wanted, wanted, Naive(0, np.array([2.0, 20.0]))) == 0.0
    assert np.isnan(mase(wanted, outputs, Naive(0, np.array([2.0, 0.0]))))


def test_what_cannot_be_told_of_a_forecast_is_left_out() -> None:
    """A seasonal skill without a season, or where the season is perfect; a scaled error where nothing ever changed."""
    given = np.array([[[1], [2]]], np.float32)
    wanted = given + np.float32(1)
    some, none = np.array([1.0]), np.array([0.0])
    assert set(beside_naive(wanted, given, given, Naive(0, some))) == {"mase"}
    assert set(beside_naive(wanted, given, given, Naive(2, some))) == {"seasonal_skill", "mase"}
    assert beside_naive(given, given, given, Naive(2, none)) == {}


def test_there_is_no_skill_where_the_last_value_stays() -> None:
    """Nor in what is no number."""
    given = np.ones((2, 3, 1), np.float32)
    assert np.isnan(skill(given[:, :1], given[:, :1], given))
    assert np.isnan(skill(given[:, :1] + 1, np.full((2, 1, 1), NAN, np.float32), given))


def scores(*shape: int) -> np.ndarray:
    """(..., 10) scores of a classifier that is sure of its class: it is 15 above the next, others far below."""
    rng = np.random.default_rng(0)
    values = rng.normal(-30, 15, (*shape, 10)).astype(np.float32)
    first = rng.integers(10, size=shape)
    np.put_along_axis(values, first[..., None], 15 + values.max(axis=-1, keepdims=True), axis=-1)
    return values


def shares(exponents: np.ndarray) -> np.ndarray:
    powers = np.exp(exponents - exponents.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def test_what_a_softmax_makes_nothing_of_is_no_noise() -> None:
    """Scores that were clipped on purpose, 12 below the largest, lose no decibels; a softmax sees no difference."""
    wide = scores(50)
    clipped = np.maximum(wide, wide.max(axis=-1, keepdims=True) - np.float32(FAR))
    assert sqnr_db(wide, clipped, softmax_follows=True) == CAP_DB
    assert sqnr_db(wide, clipped, softmax_follows=False) < 10
    assert np.abs(shares(wide) - shares(clipped)).max() < 1e-4


def test_what_a_softmax_can_tell_is_noise() -> None:
    """Scores that were clipped 6 below the largest, too soon, lose decibels."""
    near = np.array([[0.0, -8.0, -11.0], [-4.0, -10.0, 0.0]], np.float32)
    assert sqnr_db(near, np.maximum(near, -6), softmax_follows=True) < 15
    assert sqnr_db(near, np.maximum(near, -6), softmax_follows=True) == pytest.approx(
        sqnr_db(near, np.maximum(near, -6) + 3, softmax_follows=True), abs=1e-3
    )


def test_scores_that_are_all_near_are_compared_as_they_are() -> None:
    """About the mean of their row: a tenth more of everything is 20 dB."""
    near = np.array([[5.0, -5.0, 0.0], [2.0, 1.0, -3.0]], np.float32)
    assert sqnr_db(near, near * np.float32(1.1), softmax_follows=True) == pytest.approx(20.0, abs=1e-4)


BROKEN = {
    "noise": lambda wide: np.random.default_rng(1).normal(0, 15, wide.shape).astype(np.float32),
    "constant": np.zeros_like,
    "one answer to all": lambda wide: np.broadcast_to(wide[:1], wide.shape),
    "another class": lambda wide: np.roll(wide, 1, axis=-1),
    "other rows": lambda wide: np.roll(wide, 1, axis=0),
    "the other way round": np.negative,
    "NaN": lambda wide: np.where(np.arange(10) == 3, np.nan, wide),
    "one NaN": lambda wide: np.where(np.arange(wide.size).reshape(wide.shape) == 77, np.nan, wide),
    "infinite": lambda wide: np.where(np.arange(10) == 3, np.inf, wide),
    "nothing": lambda wide: np.full_like(wide, -np.inf),
}
"""What a file may make of good scores, none of which is one."""


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_file_is_no_signal_above_its_noise(how: str) -> None:
    """Also of a classifier whose other scores a softmax makes nothing of: below 5 dB, or NaN."""
    wide = scores(50)
    assert not sqnr_db(wide, BROKEN[how](wide), softmax_follows=True) >= 5.0


def test_one_wrong_class_in_fifty_costs_decibels() -> None:
    """It is as much noise as 1 / 25 of the signal: each of two scores is 12 off."""
    wide = scores(50)
    wide[0] = -np.float32(40) * np.arange(10)
    wrong = wide.copy()
    wrong[0, :2] = wide[0, 1::-1]
    assert 13 < sqnr_db(wide, wrong, softmax_follows=True) < 18


def test_a_class_that_is_ruled_out_may_be_at_minus_infinity() -> None:
    """Its share is 0, as that of a score of -100 is."""
    wide = np.array([[0.0, -1.0, -100.0]], np.float32)
    ruled_out = np.array([[0.0, -1.0, -np.inf]], np.float32)
    assert sqnr_db(wide, ruled_out, softmax_follows=True) == CAP_DB


def test_a_softmax_reads_the_last_axis() -> None:
    """Of a classifier of every step, what is added to one step's scores changes nothing, nor is it told by others'."""
    steps = scores(4, 6)
    moved = steps + 100 * np.arange(6, dtype=np.float32)[:, None]
    assert sqnr_db(steps, moved, softmax_follows=True) > 100
    assert sqnr_db(steps, moved, softmax_follows=False) < 0
    by_rows = sqnr_db(steps.reshape(24, 10), steps.reshape(24, 10) * np.float32(0.9), softmax_follows=True)
    assert sqnr_db(steps, steps * np.float32(0.9), softmax_follows=True) == pytest.approx(by_rows)


def test_nothing_is_left_of_scores_that_are_all_alike() -> None:
    """Not so much as rounding, so that they are no signal; whatever their type."""
    for dtype in (np.float32, np.float64):
        assert not as_softmax_reads(np.full((3, 10), 0.1, dtype)).any()
