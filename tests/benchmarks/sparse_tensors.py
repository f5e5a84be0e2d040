"""Whether a runtime is faster with weights stored as sparse tensors, the form that the schema has for pruned ones.

    python tests/benchmarks/sparse_tensors.py [ROUNDS]

A network like MobileNet, half, four fifths and nine tenths of whose weights are 0, converted with and without
`tf.lite.Optimize.EXPERIMENTAL_SPARSITY`, in float32 and in int8, each in a process of its own. Inferences are measured
by turns, forth and back (40 rounds of 30 unless said otherwise, one thread), by the clock of the processor; printed are
sizes, sizes by gzip, the least time and the median of the paired ratios, or why the runtime does not load the file.

No file is faster, so there is no scheme for it. With ai-edge-litert 2.3.0 on x86-64 (AVX-512, 2 cores, others at work)
the ratio is 0.99 to 1.01 for every fraction of zeros, in float32 (about 560 us) and in int8 (about 230 us). An int8
file whose dense layer is sparse too does not load. In gzip the dense form is the smaller one in int8: 184,403 bytes,
and 209,414 of the sparse one, at nine tenths of zeros (in float32 462,455 and 439,638).
"""

from __future__ import annotations

import gzip
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

SIDE = 96
BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (512, 1))
"""Channels and stride of each depthwise separable convolution: MobileNet v1, thinner towards its end."""
INFERENCES = 30
MADE = ("float32", "float32 sparse", "int8", "int8 sparse", "int8 sparse, dense too")


def network(zeros: float, dense_too: bool) -> Any:
    """What XNNPACK is said to have sparse kernels for (Elsen et al. 2019, arXiv:1911.09723): a 3×3 convolution of a
    picture in strides of 2, then depthwise ones and ones of 1×1 by turns, padding of 1 on each side apart, a mean.

    Args:
        zeros: fraction of the numbers of each 1×1 kernel that are 0.
        dense_too: whether those of the dense layer are too.
    """
    import keras

    L = keras.layers
    keras.utils.set_random_seed(0)
    x = keras.Input((SIDE, SIDE, 3), batch_size=1)
    y = L.Conv2D(32, 3, strides=2, activation="relu")(L.ZeroPadding2D(1)(x))
    for number, (channels, stride) in enumerate(BLOCKS):
        y = L.DepthwiseConv2D(3, strides=stride, activation="relu")(L.ZeroPadding2D(1)(y))
        y = L.Conv2D(channels, 1, activation="relu", name=f"pointwise{number}")(y)
    model = keras.Model(x, L.Dense(10, name="scores")(L.GlobalAveragePooling2D()(y)))
    for layer in model.layers:
        if layer.name.startswith("pointwise") or (dense_too and layer.name == "scores"):
            kernel = np.array(layer.kernel)
            kernel[np.abs(kernel) < np.quantile(np.abs(kernel), zeros)] = 0
            layer.kernel.assign(kernel)
    return model


def convert(zeros: float, made: str, path: Path) -> None:
    """Write the file; in a process of its own."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(network(zeros, "dense too" in made))
    converter.optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY] if "sparse" in made else []
    if "int8" in made:
        samples = np.random.default_rng(0).random((50, 1, SIDE, SIDE, 3), np.float32)
        converter.optimizations = [tf.lite.Optimize.DEFAULT, *converter.optimizations]
        converter.representative_dataset = lambda: ([sample] for sample in samples)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    path.write_bytes(converter.convert())


def loaded(path: Path) -> Any:
    """An interpreter with a random input, one thread; ValueError or RuntimeError if there can be none."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    [entry] = interpreter.get_input_details()
    picture = np.random.default_rng(1).random(entry["shape"])
    interpreter.set_tensor(
        entry["index"], (picture if entry["dtype"] == np.float32 else 100 * picture).astype(entry["dtype"])
    )
    return interpreter


def microseconds(interpreter: Any) -> float:
    """Of an inference, the mean of some; the processor's, which others that compute do not lengthen as much."""
    start = time.process_time()
    for _ in range(INFERENCES):
        interpreter.invoke()
    return (time.process_time() - start) / INFERENCES * 1e6


def main(rounds: int) -> None:
    """Convert, then measure by turns."""
    print(f"{'zeros':<8}{'file':<24}{'bytes':>10}{'gzip':>10}{'least us':>10}  of the dense one")
    for zeros in (0.5, 0.8, 0.9):
        with tempfile.TemporaryDirectory() as folder:
            paths = {made: Path(folder) / f"{made}.tflite" for made in MADE}
            for made, path in paths.items():
                command = [sys.executable, __file__, "convert", str(zeros), made, str(path)]
                subprocess.run(command, check=True, capture_output=True)
            running, refused = {}, {}
            for made, path in paths.items():
                try:
                    running[made] = loaded(path)
                    microseconds(running[made])
                except (ValueError, RuntimeError) as error:
                    refused[made] = str(error).strip().splitlines()[-1]
            taken = []
            for number in range(rounds):
                order = list(running) if number % 2 else list(reversed(running))
                taken.append({made: microseconds(running[made]) for made in order})
            for made, path in paths.items():
                sizes = f"{path.stat().st_size:>10,}{len(gzip.compress(path.read_bytes(), 9, mtime=0)):>10,}"
                line = f"{zeros:<8}{made:<24}{sizes}"
                if made in refused:
                    print(f"{line}  does not load: {refused[made]}")
                    continue
                dense = made.split()[0]
                ratio = statistics.median(each[made] / each[dense] for each in taken)
                print(f"{line}{min(each[made] for each in taken):>10.0f}  {ratio:.2f}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["convert"]:
        convert(float(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 40)
