"""Five files of one model, beside one float conversion with calibration.

    python tests/benchmarks/export_variants.py [NETWORK]

The network at full size (resnet50 unless named, random weights) is converted once to float and its
ranges are measured on 100 random inputs; then the files of float32, float16, dynamic_int8, int8 and
int16x8 are made. Prints seconds by the clock of each part, and the ratio of all of it to the first two.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from dlkit.conversion.making import convert_model, make_file
from dlkit.networks import NETWORKS
from dlkit.pipeline import build_network
from dlkit.progress import SILENT
from dlkit.schemes import SCHEMES

VARIANTS = ("int8", "float32", "float16", "dynamic_int8", "int16x8")
"""int8 comes first: its time holds the calibration."""
CALIBRATION_SAMPLES = 100


def main(name: str) -> None:
    """Measure once."""
    shape = NETWORKS[name].input
    with tempfile.TemporaryDirectory() as folder:
        trained, _ = build_network(name, Path(folder))
        [key] = trained.inputs
        batch = {key: np.random.default_rng(0).random((CALIBRATION_SAMPLES, *shape), dtype=np.float32)}
        start = time.perf_counter()
        converted = convert_model(trained.model, {key: batch[key][:1]}, Path(folder), SILENT)
        seconds = {"float conversion": time.perf_counter() - start}
        for scheme in VARIANTS:
            start = time.perf_counter()
            made = make_file(converted, SCHEMES[scheme], batch, SILENT)
            seconds[scheme] = time.perf_counter() - start
            assert made.file.exists()
    one = seconds["float conversion"] + seconds["int8"]
    for part, value in seconds.items():
        print(f"{part:<18}{value:6.1f} s")
    print(f"all five           {sum(seconds.values()) / one:.2f} of the float conversion with calibration to int8")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "resnet50")
