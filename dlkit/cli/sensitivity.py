"""dlkit sensitivity"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dlkit.cli._completing import models, schemes
from dlkit.cli._models import (
    calibration_option,
    check_arguments,
    custom_option,
    data_option,
    preprocessing_of,
    preprocessing_option,
)
from dlkit.cli._output import (
    json_option,
    options_again,
    out_option,
    print_json,
    print_next,
    print_table,
    progress_for,
    quiet_option,
    set_option,
)
from dlkit.errors import printable

if TYPE_CHECKING:
    from dlkit.layer_costs import LayerSensitivity, Sensitivity
    from dlkit.progress import Progress


@click.command(epilog="More: dlkit help sensitivity · smaller-files")
@click.argument("model", required=False, metavar="[MODEL|RECIPE]", shell_complete=models)
@click.option(
    "--scheme",
    metavar="NAME",
    shell_complete=schemes,
    help="A name of 'dlkit list schemes' that quantizes.  [default: the recipe's, else int8]",
)
@data_option
@calibration_option
@click.option(
    "--keep-float",
    multiple=True,
    metavar="LAYER",
    help="A layer that is float throughout and is not measured, or a pattern of names.",
)
@preprocessing_option
@custom_option
@click.option("--plot", is_flag=True, help="Draw the layers as sensitivity.png in the model's folder in --out.")
@out_option
@set_option
@quiet_option
@json_option
def command(
    model: str | None,
    scheme: str | None,
    data: str | None,
    calibration: str | None,
    keep_float: tuple[str, ...],
    modes: tuple[str, ...],
    custom: tuple[str, ...],
    plot: bool,
    out: str,
    overrides: tuple[str, ...],
    quiet: bool,
    as_json: bool,
) -> None:
    """Measure what each layer costs when it alone is quantized.

    And what it wins back when it alone stays float; by the task's metric and by the decibels of the scores above
    their quantization noise, on the validation split (of a model without a data set on a part of --data). MODEL and
    RECIPE are those of 'dlkit export', and so are the options. The layer that costs most comes first. Ends with
    what is worth keeping float, if anything is; that file was made and measured too. Nothing is exported.

    \b
    Example:
      dlkit sensitivity digits
      dlkit sensitivity recipes/digits.toml --scheme int8 --plot
      dlkit sensitivity mine.keras --preprocessing unit --data photos/ --json
    """
    from dlkit.extras import require
    from dlkit.pipeline.finding import found_model
    from dlkit.pipeline.sensing import sensitivity
    from dlkit.schemes import SCHEMES

    check_arguments(model, None, data, False, overrides)
    if scheme:
        SCHEMES[scheme]  # an unknown name is told before the work
    if plot:
        require("matplotlib")
    preprocessing = preprocessing_of(model, modes, custom)
    progress = progress_for(quiet)
    with found_model(model, Path(out), preprocessing, custom, overrides, progress) as trained:
        found = sensitivity(
            trained, scheme, data=data, calibration=calibration, keep_float=keep_float, out=out, progress=progress
        )
    picture = _draw(found, Path(out), progress) if plot else None
    if as_json:
        print_json({**found.as_dict(), "picture": picture and str(picture)})
        return
    _print(found)
    if picture:
        click.echo(f"drew {picture}")
    if found.advice is not None:
        again = _again(model, found, data, calibration, modes, custom)
        print_next([f"{again}{options_again(out, overrides)}"], quiet)


def _draw(found: Sensitivity, out: Path, progress: Progress) -> Path:
    from dlkit.drawing import draw_sensitivity
    from dlkit.writing import new_file

    picture = out / found.model / "sensitivity.png"
    with progress.step(f"Drawing {picture}"), new_file(picture) as new:
        draw_sensitivity(found, new)
    return picture


def _print(found: Sensitivity) -> None:
    metric = found.metric.removesuffix("_db")
    places = 2 if found.metric.endswith("_db") else 4
    click.echo(
        f"{printable(found.model)}, {found.scheme}, on {found.samples} samples ({printable(found.split)}): {metric} "
        f"{found.float_metric:.{places}f} float, {found.all_metric:.{places}f} with all layers quantized; scores "
        f"{found.all_sqnr_db:.1f} dB above their noise; {found.float_bytes:,} and {found.all_bytes:,} bytes\n"
    )
    head: tuple[str, ...] = (
        "layer",
        "operations",
        f"alone {metric}",
        "alone dB",
        f"kept {metric}",
        "kept dB",
        "kept bytes",
    )
    ends = (found.ends,) if found.ends else ()
    rows = [_row(entry, places) for entry in (*found.layers, *ends)]
    if metric == "sqnr":  # which the decibels are
        head, rows = head[:2] + head[3:4] + head[5:], [row[:2] + row[3:4] + row[5:] for row in rows]
    print_table(head, rows, right=range(2, len(head)))
    click.echo()
    for entry in (*found.layers, *ends):
        if entry.problem:
            click.echo(f"note: {printable(entry.layer)}: {printable(entry.problem)}")
    if found.kept_float:
        click.echo(f"note: float throughout: {printable(', '.join(found.kept_float))}")
    if found.unaffected:
        click.echo(f"note: {found.scheme} quantizes nothing of {printable(', '.join(found.unaffected))}")
    click.echo(f"{found.reason}.")


def _row(entry: LayerSensitivity, places: int) -> tuple[str, ...]:
    def told(value: float | None, digits: int) -> str:
        return "-" if value is None else f"{value:.{digits}f}"

    return (
        entry.layer,
        " ".join(dict.fromkeys(entry.operations)),
        told(entry.alone_metric, places),
        told(entry.alone_sqnr_db, 1),
        told(entry.kept_metric, places),
        told(entry.kept_sqnr_db, 1),
        "-" if entry.kept_bytes is None else f"{entry.kept_bytes:+,}",
    )


def _again(
    model: str | None,
    found: Sensitivity,
    data: str | None,
    calibration: str | None,
    modes: tuple[str, ...],
    custom: tuple[str, ...],
) -> str:
    """The export with what is worth keeping float, ready to paste."""
    from glob import escape

    words = ["dlkit", "export", *([model] if model else [])]
    words += ["--quantize"] if found.scheme == "int8" else ["--scheme", found.scheme]
    layers = [escape(layer) for layer in found.advice.layers] if found.advice else []
    options = [
        *(("--keep-float", layer) for layer in (*found.kept_float, *layers)),
        *(("--data", value) for value in (data,) if value),
        *(("--calibration", value) for value in (calibration,) if value),
        *(("--preprocessing", value) for value in modes),
        *(("--custom", value) for value in custom),
    ]
    return shlex.join([*words, *(word for option in options for word in option)])
