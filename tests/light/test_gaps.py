"""How far two runtimes are from each other, also where one of them gives no number."""

from __future__ import annotations

import numpy as np
import pytest

from dlkit.devices._gaps import largest_gap, largest_number

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("found", "expected", "gap"),
    [
        ([1.0, 2.0], [1.0, 2.5], 0.5),
        ([1.0, NAN, INF], [1.25, NAN, INF], 0.25),
        ([NAN, 1.0], [1.0, 1.0], INF),
        ([1.0, 1.0], [1.0, NAN], INF),
        ([INF], [-INF], INF),
        ([], [], 0.0),
    ],
)
def test_the_gap(found: list[float], expected: list[float], gap: float) -> None:
    assert largest_gap(np.array(found, np.float32), np.array(expected, np.float32)) == gap


def test_the_largest_number() -> None:
    """Of those that are numbers."""
    assert largest_number(np.array([-3.0, 2.0, NAN, -INF], np.float32)) == 3.0
    assert largest_number(np.array([NAN], np.float32)) == 0.0
