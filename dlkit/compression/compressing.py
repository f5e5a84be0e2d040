"""A trained Keras model file → another of the same network with other weights: pruned, clustered, or used to rounding.

What follows (conversion, quantization, proof) is the same for both files.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from dlkit.compression.clustering import Clustered
from dlkit.compression.pruning import Pruned
from dlkit.conversion.child import run_task
from dlkit.conversion.custom_code import as_argument
from dlkit.errors import IllegalCombination
from dlkit.progress import Advance, Progress, further
from dlkit.promises import Promise
from dlkit.recipe import Recipe, recipe_from

STEPS = {"pruned": "Pruning", "clustered": "Clustering", "quantization_aware": "Training for 8-bit integers"}
"""Step of a preparation, in the order in which they are taken → what it is called."""

COMPRESSED, TOLD = "compressed.keras", "compressed.json"
"""The model, and what is told of it."""


@dataclasses.dataclass(frozen=True)
class FittedStep:
    """A step of the preparation.

    Attributes:
        name: a key of `STEPS`.
        history: one entry an epoch: loss and, of a classifier, accuracy on the training split.
    """

    name: str
    history: tuple[dict[str, float], ...]


@dataclasses.dataclass(frozen=True)
class Compressed:
    """A model that was prepared for its scheme.

    Attributes:
        model: the new .keras file.
        pruned: kernels that were pruned; () if none were to be.
        clustered: kernels that were clustered; () if none were to be.
        pattern: of the pruning, `CompressionPart.pruning`.
        block: inputs and outputs of a block, for the pattern "block"; (1, 1) for others.
        clusters: distinct weights that are promised of an output of a clustered kernel, at most; 0 without clustering.
        steps: that were taken, in order.
        notes: what a user should know.
    """

    model: Path
    pruned: tuple[Pruned, ...] = ()
    clustered: tuple[Clustered, ...] = ()
    pattern: Literal["unstructured", "2:4", "block"] = "unstructured"
    block: tuple[int, int] = (1, 1)
    clusters: int = 0
    steps: tuple[FittedStep, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def promises(self) -> tuple[Promise, ...]:
        """What must still hold of its kernels in the file that is made of it."""
        found = {
            (each.layer, each.kernel): Promise(each.layer, each.kernel, each.shape, clusters=self.clusters)
            for each in self.clustered
        }
        for each in self.pruned:
            known = found.get((each.layer, each.kernel), Promise(each.layer, each.kernel, each.shape))
            found[each.layer, each.kernel] = dataclasses.replace(
                known, sparsity=each.asked, pattern=self.pattern, block=self.block
            )
        return tuple(found.values())


def compress_model(
    model: Path,
    recipe: Recipe,
    preparation: Sequence[str],
    folder: Path,
    progress: Progress,
    custom: Sequence[str] = (),
) -> Compressed:
    """Prepare a trained model for its scheme in a child process; the new file is `folder`/compressed.keras.

    Args:
        model: the .keras file.
        recipe: by which it was trained; its data, loss and [compression] are used.
        preparation: keys of `STEPS`, in their order.
        custom: modules of the user's own code that the model is made of.

    Raises:
        IllegalCombination: a layer cannot be fine-tuned for compression, or the optimizer is not there.
        TrainingError: the loss is no longer a number, or a promise was not kept.
        ConversionError: the child crashed or hung.
    """
    check_preparation(preparation)
    compressed, told = folder / COMPRESSED, folder / TOLD
    with progress.step(" and ".join(STEPS[step] for step in preparation)) as advance:
        run_task(
            "compress",
            advance,
            math.inf,  # as long as a training may take
            model=str(model),
            recipe=json.dumps(recipe.as_dict()),
            preparation=json.dumps(list(preparation)),
            compressed=str(compressed),
            told=str(told),
            custom=as_argument(custom),
        )
    return load_compressed(folder)


def load_compressed(folder: Path) -> Compressed:
    """What `compress_model` wrote to `folder`."""
    return _read(folder / COMPRESSED, json.loads((folder / TOLD).read_text(encoding="utf-8")))


def check_preparation(preparation: Sequence[str]) -> None:
    """Raise IllegalCombination unless it names steps, each once, in their order."""
    if not preparation or [step for step in STEPS if step in preparation] != list(preparation):
        raise IllegalCombination(f"a preparation is some of {', '.join(STEPS)}, in this order; not {list(preparation)}")


def compress(
    model: str, recipe: str, preparation: str, compressed: str, told: str, advance: Advance, custom: str = ""
) -> None:
    """The child's side.

    Args:
        model: .keras file.
        recipe: JSON of `Recipe.as_dict()`.
        preparation: JSON list of keys of `STEPS`.
        compressed: .keras file to write.
        told: .json file to write: what `Compressed` tells of it.
        custom: what `custom_code.as_argument` gave.
    """
    from dlkit.conversion.keras_file import write_keras
    from dlkit.conversion.tflite import load_model
    from dlkit.frameworks import make_deterministic

    asked = recipe_from(json.loads(recipe), "recipe")
    make_deterministic(asked.seed)
    network = load_model(Path(model), custom)
    found = prepared(network, asked, json.loads(preparation), advance)
    write_keras(network, Path(compressed))
    Path(told).write_text(json.dumps(dataclasses.asdict(found) | {"model": ""}), encoding="utf-8")


def prepared(network: Any, recipe: Recipe, preparation: Sequence[str], advance: Advance) -> Compressed:
    """Prepare a Keras model in place; the result names no file.

    Raises as `compress_model` does.
    """
    from dlkit.compression.bridge import twin_of
    from dlkit.compression.clustering import Clusterer
    from dlkit.compression.finetuning import fit, lesson_of
    from dlkit.compression.holding import Held, restoring
    from dlkit.compression.kernels import chosen
    from dlkit.compression.pruning import Pruner, prunable
    from dlkit.compression.quantization_aware import Rounding

    part, lesson, twin = recipe.compression, lesson_of(recipe, network), twin_of(network)
    kernels = chosen(twin.kernels, part.keep)
    held: list[Held] = []
    steps, notes = [], _notes(twin, kernels, recipe, preparation, lesson.distilled)
    pruner = clusterer = None
    total = len(preparation) * lesson.epochs
    for number, step in enumerate(preparation):
        on = further(advance, number * lesson.epochs, total)
        if step == "pruned":
            pruner = Pruner(prunable(kernels, part), part, lesson.all_steps)
            callbacks, trained = pruner.callbacks(), twin.assembled()
            held = list(pruner.zeros)
        elif step == "clustered":
            clusterer = Clusterer(kernels, part, recipe.seed, keep_zeros=pruner is not None)
            callbacks, trained = clusterer.callbacks(), twin.assembled()
            held = list(clusterer.levels)
        else:
            rounding = Rounding(twin, recipe.export.calibration)
            trained = rounding.model()
            callbacks = [rounding.measuring(lesson.inputs(number, recipe.export.calibration_samples))]
            callbacks += [restoring(held)] if held else []
        history = fit(trained, lesson, number, callbacks, on)
        if step == "quantization_aware":
            rounding.take_off()
        steps.append(FittedStep(step, tuple(history)))
    twin.take_back()
    return Compressed(
        Path(),
        tuple(pruner.found()) if pruner else (),
        tuple(clusterer.found()) if clusterer else (),
        part.pruning,
        part.block if part.pruning == "block" else (1, 1),
        part.clusters if clusterer else 0,
        tuple(steps),
        tuple(notes),
    )


def _notes(twin: Any, kernels: Sequence[Any], recipe: Recipe, preparation: Sequence[str], distilled: bool) -> list[str]:
    from dlkit.compression.pruning import FOUR, prunable

    notes, part = [], recipe.compression
    smaller = [step for step in preparation if step != "quantization_aware"]
    depthwise = {kernel.layer for kernel in twin.kernels if kernel.axes == "depthwise"}
    if smaller and depthwise:
        notes.append(
            f"{len(depthwise)} depthwise kernels are not {' or '.join(smaller)}: each of their few weights counts"
        )
    left = [kernel.full_name for kernel in kernels if kernel not in prunable(kernels, part)]
    if "pruned" in smaller and left:
        notes.append(f"not pruned, for 2:4 needs {FOUR} inputs: {', '.join(left)}")
    if distilled:
        notes.append("fitted to its own outputs, for its training needs more than the network")
    return notes


def _read(model: Path, told: dict[str, Any]) -> Compressed:
    return Compressed(
        model,
        tuple(Pruned(**each | {"shape": tuple(each["shape"])}) for each in told["pruned"]),
        tuple(Clustered(**each | {"shape": tuple(each["shape"])}) for each in told["clustered"]),
        told["pattern"],
        (told["block"][0], told["block"][1]),
        told["clusters"],
        tuple(FittedStep(each["name"], tuple(each["history"])) for each in told["steps"]),
        tuple(told["notes"]),
    )
