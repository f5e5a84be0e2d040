"""The float models that files are made from: the one a user trained, and what fitting it again makes of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from dlkit.compression.compressing import Compressed, compress_model, load_compressed
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
from dlkit.writing import new_folder


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
        self._kept: Path | None = None
        trained = plan.trained
        converted = convert_model(trained.model, inputs, folder, progress, trained.custom, plan.target.avoid)
        self._original = FloatAnswers(converted, inputs, plan.samples.gate)
        self._made: dict[tuple[str, ...], Prepared] = {}
        self._made[()] = Prepared(plan, self._original, self._streaming(plan, self._original, folder))

    def keep_in(self, folder: Path) -> None:
        """Look in `folder` for models that were fitted again, and put them there when they are whole."""
        self._kept = folder

    @property
    def original(self) -> Prepared:
        """The model that a user trained."""
        return self._made[()]

    def prepared(self, scheme: Scheme, progress: Progress | None = None) -> Prepared:
        """What the scheme's file is made from. Threads may ask at once, each for another preparation.

        Args:
            progress: None is that of the others.

        Raises:
            IllegalCombination: there is nothing to fit the model by, or one of its layers cannot be prepared so.
            ConversionError, TrainingError, DataError: as `compress_model` does.
        """
        steps: tuple[str, ...] = scheme.preparation
        if steps not in self._made:
            plan = self._made[()].plan
            recipe, folder = _recipe_for(plan.trained, scheme), self._folder / scheme.name
            folder.mkdir(exist_ok=True)  # it may have failed before
            progress = progress or self._progress
            compressed = self._compressed(plan.trained, recipe, scheme, folder, progress)
            converted = convert_model(compressed.model, self._inputs, folder, progress, avoid=plan.target.avoid)
            answers = FloatAnswers(converted, self._inputs, plan.samples.gate, self._original, compressed)
            own = dataclasses.replace(plan, trained=dataclasses.replace(plan.trained, model=compressed.model))
            self._made[steps] = Prepared(own, answers, self._streaming(own, answers, folder))
        return self._made[steps]

    def _compressed(
        self, trained: Trained, recipe: Recipe, scheme: Scheme, folder: Path, progress: Progress
    ) -> Compressed:
        if self._kept is None:
            return compress_model(trained.model, recipe, scheme.preparation, folder, progress)
        kept = self._kept / scheme.name
        if not kept.exists():
            with new_folder(kept, replace=False) as new:
                compress_model(trained.model, recipe, scheme.preparation, new, progress)
        return load_compressed(kept)

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
