"""Measuring things in turn, so that what else the machine does meets all of them, and what their ratios say."""

from __future__ import annotations

import dataclasses
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")


class Failed(Exception):
    """What was to be measured did not work; the text says how it ended."""


def in_turn(
    measures: Mapping[str, Callable[[], T]], rounds: int, longest_s: float = math.inf
) -> tuple[dict[str, list[T]], dict[str, str]]:
    """Each of `measures` once a round, every other round in the opposite order (A B B A …).

    Args:
        rounds: at most.
        longest_s: no round is begun after so long; the first always is.

    Returns:
        Name → a value for each round; and name → why, of those that failed, which are not tried again.
    """
    taken: dict[str, list[T]] = {name: [] for name in measures}
    failed: dict[str, str] = {}
    deadline = time.perf_counter() + longest_s
    for number in range(rounds):
        if number and time.perf_counter() > deadline:
            break
        for name in list(taken)[:: -1 if number % 2 else 1]:
            try:
                taken[name].append(measures[name]())
            except Failed as error:
                failed[name] = str(error)
                del taken[name]
    return taken, failed


@dataclasses.dataclass(frozen=True)
class Ratio:
    """Of paired values, a round's by the same round's.

    Attributes:
        median: of the ratios.
        low, high: between them the true median lies, at 95 % by the sign test; of fewer than 6 pairs, which cannot
            say that, the smallest and the largest ratio.
        pairs: how many.
    """

    median: float
    low: float
    high: float
    pairs: int

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f}–{self.high:.2f})" if self.pairs > 1 else f"{self.median:.2f}"

    @property
    def is_more(self) -> bool:
        """Whether it is more than 1 beyond the noise, in two decimals."""
        return self.pairs > 1 and self.low >= 1.005


def ratio_of(ours: Sequence[float], others: Sequence[float]) -> Ratio | None:
    """None where there is nothing to divide, or by."""
    ratios = sorted(a / b for a, b in zip(ours, others, strict=True) if b)
    if not ratios:
        return None
    skipped = skipped_at_each_end(len(ratios))
    return Ratio(statistics.median(ratios), ratios[skipped], ratios[-1 - skipped], len(ratios))


def skipped_at_each_end(pairs: int) -> int:
    """How many of so many sorted values can be left out on each side of an interval that holds the median at 95 %."""
    skipped, outside = 0, 2 * 0.5**pairs
    while outside + 2 * math.comb(pairs, skipped + 1) * 0.5**pairs <= 0.05:
        skipped += 1
        outside += 2 * math.comb(pairs, skipped) * 0.5**pairs
    return skipped
