"""How work says how far it is; who shows it, if anyone, is decided above."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Protocol

Advance = Callable[[int, int], None]
"""Called with (done, total) as work goes on."""


def ignore(done: int, total: int) -> None:
    """An advance that no one watches."""


class Progress(Protocol):
    """Shows the steps of a run."""

    def step(self, label: str) -> contextlib.AbstractContextManager[Advance]:
        """A step begins; it ends with the block. Its extent is unknown until the first advance."""


class Silent:
    """Shows nothing."""

    @contextlib.contextmanager
    def step(self, label: str) -> Iterator[Advance]:
        yield ignore


SILENT: Progress = Silent()


def further(advance: Advance, before: int, total: int) -> Advance:
    """An advance of a part of the work, as one of all of it."""
    return lambda done, _: advance(before + done, total)
