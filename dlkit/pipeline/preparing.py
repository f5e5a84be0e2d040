"""The float models that files are made from: the one a user trained, and what fitting it again makes of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from dlkit.compression.compressing import compress_model
from dlkit.conversion.batches import Batch
from dlkit.conversion.making import convert_model
from dlkit.errors import IllegalCombination
from dlkit.pipeline.plan import Plan
from dlkit.pipeline.proving import FloatAnswers
from dlkit.pipeline.streaming import Streaming
from dlkit.progress import Progress
from dlkit.recipe import Recipe
from dlkit.schemes import Scheme
from dlkit.trained import Trained


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
        self._made: dict[tuple[str, ...], Prepared] = {}
        self._made[()] = Prepared(plan, self._original, self._streaming(plan, self._original, folder))

    def prepared(self, scheme: Scheme) -> Prepared:
        """What the scheme's file is made from.

        Raises:
            IllegalCombination: there is nothing to fit the model by, or one of its layers cannot be prepared so.
            ConversionError, TrainingError, DataError: as `compress_model` does.
        """
        steps: tuple[str, ...] = scheme.preparation
        if steps not in self._made:
            plan = self._made[()].plan
            recipe, folder = _recipe_for(plan.trained, scheme), self._folder / scheme.name
            folder.mkdir()
            compressed = compress_model(plan.trained.model, recipe, steps, folder, self._progress)
            converted = convert_model(compressed.model, self._inputs, folder, self._progress)
            answers = FloatAnswers(converted, self._inputs, plan.samples.gate, self._original, compressed)
            own = dataclasses.replace(plan, trained=dataclasses.replace(plan.trained, model=compressed.model))
            self._made[steps] = Prepared(own, answers, self._streaming(own, answers, folder))
        return self._made[steps]

    def _streaming(self, plan: Plan, answers: FloatAnswers, folder: Path) -> Streaming | None:
        return Streaming(plan, answers, folder / "step", self._progress) if self._wants_steps else None


def _recipe_for(trained: Trained, scheme: Scheme) -> Recipe:
    """By what the model is fitted again."""
    use = f"use --scheme {scheme.instead}"
    if trained.makes is not None:
        raise IllegalCombination(f"{scheme.name} fits a whole network again, and {trained.name} is part of one; {use}")
    if trained.recipe is None:
        raise IllegalCombination(
            f"{scheme.name} fits a network again by the recipe it was trained with, and {trained.name} has none; {use}"
        )
    if not trained.trained:
        raise IllegalCombination(
            f"{scheme.name} fits a trained network again, and the weights of {trained.name} are random; "
            f"train it first: dlkit train RECIPE; or {use}"
        )
    return trained.recipe
