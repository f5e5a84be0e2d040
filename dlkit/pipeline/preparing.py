"""The float models that files are made from: the one a user trained, and what fitting it again makes of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from dlkit.conversion.batches import Batch
from dlkit.conversion.making import convert_model
from dlkit.pipeline.plan import Plan
from dlkit.pipeline.proving import FloatAnswers
from dlkit.pipeline.streaming import Streaming
from dlkit.progress import Progress
from dlkit.schemes import Scheme


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A float model, ready for the schemes with the same preparation.

    Attributes:
        plan: its model, and all else that is as for every scheme.
        answers: to held-out samples.
        streaming: its network of one step; None where none is wanted.
    """

    plan: Plan
    answers: FloatAnswers
    streaming: Streaming | None


class Preparing:
    """Makes them, each once, however many schemes ask for it."""

    def __init__(self, plan: Plan, inputs: Batch, streaming: bool, folder: Path, progress: Progress) -> None:
        """
        Args:
            plan: of the model as it was trained, which is converted now.
            inputs: held-out network inputs, of the gate first, then of the test split.
            streaming: whether the network of one step is wanted too.
            folder: for what is made.

        Raises:
            ConversionError, IllegalCombination: as `convert_model` and `Streaming` do.
        """
        self._inputs, self._wants_steps, self._folder, self._progress = inputs, streaming, folder, progress
        trained = plan.trained
        converted = convert_model(trained.model, inputs, folder, progress, trained.custom)
        self._original = FloatAnswers(converted, inputs, plan.samples.gate)
        self._made = {(): Prepared(plan, self._original, self._streaming(plan, self._original, folder))}

    def prepared(self, scheme: Scheme) -> Prepared:
        """What the scheme's file is made from."""
        return self._made[()]

    def _streaming(self, plan: Plan, answers: FloatAnswers, folder: Path) -> Streaming | None:
        return Streaming(plan, answers, folder / "step", self._progress) if self._wants_steps else None
