"""What commands print: aligned tables, units, JSON, next commands, progress on a terminal."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import click

from dlkit.cli._terminal import columns, in_colour, shown, width_of, wrapped
from dlkit.errors import printable
from dlkit.progress import SILENT, Advance, Progress

quiet_option = click.option("--quiet", "-q", is_flag=True, help="Print results only: no progress, no advice.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
out_option = click.option(
    "--out",
    type=click.Path(file_okay=False, readable=False),
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
        text.encode(sys.stdout.encoding if sys.stdout and sys.stdout.encoding else "ascii")
    except UnicodeEncodeError:
        text = json.dumps(value, indent=2, allow_nan=False)
    click.echo(text)


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> None:
    """Columns as wide as their widest cell; those numbered in `right` are aligned to the right.

    On a terminal that is narrower, long cells go on in the next line; where that is not enough, each row is a block of
    lines, one for each column.
    """
    table = [[shown(printable(str(cell))) for cell in row] for row in [head, *rows]]
    widths = [max(width_of(row[i]) for row in table) for i in range(len(head))]
    if (limit := columns()) is not None and sum(widths) + _GAP * (len(head) - 1) > limit:
        fitting = _narrowed(widths, [_least(table, i, widths[i], right) for i in range(len(head))], limit)
        if fitting is None:
            _print_blocks(table, limit)
            return
        widths = fitting
    for number, row in enumerate(table):
        for line in _lines(row, widths, right):
            click.echo(click.style(line, bold=True) if number == 0 else line)


_GAP = 2
"""Spaces between columns."""
_NARROWEST, _WHOLE = 10, 22
"""Of a column whose cells are wrapped; and of a word that is not."""


def _least(table: Sequence[Sequence[str]], column: int, width: int, right: Sequence[int]) -> int:
    """How narrow a column can be: numbers stay whole, and so does a word that is not very long."""
    if column in right:
        return width
    longest = max((width_of(word) for row in table for word in row[column].split()), default=0)
    return min(width, max(_NARROWEST, min(longest, _WHOLE)))


def _narrowed(widths: Sequence[int], least: Sequence[int], limit: int) -> list[int] | None:
    """Widths that fit into `limit` columns, taken from the widest that can be narrower; None if there are none."""
    fitting = list(widths)
    beyond = sum(widths) + _GAP * (len(widths) - 1) - limit
    for _ in range(beyond):
        flexible = [i for i in range(len(fitting)) if fitting[i] > least[i]]
        if not flexible:
            return None
        fitting[max(flexible, key=lambda i: fitting[i])] -= 1
    return fitting


def _lines(cells: Sequence[str], widths: Sequence[int], right: Sequence[int]) -> Iterator[str]:
    """A row as one line, or as several where a cell is wider than its column."""
    parts = [
        [cell] if width_of(cell) <= width else wrapped(cell, width) for cell, width in zip(cells, widths, strict=True)
    ]
    for i in range(max(map(len, parts))):
        padded = []
        for column, (lines, width) in enumerate(zip(parts, widths, strict=True)):
            text = lines[i] if i < len(lines) else ""
            space = " " * (width - width_of(text))
            padded.append(space + text if column in right else text + space)
        yield (" " * _GAP).join(padded).rstrip()


def _print_blocks(table: Sequence[Sequence[str]], limit: int) -> None:
    """Each row as lines "column  cell", for a terminal that is too narrow for columns side by side."""
    head, *rows = table
    name = max(map(width_of, head))
    for number, row in enumerate(rows):
        if number:
            click.echo()
        for title, cell in zip(head, row, strict=True):
            if cell:
                label = click.style(title + " " * (name - width_of(title)), bold=True)
                first, *more = wrapped(cell, max(limit - name - _GAP, _NARROWEST))
                click.echo(f"{label}{' ' * _GAP}{first}")
                for line in more:
                    click.echo(" " * (name + _GAP) + line)


def print_text(text: str, paragraph: bool = False) -> None:
    """Lines, wrapped between words on a terminal that is narrower, below what stands after the first wide gap.

    Args:
        paragraph: prose that is wrapped at 100 columns wherever it goes.
    """
    limit = columns()
    if paragraph:
        text = click.wrap_text(text, min(limit or PARAGRAPH, PARAGRAPH))
    for line in text.split("\n"):
        if limit is None or width_of(line) <= limit or line.startswith("  "):
            click.echo(line)
        else:
            gap = re.match(r"\S+(?: \S+)*  +", line)
            click.echo("\n".join(_hanging(line, limit, len(gap[0]) if gap else 0)))


PARAGRAPH = 100
"""Columns of prose."""


def _hanging(line: str, limit: int, indent: int) -> list[str]:
    """A line of a report in several: its name stays alone in front."""
    label, text = line[:indent], line[indent:]
    if limit - indent < 2 * _NARROWEST:
        return wrapped(line, limit, 2)
    first, *more = wrapped(text, limit - indent)
    return [label + first, *(" " * indent + part for part in more)]


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
    with contextlib.suppress(OSError):  # there is nowhere left to say it; the exit code does
        click.echo(click.style("error: ", fg="red", bold=True) + printable(text), err=True, color=in_colour())


def progress_for(quiet: bool) -> Progress:
    """Progress on standard error: a bar on a terminal, lines when piped, nothing when quiet."""
    if quiet:
        return SILENT
    return _Bars() if sys.stderr.isatty() and os.environ.get("TERM") != "dumb" else _Lines()


EVERY_S = 30.0
"""Seconds between two lines of one step."""


class _Lines:
    """One line per step, and one every half a minute that says how far a long step is."""

    @contextlib.contextmanager
    def step(self, label: str) -> Iterator[Advance]:
        told = time.monotonic()
        first: tuple[float, int] | None = None  # before it functions were compiled: it says nothing of what follows
        _told(f"{label} …")

        def advance(done: int, total: int) -> None:
            nonlocal told, first
            now = time.monotonic()
            began, before = first = first or (now, done)
            if now - told >= EVERY_S and before < done < total:
                told = now
                left = (now - began) / (done - before) * (total - done)
                _told(f"{label}: {done} of {total}, about {duration(left)} left …")

        yield advance


def _told(line: str) -> None:
    with contextlib.suppress(OSError):  # a full or closed standard error is no reason to end the work
        click.echo(line, err=True)


def duration(seconds: float) -> str:
    """A time as people say it: "40 s", "3 min", "2 h 10 min".

    >>> duration(39.6), duration(170), duration(7800)
    ('40 s', '3 min', '2 h 10 min')
    """
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


class _Bars:
    """A bar that moves, with the time left once the extent is known, until then with the time taken; so in the end."""

    @contextlib.contextmanager
    def step(self, label: str) -> Iterator[Advance]:
        try:
            from rich.console import Console
            from rich.progress import BarColumn, ProgressColumn, Task, TextColumn
            from rich.progress import Progress as Rich
            from rich.text import Text
        except ModuleNotFoundError:  # a device with numpy, click and ai-edge-litert only
            with _Lines().step(label) as advance:
                yield advance
            return

        class Time(ProgressColumn):
            """ "12/60  1:05 left", "0:07" """

            max_refresh = 0.5

            def render(self, task: Task) -> Text:
                known = task.total is not None and task.total > 1
                count = f"{task.completed:.0f}/{task.total:.0f}  " if known else ""
                if task.finished or task.total is None or task.time_remaining is None:
                    return Text(f"{count}{_clock(task.elapsed or 0.0)}")
                return Text(f"{count}{_clock(task.time_remaining)} left")

        console = Console(stderr=True)
        wide = console.width >= _WITH_BAR
        room = console.width - (0 if wide else _FOR_TIME)
        described = label if wide or len(label) <= room else label[: max(room - 1, 1)] + "…"
        shapes = (
            TextColumn("{task.description}", markup=False),
            *([BarColumn(console.width // 4)] if wide else []),
            Time(),
        )
        with Rich(*shapes, console=console) as bars:
            task = bars.add_task(described, total=None)

            def advance(done: int, total: int) -> None:
                bars.update(task, completed=done, total=total)

            yield advance
            finished = bars.tasks[0]
            bars.update(task, total=finished.total or 1, completed=finished.total or 1)


_WITH_BAR, _FOR_TIME = 72, 22
"""Columns from which on there is room for a bar, and that count and time take."""


def _clock(seconds: float) -> str:
    """ "0:07", "1:02:03" """
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


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
