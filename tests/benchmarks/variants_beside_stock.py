"""One `dlkit export` of five schemes, beside five conversions by plain scripts for the TensorFlow converter.

    python tests/benchmarks/variants_beside_stock.py [NETWORK...] [--rounds N]

Model and samples as in export_beside_stock.py. dlkit converts and calibrates once, proves every file and writes five
bundles; a plain script runs once for each of float32, float16, dynamic_int8, int8 and int16x8, and proves nothing.
"""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

from export_beside_stock import plain_script, prepare
from pairing import in_turn
from parts import Part
from processes import DLKIT, PYTHON, Used, used_by
from results import Measurement, measurement_of

SCHEMES = ("float32", "float16", "dynamic_int8", "int8", "int16x8")


def measure(subject: str, rounds: int) -> list[Measurement]:
    """One network."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        data = prepare(subject, folder)
        schemes = [word for scheme in SCHEMES for word in ("--scheme", scheme)]
        command = [*DLKIT, "export", subject, *schemes, "--data", data, "--force"]
        ours = f"dlkit export {subject}, five schemes"
        run = {
            "dlkit": functools.partial(used_by, command, folder, memory=True, codes=(0, 3)),
            "TensorFlow converter, five times": functools.partial(_all, plain_script(subject), folder),
        }
        return [measurement_of("variants", ours, *in_turn(run, rounds))]


def _all(script: str, folder: Path) -> Used:
    each = [used_by([*PYTHON, "-c", script, scheme], folder, memory=True) for scheme in SCHEMES]
    return Used(sum(u.clock_s for u in each), sum(u.cpu_s for u in each), max(u.memory_mb for u in each))


NAMES = ("convolutional_autoencoder", "mobilenet_v2", "resnet50")
PART = Part("variants", Path(__file__), NAMES, measure, rounds=2, quick=NAMES[:1])

if __name__ == "__main__":
    PART.main(__doc__)
