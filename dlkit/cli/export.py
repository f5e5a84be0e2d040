"""dlkit export"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dlkit.cli._completing import models, schemes, targets
from dlkit.cli._models import (
    calibration_option,
    check_arguments,
    custom_option,
    data_option,
    known_schemes,
    preprocessing_of,
    preprocessing_option,
)
from dlkit.cli._output import force_option, out_option, print_next, print_text, progress_for, quiet_option, set_option
from dlkit.cli._searching import goals_of, print_trail, search_options
from dlkit.cli._stopping import Stopped
from dlkit.extras import check_installed

if TYPE_CHECKING:
    from dlkit.bundle.loading import Bundle
    from dlkit.errors import DlkitError
    from dlkit.pipeline.goals import Goals
    from dlkit.report import Report
    from dlkit.trained import Trained


@click.command(epilog="More: dlkit help schemes · smaller-files · own-network · own-data · targets")
@click.argument("model", required=False, metavar="[MODEL|RECIPE]", shell_complete=models)
@click.option("--quantize", is_flag=True, help="The same as --scheme int8.")
@click.option(
    "--scheme",
    "names",
    multiple=True,
    metavar="NAME",
    shell_complete=schemes,
    help="A name of 'dlkit list schemes'; several make a bundle each.  [default: the recipe's for its target, else the "
    "target's best; of a model without a recipe float32 on cpu]",
)
@click.option(
    "--target",
    metavar="NAME",
    shell_complete=targets,
    help="A name of 'dlkit list targets', or the .toml file that describes yours.  [default: the recipe's, else cpu]",
)
@data_option
@calibration_option
@click.option(
    "--keep-float",
    multiple=True,
    metavar="LAYER",
    help="A layer that is not quantized, or a pattern of names; the report of an export suggests which.",
)
@preprocessing_option
@custom_option
@click.option(
    "--streaming",
    is_flag=True,
    help="For a recurrent network: beside the file for whole sequences also one that takes a step at a time.",
)
@click.option(
    "--unroll",
    is_flag=True,
    help="Write out the steps of an LSTM in place of one operation for all: in int8 many times as fast on a "
    "processor, and a larger file.  [default: the recipe's]",
)
@click.option(
    "--decoder",
    is_flag=True,
    help="Of a variational auto-encoder the decoder alone, which makes images of noise: a bundle of NAME-decoder.",
)
@search_options
@out_option
@force_option
@set_option
@quiet_option
def command(
    model: str | None,
    quantize: bool,
    names: tuple[str, ...],
    target: str | None,
    data: str | None,
    calibration: str | None,
    keep_float: tuple[str, ...],
    modes: tuple[str, ...],
    custom: tuple[str, ...],
    streaming: bool,
    unroll: bool,
    decoder: bool,
    out: str,
    force: bool,
    overrides: tuple[str, ...],
    quiet: bool,
    **searched: Any,
) -> None:
    """Convert a model, quantize it, prove it and write a bundle.

    Without an argument: the model built or trained last. MODEL is its name in the folder of models, or a model from
    elsewhere: a .keras or .h5 file, a SavedModel folder, a float .tflite file (then say --preprocessing and
    --data); RECIPE is a .toml file that was trained, whose [export] is read anew. Models are looked for where
    bundles are written: in --out. Code in a file is never run; layers of your own come from the modules you name
    with --custom. Exit code 3 means that the file was refused; no bundle was written.

    With a limit (--max-…) or --prefer the best file is searched for: every scheme of the target or those of
    --scheme, ways to choose ranges, files in which the layers that lose most stay float, and networks that are
    fitted again by their recipe; each is made and measured on the validation split, a step only if it may win. Of
    the files within all limits it writes the smallest, or what --prefer says, as NAME/TARGET-best with the trail of
    all that was tried; sizes within 1 % (and times within 5 %) count as equal, then the size by gzip decides, then
    what is lost. Exit code 3 means that no file is within the limits.

    \b
    Example:
      dlkit build vgg16 && dlkit export --quantize --data photos/
      dlkit export digits --scheme float32 --scheme float16 --scheme dynamic_int8
      dlkit export mine.keras --custom mypackage.layers --preprocessing unit --data photos/
      dlkit export digits --max-drop 0.005 --max-size 100KB
    """
    from dlkit.pipeline import export_schemes
    from dlkit.pipeline.finding import found_model

    chosen = known_schemes(quantize, names)
    check_arguments(model, target, data, decoder, overrides)
    preprocessing = preprocessing_of(model, modes, custom)
    progress, goals = progress_for(quiet), goals_of(searched, streaming=streaming, unroll=unroll, decoder=decoder)
    if searched["ray"]:
        check_installed("ray")
    if goals:
        with found_model(model, Path(out), preprocessing, custom, overrides, progress) as trained:
            _search(trained, goals, quiet, schemes=chosen, target=target, data=data, calibration=calibration,
                    keep_float=keep_float, out=Path(out), force=force, resume=searched["resume"],
                    jobs=searched["jobs"], ray=searched["ray"], progress=progress)  # fmt: skip
        return
    with found_model(model, Path(out), preprocessing, custom, overrides, progress) as trained:
        results = export_schemes(
            trained,
            chosen,
            target,
            data=data,
            calibration=calibration,
            keep_float=keep_float,
            streaming=streaming,
            unroll=unroll,
            decoder=decoder,
            out=Path(out),
            force=force,
            progress=progress,
        )
    _print_results(results, quiet)


def _search(trained: Trained, goals: Goals, quiet: bool, **how: Any) -> None:
    """Search, and print the trail and the bundle. Raises VerificationRefused if there is none within the limits."""
    from dlkit.errors import VerificationRefused
    from dlkit.pipeline.searching import search
    from dlkit.pipeline.trail import in_the_way

    try:
        found = search(trained, goals, **how)
    except (KeyboardInterrupt, Stopped):
        if list((how["out"] / trained.name).glob(".search-*/*/tried.json")):
            click.echo("go on with the same command and --resume", err=True)
        raise
    print_trail(found.trail)
    if found.bundle is None or found.report is None:
        raise VerificationRefused(
            f"no file is within the limits, and nothing was written: {in_the_way(found.trail.goals, found.trail.tried)}"
        )
    click.echo()
    print_bundle(found.bundle, found.report, quiet)


def _print_results(results: Sequence[tuple[Bundle, Report] | DlkitError], quiet: bool) -> None:
    """Every bundle, then every error; the last of these is raised."""
    made = [result for result in results if isinstance(result, tuple)]
    failed = [result for result in results if not isinstance(result, tuple)]
    for number, (bundle, report) in enumerate(made):
        if number:
            click.echo()
        print_bundle(bundle, report, quiet or len(results) > 1)
    for error in failed[:-1]:
        click.echo(f"error: {error}", err=True)
    if failed:
        raise failed[-1]


def is_slow_lstm(report: Report, runtime: str) -> bool:
    """Whether a file has an LSTM that --unroll makes many times as fast: LiteRT has no fast kernel of its int8 form."""
    return runtime == "litert" and report.scheme.startswith("int8") and "UNIDIRECTIONAL_SEQUENCE_LSTM" in report.ops


def print_bundle(bundle: Bundle, report: Report, quiet: bool) -> None:
    """The report, where the bundle is, and what to do with it."""
    from dlkit.bundle.writing import report_text

    print_text(report_text(bundle.manifest["name"], report))
    if not bundle.manifest["trained"]:
        print_text("note: the weights are random; this proves the conversion, not what the network knows\n")
    if is_slow_lstm(report, bundle.manifest["device"]["runtime"]):
        print_text("note: int8 of an LSTM in one operation is small, and slow on a processor; see --unroll\n")
    click.echo(f"wrote {bundle.folder}")
    folder = shlex.quote(str(bundle.folder))
    kind = "SOUND.wav" if any(inputs.sound for inputs in bundle.inputs.values()) else "IMAGE"
    given = "" if bundle.task == "generation" else f" {kind}"
    commands = [f"dlkit predict {folder}{given}", f"dlkit predict {folder} --check"]
    if report.test is not None:
        commands.append(f"dlkit evaluate {folder}")
    commands += [f"dlkit bench {folder}", f"dlkit report {folder} --open"]
    print_next([*commands, *_with_files_of_the_device(bundle)], quiet)


def _with_files_of_the_device(bundle: Bundle) -> list[str]:
    """What can be tried here of what was made beside the file: a page, C source."""
    folder, there = shlex.quote(str(bundle.folder)), bundle.manifest["sha256"]
    commands = [f"dlkit serve {folder} --open"] if "web/index.html" in there else []
    for file, target in (("c/Makefile", "check"), ("c/qemu/Makefile", "qemu")):
        if file in there:
            commands.append(f"make -C {folder}/c {target}")
    return commands
