"""A function of many values, in threads: for work in which libraries release the interpreter's lock."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")

MOST_THREADS = 16


def mapped_in_threads(function: Callable[[Any], T], values: Sequence[Any]) -> Iterator[T]:
    """The function of each value, in order."""
    if len(values) < 2:
        yield from map(function, values)
        return
    workers = min(MOST_THREADS, len(os.sched_getaffinity(0)), len(values))
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(function, values)
