"""dlkit bench"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dlkit.cli._completing import bundles
from dlkit.cli._operation_times import check_profiled, operations_as_dict, print_operations
from dlkit.cli._output import json_option, print_json, print_table, progress_for, quiet_option
from dlkit.errors import printable
from dlkit.filing import bytes_in
from dlkit.quantities import size

if TYPE_CHECKING:
    from dlkit.conversion.kernel_layers import TimedOperation
    from dlkit.runtime.clock import Timing
    from dlkit.runtime.operation_times import OperationTimes


@dataclasses.dataclass(frozen=True)
class _Case:
    """What is timed: a model, as it was called, by a number of threads or on a GPU."""

    name: str
    model: Path
    threads: int
    gpu: bool


@click.command(epilog="More: dlkit help speed")
@click.argument(
    "bundles", nargs=-1, required=True, type=click.Path(readable=False), metavar="BUNDLE...", shell_complete=bundles
)
@click.option(
    "--runs",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    metavar="N",
    help="Inferences timed (at most 20 s).",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    multiple=True,
    default=(1,),
    metavar="N",
    help="Threads of the runtime, 1 without it. May be repeated, for a row each.",
)
@click.option("--gpu", is_flag=True, help="On this machine's GPU, as bundles for the target gpu are without it.")
@click.option("--ops", is_flag=True, help="Time each operation of a .tflite file too (ai-edge-litert 2.3).")
@json_option
@quiet_option
def command(
    bundles: tuple[str, ...], runs: int, threads: tuple[int, ...], gpu: bool, ops: bool, as_json: bool, quiet: bool
) -> None:
    """Time each BUNDLE on this machine, with its memory.

    Each in a process of its own. A .tflite or .onnx file can stand for a bundle. Milliseconds of wall time: init is
    from opening the file to tensors allocated, first the first inference of the process, and the others are of
    --runs inferences after 5 that warm up. Memory is that of the process, Python's included.

    --ops adds a table of the kernels that ran on the processor, XNNPACK's or LiteRT's own, with the operation and
    the layer where names in the file tell them. Means are over the faster half of the inferences.

    \b
    Example:
      dlkit bench exported/digits/cpu-*
      dlkit bench exported/digits/cpu-int8 --threads 1 --threads 2 --ops
      dlkit bench exported/digits/cpu-float32 --gpu
    """
    from dlkit.runtime.clock import time_file

    cases = [_Case(name, model, count, gpu or for_gpu) for name, (model, for_gpu) in zip(bundles, map(_model, bundles),
             strict=True) for count in dict.fromkeys(threads)]  # fmt: skip
    for case in cases:
        if ops:
            check_profiled(case.name, case.model, case.gpu)
    timings = []
    for case in cases:
        with progress_for(quiet or as_json).step(f"Timing {case.name}"):
            timings.append(time_file(case.model, case.threads, runs, gpu=case.gpu))
    profiles = [_profile(case, runs, quiet or as_json) for case in cases] if ops else []
    if as_json:
        parts = [{"operations": operations_as_dict(*profile)} for profile in profiles] or [{}] * len(cases)
        print_json([
            {"bundle": case.name, "bytes": bytes_in(case.model), **dataclasses.asdict(timing), **part}
            for case, timing, part in zip(cases, timings, parts, strict=True)
        ])  # fmt: skip
        return
    _print_timings(cases, timings)
    for case, timing, profile in zip(cases, timings, profiles, strict=False):
        print_operations(case.name, timing.median_ms, *profile)


def _model(name: str) -> tuple[Path, bool]:
    """The file or folder that a bundle, or what stands for one, is run from; and whether it is for a GPU."""
    from dlkit.bundle.loading import load_bundle
    from dlkit.devices.checking import target_of_bundle

    if name.endswith((".tflite", ".onnx")):
        return Path(name), False
    bundle = load_bundle(Path(name))
    return bundle.model, target_of_bundle(bundle).runtime == "litert_gpu"


def _profile(case: _Case, runs: int, quiet: bool) -> tuple[OperationTimes, list[TimedOperation]]:
    from dlkit.conversion.kernel_layers import timed_operations
    from dlkit.runtime.operation_times import time_operations

    with progress_for(quiet).step(f"Timing the operations of {case.name}"):
        times = time_operations(case.model, case.threads, runs)
    return times, timed_operations(case.model, times)


def _print_timings(cases: list[_Case], timings: list[Timing]) -> None:
    head = (
        "bundle", "run by", "threads", "size", "init ms", "first ms", "min ms", "median ms", "p95 ms", "memory",
    )  # fmt: skip
    rows = [
        (
            case.name, t.backend, str(t.threads), size(bytes_in(case.model)), f"{t.init_ms:.2f}", f"{t.first_ms:.4f}",
            f"{t.min_ms:.4f}", f"{t.median_ms:.4f}", f"{t.p95_ms:.4f}", size(t.peak_bytes),
        )
        for case, t in zip(cases, timings, strict=True)
    ]  # fmt: skip
    print_table(head, rows, right=range(2, 10))
    for case, timing in zip(cases, timings, strict=True):
        if timing.gpu:
            click.echo(printable(f"{case.name} ran on {timing.gpu}"))
