"""Time and memory of `dlkit export vgg16 --quantize --data FOLDER`, beside a plain script for the TensorFlow converter.

    python tests/benchmarks/export_vgg16.py [RUNS]

VGG16 at full size (random weights) and 125 images are made first. Then both run in turn, each in a
fresh interpreter, every other time in the opposite order: the script loads the model and has
TFLiteConverter quantize it with 100 of the images; dlkit calibrates with 100 images too, proves the
file on the other 25 and writes the bundle. The tables show seconds by the clock and of the processors
(which other work on the machine changes less), the largest memory (resident set) of one process and
of all processes at once, the ratios pair by pair, and for dlkit how long each step took and what each
of its processes held at most.
"""

from __future__ import annotations

import dataclasses
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
IMAGES = 125
"""A fifth of them proves the file, the others calibrate it."""
PLAIN = """
from pathlib import Path
import keras, numpy as np, tensorflow as tf

def representative_dataset():
    for path in sorted(Path("images").iterdir())[:100]:
        image = keras.utils.img_to_array(keras.utils.load_img(path, target_size=(224, 224)))
        yield [keras.applications.vgg16.preprocess_input(image[np.newaxis])]

converter = tf.lite.TFLiteConverter.from_keras_model(keras.models.load_model("exported/vgg16/model.keras"))
converter.optimizations = [tf.lite.Optimize.DEFAULT]
converter.representative_dataset = representative_dataset
converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
converter.inference_input_type = converter.inference_output_type = tf.int8
Path("model.tflite").write_bytes(converter.convert())
"""
COMMANDS = {
    "dlkit export": ["-m", "dlkit", "export", "vgg16", "--quantize", "--data", "images", "--force"],
    "plain TensorFlow": ["-c", PLAIN],
}
SAMPLED_EVERY_S = 0.05


@dataclasses.dataclass
class Measured:
    """One command.

    Attributes:
        seconds: by the clock.
        cpu_s: user and system time of all its processes.
        together_mb: the most that its processes held at once.
        processes: name → the most that this one held, in MB.
        steps: what it said it was doing → seconds.
    """

    seconds: float
    cpu_s: float
    together_mb: float
    processes: dict[str, float]
    steps: dict[str, float]

    @property
    def largest_mb(self) -> float:
        """The most that one of its processes held."""
        return max(self.processes.values())


def measured(arguments: list[str], folder: Path) -> Measured:
    """Run `python ARGUMENTS` in `folder`, and watch it and its children."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "tensorflow"}
    said, together, processes = folder / "said.txt", 0.0, dict[str, float]()
    begun: list[tuple[str, float]] = []
    start, cpu_before = time.perf_counter(), _cpu_s()
    with said.open("wb") as log:
        command = [sys.executable, *arguments]
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=log)
        while process.poll() is None:
            held = {pid: memory for pid in _tree(process.pid) if (memory := _memory_mb(pid))}
            together = max(together, sum(now for now, _ in held.values()))
            for pid, (_, most) in held.items():
                name = f"{_task(pid)} ({pid})"
                processes[name] = max(processes.get(name, 0.0), most)
            told = [line for line in said.read_text(errors="replace").splitlines() if line.endswith("…")]
            begun += [(step, time.perf_counter()) for step in told[len(begun) :]]
            time.sleep(SAMPLED_EVERY_S)
    end = time.perf_counter()
    if process.returncode != 0:
        raise SystemExit(said.read_text(errors="replace"))
    ends = [moment for _, moment in begun[1:]] + [end]
    steps = {step: b - a for (step, a), b in zip(begun, ends, strict=False)}
    return Measured(end - start, _cpu_s() - cpu_before, together, processes, steps)


def _cpu_s() -> float:
    """User and system time of the children that have ended, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _tree(root: int) -> list[int]:
    """The process `root` and those it started, and those they started."""
    found, new = [root], [root]
    while new:
        parts = [Path(f"/proc/{pid}/task/{pid}/children") for pid in new]
        new = [int(word) for part in parts if part.exists() for word in _text(part).split()]
        found += new
    return found


def _memory_mb(pid: int) -> tuple[float, float] | None:
    """What a process holds and the most it has held; None once it has ended."""
    fields = dict(line.split(":", 1) for line in _text(Path(f"/proc/{pid}/status")).splitlines() if ":" in line)
    if "VmRSS" not in fields:
        return None
    now, most = (float(fields[name].split()[0]) * 1024 / 1e6 for name in ("VmRSS", "VmHWM"))
    return now, most


def _task(pid: int) -> str:
    """What a child of dlkit was asked to do."""
    words = _text(Path(f"/proc/{pid}/cmdline")).split("\0")
    requests = [json.loads(word)["task"] for word in words if word.startswith('{"task"')]
    return requests[0] if requests else "main"


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # the process has ended
        return ""


def prepare(folder: Path) -> None:
    """The model and the images, as files in `folder`."""
    from PIL import Image

    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "dlkit", "build", "vgg16"]
    subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True)
    images = folder / "images"
    images.mkdir()
    rng = np.random.default_rng(0)
    for i in range(IMAGES):
        small = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(small).resize((320, 240), Image.Resampling.BICUBIC).save(images / f"{i:03d}.jpg")


def main() -> None:
    """Print the tables."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    taken: dict[str, list[Measured]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        for run in range(runs):
            for command in list(COMMANDS)[:: 1 if run % 2 else -1]:
                taken[command].append(measured(COMMANDS[command], folder))
    print(f"{'':<24}{'clock s':>10}{'CPU s':>10}{'largest MB':>12}{'together MB':>13}")
    rows = {name: [(m.seconds, m.cpu_s, m.largest_mb, m.together_mb) for m in runs] for name, runs in taken.items()}
    for name, numbers in rows.items():
        seconds, cpu_s, largest, together = map(statistics.median, zip(*numbers, strict=True))
        print(f"{name:<24}{seconds:>10.1f}{cpu_s:>10.1f}{largest:>12.0f}{together:>13.0f}")
    pairs = zip(*rows.values(), strict=True)
    ratios = [[ours / plain for ours, plain in zip(*pair, strict=True)] for pair in pairs]
    seconds, cpu_s, largest, together = map(statistics.median, zip(*ratios, strict=True))
    print(f"{'ratio':<24}{seconds:>10.2f}{cpu_s:>10.2f}{largest:>12.2f}{together:>13.2f}")
    last = taken["dlkit export"][-1]
    print("\nsteps of dlkit export, s")
    for step, duration in last.steps.items():
        print(f"  {step:<48}{duration:>7.1f}")
    print("its processes, MB")
    for process, most in last.processes.items():
        print(f"  {process:<48}{most:>7.0f}")


if __name__ == "__main__":
    main()
