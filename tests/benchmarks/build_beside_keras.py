"""`dlkit build NETWORK` beside a plain script that has Keras build and save the same network.

    python tests/benchmarks/build_beside_keras.py [NETWORK...] [--rounds N]

Networks that keras.applications has too, at full size with random weights, each time in a fresh interpreter and into
a new folder. The last row takes from both what `import keras` alone took in the same round.
"""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

from pairing import in_turn
from parts import Part
from processes import DLKIT, PYTHON, Used, used_by
from results import Measurement, measurement_of

PLAIN = """
import keras
keras.utils.set_random_seed(0)
keras.applications.{name}(weights=None).save("model.keras")
"""
IN_KERAS = {
    "vgg16": "VGG16",
    "resnet50": "ResNet50",
    "mobilenet_v2": "MobileNetV2",
    "densenet121": "DenseNet121",
    "xception": "Xception",
}
IMPORT = "import keras"


def measure(subject: str, rounds: int) -> list[Measurement]:
    """One network."""
    ours = f"dlkit build {subject}"
    commands = {
        "dlkit": [*DLKIT, "build", subject],
        "plain Keras": [*PYTHON, "-c", PLAIN.format(name=IN_KERAS[subject])],
        IMPORT: [*PYTHON, "-c", "import keras"],
    }
    taken, failed = in_turn({way: functools.partial(_used, command) for way, command in commands.items()}, rounds)
    bare = taken.pop(IMPORT)
    beyond = {way: [_less(*pair) for pair in zip(runs, bare, strict=True)] for way, runs in taken.items()}
    return [
        measurement_of("build", ours, taken, failed),
        measurement_of("build", f"{ours}, beyond the import", beyond, failed),
    ]


def _used(command: list[str]) -> Used:
    with tempfile.TemporaryDirectory() as folder:
        return used_by(command, Path(folder), memory=True)


def _less(whole: Used, part: Used) -> Used:
    return Used(whole.clock_s - part.clock_s, whole.cpu_s - part.cpu_s)


PART = Part("build", Path(__file__), ("mobilenet_v2", "resnet50", "vgg16"), measure, rounds=5, quick=("mobilenet_v2",))

if __name__ == "__main__":
    PART.main(__doc__)
