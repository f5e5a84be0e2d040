"""dlkit train"""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
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
from dlkit.errors import DlkitError, printable
from dlkit.quantities import size

if TYPE_CHECKING:
    from dlkit.pipeline import TrainingResult
    from dlkit.progress import Progress
    from dlkit.recipe import Recipe
    from dlkit.training.distribution import Distribution


@click.command(epilog="More: dlkit help training · recipe · many-machines")
@click.argument("recipe", type=click.Path(readable=False), metavar="RECIPE", shell_complete=recipes)
@out_option
@force_option
@training_options
@click.option(
    "--devices", type=click.IntRange(min=1), default=1, metavar="N", help="Train on N devices of this machine."
)
@click.option("--ray", type=click.IntRange(min=2), metavar="N", help="Have Ray start N workers that train together.")
@click.option("--dry-run", is_flag=True, help="Two steps on made-up samples: nothing is read, nothing written.")
@set_option
@quiet_option
def command(
    recipe: str,
    out: str,
    force: bool,
    devices: int,
    ray: int | None,
    dry_run: bool,
    overrides: tuple[str, ...],
    quiet: bool,
    **how: bool,
) -> None:
    """Build and train the network of RECIPE and write model.keras.

    While it trains, checkpoints are kept beside; after a stop, --resume goes on from the last and comes to the
    same. Where TF_CONFIG names workers, the same command on each trains one model together; the chief writes it.

    \b
    Example:
      dlkit train recipes/digits.toml
      dlkit train recipes/digits.toml --set training.epochs=5 --set name=short
      dlkit train recipes/digits.toml --resume
      dlkit train recipes/imagenet/vgg16.toml --dry-run --set training.batch_size=2
    """
    from dlkit.pipeline.training import ALONE, train, train_beside
    from dlkit.recipe import read_recipe
    from dlkit.training.distribution import read_distribution

    wanted, progress = read_recipe(recipe, overrides), progress_for(quiet)
    if dry_run:
        _print_trial(wanted, progress)
        return
    if ray is not None:
        _launch(ray, recipe, out)
        return
    distribution = read_distribution(os.environ, devices)
    if distribution.workers > 1:
        is_over = not _supervised(distribution, wanted, Path(out), resume=how["resume"])
        if not distribution.is_chief:
            if not is_over:
                train_beside(wanted, distribution, progress)
            said = "has nothing to do" if is_over else "is done"
            click.echo(f"{distribution.name} {said}; the model is where {distribution.addresses[0]} wrote it")
            return
        distribution = ALONE if is_over else distribution
    with told_to_resume("train", recipe, out, overrides, wanted.name):
        result = train(wanted, Path(out), force=force, **how, distribution=distribution, progress=progress)
    print_training(result)
    again = options_again(out)
    print_next([f"dlkit export --quantize{again}", f"dlkit export --scheme float32{again}"], quiet)


def _print_trial(recipe: Recipe, progress: Progress) -> None:
    from dlkit.pipeline.trying import STEPS, try_training

    trial = try_training(recipe, progress)
    click.echo(
        f"{recipe.name} trains: {STEPS} steps of {trial.samples} made-up samples in {trial.seconds:.1f} s, loss "
        f"{trial.loss:.3f}, {size(trial.peak_bytes)} of memory at most"
    )


def _supervised(distribution: Distribution, recipe: Recipe, out: Path, *, resume: bool) -> bool:
    """Returns in the process that trains; the one that was started watches it and the other workers, and ends here.

    Unless the chief has a model already that needs no more training: then it returns false in that one.
    """
    from dlkit import children
    from dlkit.pipeline.training import found_trained
    from dlkit.training import reporting
    from dlkit.training.supervising import supervise

    if reporting.supervised():
        reporting.enter()
        return True
    is_over = False
    if resume and distribution.is_chief:
        with contextlib.suppress(DlkitError):  # the process that trains says it, when the others are there to hear
            is_over = found_trained(recipe, out) is not None
    code = supervise(children.command("dlkit", *sys.argv[1:]), distribution, is_over=is_over)
    if code is not None:
        sys.exit(code)
    return False


def _launch(workers: int, recipe: str, out: str) -> None:
    """The same command without --ray on each worker."""
    from dlkit import children
    from dlkit.training.launching import launch

    given, skip = [], False
    for word in sys.argv[1:]:
        if not skip and word != "--ray" and not word.startswith("--ray="):
            given.append(str(Path(word).resolve()) if word == recipe else word)
        skip = word == "--ray"
    launch(children.command("dlkit", *given, "--out", str(Path(out).resolve())), workers)
    click.echo(f"{workers} workers of Ray have trained {recipe}; what they wrote is in {out}")


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
    course = f": {len(result.history)} epochs, loss {result.history[-1]['loss']:.4f}" if result.history else ""
    click.echo(f"trained {result.trained.name}{course}")
    for path in result.damaged:
        click.echo(f"note: the checkpoint {path.name} was damaged and passed over")
    validation, test = result.validation, result.test
    places = 4 if test.metric in ("accuracy", "auc", "skill") else 2
    recipe = result.trained.recipe
    validated = "validation (trained on too)" if recipe and recipe.training.with_validation else "validation"
    click.echo(
        f"{test.metric:<9} {validation.value:.{places}f} {validated}, {test.value:.{places}f} test (float model)"
    )
    if validation.given is not None and test.given is not None:
        click.echo(f"{'':<9} {validation.given:.{places}f} validation, {test.given:.{places}f} test (the noisy input)")
    if test.metric == "skill":
        from dlkit.report import FORECASTS

        for key, (name, read) in FORECASTS.items():
            if key in validation.besides and key in test.besides:
                click.echo(f"{name:<9} {validation.besides[key]:.4f} validation, {test.besides[key]:.4f} test ({read})")
    elif test.besides:
        click.echo(generated_text(test.besides))
    for warning in test.warnings:
        click.echo(f"warning: {printable(warning)}")
    click.echo(f"wrote {result.trained.model} ({size(result.trained.model.stat().st_size)})")
