"""dlkit bench"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from dlkit.cli._completing import bundles
from dlkit.cli._output import json_option, print_json, print_table, progress_for, quiet_option
from dlkit.errors import printable
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
@click.option("--gpu", is_flag=True, help="On this machine's GPU, as bundles for the target gpu are without it.")
@json_option
@quiet_option
def command(bundles: tuple[str, ...], runs: int, threads: int, gpu: bool, as_json: bool, quiet: bool) -> None:
    """Time each BUNDLE on this machine, each in a process of its own.

    A .tflite or .onnx file can stand for a bundle. Milliseconds of wall time; memory is that of the process.

    \b
    Example:
      dlkit bench exported/digits/cpu-*
      dlkit bench exported/digits/cpu-float32 --gpu
    """
    from dlkit.runtime.clock import time_file

    found = [_model(name) for name in bundles]
    models = [model for model, _ in found]
    timings = []
    for name, (model, for_gpu) in zip(bundles, found, strict=True):
        with progress_for(quiet or as_json).step(f"Timing {name}"):
            timings.append(time_file(model, threads, runs, gpu=gpu or for_gpu))
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
    for name, timing in zip(bundles, timings, strict=True):
        if timing.gpu:
            click.echo(printable(f"{name} ran on {timing.gpu}"))


def _model(name: str) -> tuple[Path, bool]:
    """The file or folder that a bundle, or what stands for one, is run from; and whether it is for a GPU."""
    from dlkit.bundle.loading import load_bundle
    from dlkit.devices.checking import target_of_bundle

    if name.endswith((".tflite", ".onnx")):
        return Path(name), False
    bundle = load_bundle(Path(name))
    return bundle.model, target_of_bundle(bundle).runtime == "litert_gpu"
