"""Time of `dlkit build vgg16`, beside a plain script that has Keras build and save the same network.

    python tests/benchmarks/build_vgg16.py [RUNS]

Both run in turn with one that only imports Keras, each in a fresh interpreter and into a new folder,
every other time in the opposite order. The table shows medians of user and system seconds and of
seconds by the clock; what dlkit takes more, run by run; and how that changes what is done beyond the
import, where dlkit may take 1.2 times as long.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLAIN = """
import keras
from keras.applications import VGG16
keras.utils.set_random_seed(0)
VGG16(weights=None).save("model.keras")
"""
COMMANDS = {
    "dlkit build vgg16": ["-m", "dlkit", "build", "vgg16"],
    "plain Keras": ["-c", PLAIN],
    "import keras": ["-c", "import keras"],
}


def seconds(arguments: list[str]) -> tuple[float, float]:
    """User and system time of `python ARGUMENTS`, and time by the clock."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "tensorflow"}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, *arguments]
        subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True)
        wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, wall


def main() -> None:
    """Print the table."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    for arguments in COMMANDS.values():
        seconds(arguments)  # files into the page cache
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    for run in range(runs):
        for name in list(COMMANDS)[:: 1 if run % 2 else -1]:
            taken[name].append(seconds(COMMANDS[name]))
    print(f"{'':<24}{'CPU s':>8}{'clock s':>9}")
    for name, times in taken.items():
        _print(name, [statistics.median(column) for column in zip(*times, strict=True)])
    ours, plain, bare = taken.values()
    own, more = _median_difference(plain, bare), _median_difference(ours, plain)
    _print("more than plain Keras", more)
    _print("ratio beyond the import", [1 + a / b for a, b in zip(more, own, strict=True)])


def _median_difference(a: list[tuple[float, float]], b: list[tuple[float, float]]) -> list[float]:
    """Of CPU and of clock, the median over the runs."""
    return [
        statistics.median(x - y for x, y in zip(*columns, strict=True))
        for columns in zip(zip(*a, strict=True), zip(*b, strict=True), strict=True)
    ]


def _print(name: str, numbers: list[float]) -> None:
    print(f"{name:<24}{numbers[0]:>8.2f}{numbers[1]:>9.2f}")


if __name__ == "__main__":
    main()
