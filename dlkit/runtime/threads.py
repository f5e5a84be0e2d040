"""A function of many values, in threads: for work in which libraries release the interpreter's lock."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")

MOST_THREADS = 16


class Share:
    """Something of which threads take a part each while they work; who finds too little left waits."""

    def __init__(self, whole: int) -> None:
        self._whole = self._left = whole
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def taken(self, part: int) -> Iterator[None]:
        """While the block runs; more than the whole is the whole."""
        part = min(part, self._whole)
        with self._changed:
            self._changed.wait_for(lambda: self._left >= part)
            self._left -= part
        try:
            yield
        finally:
            with self._changed:
                self._left += part
                self._changed.notify_all()


def mapped_in_threads(function: Callable[[Any], T], values: Sequence[Any]) -> Iterator[T]:
    """The function of each value, in order."""
    if len(values) < 2:
        yield from map(function, values)
        return
    workers = min(MOST_THREADS, len(os.sched_getaffinity(0)), len(values))
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(function, values)
