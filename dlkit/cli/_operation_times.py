"""What `dlkit bench --ops` prints: a row for each kernel of a model, and their sum against the whole."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dlkit.cli._output import print_table
from dlkit.errors import ModelFileError, printable

if TYPE_CHECKING:
    from dlkit.conversion.kernel_layers import TimedOperation
    from dlkit.runtime.operation_times import OperationTimes


def check_profiled(name: str, model: Path, gpu: bool) -> None:
    """Raise ModelFileError for a model whose operations cannot be timed one by one."""
    if gpu:
        raise ModelFileError(f"{name}: --ops times operations on the processor alone, not on a GPU; leave it out")
    if model.is_dir() or model.suffix == ".onnx":
        kind = "a SavedModel" if model.is_dir() else "an ONNX file"
        raise ModelFileError(f"{name}: holds {kind}, and --ops times .tflite files alone; leave it out")


def operations_as_dict(times: OperationTimes, operations: Sequence[TimedOperation]) -> dict[str, Any]:
    """As JSON has it."""
    rows = [
        {"operation": o.operation, "layers": list(o.layers), **dataclasses.asdict(o.kernel),
         "share": _share(o.kernel.mean_us, times)}
        for o in operations
    ]  # fmt: skip
    return {
        "threads": times.threads,
        "runs": times.runs,
        "whole_us": times.whole_us,
        "counted_us": times.counted_us,
        "operations": rows,
    }


def print_operations(name: str, median_ms: float, times: OperationTimes, operations: Sequence[TimedOperation]) -> None:
    """The table, in the order in which kernels run; calls are told where a loop makes more than one."""
    click.echo(f"\n{printable(name)}: {times.runs} inferences, {_threads(times.threads)}")
    rows = [
        (o.operation or "-", ", ".join(o.layers) or "-", _called(o), "XNNPACK" if o.kernel.delegated else "LiteRT",
         f"{o.kernel.mean_us:.1f}", f"{_share(o.kernel.mean_us, times):.1%}")
        for o in operations
    ]  # fmt: skip
    rows.append(("sum", "", "", "", f"{times.counted_us:.1f}", f"{_share(times.counted_us, times):.1%}"))
    print_table(("operation", "layer", "kernel", "of", "mean µs", "share"), rows, right=(4, 5))
    click.echo(f"a whole inference: {1e3 * median_ms:.1f} µs, and {times.whole_us:.1f} µs with the profiler on")
    if any(o.kernel.delegated for o in operations):
        click.echo("of XNNPACK's kernels whole microseconds are counted, rounded down")


def _called(operation: TimedOperation) -> str:
    kernel = operation.kernel
    return kernel.kernel if kernel.calls == 1 else f"{kernel.kernel}, {kernel.calls} times"


def _share(us: float, times: OperationTimes) -> float:
    """Of the sum; where all are too short for the clock, 0."""
    return us / times.counted_us if times.counted_us > 0 else 0.0


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"
