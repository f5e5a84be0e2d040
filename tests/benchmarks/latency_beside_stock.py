"""How fast exported files run, beside those that the plain TensorFlow converter makes of the same models.

    python tests/benchmarks/latency_beside_stock.py [NETWORK...]

Full-size networks with random weights, as float32, dynamic_int8 and int8 (5 random inputs calibrate).
Both files are loaded in one process on one thread and run in turn, A B B A, so that what else the
machine does meets both; the table shows milliseconds (the least) and the median of the paired ratios.
"""

from __future__ import annotations

import statistics
import subprocess
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

NAMES = ("vgg16", "resnet50", "inception_v3", "densenet121", "mobilenet_v2", "lstm")
VARIANTS = ("float32", "dynamic_int8", "int8")
STOCK = """
import sys
import keras, numpy as np, tensorflow as tf

model, inputs, scheme, out = sys.argv[1:]
converter = tf.lite.TFLiteConverter.from_keras_model(keras.models.load_model(model))
if scheme != "float32":
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
if scheme == "int8":
    converter.representative_dataset = lambda: ([row[np.newaxis]] for row in np.load(inputs))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
open(out, "wb").write(converter.convert())
"""
LONGEST_S, MOST_PAIRS = 12.0, 200


def paired(ours: Path, stock: Path) -> tuple[float, float, float]:
    """(our least milliseconds, theirs, median of ours over theirs)."""
    sessions = [Session(path, 1) for path in (ours, stock)]
    for session in sessions:
        session.set_inputs({name: np.zeros(end.shape[1:], np.float32) for name, end in session.inputs.items()})
        for _ in range(3):
            session.invoke()
    times: list[list[float]] = [[], []]
    deadline = time.perf_counter() + LONGEST_S
    while len(times[0]) < MOST_PAIRS and time.perf_counter() < deadline:
        for which in (0, 1) if len(times[0]) % 2 == 0 else (1, 0):
            start = time.perf_counter()
            sessions[which].invoke()
            times[which].append(time.perf_counter() - start)
    ratios = [a / b for a, b in zip(*times, strict=True)]
    return 1e3 * min(times[0]), 1e3 * min(times[1]), statistics.median(ratios)


def main(names: list[str]) -> None:
    """Print a line for each network and scheme."""
    print("| network | scheme | dlkit ms | stock ms | paired ratio |\n| --- | --- | --- | --- | --- |")
    for name in names or NAMES:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            trained, _ = build_network(name, folder)
            [key] = trained.inputs
            inputs = np.random.default_rng(0).random((5, *NETWORKS[name].input), dtype=np.float32)
            np.save(folder / "inputs.npy", inputs)
            converted = convert_model(trained.model, {key: inputs[:1]}, folder, SILENT)
            for scheme in VARIANTS:
                ours, stock = make_file(converted, SCHEMES[scheme], {key: inputs}, SILENT).file, folder / "stock.tflite"
                arguments = [str(trained.model), str(folder / "inputs.npy"), scheme, str(stock)]
                done = subprocess.run([sys.executable, "-c", STOCK, *arguments], capture_output=True, check=False)
                if done.returncode:
                    print(f"| {name} | {scheme} | – | stock converter ends with {done.returncode} | – |", flush=True)
                    continue
                least, theirs, ratio = paired(ours, stock)
                print(f"| {name} | {scheme} | {least:.3f} | {theirs:.3f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
