"""The options of a search, and what it has tried as a table."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from dlkit.cli._models import jobs_option, ray_option
from dlkit.cli._output import print_table, print_text
from dlkit.cli._quantity import SIZE, TIME
from dlkit.errors import printable
from dlkit.quantities import size

if TYPE_CHECKING:
    from dlkit.pipeline.goals import Goals
    from dlkit.pipeline.trail import Trail, Tried

LIMITS = ("max_drop", "max_size", "max_gzip_size", "max_latency", "max_arena")
PREFERENCES = ("size", "gzip", "latency", "quality")
SEARCH_OPTIONS = (
    click.option(
        "--max-drop",
        type=float,
        metavar="X",
        help="Search for a file that loses at most so much of the metric on the validation split: of accuracy, AUC, "
        "skill and agreement a fraction, of PSNR decibels.  [default of a search: the recipe's max_drop]",
    ),
    click.option(
        "--max-size",
        type=SIZE,
        metavar="SIZE",
        help="Search for a file of at most this size, for instance 300kB or 128KiB (kB is 1000 bytes, KiB is 1024).",
    ),
    click.option(
        "--max-gzip-size", type=SIZE, metavar="SIZE", help="The same of the file when gzip has compressed it."
    ),
    click.option(
        "--max-latency",
        type=TIME,
        metavar="TIME",
        help="Search for a file of which an inference takes at most so long here, for instance 5ms (median, 1 thread).",
    ),
    click.option(
        "--max-arena",
        type=SIZE,
        metavar="SIZE",
        help="Search for a file that needs at most this memory for tensors on a microcontroller (needs tflite-micro).",
    ),
    click.option(
        "--prefer",
        type=click.Choice(PREFERENCES),
        help="Search, and of the files within all limits write the smallest, the smallest by gzip, the fastest here "
        "or the one that loses least.  [default of a search: size]",
    ),
    click.option("--resume", is_flag=True, help="Go on with a search that was stopped; what it tried counts."),
    jobs_option,
    ray_option,
)


def search_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of a search."""
    for option in reversed(SEARCH_OPTIONS):
        command = option(command)
    return command


def goals_of(searched: Mapping[str, Any], *, streaming: bool, unroll: bool, decoder: bool) -> Goals | None:
    """What is searched for; None where nothing says so. Raises UsageError for options that do not go together."""
    from dlkit.pipeline.goals import Goals

    limits = {key: searched[key] for key in LIMITS}
    given = [f"--{option.replace('_', '-')}" for option in (*LIMITS, "prefer") if searched[option] is not None]
    if not given:
        for option in ("resume", "jobs", "ray"):
            if searched[option]:
                raise click.UsageError(f"--{option} is of a search; give it a limit or --prefer")
        return None
    if unroll:
        raise click.UsageError(
            f"--unroll does not go with {given[0]}; a search does what the recipe's export.unroll says"
        )
    for option, wanted in (("--streaming", streaming), ("--decoder", decoder)):
        if wanted:
            raise click.UsageError(
                f"{option} does not go with {given[0]}; search without it, then export what was found"
            )
    if limits["max_drop"] is not None and not 0 <= limits["max_drop"] < math.inf:
        raise click.UsageError("--max-drop must be a number from 0 on")
    return Goals(
        max_drop=limits["max_drop"],
        max_bytes=limits["max_size"],
        max_gzip_bytes=limits["max_gzip_size"],
        max_latency_ms=limits["max_latency"],
        max_arena_bytes=limits["max_arena"],
        prefer=searched["prefer"] or "size",
    )


def print_trail(trail: Trail) -> None:
    """A line for each candidate in the order in which they were tried, and why others were not."""
    from dlkit.pipeline.trail import verdict

    metric = next((each.measured.gates[0].metric for each in trail.tried if each.measured), "quality")
    times = any(each.measured and each.measured.latency_ms is not None for each in trail.tried)
    arenas = trail.goals.max_arena_bytes is not None
    head = ["candidate", "size", "gzip", metric.replace("_", " "), "drop"]
    head += [*(["latency"] if times else []), *(["arena"] if arenas else []), "verdict"]
    rows = []
    for each in trail.tried:
        rows.append((each.name, *_numbers(each, times, arenas), verdict(trail.goals, each, trail.chosen)))
    print_table(head, rows, right=range(1, len(head) - 1))
    for note in trail.notes:
        click.echo()
        print_text(printable(note), paragraph=True)


def _numbers(tried: Tried, times: bool, arenas: bool) -> list[str]:
    found = tried.measured
    if found is None:
        return ["–"] * (4 + times + arenas)
    drop = "–" if found.drop is None else f"{found.drop:.4f}"
    cells = [size(found.bytes), size(found.gzip_bytes) if found.gzip_bytes else "–", f"{found.quality:.4f}", drop]
    if times:
        cells.append("–" if found.latency_ms is None else f"{found.latency_ms:.4f} ms")
    if arenas:
        cells.append("–" if found.arena_bytes is None else size(found.arena_bytes))
    return cells
