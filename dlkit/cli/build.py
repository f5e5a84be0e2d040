"""dlkit build"""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from dlkit.cli._completing import networks_and_recipes
from dlkit.cli._output import (
    force_option,
    options_again,
    out_option,
    print_next,
    print_table,
    progress_for,
    quiet_option,
    set_option,
    size,
    times,
)  # fmt: skip


@click.command()
@click.argument("name", metavar="NETWORK|RECIPE", shell_complete=networks_and_recipes)
@out_option
@force_option
@set_option
@quiet_option
def command(name: str, out: str, force: bool, overrides: tuple[str, ...], quiet: bool) -> None:
    """Build a network with random weights and write model.keras.

    NETWORK is a name of 'dlkit list networks', built at its canonical size unless --set changes an
    option of it; RECIPE is a .toml file, of which --set changes a value.

    \b
    Example:
      dlkit build vgg16
      dlkit build vgg16 --set classes=10 --set activation=linear
      dlkit build recipes/digits.toml
    """
    from dlkit.networks import NETWORKS
    from dlkit.pipeline import build_network, build_recipe
    from dlkit.reading import with_overrides
    from dlkit.recipe import read_recipe

    progress = progress_for(quiet)
    if name.endswith(".toml"):
        recipe = read_recipe(name, overrides)
        trained, model = build_recipe(recipe, Path(out), force=force, progress=progress)
    else:
        NETWORKS[name]  # an unknown name is told before Keras is loaded
        options = with_overrides({}, overrides)
        trained, model = build_network(name, Path(out), options, force=force, progress=progress)
    _print_summary(model, quiet)
    click.echo(f"\nwrote {trained.model} ({size(trained.model.stat().st_size)}, random weights)")
    if trained.recipe is not None:
        print_next([f"dlkit train {shlex.quote(name)}{options_again(out, overrides)}"], quiet)
    else:
        again = options_again(out)
        print_next([f"dlkit export --quantize --data FOLDER{again}    # a folder of about 100 images"], quiet)


def _print_summary(model: object, quiet: bool) -> None:
    from dlkit.summary import summarize

    summary = summarize(model)
    if not quiet:
        rows = [
            (layer.name, layer.kind, times(layer.output), f"{layer.parameters:,}", f"{layer.multiply_adds:,}")
            for layer in summary.layers
        ]
        print_table(("layer", "kind", "output", "parameters", "multiply-adds"), rows, right=(3, 4))
        click.echo()
    click.echo(f"{summary.name}: input {times(summary.input)}, output {times(summary.output)}")
    click.echo(f"parameters     {summary.parameters:,}")
    click.echo(f"multiply-adds  {summary.multiply_adds:,}")
    click.echo(f"weights        {size(summary.float_bytes)} as float32, {size(summary.int8_bytes)} as int8")
