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
from dlkit.errors import DlkitError, ExtraMissing
from dlkit.extras import require
from dlkit.runtime.adapters import NO_GPU, adapter_in, none_found
from dlkit.runtime.apart import begin_apart, ran_apart, told_by, told_error
from dlkit.runtime.served import open_here, runtime_of

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
        backend: what computed it; of a .tflite file XNNPACK if that took any operation over, else LiteRT's own kernels.
        gpu: what ran it, with outputs brought back to memory; "" where the processor did.
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
    gpu: str = ""


def time_file(model: Path, threads: int, runs: int, *, gpu: bool = False) -> Timing:
    """Time the file, or folder, `model`; a .tflite file also on a GPU.

    Raises:
        ModelFileError: it cannot be loaded or run.
        ExtraMissing: there is no GPU.
    """
    return time_runs(model, threads, runs, LONGEST_S, gpu=gpu)[0]


def time_runs(
    model: Path, threads: int, runs: int, longest_s: float, *, gpu: bool = False
) -> tuple[Timing, tuple[float, ...]]:
    """The same, with the milliseconds of each of at most `runs` inferences, in order.

    Args:
        longest_s: after which no inference is begun but the first, to warm up and to time.
    """
    done = ran_apart(__name__, model, str(threads), str(runs), str(longest_s), *["gpu"] * gpu)
    if gpu and none_found(done.stderr):
        raise ExtraMissing(f"timing a file on a GPU: {NO_GPU}")
    told = told_by(done, model, "cannot be timed")
    times_ms = tuple(map(float, told.pop("times_ms")))
    return Timing(**told, gpu=adapter_in(done.stderr) if gpu else ""), times_ms


def _timed(model: Path, threads: int, runs: int, longest_s: float, gpu: bool) -> tuple[Timing, list[float]]:
    from dlkit.runtime.litert_gpu import RUNTIME, AcceleratedSession

    require(RUNTIME if gpu else runtime_of(model))  # its import is not the file's time
    start = time.perf_counter()
    session = AcceleratedSession(model) if gpu else open_here(model, threads)
    init = time.perf_counter() - start
    rng = np.random.default_rng(0)
    session.set_inputs({name: rng.random(end.shape[1:], dtype=np.float32) for name, end in session.inputs.items()})
    start = time.perf_counter()
    session.invoke()
    first = time.perf_counter() - start
    deadline = time.perf_counter() + longest_s
    for _ in range(WARM_UP_RUNS):
        if time.perf_counter() < deadline:
            session.invoke()
    times: list[float] = []
    while len(times) < runs and (not times or time.perf_counter() < deadline):
        begin = time.perf_counter()
        session.invoke()
        times.append(time.perf_counter() - begin)
    low, median, p95 = (1e3 * float(q) for q in np.quantile(times, [0.0, 0.5, 0.95]))
    timing = Timing(threads, len(times), 1e3 * init, 1e3 * first, low, median, p95, _peak_bytes(), session.backend)
    return timing, [1e3 * each for each in times]


def _peak_bytes() -> int:
    """Largest resident memory of this process; `getrusage` would count the one it was started from."""
    status = Path("/proc/self/status").read_text()
    [kilobytes] = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(kilobytes) * 1024


if __name__ == "__main__":
    file, cores, count, limit, *on = sys.argv[1:]
    if on:  # a GPU's driver reserves more than it takes
        children.end_with_parent()
    else:
        begin_apart(Path(file), int(cores))
    try:
        timing, times_ms = _timed(Path(file), int(cores), int(count), float(limit), gpu=bool(on))
        measured = dataclasses.asdict(timing)
        del measured["gpu"]  # which one it is told the parent
        print(json.dumps(measured | {"times_ms": times_ms}))
    except DlkitError as failure:
        print(told_error(failure))
