"""What the benchmarks measure with, and the page that is made of what they found."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def benchmarks() -> Iterator[Any]:
    """The modules that the scripts share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "tests" / "benchmarks")
        patch.syspath_prepend(ROOT / "tests" / "golden")
        import make_speed_page
        import pairing
        import processes
        import results
        import speed_tables

        modules = (make_speed_page, pairing, processes, results, speed_tables)
        yield SimpleNamespace(**{module.__name__: module for module in modules})


def taking(seconds: list[float]) -> Callable[[], float]:
    """What takes the next of these each time."""
    left = iter(seconds)
    return lambda: next(left)


def test_the_page_of_speed_is_what_was_measured(benchmarks) -> None:
    """dlkit/help/benchmarks.md is made of tests/benchmarks/results.json: python tests/golden/make_speed_page.py."""
    page = benchmarks.make_speed_page
    assert page.PAGE.read_text(encoding="utf-8") == page.page(benchmarks.results.read_results(page.RESULTS))


def test_the_results_hold_each_part_and_stay_small(benchmarks) -> None:
    """Measured beside the stock tools, less than 300 kB."""
    path = benchmarks.make_speed_page.RESULTS
    assert path.stat().st_size < 300_000
    parts = {each.part for each in benchmarks.results.read_results(path).measurements}
    assert parts >= {"start-up", "build", "train", "export", "variants", "latency"}


def test_one_command_measures_and_writes_json(fresh, benchmarks, tmp_path) -> None:
    """`--quick --only start-up`: a file of results with raw values of both ways, and a table of them."""
    file = tmp_path / "results.json"
    said = fresh("tests/benchmarks", "--quick", "--only", "start-up", "--json", file)
    assert said.code == 0, said.err
    assert set(json.loads(file.read_text())) == {"date", "machine", "versions", "measurements"}
    [found] = benchmarks.results.read_results(file).measurements
    assert found.what == "dlkit list networks"
    assert not found.failed
    for quantity in ("clock", "cpu"):
        assert all(len(values) == 1 and values[0] > 0 for values in found.taken[quantity].values())
    assert "| dlkit list networks | import click |" in said.out


def test_results_are_read_as_they_were_written(benchmarks, tmp_path) -> None:
    """Failures too; a measurement of the same thing is replaced."""
    results = benchmarks.results
    old = results.Measurement("export", "a", "s", {"clock": {"dlkit": [2.0]}, "cpu": {"dlkit": [1.5]}}, {"stock": "no"})
    new = results.Measurement("export", "a", "s", {"clock": {"dlkit": [1.0]}, "cpu": {"dlkit": [0.5]}})
    made = results.new_results().with_these([old]).with_these([new])
    results.write_results(tmp_path / "results.json", made)
    assert results.read_results(tmp_path / "results.json") == made
    assert made.measurements == (new,)


def test_each_round_goes_the_other_way(benchmarks) -> None:
    """A B, B A, A B."""
    order: list[str] = []
    taken, failed = benchmarks.pairing.in_turn({name: lambda name=name: order.append(name) for name in "ab"}, 3)
    assert "".join(order) == "abbaab"
    assert {name: len(values) for name, values in taken.items()} == {"a": 3, "b": 3}
    assert not failed


def test_what_fails_is_told_and_not_tried_again(benchmarks) -> None:
    """The others go on."""

    def fail() -> float:
        raise benchmarks.pairing.Failed("crashes")

    taken, failed = benchmarks.pairing.in_turn({"a": taking([1.0, 2.0]), "b": fail}, 2)
    assert taken == {"a": [1.0, 2.0]}
    assert failed == {"b": "crashes"}


@pytest.mark.parametrize(
    ("program", "limit_s", "told"),
    [
        ("import sys; sys.exit('no such network')", 60, "ends with 1: no such network"),
        ("import os; os.abort()", 60, "crashes (SIGABRT)"),
        ("import time; time.sleep(60)", 0.3, "not done after 0 s"),
    ],
)
def test_how_a_command_ends_is_told(benchmarks, tmp_path, program: str, limit_s: float, told: str) -> None:
    """An error, a crash, and one that hangs, which is ended."""
    processes = benchmarks.processes
    with pytest.raises(benchmarks.pairing.Failed) as failure:
        processes.used_by([sys.executable, "-c", program], tmp_path, limit_s)
    assert str(failure.value) == told


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="memory of processes is told by Linux")
def test_memory_is_that_of_all_processes(benchmarks, tmp_path) -> None:
    """A child's counts, too: 60 MB in it and 40 MB in its parent, held at once."""
    child = "import time; held = bytes([1]) * 60_000_000; time.sleep(1)"
    program = f"""
import subprocess, sys
held = bytes([1]) * 40_000_000
subprocess.run([sys.executable, "-c", {child!r}])
"""
    used = benchmarks.processes.used_by([sys.executable, "-c", program], tmp_path, memory=True)
    assert 100 < used.memory_mb < 140
    assert used.cpu_s > 0
    assert used.clock_s > 1


def test_a_ratio_is_of_pairs(benchmarks) -> None:
    """Each value is divided by the same round's: noise that meets both is no difference."""
    ratio = benchmarks.pairing.ratio_of([1.1, 11.0, 2.2, 5.5, 3.3], [1.0, 10.0, 2.0, 5.0, 3.0])
    assert ratio.median == pytest.approx(1.1)
    assert ratio.low == pytest.approx(ratio.high)
    assert ratio.is_more


@pytest.mark.parametrize(("pairs", "skipped"), [(1, 0), (5, 0), (6, 0), (9, 1), (20, 5), (25, 7), (100, 39)])
def test_the_interval_of_a_median_is_that_of_the_sign_test(benchmarks, pairs: int, skipped: int) -> None:
    """As in tables of it (two-sided, 5 %)."""
    assert benchmarks.pairing.skipped_at_each_end(pairs) == skipped


def test_losses_are_what_is_beyond_the_noise(benchmarks) -> None:
    """Twice as much is one, noise around 1 and a single pair are none, nor a way of which there is nothing."""
    results, both = benchmarks.results, {"other": [1.0, 1.0, 1.0]}
    found = results.new_results().with_these(
        [
            results.Measurement("p", "slow", "s", {"cpu": both | {"dlkit": [2.0, 2.1, 1.9]}}),
            results.Measurement("p", "noisy", "s", {"cpu": both | {"dlkit": [2.0, 2.0, 0.9]}}),
            results.Measurement("p", "once", "s", {"cpu": {"other": [1.0], "dlkit": [2.0]}}),
            results.Measurement("p", "refused", "s", {"cpu": both}, {"dlkit": "refuses"}),
        ]
    )
    assert benchmarks.speed_tables.losses(found) == ["p: slow, processors, beside other: 2.00 (1.90–2.10)"]
