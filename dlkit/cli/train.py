"""dlkit train"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dlkit.cli._completing import recipes
from dlkit.cli._output import (
    force_option,
    generated_text,
    options_again,
    out_option,
    print_next,
    progress_for,
    quiet_option,
    set_option,
    training_options,
)
from dlkit.cli._stopping import Stopped
from dlkit.quantities import size

if TYPE_CHECKING:
    from dlkit.pipeline import TrainingResult


@click.command()
@click.argument("recipe", type=click.Path(), metavar="RECIPE", shell_complete=recipes)
@out_option
@force_option
@training_options
@click.option("--dry-run", is_flag=True, help="Two steps on made-up samples: nothing is read, nothing written.")
@set_option
@quiet_option
def command(
    recipe: str, out: str, force: bool, dry_run: bool, overrides: tuple[str, ...], quiet: bool, **how: bool
) -> None:
    """Build and train the network of RECIPE and write model.keras.

    While it trains, checkpoints are kept beside; after a stop, --resume goes on from the last and comes to the same.

    \b
    Example:
      dlkit train recipes/digits.toml
      dlkit train recipes/digits.toml --set training.epochs=5 --set name=short
      dlkit train recipes/digits.toml --resume
      dlkit train recipes/imagenet/vgg16.toml --dry-run --set training.batch_size=2
    """
    from dlkit.pipeline import train
    from dlkit.recipe import read_recipe

    wanted = read_recipe(recipe, overrides)
    if dry_run:
        from dlkit.pipeline.trying import STEPS, try_training

        trial = try_training(wanted, progress_for(quiet))
        click.echo(
            f"{wanted.name} trains: {STEPS} steps of {trial.samples} made-up samples in {trial.seconds:.1f} s, loss "
            f"{trial.loss:.3f}, {size(trial.peak_bytes)} of memory at most"
        )
        return
    with told_to_resume("train", recipe, out, overrides, wanted.name):
        result = train(wanted, Path(out), force=force, **how, progress=progress_for(quiet))
    print_training(result)
    again = options_again(out)
    print_next([f"dlkit export --quantize{again}", f"dlkit export --scheme float32{again}"], quiet)


@contextlib.contextmanager
def told_to_resume(command: str, recipe: str, out: str, overrides: Sequence[str], name: str) -> Iterator[None]:
    """If the block is stopped in the middle of a training, say how to go on."""
    try:
        yield
    except (KeyboardInterrupt, Stopped):
        if list(Path(out, name, "checkpoints").glob("*.npz")):
            again = f"dlkit {command} {shlex.quote(recipe)} --resume{options_again(out, overrides)}"
            click.echo(f"go on with: {again}", err=True)
        raise


def print_training(result: TrainingResult) -> None:
    """What a training run came to."""
    last = result.history[-1]
    click.echo(f"trained {result.trained.name}: {len(result.history)} epochs, loss {last['loss']:.4f}")
    validation, test = result.validation, result.test
    places = 4 if test.metric in ("accuracy", "auc", "skill") else 2
    click.echo(f"{test.metric:<9} {validation.value:.{places}f} validation, {test.value:.{places}f} test (float model)")
    if validation.given is not None and test.given is not None:
        click.echo(f"{'':<9} {validation.given:.{places}f} validation, {test.given:.{places}f} test (the noisy input)")
    if test.besides:
        click.echo(generated_text(test.besides))
    click.echo(f"wrote {result.trained.model} ({size(result.trained.model.stat().st_size)})")
