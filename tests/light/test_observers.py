"""From the values of a tensor to the range it is quantized with."""

from __future__ import annotations

import numpy as np
import pytest

from dlkit.calibration.observers import (
    BINS,
    OBSERVERS,
    STEPS,
    Histogram,
    Observer,
    observer_of,
    scores_observer_of,
)
from dlkit.errors import UnknownName
from dlkit.metrics import FAR


def shown(method: str, *samples: np.ndarray) -> Observer:
    observer = OBSERVERS[method]()
    for sample in samples:
        values = np.asarray(sample, np.float32)
        observer.observe(values, float(values.min()), float(values.max()))
    return observer


def heavy_tailed(samples: int = 20, size: int = 10_000) -> list[np.ndarray]:
    """Values of Student's t-distribution, of very different sizes from sample to sample."""
    rng = np.random.default_rng(0)
    return [(rng.standard_t(3, size) * scale).astype(np.float32) for scale in np.geomspace(0.01, 3, samples)]


def squared_error(values: np.ndarray, low: float, high: float) -> float:
    """Mean squared error of 8 bits, zero among their values."""
    low, high = min(low, 0.0), max(high, 0.0)
    step = (high - low) / STEPS
    smallest = round(low / step)
    return float(np.mean((values - np.clip(np.round(values / step), smallest, smallest + STEPS) * step) ** 2))


def test_minmax_is_the_smallest_and_the_largest_value() -> None:
    """Of all samples."""
    assert shown("minmax", [1, -2, 0.5], [3, 0]).range() == (-2.0, 3.0)


@pytest.mark.parametrize("method", OBSERVERS)
def test_the_order_of_samples_does_not_matter(method: str) -> None:
    """Although the histogram grows as larger values come."""
    samples = heavy_tailed()
    assert shown(method, *samples).range() == shown(method, *samples[::-1]).range()


@pytest.mark.parametrize("method", OBSERVERS)
def test_every_range_lies_within_the_values(method: str) -> None:
    """Clipped, perhaps, but never wider."""
    samples = heavy_tailed()
    low, high = shown(method, *samples).range()
    assert min(s.min() for s in samples) <= low < 0 < high <= max(s.max() for s in samples)


@pytest.mark.parametrize("method", OBSERVERS)
@pytest.mark.parametrize("values", [[0, 0, 0], [2.5, 2.5], [-1, -1], [1e-42, 0], [3e38, -3e38], [4, 8]])
def test_few_values_keep_their_range(method: str, values: list[float]) -> None:
    """All zero, all the same, next to nothing, next to infinity, just where a bin ends."""
    low, high = shown(method, np.asarray(values)).range()
    kept = np.float32([min(values), max(values)])
    assert np.allclose([low, high], kept, rtol=0.03, atol=1e-30)


def test_a_grown_histogram_is_the_one_of_the_final_width() -> None:
    """Nothing is counted twice, lost or moved when two bins become one."""
    samples = heavy_tailed()
    observer = Histogram()
    for sample in samples:
        observer.observe(sample, float(sample.min()), float(sample.max()))
    edges, counts, width = observer.counted()
    bins, wanted = np.unique(np.floor(np.concatenate(samples).astype(np.float64) / width), return_counts=True)
    assert np.array_equal(edges, bins * width)
    assert np.array_equal(counts, wanted)
    assert BINS / 2 <= max(-edges[0], edges[-1] + width) / width <= BINS


def test_zeros_before_other_values_are_counted_among_them() -> None:
    """A sample of zeros alone says nothing about the bins' width."""
    observer = shown("percentile", np.zeros(1000), np.full(10, 1e-3))
    assert isinstance(observer, Histogram)
    edges, counts, width = observer.counted()
    assert counts.tolist() == [1000, 10]
    assert width < 1e-6
    assert edges[1] == pytest.approx(1e-3, abs=width)


def test_percentile_cuts_the_rarest_off() -> None:
    """One value in a million that is a thousand times as large as the others."""
    values = np.random.default_rng(0).uniform(-1, 1, 1_000_000)
    values[123] = 1000.0
    low, high = shown("percentile", values).range()
    assert low == pytest.approx(-1, abs=0.3)
    assert high == pytest.approx(1, abs=0.3)  # a bin is 0.25 wide here


def test_percentile_leaves_that_part_inside() -> None:
    """As much is cut at one end as at the other; to a bin."""
    values = np.random.default_rng(0).standard_normal(1_000_000).astype(np.float32)
    low, high = shown("percentile", values).range()
    wanted_low, wanted_high = np.percentile(values, [0.005, 99.995])
    assert low == pytest.approx(wanted_low, abs=8 / BINS)
    assert high == pytest.approx(wanted_high, abs=8 / BINS)


def test_percentile_keeps_all_of_a_few_values() -> None:
    """A hundred answers of ten scores have none to spare."""
    values = np.random.default_rng(0).random((100, 10)).astype(np.float32)
    assert shown("percentile", values).range() == (float(values.min()), float(values.max()))


def test_percentile_keeps_what_hardly_ever_is_not_zero() -> None:
    """With nothing but the zeros inside, the tensor would be lost."""
    values = np.zeros(1_000_000)
    values[5] = 3.0
    assert shown("percentile", values).range() == (0.0, 3.0)


@pytest.mark.parametrize("positive", [False, True])
def test_mse_loses_hardly_more_than_the_best_range(positive: bool) -> None:
    """Held against a search over the values themselves."""
    values = np.random.default_rng(0).standard_t(3, 100_000).astype(np.float32)
    values = np.maximum(values, 0) if positive else values
    found = squared_error(values, *shown("mse", values).range())
    fractions = np.linspace(0.04, 1, 25)
    lows = [0.0] if positive else [float(values.min()) * f for f in fractions]
    best = min(squared_error(values, low, float(values.max()) * f) for low in lows for f in fractions)
    assert found <= 1.05 * best
    assert found < squared_error(values, float(values.min()), float(values.max()))


def test_mse_clips_nothing_of_evenly_spread_values() -> None:
    """There are no rare ones."""
    values = np.linspace(-1, 1, 100_001)
    assert shown("mse", values).range() == pytest.approx((-1.0, 1.0), abs=0.01)


@pytest.mark.parametrize("method", OBSERVERS)
def test_scores_far_below_the_largest_of_their_row_widen_no_range_but_that_of_minmax(method: str) -> None:
    """Nothing is left of them after the softmax; the largest of a row counts wherever it is."""
    rows = np.random.default_rng(0).uniform(-300, -200, (1000, 50)).astype(np.float32)
    rows[:, 3], rows[:500, 4] = 10.0, 40.0
    observer = scores_observer_of(method)()
    observer.observe(rows, float(rows.min()), 40.0)
    low, high = observer.range()
    assert high == pytest.approx(40.0, rel=0.05)
    assert low == rows.min() if method == "minmax" else 9.0 - FAR < low <= 10.0 - FAR + 1.0


def test_an_unknown_method_is_refused_with_the_nearest() -> None:
    """It is never guessed."""
    with pytest.raises(UnknownName, match=r"unknown calibration method 'percentil'; did you mean 'percentile'\?"):
        observer_of("percentil")
