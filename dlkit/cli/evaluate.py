"""dlkit evaluate"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from dlkit.cli._completing import bundles
from dlkit.cli._output import generated_text, json_option, print_json, progress_for, quiet_option
from dlkit.errors import printable


@click.command(epilog="More: dlkit help reports · proof")
@click.argument("bundle", type=click.Path(readable=False), metavar="BUNDLE", shell_complete=bundles)
@click.option(
    "--data",
    type=click.Path(readable=False),
    metavar="FOLDER",
    help="A folder of images or WAV files for each class, in place of the test split.",
)
@json_option
@quiet_option
def command(bundle: str, data: str | None, as_json: bool, quiet: bool) -> None:
    """Measure BUNDLE on its test split, beside the float model.

    By the metric of its task: accuracy, PSNR, area under the ROC curve, skill of a forecast.

    \b
    Example:
      dlkit evaluate exported/digits/cpu-int8
      dlkit evaluate exported/photos/cpu-int8 --data new-photos/ --json
    """
    from dlkit.bundle.loading import load_bundle
    from dlkit.pipeline.evaluating import evaluate

    loaded = load_bundle(Path(bundle))
    with progress_for(quiet or as_json).step(f"Evaluating {loaded.name}") as advance:
        result = evaluate(loaded, Path(data) if data else None, advance)
    if as_json:
        print_json(dataclasses.asdict(result))
        return
    click.echo(f"{result.metric} on {result.samples} samples ({result.data})")
    places = 2 if result.metric in ("psnr_db", "feature_distance") else 4
    if result.float is not None:
        click.echo(f"float      {result.float:.{places}f}")
    click.echo(f"exported   {result.exported:.{places}f}")
    if result.metric == "auc":
        alarms, found = result.besides["false_alarms"], result.besides["found"]
        click.echo(f"threshold  {result.besides['threshold']:.5f}")
        click.echo(f"beyond it  {alarms:.4f} of the normal samples, {found:.4f} of the others")
    elif result.metric == "skill":
        from dlkit.report import FORECASTS

        for key, value in result.besides.items():
            name, read = FORECASTS[key]
            click.echo(f"{name:<10} {value:.4f} ({read})")
    elif result.besides:
        click.echo(generated_text(result.besides))
    for warning in result.warnings:
        click.echo(f"warning: {printable(warning)}")
    if result.agreement is not None:
        click.echo(f"agreement  {result.agreement:.4f}")
