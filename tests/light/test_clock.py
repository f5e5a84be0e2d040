"""What is timed is the file, not Python."""

from __future__ import annotations

import types
from collections.abc import Callable
from pathlib import Path

import pytest

from dlkit.pipeline import timing
from dlkit.progress import SILENT

PROGRAM = """
import importlib, sys, time
from pathlib import Path
real, now, hours = importlib.import_module, time.perf_counter, [0]

def slow(name, *rest):
    if name.startswith("ai_edge_litert") and name not in sys.modules:
        hours[0] += 1
    return real(name, *rest)

importlib.import_module, time.perf_counter = slow, lambda: now() + 3600 * hours[0]
from dlkit.runtime import clock
init_ms = clock._timed(Path(sys.argv[1]), 1, 1, 1.0, False)[0].init_ms
print(hours[0], init_ms)
"""


def test_loading_the_runtime_is_not_the_time_of_the_file(fresh: Callable, tiny_bundle: Path) -> None:
    """Imports that take an hour do not change `init_ms`."""
    said = fresh("-c", PROGRAM, tiny_bundle / "model.tflite")
    assert said.code == 0, said.err
    hours, init_ms = map(float, said.out.split())
    assert hours > 0
    assert 0 < init_ms < 3600 * 1000


@pytest.mark.parametrize("median_ms", [0.0, -3000.0])
def test_a_file_whose_time_is_not_told_is_left_out(median_ms: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that stands still or goes back; nothing is divided by it."""
    told = {"none": median_ms, "some": 2.0}
    times = lambda file, threads, runs: types.SimpleNamespace(median_ms=told[file.name])  # noqa: E731
    monkeypatch.setattr(timing, "time_file", times)
    found = timing.timed_in_turns({name: Path(name) for name in told}, SILENT)
    assert list(found) == ["some"]


def test_a_file_is_held_against_the_first_in_each_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """The median of the rounds' ratios, the time of the quietest round, and slower only if it was so in every round."""
    told = {"first": [4.0, 2.0, 8.0], "same": [4.0, 2.0, 8.0], "mostly": [6.0, 1.9, 16.0], "always": [4.4, 6.0, 12.0]}
    rounds = {name: iter(each) for name, each in told.items()}
    times = lambda file, threads, runs: types.SimpleNamespace(median_ms=next(rounds[file.name]))  # noqa: E731
    monkeypatch.setattr(timing, "time_file", times)
    found = timing.timed_in_turns({name: Path(name) for name in told}, SILENT, rounds=3)
    assert found == {
        "first": timing.Times(2.0, 1.0, False),
        "same": timing.Times(2.0, 1.0, False),
        "mostly": timing.Times(1.9, 1.5, False),
        "always": timing.Times(4.4, 1.5, True),
    }
