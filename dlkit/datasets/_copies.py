"""Equal samples in two of the splits that someone gave: found, refused or left out of what is trained on."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from dlkit.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

ORDER = ("train", "validation", "test")
MOST_NAMED = 5
"""Copies that a message names."""

Identities = Mapping[str, Sequence[Hashable]]
"""Split → what tells one of its samples from another, one for each."""
Place = tuple[str, int]
"""A split, and a position in it."""


def copies_between(identities: Identities) -> list[tuple[Place, Place]]:
    """The first sample, and one that is equal to it in another split; once for each of the latter."""
    first: dict[Hashable, Place] = {}
    copies: list[tuple[Place, Place]] = []
    for part in _parts(identities):
        for position, identity in enumerate(identities[part]):
            known = first.setdefault(identity, (part, position))
            if known[0] != part:
                copies.append((known, (part, position)))
    return copies


def kept_apart(
    identities: Identities, copies: Literal["refuse", "skip"], where: str, called: Callable[[Place], str]
) -> dict[str, NDArray[np.int64]]:
    """Positions of the samples of each split that stay in it: all, unless some are in a later one too.

    What tests is never made smaller, so that it stays comparable.

    Args:
        copies: whether such are refused, or left out of the earlier split.
        where: the data are, for messages.
        called: what a sample is called there.

    Raises:
        DataError: there are such and they are to be refused, or a split consists of nothing else.
    """
    found = copies_between(identities)
    if found and copies == "refuse":
        shown = ", ".join(f"{called(one)} is {called(other)} too" for one, other in found[:MOST_NAMED])
        more = ", …" if len(found) > MOST_NAMED else ""
        count = "1 sample is" if len(found) == 1 else f"{len(found)} samples are"
        raise DataError(
            f"{where}: {count} in two splits: {shown}{more}; what is tested on must not be trained "
            "on: take them out of one of the two, or leave them out of training with data.options.copies = 'skip'"
        )
    kept: dict[str, NDArray[np.int64]] = {}
    later: set[Hashable] = set()
    for part in reversed(_parts(identities)):
        kept[part] = np.flatnonzero([identity not in later for identity in identities[part]])
        if not len(kept[part]):
            raise DataError(f"{where}: each sample of {part} is in a later split too; nothing of it is left")
        later.update(identities[part])
    return kept


def _parts(identities: Identities) -> list[str]:
    return [part for part in ORDER if part in identities]
