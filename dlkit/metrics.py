"""How good outputs are, by themselves or against others; numpy alone.

NaN where an output is no finite number, or where there is nothing to measure, so that it fails every threshold.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

CAP_DB = 200.0
"""Where there is no noise at all."""
NAN = float("nan")
FAR = 12.0
"""What is so much below the largest score of its row has less than 1 / 160,000 of that one's share after a softmax; 8
bits count shares in 1 / 256."""


@dataclasses.dataclass(frozen=True)
class Naive:
    """What is known of the naive forecast of a series.

    Attributes:
        season: steps after which the series is alike; 0 if no one says.
        errors: (features,) or (1,), how far a value was on average from the one a season (or, without, a step) before,
            in training; in the range of the forecasts.
    """

    season: int
    errors: NDArray[np.float64]


def accuracy(outputs: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Top-1 accuracy of (N, classes) outputs; NaN if an output is no finite number."""
    if not np.isfinite(outputs).all():
        return NAN
    return float(np.mean(outputs.argmax(axis=1) == labels))


def confusion_matrix(outputs: NDArray[np.float32], labels: NDArray[np.int64]) -> tuple[tuple[int, ...], ...]:
    """How many samples of each class (a row) have their largest of (N, classes) outputs at each class (a column)."""
    classes = outputs.shape[1]
    counts = np.bincount(labels * classes + outputs.argmax(axis=1), minlength=classes**2)
    return tuple(tuple(int(count) for count in row) for row in counts.reshape(classes, classes))


def confusion_pairs(outputs: NDArray[np.float32], labels: NDArray[np.int64]) -> tuple[tuple[int, int, int], ...]:
    """The same as (class, class of the largest output, samples) in order, for those pairs alone that occur."""
    pairs, counts = np.unique(np.stack([labels, outputs.argmax(axis=1)], axis=1), axis=0, return_counts=True)
    return tuple((int(row), int(column), int(n)) for (row, column), n in zip(pairs, counts, strict=True))


def top_accuracy(outputs: NDArray[np.float32], labels: NDArray[np.int64], places: int) -> float:
    """Fraction of (N, classes) outputs that have the right class among their first `places`.

    Of classes with equal outputs the one of the lower number is first, as `argmax` has it. NaN if an output is no
    finite number.
    """
    if not np.isfinite(outputs).all():
        return NAN
    own = np.take_along_axis(outputs, labels[:, None], axis=1)
    earlier = np.arange(outputs.shape[1]) < labels[:, None]
    ahead = (outputs > own) | ((outputs == own) & earlier)
    return float(np.mean(ahead.sum(axis=1) < places))


