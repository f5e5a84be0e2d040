"""dlkit run"""

from __future__ import annotations

import os
from pathlib import Path

import click

from dlkit.cli._completing import recipes
from dlkit.cli._output import (
    force_option,
    out_option,
    progress_for,
    quiet_option,
    set_option,
    training_options,
)
from dlkit.errors import TrainingError


@click.command(epilog="More: dlkit help recipe · training")
@click.argument("recipe", type=click.Path(readable=False), metavar="RECIPE", shell_complete=recipes)
@out_option
@force_option
@training_options
@set_option
@quiet_option
def command(recipe: str, out: str, force: bool, overrides: tuple[str, ...], quiet: bool, **how: bool) -> None:
    """Do all of RECIPE: train, convert, quantize, prove, bundle.

    Exit code 3 means that the exported file did not keep what was promised; it was not written.

    \b
    Example:
      dlkit run recipes/digits.toml
      dlkit run recipes/digits.toml --set export.scheme=float32 --out /tmp/try
    """
    from dlkit.cli.export import print_bundle
    from dlkit.cli.train import print_training, told_to_resume
    from dlkit.pipeline import run
    from dlkit.recipe import read_recipe
    from dlkit.training.distribution import read_distribution

    if read_distribution(os.environ).workers > 1:
        raise TrainingError(
            f"TF_CONFIG names several workers, which train with: dlkit train {recipe}; export it after that"
        )
    wanted, progress = read_recipe(recipe, overrides), progress_for(quiet)
    with told_to_resume("run", recipe, out, overrides, wanted.name):
        _, bundle, report = run(wanted, Path(out), force=force, **how, progress=progress, when_trained=print_training)
    click.echo()
    print_bundle(bundle, report, quiet)
