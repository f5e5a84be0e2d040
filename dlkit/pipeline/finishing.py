"""What a target needs beside a proven model, made while its bundle is written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlkit.bundle.writing import Finish
from dlkit.finishing import FINISHES, Finishing
from dlkit.networks import NETWORKS
from dlkit.pipeline.plan import Plan
from dlkit.progress import Progress
from dlkit.schemes import Scheme

if TYPE_CHECKING:
    from numpy.typing import NDArray


def finish_of(plan: Plan, scheme: Scheme, samples: Mapping[str, NDArray[Any]], progress: Progress) -> Finish:
    """The steps of the plan's target, one after the other.

    Args:
        samples: those that travel in the bundle.
    """
    steps = [FINISHES[name] for name in plan.target.finish]
    trained = plan.trained

    def finish(model: Path, manifest: dict[str, Any]) -> tuple[dict[str, bytes], tuple[str, ...]]:
        files: dict[str, bytes] = {}
        notes: tuple[str, ...] = ()
        for step in steps:
            with progress.step(f"Making {step.summary}") as advance:
                task = str(manifest["task"] or (NETWORKS[trained.network].task if trained.network else ""))
                given = Finishing(
                    model, trained.name, scheme, plan.target, task, trained.labels, trained.inputs, samples, manifest,
                    advance,
                )  # fmt: skip
                made = step.make(given)
            files |= made.files
            notes += made.notes
        return files, notes

    return finish
