"""The one pipeline: build → train → export, each step turning one type into the next."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dlkit.bundle.loading import Bundle
from dlkit.devices import RUNTIMES, known_target
from dlkit.errors import OutputError
from dlkit.pipeline.exporting import bundle_folder, export, export_schemes
from dlkit.pipeline.making_models import build_network, build_recipe
from dlkit.pipeline.training import TrainingResult, train
from dlkit.progress import SILENT, Progress
from dlkit.recipe import Recipe
from dlkit.report import Report
from dlkit.writing import exists

__all__ = ["TrainingResult", "build_network", "build_recipe", "export", "export_schemes", "run", "train"]


def run(
    recipe: Recipe,
    out: str | Path = "exported",
    *,
    force: bool = False,
    resume: bool = False,
    tensorboard: bool = False,
    plot: bool = False,
    progress: Progress = SILENT,
    when_trained: Callable[[TrainingResult], None] = lambda result: None,
) -> tuple[TrainingResult, Bundle, Report]:
    """All of it: train the recipe, export what it says, prove it.

    Args:
        out, force, resume, tensorboard, plot, progress: see `train`; `force` replaces the bundle too.
        when_trained: called between the two halves, so that a refused file does not hide the training.

    Returns:
        What the training came to, the bundle as it lies in `out`/name/target-scheme/, and what was measured of it.

    Raises as `train` and `export` do.
    """
    out = Path(out)
    target = known_target(recipe.export.target)
    RUNTIMES[target.runtime].require_tools()
    _refuse_existing(bundle_folder(out, recipe.name, target.name, recipe.export.scheme), replace=force)
    how: dict[str, Any] = {"force": force, "resume": resume, "tensorboard": tensorboard, "plot": plot}
    result = train(recipe, out, **how, progress=progress)
    when_trained(result)
    bundle, report = export(result.trained, out=out, force=force, progress=progress)
    return result, bundle, report


def _refuse_existing(bundle: Path, *, replace: bool) -> None:
    """Raise OutputError if there is a bundle and it may not be replaced; what to do with it may be what was wanted."""
    if exists(bundle) and not replace:
        raise OutputError(
            f"{bundle} exists already; prove it with 'dlkit predict {bundle} --check', or make it again with --force, "
            "or another one with --out DIR"
        )
