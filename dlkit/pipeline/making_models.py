"""A network or a recipe → a Keras model on disk, with random weights or those of a file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from dlkit.conversion.keras_file import write_keras
from dlkit.conversion.named_ends import input_names
from dlkit.frameworks import make_deterministic
from dlkit.networks import NETWORKS, PIXELS, Network
from dlkit.pipeline.weights import IMAGENET, check_source, imagenet_labels, load_weights
from dlkit.progress import SILENT, Progress
from dlkit.recipe import Recipe, opened
from dlkit.recipe_data import preprocessing_of
from dlkit.runtime.preprocessing import Preprocessing, image_behind, preprocessing_for
from dlkit.trained import Trained, is_unfinished, only_built
from dlkit.writing import check_writable, explained, refuse_existing

if TYPE_CHECKING:
    import keras

    from dlkit.training.watching import History

EXPORTED = Path("exported")


def build_network(
    name: str,
    out: str | Path = EXPORTED,
    options: dict[str, Any] | None = None,
    *,
    weights: str | None = None,
    force: bool = False,
    progress: Progress = SILENT,
) -> tuple[Trained, keras.Model]:
    """The network `name`, written to `out`/name/.

    >>> trained, model = dlkit.build_network("vgg16", options={"classes": 10})    # doctest: +SKIP
    >>> model.input_shape, model.output_shape                                     # doctest: +SKIP
    ((None, 224, 224, 3), (None, 10))

    Args:
        out: folder that holds models and bundles.
        options: of its builder; without them its canonical size.
        weights: "imagenet", or a file of Keras weights; without it they are random (seed 0).
        force: replace the trained model that is there; one that was only built is replaced unasked.
        progress: told of each step; silent by default.

    Returns:
        The model on disk, and the same as a Keras 3 model: (N, *input) float32 → (N, *output) float32.

    Raises:
        UnknownName: no network is called that.
        RecipeError, DataError: an option is unknown, mistyped or impossible, or weights cannot be had.
        ModelFileError: the file of weights cannot be read, or is of another network.
        OutputError: there is a model already and `force` is false, or `out` cannot be written.
    """
    out, network, options = Path(out), NETWORKS[name], options or {}
    arguments = network.read_options(options, "network options")
    if weights is not None:
        check_source(network, arguments, weights)
    check_destination(out / name, force)
    with progress.step(f"Building {name}"):
        make_deterministic(0)
        model = network.build(options)
    shape = tuple(model.inputs[0].shape[1:])
    preprocessing = _preprocessing_of_network(network, shape)
    numbers = tuple(str(i) for i in range(arguments.get("classes", network.classes)))
    labels = numbers if network.gives_scores(arguments) else ()
    conditions = numbers if network.is_conditional else ()
    if weights is not None:
        with progress.step(f"Loading weights: {weights}"):
            load_weights(model, network, arguments, weights)
            if weights == IMAGENET and labels:
                labels = imagenet_labels()
    trained = weights is not None
    inputs = {input_names(model)[0]: preprocessing}
    place = out / name / "model.keras"
    unsaved = Trained(name, place, name, None, inputs, labels, trained=trained, conditions=conditions)
    return save_model(model, unsaved, [], progress), model


def build_recipe(
    recipe: Recipe, out: str | Path = EXPORTED, *, force: bool = False, progress: Progress = SILENT
) -> tuple[Trained, keras.Model]:
    """The recipe's network with random weights, written to `out`/name/.

    Args:
        out, force, progress: as of `build_network`, and so is what is returned and raised.
    """
    out = Path(out)
    check_destination(out / recipe.name, force)
    with progress.step(f"Building {recipe.network.name}"):
        make_deterministic(recipe.seed)
        model = NETWORKS[recipe.network.name].build(recipe.network.options, recipe.name)
    return save_model(model, unsaved_model(recipe, model, out, trained=False), [], progress), model


def check_destination(folder: Path, force: bool) -> None:
    """Raise OutputError now, before the work, if a model cannot be written to `folder`.

    A model that was only built is replaced unasked (its weights are random, and the same again), and
    so is one without its facts: its writer was killed.
    """
    with explained(folder):  # it may not even be looked into
        may_go = force or only_built(folder) or is_unfinished(folder)
    refuse_existing(folder / "model.keras", replace=may_go)
    check_writable(folder)


def save_model(
    model: keras.Model,
    unsaved: Trained,
    history: History,
    progress: Progress,
    besides: Mapping[str, bytes] = MappingProxyType({}),
) -> Trained:
    """Write model.keras, model.json and the files `besides`, all or none; the model as it now is on disk."""
    step = progress.step(f"Writing {unsaved.model}")
    with step, explained(unsaved.model), unsaved.new_model(history, besides) as new:
        write_keras(model, new)
    return dataclasses.replace(unsaved, history=tuple(history))


def _preprocessing_of_network(network: Network, shape: tuple[int, ...]) -> Preprocessing:
    """From raw values to the input of a bare network.

    Raw values that are no pixels (sound, noise, a series) have no image behind them. What is defined
    for colour is not for other inputs, and neither are the weights that want it: those take 0…1.
    """
    image = image_behind(shape) if network.raw_range == PIXELS else None
    colour = image is not None and image[2] == 3
    mode = network.preprocessing if colour or network.preprocessing not in ("caffe", "torch") else "unit"
    return preprocessing_for(mode, shape, image, network.raw_range, "crop")


def unsaved_model(recipe: Recipe, model: keras.Model, out: Path, *, trained: bool) -> Trained:
    """What will be known of the recipe's `model` when it is in `out`/name/."""
    network = NETWORKS[recipe.network.name]
    return Trained(
        name=recipe.name,
        model=out / recipe.name / "model.keras",
        network=recipe.network.name,
        recipe=recipe,
        inputs={input_names(model)[0]: preprocessing_of(recipe)},
        labels=opened(recipe).labels if network.gives_scores(recipe.network.options) else (),
        trained=trained,
        conditions=opened(recipe).labels if network.is_conditional else (),
    )
