"""How long a model takes here, measured in a process of its own.

Own process, so that loading and memory are the file's alone and a crash of native code is an
error. Times are of `invoke`: the input is set once, from seeded random numbers.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from pathlib import Path

import numpy as np

from dlkit import children
from dlkit.errors import DlkitError
from dlkit.extras import require
from dlkit.runtime.apart import measured_apart, told_error
from dlkit.runtime.litert import Session
from dlkit.runtime.named_ends import NamedEnds
from dlkit.runtime.served import OnnxSession, open_model

WARM_UP_RUNS = 5
LONGEST_S = 20.0


@dataclasses.dataclass(frozen=True)
class Timing:
    """Milliseconds are wall time of one inference.

    Attributes:
        init_ms: from opening the file to tensors allocated.
        first_ms: the first inference, which prepares caches.
        min_ms, median_ms, p95_ms: over `runs` inferences after a warm-up.
        peak_bytes: largest resident memory of the process, its Python and numpy included.
        backend: what computed it on the processor, see `backend_of`.
    """

    threads: int
    runs: int
    init_ms: float
    first_ms: float
    min_ms: float
    median_ms: float
    p95_ms: float
    peak_bytes: int
    backend: str


def time_file(model: Path, threads: int, runs: int) -> Timing:
    """Time the file, or folder, `model`. Raises ModelFileError if it cannot be loaded or run."""
    return Timing(**measured_apart("dlkit.runtime.clock", model, "cannot be timed", str(threads), str(runs)))


def runtime_of(model: Path) -> str:
    """The module that runs what `model` is."""
    if model.is_dir():
        return "tensorflow"
    return "onnxruntime" if model.suffix == ".onnx" else "ai_edge_litert.interpreter"


def _timed(model: Path, threads: int, runs: int) -> Timing:
    require(runtime_of(model))  # its import is not the file's time
    start = time.perf_counter()
    session = open_model(model, threads)
    init = time.perf_counter() - start
    rng = np.random.default_rng(0)
    session.set_inputs({name: rng.random(end.shape[1:], dtype=np.float32) for name, end in session.inputs.items()})
    start = time.perf_counter()
    session.invoke()
    first = time.perf_counter() - start
    for _ in range(WARM_UP_RUNS):
        session.invoke()
    times: list[float] = []
    deadline = time.perf_counter() + LONGEST_S
    while len(times) < runs and (not times or time.perf_counter() < deadline):
        begin = time.perf_counter()
        session.invoke()
        times.append(time.perf_counter() - begin)
    low, median, p95 = (1e3 * float(q) for q in np.quantile(times, [0.0, 0.5, 0.95]))
    return Timing(threads, len(times), 1e3 * init, 1e3 * first, low, median, p95, _peak_bytes(), backend_of(session))


def backend_of(session: NamedEnds) -> str:
    """What runs a model: of a .tflite file XNNPACK if that took any operation over, else LiteRT's own kernels."""
    if isinstance(session, OnnxSession):
        return "ONNX Runtime"
    if not isinstance(session, Session):
        return "TensorFlow"
    # A delegate's part is listed among the operations; LiteRT has no other way to ask.
    operations = session._interpreter._get_ops_details()
    return "XNNPACK" if any(operation["op_name"] == "DELEGATE" for operation in operations) else "LiteRT"


def _peak_bytes() -> int:
    """Largest resident memory of this process; `getrusage` would count the one it was started from."""
    status = Path("/proc/self/status").read_text()
    [kilobytes] = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(kilobytes) * 1024


if __name__ == "__main__":
    children.end_with_parent()
    try:
        measured = _timed(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
        print(json.dumps(dataclasses.asdict(measured)))
    except DlkitError as failure:
        print(told_error(failure))
