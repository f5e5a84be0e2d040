"""How fast exported files run: beside the TensorFlow converter's files, ONNX Runtime and OpenVINO.

    python tests/benchmarks/latency_beside_stock.py [NETWORK...] [--rounds N]

Full-size networks with random weights, one inference on one thread. All of a scheme are loaded in one process and
run in turn, A B C C B A. The TensorFlow converter makes a file of each scheme, which the same LiteRT runs; ONNX Runtime
and OpenVINO run the float32 model, and the one that ONNX Runtime's static quantization makes int8. 5 random inputs
calibrate.
"""

from __future__ import annotations

import functools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import other_runtimes
from pairing import Failed, in_turn
from parts import Part
from processes import Used
from results import Measurement, measurement_of

from dlkit.conversion.layer_names import layer_classes
from dlkit.conversion.making import Float, convert_model, make_file
from dlkit.errors import DlkitError
from dlkit.networks import NETWORKS
from dlkit.pipeline import build_network
from dlkit.progress import SILENT
from dlkit.runtime.local import LocalSession
from dlkit.schemes import SCHEMES

VARIANTS = ("float32", "float16", "dynamic_int8", "int8", "int16x8")
NAMES = (
    "lstm", "gru", "simple_rnn", "convolutional_autoencoder", "dcgan_generator", "mobilenet_v2", "inception_v1",
    "resnet50", "densenet121", "alexnet", "resnext50_32x4d", "inception_v3", "xception", "vgg16", "inception_v4",
    "inception_resnet_v2",
)  # fmt: skip
UNROLLED = "dlkit --unroll"
STOCK, ONNX_RUNTIME, OPENVINO = "TensorFlow converter", "ONNX Runtime", "OpenVINO"
SHORTEST_S = 0.004
"""A value is the mean of as many inferences as take so long."""
LONGEST_S = 10.0
"""For a network and a scheme."""
SLOW_S = 1.0
"""What takes so long needs no warming up."""


def measure(subject: str, rounds: int) -> list[Measurement]:
    """One network in all schemes."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        trained, _ = build_network(subject, folder)
        [key] = trained.inputs
        inputs = np.random.default_rng(0).random((5, *NETWORKS[subject].input), dtype=np.float32)
        other_runtimes.write_inputs(folder, key, inputs)
        converted = convert_model(trained.model, {key: inputs[:1]}, folder, SILENT)
        onnx = _kept(functools.partial(other_runtimes.make_onnx, trained.model, folder))
        integers = _kept(lambda: (onnx(), other_runtimes.make_onnx_int8(folder))[1])
        other_runtimes.make_all_stock(trained.model, folder, VARIANTS)
        ways = {"dlkit": converted}
        if "LSTM" in layer_classes(trained.model):
            (folder / "unrolled").mkdir()
            step_by_step = convert_model(
                trained.model, {key: inputs[:1]}, folder / "unrolled", SILENT, avoid=["fused_lstm"]
            )
            ways[UNROLLED] = step_by_step
        found = []
        for scheme in VARIANTS:
            makers: dict[str, Callable[[], Callable[[], object]]] = {
                **{way: functools.partial(_ours, each, scheme, key, inputs) for way, each in ways.items()},
                STOCK: lambda scheme=scheme: in_litert(other_runtimes.stock_file(folder, scheme), inputs[0]),
            }
            if scheme in ("float32", "int8"):
                file = onnx if scheme == "float32" else integers
                makers[ONNX_RUNTIME] = lambda file=file: other_runtimes.in_onnxruntime(file(), inputs[0])
                makers[OPENVINO] = lambda file=file: other_runtimes.in_openvino(file(), inputs[0])
            found.append(_timed(f"{subject}, {scheme}", makers, rounds))
        return found


def _timed(what: str, makers: dict[str, Callable[[], Callable[[], object]]], rounds: int) -> Measurement:
    """Make all, then run what could be made in turn."""
    runs, failed = {}, {}
    for way, make in makers.items():
        try:
            runs[way] = warm(make())
        except Failed as error:
            failed[way] = str(error)
    taken, stopped = in_turn({way: functools.partial(mean_of, *run) for way, run in runs.items()}, rounds, LONGEST_S)
    return measurement_of("latency", what, taken, failed | stopped, "ms")


def warm(run: Callable[[], object]) -> tuple[Callable[[], object], int]:
    """The same with how many inferences make one value."""
    for _ in range(4):
        start = time.perf_counter()
        run()
        took = time.perf_counter() - start
        if took > SLOW_S:
            return run, 1
    return run, max(1, round(SHORTEST_S / took))


def mean_of(run: Callable[[], object], times: int) -> Used:
    """Of some inferences, by both clocks."""
    clock, cpu = time.perf_counter(), time.process_time()
    for _ in range(times):
        run()
    return Used((time.perf_counter() - clock) / times, (time.process_time() - cpu) / times)


def _ours(converted: Float, scheme: str, key: str, inputs: np.ndarray) -> Callable[[], object]:
    try:
        made = make_file(converted, SCHEMES[scheme], {key: inputs}, SILENT)
    except DlkitError as error:
        raise Failed(f"refuses: {error}") from None
    return in_litert(made.file, inputs[0])


def in_litert(file: Path, sample: np.ndarray, threads: int = 1) -> Callable[[], object]:
    """What runs one inference. Raises Failed where the runtime refuses the file."""
    try:
        session = LocalSession(file, threads)  # one in another process takes none of this one's time
    except DlkitError as error:
        raise Failed(
            f"makes a file that does not load: {str(error).rpartition(': ')[2].partition('.Node')[0]}"
        ) from None
    session.set_inputs({name: sample.reshape(end.shape[1:]) for name, end in session.inputs.items()})
    return session.invoke


def _kept(make: Callable[[], Path]) -> Callable[[], Path]:
    """Made when it is first asked for; failed once is failed always."""
    kept: list[Path | Failed] = []

    def file() -> Path:
        if not kept:
            try:
                kept.append(make())
            except Failed as error:
                kept.append(error)
        if isinstance(kept[0], Failed):
            raise kept[0]
        return kept[0]

    return file


PART = Part("latency", Path(__file__), NAMES, measure, rounds=25, quick=("convolutional_autoencoder",), limit_s=3600)

if __name__ == "__main__":
    PART.main(__doc__)
