"""Sound at another rate: band-limited interpolation, in the phases of the fraction between the two rates."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

ZERO_CROSSINGS = 16
"""Of the sinc on either side."""
ROLL_OFF = 0.95
"""Where the filter cuts, as a fraction of half the lower rate."""
KAISER = 9.0
"""β of the window over the sinc."""
OUTPUTS_AT_ONCE = 2048


def resampled(samples: NDArray[np.float64], rate: int, to: int) -> NDArray[np.float64]:
    """(n,) at `rate` Hz → (⌈n · to / rate⌉,) at `to` Hz.

    y(t) = Σ_m x(m) h(t - m / rate), where h is a sinc that cuts at 0.95 of half the lower of the two rates, under a
    Kaiser window of 16 zero crossings on either side; before the first and after the last sample there is silence. The
    same as scipy.signal.resample_poly with that filter, up to the filter.
    """
    if rate == to:
        return samples
    shared = math.gcd(rate, to)
    up, down = to // shared, rate // shared
    reach = _reach(up, down)
    count = -(-len(samples) * up // down)
    padded = np.concatenate([np.zeros(reach), samples, np.zeros(reach + 1)])
    made = np.empty(count)
    for start in range(0, count, OUTPUTS_AT_ONCE):
        places = np.arange(start, min(start + OUTPUTS_AT_ONCE, count), dtype=np.int64) * down
        first, phase = places // up, places % up
        taken = padded[first[:, np.newaxis] + np.arange(1, 2 * reach + 1)]  # (n, taps), from first - reach + 1 on
        made[start : start + len(places)] = np.einsum("nt,nt->n", taken, _filters(phase, up, down))
    return made


def _reach(up: int, down: int) -> int:
    """Samples on either side that a new one is made of."""
    return math.ceil(ZERO_CROSSINGS * max(1.0, down / up) / ROLL_OFF)


def _filters(phases: NDArray[np.int64], up: int, down: int) -> NDArray[np.float64]:
    """(n, taps) a row for each phase; few are made once, many as they come."""
    if up * _reach(up, down) <= 2**17:
        return _all_filters(up, down)[phases]
    return _made_filters(phases, up, down)


@functools.lru_cache(maxsize=8)
def _all_filters(up: int, down: int) -> NDArray[np.float64]:
    return _made_filters(np.arange(up, dtype=np.int64), up, down)


def _made_filters(phases: NDArray[np.int64], up: int, down: int) -> NDArray[np.float64]:
    reach = _reach(up, down)
    cut = ROLL_OFF * min(1.0, up / down)  # of half the old rate
    away = np.arange(1 - reach, reach + 1) - phases[:, np.newaxis] / up  # in old samples
    under = np.clip(1.0 - (away * cut / ZERO_CROSSINGS) ** 2, 0.0, None)
    return np.asarray(cut * np.sinc(cut * away) * np.i0(KAISER * np.sqrt(under)) / np.i0(KAISER))
