"""What a search has tried, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dlkit.cli._output import print_table
from dlkit.errors import printable
from dlkit.quantities import size

if TYPE_CHECKING:
    from dlkit.pipeline.trail import Trail, Tried

WIDTH = 100


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
        click.echo("\n" + click.wrap_text(printable(note), WIDTH))


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
