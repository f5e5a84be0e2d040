"""Time of `dlkit build vgg16`, beside a plain script that has Keras build and save the same network.

    python tests/benchmarks/build_vgg16.py [RUNS]

Both run in turn, each in a fresh interpreter and into a new folder; the table shows the median of
user and system seconds, that of seconds by the clock, and the median of the ratios pair by pair.
dlkit may take 1.2 times as long: it summarizes the network and hashes its weights and its file.
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
COMMANDS = {"dlkit build vgg16": ["-m", "dlkit", "build", "vgg16"], "plain Keras": ["-c", PLAIN]}


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
    taken = {name: [] for name in COMMANDS}
    for _ in range(runs):
        for name, arguments in COMMANDS.items():
            taken[name].append(seconds(arguments))
    print(f"{'':<20}{'CPU s':>8}{'clock s':>9}")
    for name, pairs in taken.items():
        cpu, wall = (statistics.median(column) for column in zip(*pairs, strict=True))
        print(f"{name:<20}{cpu:>8.2f}{wall:>9.2f}")
    ours, plain = taken.values()
    ratios = [[a / b for a, b in zip(one, other, strict=True)] for one, other in zip(ours, plain, strict=True)]
    cpu, wall = (statistics.median(column) for column in zip(*ratios, strict=True))
    print(f"{'ratio':<20}{cpu:>8.2f}{wall:>9.2f}")


if __name__ == "__main__":
    main()
