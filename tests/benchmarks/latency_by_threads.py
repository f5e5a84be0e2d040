"""What a second thread gains: exported files of one network, on two threads and on one.

    python tests/benchmarks/latency_by_threads.py [NETWORK...] [--rounds N]

Networks with random weights, as float32 and int8 (5 random inputs calibrate). Both sessions are loaded in one process
and run in turn, so that what else the machine does meets both.
"""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import numpy as np
from latency_beside_stock import LONGEST_S, in_litert, mean_of, warm
from pairing import in_turn
from parts import Part
from results import Measurement, measurement_of

from dlkit.conversion.making import convert_model, make_file
from dlkit.networks import NETWORKS
from dlkit.pipeline import build_network
from dlkit.progress import SILENT
from dlkit.schemes import SCHEMES

VARIANTS = ("float32", "int8")


def measure(subject: str, rounds: int) -> list[Measurement]:
    """One network in both schemes."""
    found = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        trained, _ = build_network(subject, folder)
        [key] = trained.inputs
        inputs = {key: np.random.default_rng(0).random((5, *NETWORKS[subject].input), dtype=np.float32)}
        converted = convert_model(trained.model, {key: inputs[key][:1]}, folder, SILENT)
        for scheme in VARIANTS:
            file = make_file(converted, SCHEMES[scheme], inputs, SILENT).file
            runs = {f"{n} threads": warm(in_litert(file, inputs[key][0], n)) for n in (2, 1)}
            run = {way: functools.partial(mean_of, *each) for way, each in runs.items()}
            found.append(
                measurement_of("threads", f"{subject}, {scheme}", *in_turn(run, rounds, LONGEST_S), "ms", "2 threads")
            )
    return found


PART = Part("threads", Path(__file__), ("resnet8", "mobilenet_v2"), measure, rounds=100, quick=("resnet8",))

if __name__ == "__main__":
    PART.main(__doc__)