def auc(outputs: NDArray[np.floating[Any]], labels: NDArray[np.int64]) -> float:
    """Area under the ROC curve: how often a sample of class 1 is above one of class 0; equal ones count half.

    Args:
        outputs: (N,) or (N, 1), higher for class 1.
        labels: (N,) of 0 and 1.

    Returns:
        0 to 1; NaN if an output is no finite number, or if the samples are all of one class.
    """
    positives = int(np.count_nonzero(labels == 1))
    negatives = len(labels) - positives
    if not np.isfinite(outputs).all() or not positives or not negatives:
        return NAN
    _, place, count = np.unique(outputs.reshape(len(labels)), return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    ranks = (last - (count - 1) / 2)[place]  # from 1 on; equal outputs share the mean of theirs
    wins = float(ranks[labels == 1].sum()) - positives * (positives + 1) / 2
    return wins / (positives * negatives)


def mean_squared_error(wanted: NDArray[np.float32], outputs: NDArray[np.float32]) -> float:
    """Of arrays of one shape, over all of their numbers."""
    return float(np.mean((outputs.astype(np.float64) - wanted.astype(np.float64)) ** 2))


def squared_errors(wanted: NDArray[np.float32], outputs: NDArray[np.float32]) -> NDArray[np.float64]:
    """(N,) mean squared error of each of N samples."""
    squares = (outputs.astype(np.float64) - wanted.astype(np.float64)) ** 2
    return np.asarray(squares.reshape(len(squares), -1).mean(axis=1), np.float64)


def skill(
    wanted: NDArray[np.float32], outputs: NDArray[np.float32], given: NDArray[np.float32], season: int = 1
) -> float:
    """Of a forecast, 1 - its mean squared error over that of the naive one, which repeats the last season given.

    A season of one step is the last value. Hyndman & Athanasopoulos 2021, Forecasting: Principles and Practice,
    section 5.2.

    Args:
        wanted, outputs: (N, horizon, features).
        given: (N, steps, features), no fewer steps than a season.

    Returns:
        1 for what comes to pass, 0 for what is no better than the naive forecast, below 0 for what is worse; NaN where
        the naive one is perfect.
    """
    before = np.arange(wanted.shape[1]) % season - season  # from the end of what is given
    naive = mean_squared_error(wanted, given[:, before])
    error = mean_squared_error(wanted, outputs)
    return 1.0 - error / naive if naive > 0.0 and np.isfinite(error) else NAN


def mase(wanted: NDArray[np.float32], outputs: NDArray[np.float32], naive: Naive) -> float:
    """Mean absolute scaled error of (N, horizon, features) forecasts, the mean over the features.

    Hyndman & Koehler 2006, doi:10.1016/j.ijforecast.2006.03.001.

    Returns:
        Below 1 for what is nearer than the naive forecast was in training; NaN where nothing ever changed there.
    """
    apart = np.abs(outputs.astype(np.float64) - wanted.astype(np.float64)).mean(axis=(0, 1))
    return float(np.mean(apart / naive.errors)) if len(naive.errors) and (naive.errors > 0.0).all() else NAN


def beside_naive(
    wanted: NDArray[np.float32], outputs: NDArray[np.float32], given: NDArray[np.float32], naive: Naive
) -> dict[str, float]:
    """Of a forecast, "seasonal_skill" where there is a season, and "mase"; without what cannot be told."""
    found = {"mase": mase(wanted, outputs, naive)}
    if naive.season:
        found = {"seasonal_skill": skill(wanted, outputs, given, naive.season), **found}
    return {name: value for name, value in found.items() if np.isfinite(value)}


def psnr_db(error: float, peak: float) -> float:
    """Peak signal-to-noise ratio in decibels, 10 log10(peak² / error), capped at 200.

    Args:
        error: mean squared error.
        peak: span of what the signal can be.

    Returns:
        NaN unless `error` and `peak` are finite and `peak` is above 0.
    """
    if not np.isfinite(error) or not np.isfinite(peak) or not peak > 0.0:
        return NAN
    return CAP_DB if error == 0.0 else _capped_db(peak**2 / error)


def sqnr_db(signal: NDArray[np.float32], noisy: NDArray[np.float32], *, softmax_follows: bool) -> float:
    """10 log10 of the energy of `signal` about its mean over the energy of `noisy − signal`.

    Where a softmax follows, both are taken as it reads them, see `as_softmax_reads`. Elsewhere a constant added to
    all outputs is noise like any other, and the signal is what varies over all samples and outputs.

    Args:
        signal, noisy: of one shape; where a softmax follows (..., classes), and its exponents.

    Returns:
        At most 200; NaN if either holds what is no finite number (a softmax makes nothing of one score that is -∞), or
        if there is no signal.
    """
    wanted, found = (as_softmax_reads(x) if softmax_follows else x.astype(np.float64) for x in (signal, noisy))
    if not (np.isfinite(wanted).all() and np.isfinite(found).all()):
        return NAN
    energy, noise = float(np.sum((wanted - wanted.mean()) ** 2)), float(np.sum((found - wanted) ** 2))
    if not energy > 0.0:
        return NAN
    return CAP_DB if noise == 0.0 else _capped_db(energy / noise)


def as_softmax_reads(scores: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """What counts of rows (..., classes) of a softmax's exponents: cut by `near`, and about the mean of each row.

    A softmax acts on the last axis alone, so that a constant added to all scores of a row changes nothing; and what a
    file makes of shares that no one can tell from 0 does not matter either. NaN in rows with a NaN, +∞, or nothing
    but -∞.
    """
    kept: NDArray[np.float64] = near(scores).astype(np.float64)
    with np.errstate(invalid="ignore"):  # ∞ - ∞
        kept -= kept.max(axis=-1, keepdims=True)  # first, so that nothing is left of scores that are all alike
        kept -= kept.mean(axis=-1, keepdims=True)
    return kept


def near(scores: NDArray[Any]) -> NDArray[Any]:
    """Rows (..., classes) of a softmax's exponents: what is `FAR` below the largest of its row counts as no farther."""
    return np.asarray(np.maximum(scores, scores.max(axis=-1, keepdims=True) - FAR))


def same_first(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Fraction of the rows of two (N, classes) arrays whose highest number is in the same place."""
    return float(np.mean(a.argmax(axis=1) == b.argmax(axis=1)))


def _capped_db(ratio: float) -> float:
    return float(np.minimum(CAP_DB, 10.0 * np.log10(ratio)))  # unlike min(), keeps NaN


def frechet_distance(ones: NDArray[np.float32], others: NDArray[np.float32]) -> float:
    """Between the normal distributions of two sets of (N, features): |μ - ν|² + tr(S + T - 2 (S T)^½).

    Dowson & Landau 1982, doi:10.1016/0047-259X(82)90077-X. NaN if a feature is no finite number, or if there are
    fewer than two of a set.
    """
    if min(len(ones), len(others)) < 2 or not (np.isfinite(ones).all() and np.isfinite(others).all()):
        return NAN
    a, b = ones.astype(np.float64), others.astype(np.float64)
    s, t = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    # The eigenvalues of a product of two covariances are real and not negative, but for rounding.
    roots = np.sqrt(np.clip(np.linalg.eigvals(np.atleast_2d(s) @ np.atleast_2d(t)).real, 0.0, None))
    apart = float(np.sum((a.mean(axis=0) - b.mean(axis=0)) ** 2))
    return max(0.0, apart + float(np.trace(np.atleast_2d(s + t))) - 2.0 * float(roots.sum()))
