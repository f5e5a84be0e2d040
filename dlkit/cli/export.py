"""dlkit export"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dlkit.cli._completing import models, schemes, targets
from dlkit.cli._output import force_option, out_option, print_next, progress_for, quiet_option, set_option
from dlkit.errors import suggestion

if TYPE_CHECKING:
    from dlkit.bundle.loading import Bundle
    from dlkit.errors import DlkitError
    from dlkit.report import Report

MODES = ("unit", "signed", "lite", "caffe", "torch", "none")


@click.command()
@click.argument("model", required=False, metavar="[MODEL|RECIPE]", shell_complete=models)
@click.option("--quantize", is_flag=True, help="The same as --scheme int8.")
@click.option(
    "--scheme",
    "names",
    multiple=True,
    metavar="NAME",
    shell_complete=schemes,
    help="A name of 'dlkit list schemes'; several make a bundle each.  [default: the recipe's, else float32]",
)
@click.option(
    "--target",
    metavar="NAME",
    shell_complete=targets,
    help="A name of 'dlkit list targets'.  [default: the recipe's, else cpu]",
)
@click.option(
    "--data",
    type=click.Path(),
    metavar="PATH",
    help="What to calibrate with: a folder of images or WAV files, or a .npy, .npz or .csv file. For a model without a "
    "data set, to prove the file on too.",
)
@click.option(
    "--calibration",
    type=click.Choice(("minmax", "percentile", "mse")),
    help="How ranges are chosen.  [default: the recipe's, else minmax]",
)
@click.option(
    "--keep-float",
    multiple=True,
    metavar="LAYER",
    help="A layer that is not quantized, or a pattern of names; the report of an export suggests which.",
)
@click.option(
    "--preprocessing",
    "modes",
    multiple=True,
    metavar="[INPUT=]MODE",
    help=f"How the inputs of a model from elsewhere are prepared, each if they differ: {', '.join(MODES)}.",
)
@click.option(
    "--custom",
    multiple=True,
    metavar="MODULE",
    help="Import this Python module: it has layers of your own that a model from elsewhere is made of.",
)
@click.option(
    "--streaming",
    is_flag=True,
    help="For a recurrent network: beside the file for whole sequences also one that takes a step at a time.",
)
@click.option(
    "--decoder",
    is_flag=True,
    help="Of a variational auto-encoder the decoder alone, which makes images of noise: a bundle of NAME-decoder.",
)
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
    decoder: bool,
    out: str,
    force: bool,
    overrides: tuple[str, ...],
    quiet: bool,
) -> None:
    """Convert a model, quantize it, prove it against the float model and write a bundle.

    Without an argument: the model built or trained last. MODEL is its name in the folder of models,
    or a model from elsewhere: a .keras or .h5 file, a SavedModel folder, a float .tflite file (then say
    --preprocessing and --data); RECIPE is a .toml file that was trained, whose [export] is read anew.
    Models are looked for where bundles are written: in --out. Code in a file is never run; layers of
    your own come from the modules you name with --custom. Exit code 3 means that the file was refused;
    no bundle was written.

    \b
    Example:
      dlkit build vgg16 && dlkit export --quantize --data photos/
      dlkit export digits --scheme float32 --scheme float16 --scheme dynamic_int8
      dlkit export mine.keras --custom mypackage.layers --preprocessing unit --data photos/
    """
    from dlkit.pipeline import export_schemes
    from dlkit.pipeline.finding import found_model

    chosen = _schemes(quantize, names)
    _check(model, target, data, decoder, overrides)
    preprocessing = preprocessing_of(modes)
    check_origin(model, {"--preprocessing": preprocessing, "--custom": custom})
    progress = progress_for(quiet)
    with found_model(model, Path(out), preprocessing, custom, overrides, progress) as trained:
        results = export_schemes(
            trained,
            chosen,
            target,
            data=data,
            calibration=calibration,
            keep_float=keep_float,
            streaming=streaming,
            decoder=decoder,
            out=Path(out),
            force=force,
            progress=progress,
        )
    _print_results(results, quiet)


def _schemes(quantize: bool, names: tuple[str, ...]) -> tuple[str, ...]:
    """The schemes asked for. Raises UsageError if the options disagree, UnknownName for what is no scheme."""
    from dlkit.schemes import SCHEMES

    if quantize and names and "int8" not in names:
        raise click.UsageError(f"--quantize means --scheme int8, but --scheme {names[0]} is given too")
    chosen = names or (("int8",) if quantize else ())
    for name in chosen:
        SCHEMES[name]
    return chosen


def _check(model: str | None, target: str | None, data: str | None, decoder: bool, overrides: tuple[str, ...]) -> None:
    """Raise UsageError for options that do not go together, UnknownName for what is no target."""
    from dlkit.targets import TARGETS

    if target:
        TARGETS[target]
    if decoder and data:
        raise click.UsageError("--decoder is calibrated with noise; leave out --data")
    if overrides and not (model or "").endswith(".toml"):
        raise click.UsageError("--set changes a recipe; name a .toml file")


def check_origin(model: str | None, of_foreign: Mapping[str, object]) -> None:
    """Raise UsageError for what only a model from elsewhere has, option → what was given, where `model` is none."""
    from dlkit.pipeline.finding import is_foreign

    for option, given in of_foreign.items():
        if given and not (model and is_foreign(Path(model))):
            raise click.UsageError(f"{option} is for a model from elsewhere; a model made here has its own")


def preprocessing_of(modes: tuple[str, ...]) -> str | dict[str, str] | None:
    """One mode for all inputs, or input → mode. Raises UsageError for what is no mode."""
    pairs = [mode.rpartition("=")[::2] for mode in modes]
    for _, mode in pairs:
        if mode not in MODES:
            raise click.UsageError(f"--preprocessing {mode!r} is none; {suggestion(mode, MODES)}")
    if not pairs:
        return None
    if len(pairs) == 1 and not pairs[0][0]:
        return pairs[0][1]
    if not all(name for name, _ in pairs):
        raise click.UsageError("--preprocessing is given several times; say of which input each: INPUT=MODE")
    return dict(pairs)


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


def print_bundle(bundle: Bundle, report: Report, quiet: bool) -> None:
    """The report, where the bundle is, and what to do with it."""
    from dlkit.bundle.writing import report_text

    click.echo(report_text(bundle.manifest["name"], report))
    if not bundle.manifest["trained"]:
        click.echo("note: the weights are random; this proves the conversion, not what the network knows\n")
    click.echo(f"wrote {bundle.folder}")
    folder = shlex.quote(str(bundle.folder))
    kind = "SOUND.wav" if any(inputs.sound for inputs in bundle.inputs.values()) else "IMAGE"
    given = "" if bundle.task == "generation" else f" {kind}"
    commands = [f"dlkit predict {folder}{given}", f"dlkit predict {folder} --check"]
    if report.test is not None:
        commands.append(f"dlkit evaluate {folder}")
    print_next([*commands, f"dlkit bench {folder}"], quiet)
