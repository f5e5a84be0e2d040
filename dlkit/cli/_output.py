"""What commands print: aligned tables, units, JSON, next commands, progress on a terminal."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import click

from dlkit.errors import printable
from dlkit.progress import SILENT, Advance, Progress, ignore

quiet_option = click.option("--quiet", "-q", is_flag=True, help="Print results only: no progress, no advice.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
out_option = click.option(
    "--out",
    type=click.Path(file_okay=False),
    default="exported",
    show_default=True,
    metavar="DIR",
    help="Folder that holds models and bundles.",
)
force_option = click.option("--force", is_flag=True, help="Replace what is there.")
TRAINING_OPTIONS = (
    click.option("--resume", is_flag=True, help="Go on where a run that was stopped left off."),
    click.option(
        "--plot", is_flag=True, help="Draw the course of the training as training.png beside its model.keras."
    ),
    click.option("--tensorboard", is_flag=True, help="Write event files for TensorBoard beside its model.keras."),
)
set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a value, for a recipe for instance --set training.epochs=3. May be repeated.",
)


def training_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of a command that trains, all flags."""
    for option in reversed(TRAINING_OPTIONS):
        command = option(command)
    return command


def print_json(value: Any) -> None:
    """One JSON value, indented, on standard output; in ASCII where that cannot take all its characters."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        text = json.dumps(value, indent=2, allow_nan=False)
    click.echo(text)


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> None:
    """Columns as wide as their widest cell; those numbered in `right` are aligned to the right."""
    table = [[printable(str(cell)) for cell in row] for row in [head, *rows]]
    widths = [max(_width(row[i]) for row in table) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = []
        for i, cell in enumerate(cells):
            space = " " * (widths[i] - _width(cell))
            padded.append(space + cell if i in right else cell + space)
        return "  ".join(padded).rstrip()

    click.echo(click.style(line(table[0]), bold=True))
    for row in table[1:]:
        click.echo(line(row))


def _width(text: str) -> int:
    """Columns of a terminal that `text` takes."""
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text if not unicodedata.combining(c))


def print_next(commands: Sequence[str], quiet: bool) -> None:
    """Commands to go on with, ready to paste."""
    if not quiet:
        click.echo("\n" + click.style("next:", bold=True))
        for command in commands:
            click.echo(f"  {command}")


def options_again(out: str, overrides: Sequence[str] = ()) -> str:
    """The options a next command must repeat, with a space before them: " --out DIR --set KEY=VALUE"."""
    again = ([] if out == "exported" else ["--out", out]) + [word for text in overrides for word in ("--set", text)]
    return f" {shlex.join(again)}" if again else ""


def print_error(text: str) -> None:
    """The one line that says why, on standard error."""
    color = False if "NO_COLOR" in os.environ else None
    click.echo(click.style("error: ", fg="red", bold=True) + printable(text), err=True, color=color)


def progress_for(quiet: bool) -> Progress:
    """Progress on standard error: a bar on a terminal, a line a step when piped, nothing when quiet."""
    if quiet:
        return SILENT
    return _Bars() if sys.stderr.isatty() else _Lines()


class _Lines:
    """One line per step."""

    @contextlib.contextmanager
    def step(self, label: str) -> Iterator[Advance]:
        click.echo(f"{label} …", err=True)
        yield ignore


class _Bars:
    """A bar that moves, with the time left once the extent is known; with the time taken in the end."""

    @contextlib.contextmanager
    def step(self, label: str) -> Iterator[Advance]:
        try:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Rich
        except ModuleNotFoundError:  # a device with numpy, click and ai-edge-litert only
            with _Lines().step(label) as advance:
                yield advance
            return
        time_left = TimeRemainingColumn(elapsed_when_finished=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), time_left)
        with Rich(*columns, console=Console(stderr=True)) as bars:
            task = bars.add_task(label, total=None)

            def advance(done: int, total: int) -> None:
                bars.update(task, completed=done, total=total)

            yield advance
            finished = bars.tasks[0]
            bars.update(task, total=finished.total or 1, completed=finished.total or 1)


def generated_text(besides: Mapping[str, float]) -> str:
    """What is known of generated images beside their distance; see `training.judging.Judgement`."""
    told = (
        f"a classifier is sure of {besides['confident']:.1%} of the images; its classes are at "
        f"{besides['entropy']:.1%} of equal measure; training images are {besides['real_distance']:.2f} away"
    )
    if "as_asked" in besides:
        told += f"\nit takes {besides['as_asked']:.1%} for the class that was asked for"
    if "frechet_distance" in besides:
        told += (
            f"\nFréchet distance {besides['frechet_distance']:.4g} by the features of the recipe's [measure]; training "
            f"images are {besides['frechet_real_distance']:.4g} away"
        )
    return told
