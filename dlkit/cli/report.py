"""dlkit report"""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dlkit.cli._completing import bundles
from dlkit.cli._output import print_next, progress_for, quiet_option

if TYPE_CHECKING:
    from dlkit.bundle.loading import Bundle
    from dlkit.pages.latency import Latencies
    from dlkit.progress import Progress


@click.command(epilog="More: dlkit help reports")
@click.argument("bundles", nargs=-1, required=True, type=click.Path(), metavar="BUNDLE...", shell_complete=bundles)
@click.option(
    "--runs",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    metavar="N",
    help="Inferences timed (at most 2 s).",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="The page to write.  [default: report.html in the bundle, or in the folder that holds all of them]",
)
@click.option("--open", "opens", is_flag=True, help="Open the page in the browser.")
@quiet_option
def command(bundles: tuple[str, ...], runs: int, output: str | None, opens: bool, quiet: bool) -> None:
    """Write a page to look at: a BUNDLE, or several side by side.

    A page is one HTML file that loads nothing from elsewhere: quality float and exported, samples with their answers,
    confusion matrices, what each layer loses and weighs, latency on this machine, operations, the device, the course of
    the training, the recipe and how to make it again. Every export writes it as report.html into its bundle; this
    measures the latency anew, and compares. A folder stands for all bundles in it and in its folders.

    \b
    Example:
      dlkit report exported/digits-tiny/cpu-int8 --open
      dlkit report exported/digits
      dlkit report exported/digits/cpu-int8 exported/digits/cpu-float32 --output both.html
    """
    from dlkit.pages.finding import bundles_of

    found, progress = bundles_of([Path(name) for name in bundles]), progress_for(quiet)
    page = _one(found[0], runs, output, progress) if len(found) == 1 else _several(found, runs, output, progress)
    click.echo(f"wrote {page}")
    if opens:
        if click.launch(page.resolve().as_uri()):
            click.echo("there is no browser here; open the file with one", err=True)
    else:
        print_next([f"dlkit report {shlex.join(bundles)} --open"], quiet)


def _one(bundle: Bundle, runs: int, output: str | None, progress: Progress) -> Path:
    from dlkit.pages.writing import NAME, page_of, refuse_foreign, write_page
    from dlkit.writing import write_bytes

    file = Path(output) if output else bundle.folder / NAME
    refuse_foreign(file)
    latencies = _timed(bundle, runs, progress)
    with progress.step(f"Drawing {bundle.name}"):
        if output is None:
            return write_page(bundle, latencies)
        write_bytes(file, page_of(bundle, latencies), "--output FILE")
        return file


def _several(bundles: list[Bundle], runs: int, output: str | None, progress: Progress) -> Path:
    from dlkit.pages.comparison_page import Compared, comparison_page
    from dlkit.pages.finding import common_folder
    from dlkit.pages.reading import report_of
    from dlkit.pages.writing import NAME, refuse_foreign
    from dlkit.writing import write_bytes

    file = Path(output) if output else common_folder(bundles) / NAME
    refuse_foreign(file)
    reports = [report_of(bundle) for bundle in bundles]
    timed = [_timed(bundle, runs, progress) for bundle in bundles]
    compared = [
        Compared(bundle, report, latencies, _link(file, bundle.folder / NAME))
        for bundle, report, latencies in zip(bundles, reports, timed, strict=True)
    ]
    write_bytes(file, comparison_page(compared), "--output FILE")
    return file


def _timed(bundle: Bundle, runs: int, progress: Progress) -> Latencies:
    from dlkit.pages.latency import measure_latencies
    from dlkit.pages.writing import is_for_gpu

    with progress.step(f"Timing {bundle.name}"):
        return measure_latencies(bundle, runs, 2.0, gpu=is_for_gpu(bundle))


def _link(page: Path, other: Path) -> tuple[str, ...]:
    """From one page to another, where that is there; () where it is not."""
    if not other.is_file():
        return ()
    return Path(os.path.relpath(other.resolve(), page.resolve().parent)).parts
