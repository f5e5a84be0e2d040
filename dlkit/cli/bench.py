"""dlkit bench"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dlkit.cli._completing import bundles
from dlkit.cli._operation_times import check_profiled, operations_as_dict, print_operations
from dlkit.cli._output import json_option, print_json, print_table, progress_for, quiet_option
from dlkit.filing import bytes_in
from dlkit.quantities import size

if TYPE_CHECKING:
    from dlkit.conversion.kernel_layers import TimedOperation
    from dlkit.runtime.clock import Timing
    from dlkit.runtime.operation_times import OperationTimes


@click.command()
@click.argument("bundles", nargs=-1, required=True, type=click.Path(), metavar="BUNDLE...", shell_complete=bundles)
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
    show_default="1",
    metavar="N",
    help="Threads of the runtime. May be repeated, for a row of each.",
)
@click.option("--ops", is_flag=True, help="Time each operation of a .tflite file too (ai-edge-litert 2.3).")
@json_option
@quiet_option
def command(
    bundles: tuple[str, ...], runs: int, threads: tuple[int, ...], ops: bool, as_json: bool, quiet: bool
) -> None:
    """Time each BUNDLE on this machine's processor, each in a process of its own.

    A .tflite or .onnx file can stand for a bundle. Milliseconds of wall time: init is from opening the file to tensors
    allocated, first the first inference of the process, and the others are of --runs inferences after 5 to warm up.
    Memory is that of the process, Python's included.

    --ops adds a table of the kernels that ran (XNNPACK's, or LiteRT's own where it has none), with the operation and
    layer where the file's names tell them. Means are over the faster half of the inferences.

    \b
    Example:
      dlkit bench exported/digits/cpu-*
      dlkit bench exported/digits/cpu-int8 --threads 1 --threads 2 --ops
    """
    from dlkit.bundle.loading import load_bundle
    from dlkit.runtime.clock import time_file

    models = [Path(name) if name.endswith((".tflite", ".onnx")) else load_bundle(Path(name)).model for name in bundles]
    for name, model in zip(bundles, models, strict=True):
        if ops:
            check_profiled(name, model)
    cases = [(name, model, count) for name, model in zip(bundles, models, strict=True)
             for count in dict.fromkeys(threads)]  # fmt: skip
    timings = []
    for name, model, count in cases:
        with progress_for(quiet or as_json).step(f"Timing {name}"):
            timings.append(time_file(model, count, runs))
    profiles = _profiles(cases, runs, quiet or as_json) if ops else []
    if as_json:
        parts = [{"operations": operations_as_dict(*profile)} for profile in profiles] or [{}] * len(cases)
        print_json([
            {"bundle": name, "bytes": bytes_in(model), **dataclasses.asdict(timing), **part}
            for (name, model, _), timing, part in zip(cases, timings, parts, strict=True)
        ])  # fmt: skip
        return
    _print_timings(cases, timings)
    for (name, _, _), profile in zip(cases, profiles, strict=False):
        print_operations(name, *profile)


def _profiles(
    cases: list[tuple[str, Path, int]], runs: int, quiet: bool
) -> list[tuple[OperationTimes, list[TimedOperation]]]:
    from dlkit.conversion.kernel_layers import timed_operations
    from dlkit.runtime.operation_times import time_operations

    profiles = []
    for name, model, count in cases:
        with progress_for(quiet).step(f"Timing the operations of {name}"):
            times = time_operations(model, count, runs)
        profiles.append((times, timed_operations(model, times)))
    return profiles


def _print_timings(cases: list[tuple[str, Path, int]], timings: list[Timing]) -> None:
    head = (
        "bundle", "run by", "threads", "size", "init ms", "first ms", "min ms", "median ms", "p95 ms", "memory",
    )  # fmt: skip
    rows = [
        (
            name, t.backend, str(t.threads), size(bytes_in(model)), f"{t.init_ms:.2f}", f"{t.first_ms:.4f}",
            f"{t.min_ms:.4f}", f"{t.median_ms:.4f}", f"{t.p95_ms:.4f}", size(t.peak_bytes),
        )
        for (name, model, _), t in zip(cases, timings, strict=True)
    ]  # fmt: skip
    print_table(head, rows, right=range(2, 10))
