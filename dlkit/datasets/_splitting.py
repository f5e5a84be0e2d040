"""Samples of one heap → train, validation and test: stratified, seeded, disjoint; copies stay together."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from dlkit.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def divided(
    labels: NDArray[np.int64],
    identities: Sequence[Hashable],
    fractions: Sequence[float],
    seed: int,
    names: Sequence[str],
    where: str,
) -> list[NDArray[np.int64]]:
    """Positions of what is left, and then of each fraction: sorted, together all of them, none twice.

    Of each class each fraction has its share, at least one sample; samples of equal identity (copies of a file) are
    in the same part, that of the first of them.

    Args:
        labels: (N,) class numbers.
        identities: (N,) what tells one sample from another.
        fractions: of all samples, one for each part but the first.
        names: of the classes, for messages.

    Raises:
        DataError: a class has too few different samples for all parts.
    """
    rng = np.random.default_rng(seed)
    copies: dict[Hashable, list[int]] = {}
    for position, identity in enumerate(identities):
        copies.setdefault(identity, []).append(position)
    groups = list(copies.values())
    first_labels = np.asarray([labels[group[0]] for group in groups], np.int64)
    parts: list[list[int]] = [[] for _ in range(len(fractions) + 1)]
    for label in np.unique(labels):
        own = [groups[i] for i in rng.permutation(np.flatnonzero(first_labels == label))]
        if len(own) < len(parts):
            raise DataError(
                f"{where}: class {names[label]!r} has {len(own)} different samples; at least {len(parts)} are needed, "
                "one for each of train, validation and test"
            )
        for part, chosen in zip(parts, _shares(own, fractions), strict=True):
            part.extend(chosen)
    return [np.sort(np.asarray(part, np.int64)) for part in parts]


def _shares(groups: list[list[int]], fractions: Sequence[float]) -> list[list[int]]:
    """What is left, and each fraction of the samples in groups, at least one group each."""
    total = sum(len(group) for group in groups)
    rest = list(groups)
    shares: list[list[int]] = []
    for number, fraction in enumerate(fractions):
        share: list[int] = []
        left = len(fractions) - number  # groups that the others need
        while len(rest) > left and (not share or len(share) + len(rest[-1]) <= round(fraction * total)):
            share.extend(rest.pop())
        shares.append(share)
    return [[position for group in rest for position in group], *shares]
