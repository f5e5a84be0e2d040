"""What a second thread gains: exported files of one network, on one thread and on two.

    python tests/benchmarks/latency_by_threads.py [NETWORK...]

Networks with random weights, as float32 and int8 (5 random inputs calibrate). Both sessions are loaded in one process
and run in turn, A B B A, so that what else the machine does meets both; the table shows milliseconds (the least) and
the median of the paired ratios.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from dlkit.conversion.making import convert_model, make_file
from dlkit.networks import NETWORKS
from dlkit.pipeline import build_network
from dlkit.progress import SILENT
from dlkit.runtime.litert import Session
from dlkit.schemes import SCHEMES

NAMES = ("resnet8", "mobilenet_v2")
VARIANTS = ("float32", "int8")
LONGEST_S, MOST_PAIRS = 8.0, 1000


def paired(file: Path) -> tuple[float, float, float]:
    """(least milliseconds on one thread, on two, median of one over two)."""
    sessions = [Session(file, threads) for threads in (1, 2)]
    for session in sessions:
        session.set_inputs({name: np.zeros(end.shape[1:], np.float32) for name, end in session.inputs.items()})
        for _ in range(5):
            session.invoke()
    times: list[list[float]] = [[], []]
    deadline = time.perf_counter() + LONGEST_S
    while len(times[0]) < MOST_PAIRS and time.perf_counter() < deadline:
        for which in (0, 1) if len(times[0]) % 2 == 0 else (1, 0):
            start = time.perf_counter()
            sessions[which].invoke()
            times[which].append(time.perf_counter() - start)
    ratios = [one / two for one, two in zip(*times, strict=True)]
    return 1e3 * min(times[0]), 1e3 * min(times[1]), statistics.median(ratios)


def main(names: list[str]) -> None:
    """Print a line for each network and scheme."""
    print("| network | scheme | 1 thread ms | 2 threads ms | paired ratio |\n| --- | --- | --- | --- | --- |")
    for name in names or NAMES:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            trained, _ = build_network(name, folder)
            [key] = trained.inputs
            inputs = {key: np.random.default_rng(0).random((5, *NETWORKS[name].input), dtype=np.float32)}
            converted = convert_model(trained.model, {key: inputs[key][:1]}, folder, SILENT)
            for scheme in VARIANTS:
                one, two, ratio = paired(make_file(converted, SCHEMES[scheme], inputs, SILENT).file)
                print(f"| {name} | {scheme} | {one:.3f} | {two:.3f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
