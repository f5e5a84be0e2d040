"""How far the answers of two runtimes are from each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def largest_gap(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """The largest difference of two arrays of one shape; infinite where one alone holds NaN or infinity.

    What both hold of these in the same places is no difference.
    """
    import numpy as np

    unlike = (found != expected) & ~(np.isnan(found) & np.isnan(expected))
    gap = float(np.max(np.abs(found[unlike] - expected[unlike]), initial=0.0))
    return gap if np.isfinite(gap) else float("inf")


def largest_number(values: NDArray[np.float32]) -> float:
    """The largest magnitude of those that are finite, 0 if there are none."""
    import numpy as np

    return float(np.max(np.abs(values[np.isfinite(values)]), initial=0.0))
