"""What threads share."""

from __future__ import annotations

import threading

from dlkit.runtime.threads import Share, mapped_in_threads


def test_no_more_is_taken_than_there_is() -> None:
    """Of ten, by sixteen threads that take one to five each; and one that wants more takes all."""
    share, taken, most, lock = Share(10), [0], [0], threading.Lock()

    def work(part: int) -> int:
        with share.taken(part):
            with lock:
                taken[0] += min(part, 10)
                most[0] = max(most[0], taken[0])
            with lock:
                taken[0] -= min(part, 10)
        return part

    parts = [1, 2, 3, 4, 5, 50] * 30
    assert list(mapped_in_threads(work, parts)) == parts
    assert 0 < most[0] <= 10
