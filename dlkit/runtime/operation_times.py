"""How long each operation of a .tflite file takes on the processor, by LiteRT's profiler in a process of its own."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from dlkit.errors import DlkitError, ModelFileError
from dlkit.runtime.apart import begin_apart, ran_apart, told_by, told_error
from dlkit.runtime.inspection import CONTROL_FLOW, read_model
from dlkit.runtime.litert_profiler import BUILT_IN, KNOWN, OF_DELEGATE, WHOLE, Event, ProfiledModel, check_version

WARM_UP_RUNS = 5
LONGEST_S = 20.0


@dataclasses.dataclass(frozen=True)
class KernelTime:
    """What one kernel takes in an inference.

    Attributes:
        kernel: "Convolution (NHWC, QC8) IGEMM" is XNNPACK's; an operation's name is LiteRT's own kernel.
        delegated: whether it is XNNPACK's.
        number: of LiteRT's own, the operation's place in its subgraph; of XNNPACK's, the place among its kernels.
        subgraph: 0 is the main one, others are what loops and branches run.
        calls: in one inference; more than 1 inside a loop.
        mean_us, min_us: microseconds in one inference, see `OperationTimes`. XNNPACK counts whole ones, rounded down.
    """

    kernel: str
    delegated: bool
    number: int
    subgraph: int
    calls: int
    mean_us: float
    min_us: float


@dataclasses.dataclass(frozen=True)
class OperationTimes:
    """Times of the kernels of a file, in the order in which they run.

    Means are over the faster half of the inferences: in the others another program may have had its turn on the
    processor, and one such turn is longer than most operations.

    Attributes:
        whole_us: mean of an inference by the same clock: with the profiler's own share, which is about 20 µs, and far
            more in a loop.
        runs: inferences that were timed, after a warm-up.
    """

    threads: int
    runs: int
    whole_us: float
    kernels: tuple[KernelTime, ...]

    @property
    def counted_us(self) -> float:
        """The sum over the kernels."""
        return sum(kernel.mean_us for kernel in self.kernels)


def time_operations(model: Path, threads: int, runs: int) -> OperationTimes:
    """Time the kernels of a .tflite file.

    Raises:
        ModelFileError: it cannot be loaded or run, or the profiler fails on it.
        ExtraMissing: this version of LiteRT has no profiler that is known.
    """
    check_version()
    done = ran_apart(__name__, model, str(threads), str(runs))
    told = told_by(done, model, "its operations cannot be timed")
    kernels = tuple(KernelTime(**kernel) for kernel in told.pop("kernels"))
    return OperationTimes(**told, kernels=kernels)


def _timed(model: Path, threads: int, runs: int) -> OperationTimes:
    import numpy as np

    from dlkit.runtime.local import LocalSession

    rng = np.random.default_rng(0)
    ends = LocalSession(model, threads).inputs  # which refuses what must not reach the library
    _check_stateless(model)
    profiled = ProfiledModel(model, threads)
    profiled.set_inputs({name: end.quantize(rng.random(end.shape[1:], np.float32)) for name, end in ends.items()})
    for _ in range(WARM_UP_RUNS):
        profiled.run()
    seen: list[list[Event]] = []
    deadline = time.perf_counter() + LONGEST_S
    while len(seen) < runs and (not seen or time.perf_counter() < deadline):
        seen.append(profiled.profiled())
    return summed(seen, threads, str(model))


def _check_stateless(model: Path) -> None:
    """Raise ModelFileError for a file whose operations keep a state: what has the profiler does not load these."""
    found = read_model(model.read_bytes())
    for graph in map(found.Subgraphs, range(found.SubgraphsLength())):
        if any(graph.Tensors(number).IsVariable() for number in range(graph.TensorsLength())):
            raise ModelFileError(
                f"{model}: its operations keep a state, as a fused LSTM does, and LiteRT {KNOWN} profiles no such "
                "files; leave out --ops"
            )


def summed(runs: Sequence[Sequence[Event]], threads: int, where: str) -> OperationTimes:
    """The means over inferences of their events.

    Raises:
        ModelFileError: they are not of one and the same course.
    """
    wholes = [whole_us(run) for run in runs]
    faster = sorted(range(len(runs)), key=wholes.__getitem__)[: (len(runs) + 1) // 2]
    counted = [[event for event in run if _counts(event)] for run in runs]
    course = [_place(event) for event in counted[0]]
    if not course or any([_place(event) for event in run] != course for run in counted):
        raise ModelFileError(f"{where}: LiteRT's profiler tells of other operations in each inference")
    kernels = tuple(_kernel([[counted[run][row] for row in rows] for run in faster]) for rows in _rows(runs[0], course))
    return OperationTimes(threads, len(runs), sum(wholes[run] for run in faster) / len(faster), kernels)


def whole_us(run: Sequence[Event]) -> int:
    """What an inference takes, of its events: the first to be called so is the main subgraph's."""
    return next((event.elapsed_us for event in run if event.kind == WHOLE and event.tag == "Invoke"), 0)


def _rows(run: Sequence[Event], course: Sequence[tuple[object, ...]]) -> list[list[int]]:
    """Which places in the course of an inference are one kernel's.

    In a loop those that are called the same; elsewhere each its own, as two parts of XNNPACK's number theirs alike.
    """
    if not any(event.tag in CONTROL_FLOW for event in run):
        return [[row] for row in range(len(course))]
    rows: dict[tuple[object, ...], list[int]] = {}
    for row, place in enumerate(course):
        rows.setdefault(place, []).append(row)
    return list(rows.values())


def _kernel(runs: Sequence[Sequence[Event]]) -> KernelTime:
    """Of the events that are one kernel's, in each inference."""
    times = [sum(event.elapsed_us for event in run) for run in runs]
    first = runs[0][0]
    delegated, calls = first.kind == OF_DELEGATE, len(runs[0])
    mean = sum(times) / len(times)
    return KernelTime(first.tag, delegated, first.number, first.subgraph, calls, mean, float(min(times)))


def _counts(event: Event) -> bool:
    """Whether it is a kernel: what a loop or a branch takes is that of the kernels in it, which are told too."""
    return event.kind in (BUILT_IN, OF_DELEGATE) and event.tag not in CONTROL_FLOW


def _place(event: Event) -> tuple[object, ...]:
    return event.tag, event.kind, event.number, event.subgraph


if __name__ == "__main__":
    begin_apart(Path(sys.argv[1]), int(sys.argv[2]))
    try:
        print(json.dumps(dataclasses.asdict(_timed(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))))
    except DlkitError as failure:
        print(told_error(failure))
