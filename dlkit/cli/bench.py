"""dlkit bench"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from dlkit.cli._completing import bundles
from dlkit.cli._output import json_option, print_json, print_table, progress_for, quiet_option
from dlkit.filing import bytes_in
from dlkit.quantities import size


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
    "--threads", type=click.IntRange(min=1), default=1, show_default=True, metavar="N", help="Threads of the runtime."
)
@json_option
@quiet_option
def command(bundles: tuple[str, ...], runs: int, threads: int, as_json: bool, quiet: bool) -> None:
    """Time each BUNDLE on this machine, each in a process of its own.

    A .tflite or .onnx file can stand for a bundle. Milliseconds of wall time; memory is that of the process.

    \b
    Example:
      dlkit bench exported/digits/cpu-*
    """
    from dlkit.bundle.loading import load_bundle
    from dlkit.runtime.clock import time_file

    models = [Path(name) if name.endswith((".tflite", ".onnx")) else load_bundle(Path(name)).model for name in bundles]
    timings = []
    for name, model in zip(bundles, models, strict=True):
        with progress_for(quiet or as_json).step(f"Timing {name}"):
            timings.append(time_file(model, threads, runs))
    if as_json:
        print_json([
            {"bundle": name, "bytes": bytes_in(model), **dataclasses.asdict(timing)}
            for name, model, timing in zip(bundles, models, timings, strict=True)
        ])  # fmt: skip
        return
    head = ("bundle", "size", "init ms", "first ms", "min ms", "median ms", "p95 ms", "memory")
    rows = [
        (
            name, size(bytes_in(model)), f"{t.init_ms:.2f}", f"{t.first_ms:.4f}", f"{t.min_ms:.4f}",
            f"{t.median_ms:.4f}", f"{t.p95_ms:.4f}", size(t.peak_bytes),
        )
        for name, model, t in zip(bundles, models, timings, strict=True)
    ]  # fmt: skip
    print_table(head, rows, right=range(1, 8))
