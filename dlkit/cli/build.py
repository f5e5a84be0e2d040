"""dlkit build"""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dlkit.cli._completing import networks_and_recipes
from dlkit.cli._output import (
    force_option,
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
from dlkit.quantities import size, times

if TYPE_CHECKING:
    from dlkit.progress import Progress
    from dlkit.summary import Summary
    from dlkit.trained import Trained


@click.command(epilog="More: dlkit help own-network · training")
@click.argument("name", metavar="NETWORK|RECIPE", shell_complete=networks_and_recipes)
@click.option(
    "--weights",
    type=click.Path(readable=False),
    metavar="imagenet|FILE",
    help="Weights to start from: those of keras.applications, or a .keras, .weights.h5 or .h5 file.",
)
@click.option("--layers", "each_layer", is_flag=True, help="Show every layer, not only the stages.")
@click.option("--plot", is_flag=True, help="Draw the network as network.png beside its model.keras.")
@out_option
@force_option
@set_option
@quiet_option
@json_option
def command(
    name: str,
    weights: str | None,
    each_layer: bool,
    plot: bool,
    out: str,
    force: bool,
    overrides: tuple[str, ...],
    quiet: bool,
    as_json: bool,
) -> None:
    """Build a network as model.keras and show what it is made of.

    NETWORK is a name of 'dlkit list networks', built at its canonical size unless --set changes an option of it;
    RECIPE is a .toml file, of which --set changes a value. Weights are random unless --weights says otherwise;
    those for ImageNet are downloaded once. A stage is a run of layers at one resolution; activations are what must
    be kept in memory at once for one input.

    \b
    Example:
      dlkit build vgg16
      dlkit build vgg16 --set classes=10 --set activation=linear
      dlkit build resnet8 --layers
      dlkit build vgg16 --plot
      dlkit build mobilenet_v2 --weights imagenet
      dlkit build vgg16 --set classes=10 --weights trained.weights.h5
      dlkit build recipes/digits.toml --json
    """
    from dlkit.extras import require
    from dlkit.summary import summarize

    if plot:
        require("matplotlib")  # what is missing is told before the work
    progress = progress_for(quiet)
    trained, model = _build(name, Path(out), force, overrides, weights, progress)
    summary = summarize(model)
    picture = _draw(trained, summary, progress) if plot else None
    if as_json:
        layers = {"layers": [dataclasses.asdict(layer) for layer in summary.layers]} if each_layer else {}
        print_json({**summary.as_dict(), **layers, "model": str(trained.model), "picture": picture and str(picture)})
        return
    if not quiet:
        _print_layers(summary) if each_layer else _print_stages(summary)
        click.echo()
    _print_totals(summary)
    click.echo(f"\nwrote {trained.model} ({size(trained.model.stat().st_size)}, {_origin(weights)} weights)")
    if picture:
        click.echo(f"drew {picture}")
    if trained.recipe is not None:
        print_next([f"dlkit train {shlex.quote(name)}{options_again(out, overrides)}"], quiet)
    elif next(iter(trained.inputs.values())).image is not None:
        again = options_again(out)
        print_next([f"dlkit export --quantize --data FOLDER{again}    # a folder of about 100 images"], quiet)


def _origin(weights: str | None) -> str:
    return {None: "random", "imagenet": "ImageNet"}.get(weights, f"{weights}'s")


def _build(
    name: str, out: Path, force: bool, overrides: tuple[str, ...], weights: str | None, progress: Progress
) -> tuple[Trained, Any]:
    from dlkit.networks import NETWORKS
    from dlkit.pipeline import build_network, build_recipe
    from dlkit.reading import with_overrides
    from dlkit.recipe import read_recipe

    if name.endswith(".toml"):
        if weights is not None:
            raise click.UsageError("--weights is for a network by its name, not for a recipe")
        return build_recipe(read_recipe(name, overrides), out, force=force, progress=progress)
    NETWORKS[name]  # an unknown name is told before Keras is loaded
    return build_network(name, out, with_overrides({}, overrides), weights=weights, force=force, progress=progress)


def _draw(trained: Trained, summary: Summary, progress: Progress) -> Path:
    from dlkit.drawing import draw_network
    from dlkit.networks import NETWORKS
    from dlkit.writing import new_file

    picture = trained.model.with_name("network.png")
    with progress.step(f"Drawing {picture}"), new_file(picture) as new:
        draw_network(summary, NETWORKS[trained.network].paper, new)
    return picture


def _print_stages(summary: Summary) -> None:
    rows = [
        (stage.name, times(stage.output), f"{stage.parameters:,}", f"{stage.multiply_adds:,}", stage.contents)
        for stage in summary.stages
    ]
    print_table(("stage", "output", "parameters", "multiply-adds", "layers"), rows, right=(2, 3))


def _print_layers(summary: Summary) -> None:
    rows = [
        (layer.name, layer.kind, times(layer.output), f"{layer.parameters:,}", f"{layer.multiply_adds:,}")
        for layer in summary.layers
    ]
    print_table(("layer", "kind", "output", "parameters", "multiply-adds"), rows, right=(3, 4))


def _print_totals(summary: Summary) -> None:
    ends = [
        f"{end}{'s' if len(shapes) > 1 else ''} {' and '.join(times(shape) for shape in shapes)}"
        for end, shapes in (("input", summary.inputs), ("output", summary.outputs))
    ]
    fixed = f" ({summary.trainable:,} trainable)" if summary.trainable != summary.parameters else ""
    peak = summary.peak_elements
    click.echo(f"{summary.name}: {', '.join(ends)}")
    click.echo(f"parameters     {summary.parameters:,}{fixed}")
    click.echo(f"multiply-adds  {summary.multiply_adds:,}")
    click.echo(f"weights        {size(summary.float_bytes)} as float32, {size(summary.int8_bytes)} as int8")
    click.echo(f"activations    {size(4 * peak)} as float32, {size(peak)} as int8, at most at once")
