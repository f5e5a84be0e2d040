"""dlkit export"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dlkit.cli._completing import models, schemes, targets
from dlkit.cli._output import force_option, out_option, print_next, progress_for, quiet_option, set_option
from dlkit.errors import suggestion

if TYPE_CHECKING:
    from dlkit.bundle.loading import Bundle
    from dlkit.progress import Progress
    from dlkit.report import Report
    from dlkit.trained import Trained

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
    help="What to calibrate with: a folder of images, or a .npy, .npz or .csv file. For a model without a data set, "
    "to prove the file on too.",
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
    help=f"How the inputs of a .keras file from elsewhere are prepared, each if they differ: {', '.join(MODES)}.",
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
    out: str,
    force: bool,
    overrides: tuple[str, ...],
    quiet: bool,
) -> None:
    """Convert a model, quantize it, prove it against the float model and write a bundle.

    Without an argument: the model built or trained last. MODEL is its name in the folder of models,
    or a .keras file from elsewhere (then say --preprocessing and --data); RECIPE is a .toml file
    that was trained, whose [export] is read anew. Models are looked for where bundles are written:
    in --out. Exit code 3 means that the file was refused; no bundle was written.

    \b
    Example:
      dlkit build vgg16 && dlkit export --quantize --data photos/
      dlkit export digits --scheme float32 --scheme float16 --scheme dynamic_int8
    """
    from dlkit.pipeline import export_schemes
    from dlkit.schemes import SCHEMES
    from dlkit.targets import TARGETS

    if quantize and names and "int8" not in names:
        raise click.UsageError(f"--quantize means --scheme int8, but --scheme {names[0]} is given too")
    chosen = names or (("int8",) if quantize else ())
    for name in chosen:
        SCHEMES[name]
    if target:
        TARGETS[target]
    if overrides and not (model or "").endswith(".toml"):
        raise click.UsageError("--set changes a recipe; name a .toml file")
    preprocessing = _preprocessing(modes)
    if preprocessing and not (model and _is_foreign(Path(model))):
        raise click.UsageError("--preprocessing is for a .keras file from elsewhere; a model made here has its own")
    progress = progress_for(quiet)
    trained = _find(model, Path(out), preprocessing, overrides, progress)
    results = export_schemes(
        trained,
        chosen,
        target,
        data=data,
        calibration=calibration,
        keep_float=keep_float,
        out=Path(out),
        force=force,
        progress=progress,
    )
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


def _preprocessing(modes: tuple[str, ...]) -> str | dict[str, str] | None:
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


def _find(
    model: str | None,
    out: Path,
    preprocessing: str | dict[str, str] | None,
    overrides: tuple[str, ...],
    progress: Progress,
) -> Trained:
    """The model that is meant. Raises ModelFileError with the nearest names if none is."""
    from dlkit.recipe import read_recipe
    from dlkit.trained import find_model, load_trained, newest_model

    if model is None:
        return load_trained(newest_model(out))
    path = Path(model)
    if model.endswith(".toml"):
        from dlkit.pipeline.exporting import as_recipe_says

        recipe = read_recipe(model, overrides)
        return as_recipe_says(load_trained(out / recipe.name), recipe)
    if _is_foreign(path):
        from dlkit.pipeline.foreign import adopt

        with progress.step(f"Reading {path}"):
            return adopt(path, preprocessing)
    if path.suffix == ".keras":
        return load_trained(path.parent)
    return load_trained(find_model(model, out))


def _is_foreign(path: Path) -> bool:
    """Whether `path` is a .keras file that dlkit did not write."""
    from dlkit.trained import is_ours

    return path.suffix == ".keras" and not (path.name == "model.keras" and is_ours(path.parent))


def print_bundle(bundle: Bundle, report: Report, quiet: bool) -> None:
    """The report, where the bundle is, and what to do with it."""
    from dlkit.bundle.writing import report_text

    click.echo(report_text(bundle.manifest["name"], report))
    if not bundle.manifest["trained"]:
        click.echo("note: the weights are random; this proves the conversion, not what the network knows\n")
    click.echo(f"wrote {bundle.folder}")
    folder = shlex.quote(str(bundle.folder))
    commands = [f"dlkit predict {folder} IMAGE", f"dlkit predict {folder} --check"]
    if report.test is not None:
        commands.append(f"dlkit evaluate {folder}")
    print_next([*commands, f"dlkit bench {folder}"], quiet)
