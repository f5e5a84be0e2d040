"""Start-up of dlkit: help, lists and a prediction, beside importing click, other tools' help, a plain script.

    python tests/benchmarks/start_up.py [SUBJECT...] [--rounds N]

Each command runs in a fresh interpreter, in turn with the others. The plain script labels the same image with the same
file by LiteRT and Pillow alone. `help` is of dlkit itself, another subject a command whose --help is asked for.
"""

from __future__ import annotations

import functools
import sys
import tempfile
from pathlib import Path

from pairing import Failed, in_turn
from parts import Part
from processes import DLKIT, PYTHON, ROOT, Used, used_by
from results import Measurement, measurement_of

BUNDLE = ROOT / "exported" / "digits-tiny" / "cpu-int8"
PLAIN_PREDICTION = f"""
import numpy as np
from PIL import Image
from ai_edge_litert.interpreter import Interpreter

interpreter = Interpreter(model_path={str(BUNDLE / "model.tflite")!r}, num_threads=1)
interpreter.allocate_tensors()
[given], [told] = interpreter.get_input_details(), interpreter.get_output_details()
image = np.asarray(Image.open("digit.png").convert("L").resize((8, 8)), np.float32)[None, :, :, None] / 255
scale, zero = given["quantization"]
interpreter.set_tensor(given["index"], np.clip(np.round(image / scale + zero), -128, 127).astype(np.int8))
interpreter.invoke()
print(interpreter.get_tensor(told["index"]).argmax())
"""
IMPORTS = {f"import {name}": [*PYTHON, "-c", f"import {name}"] for name in ("click", "tensorflow")}
SUBJECTS = ("help", "list", "predict")


def ways(subject: str) -> tuple[str, dict[str, list[str]]]:
    """What dlkit does, and name → command; dlkit's first."""
    if subject == "list":
        return "dlkit list networks", {"dlkit": [*DLKIT, "list", "networks"], "import click": IMPORTS["import click"]}
    if subject == "predict":
        ours = [*DLKIT, "predict", str(BUNDLE), "digit.png"]
        plain = {"a plain LiteRT script": [*PYTHON, "-c", PLAIN_PREDICTION]}
        return "dlkit predict", {"dlkit": ours, **plain, "import tensorflow": IMPORTS["import tensorflow"]}
    command = [] if subject == "help" else [subject]
    tools = {f"{name} --help": [str(Path(sys.executable).parent / name), "--help"] for name in
             ("litert-quantizer", "tflite_convert")} if subject == "help" else {}  # fmt: skip
    told = " ".join(["dlkit", *command, "--help"])
    return told, {"dlkit": [*DLKIT, *command, "--help"], "import click": IMPORTS["import click"], **tools}


def measure(subject: str, rounds: int) -> list[Measurement]:
    """One subject."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if subject == "predict":
            from PIL import Image

            Image.new("L", (8, 8), 128).save(folder / "digit.png")
        what, commands = ways(subject)
        run = {way: functools.partial(_used, command, folder) for way, command in commands.items()}
        in_turn(run, 1)  # files into the page cache
        taken, failed = in_turn(run, rounds)
    return [measurement_of("start-up", what, taken, failed, "ms")]


def _used(command: list[str], folder: Path) -> Used:
    if not Path(command[0]).exists():
        raise Failed("is not installed")
    return used_by(command, folder, 120)


PART = Part("start-up", Path(__file__), SUBJECTS, measure, rounds=9, quick=("list",))

if __name__ == "__main__":
    PART.main(__doc__)
