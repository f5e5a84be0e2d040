"""A recipe → a trained Keras model on disk."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from dlkit.drawing import draw_training
from dlkit.extras import check_installed
from dlkit.frameworks import make_deterministic
from dlkit.networks import NETWORKS
from dlkit.pipeline.finding import as_recipe_says
from dlkit.pipeline.making_models import EXPORTED, check_destination, save_model, unsaved_model
from dlkit.pipeline.weights import take_over_weights
from dlkit.progress import SILENT, Progress
from dlkit.recipe import Recipe
from dlkit.recipe_data import data_preprocessing, splits_of
from dlkit.trained import Trained, history_of, is_whole, load_trained, only_built
from dlkit.writing import new_file, write_bytes

if TYPE_CHECKING:
    import keras

    from dlkit.training.measuring import Quality
    from dlkit.training.watching import History


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    """A trained model and how it got there.

    Attributes:
        trained: the model on disk.
        history: one entry an epoch.
        validation, test: what the float model is worth, by the metric of its task.
    """

    trained: Trained
    history: History
    validation: Quality
    test: Quality


def train(
    recipe: Recipe,
    out: Path = EXPORTED,
    *,
    force: bool = False,
    resume: bool = False,
    tensorboard: bool = False,
    plot: bool = False,
    progress: Progress = SILENT,
) -> TrainingResult:
    """Build and fit the recipe's network and write it to `out`/name/.

    While it trains, checkpoints are kept in `out`/name/checkpoints/; they go when the model is there.

    Args:
        resume: go on where a run of the same recipe was stopped, or begin if there is none; what is trained
            already is only measured again.
        tensorboard: write event files to `out`/name/tensorboard/.
        plot: draw the course as training.png beside the model, and what a generator makes on the way in pictures/.

    Raises:
        OutputError: there is a model or a stopped training already and `force` is false, `out` cannot be written,
            or a checkpoint is of a training with other values.
        TrainingError: the loss is no longer a number, or the network cannot be trained by this recipe.
        ExtraMissing: tensorboard or matplotlib is wanted and not installed.
    """
    from dlkit.training.checkpoints import Checkpoints
    from dlkit.training.histories import confusion_csv, csv_of
    from dlkit.training.learning import learning_of
    from dlkit.training.precision import in_float32, precision_of
    from dlkit.training.watching import Watch

    folder, network = out / recipe.name, NETWORKS[recipe.network.name]
    checkpoints = Checkpoints(folder / "checkpoints", recipe)
    for wanted, module in ((tensorboard, "tensorboard"), (plot, "matplotlib"), (plot, "PIL")):
        if wanted:
            check_installed(module)
    begun = resume and checkpoints.newest() is not None
    if resume and not begun and is_whole(folder) and not only_built(folder):
        return _measured_again(as_recipe_says(load_trained(folder), recipe), progress)
    check_destination(folder, force or begun)
    if not resume and not force:
        checkpoints.refuse()
    if not begun:
        checkpoints.clear()
    fit, measure = learning_of(recipe)

    def build() -> keras.Model:
        return network.build(recipe.network.options, recipe.name)

    with progress.step("Loading Keras and the data"):
        make_deterministic(recipe.seed)
        preprocessing, splits = data_preprocessing(recipe), splits_of(recipe)
        with precision_of(recipe.training):
            model = build()
        if recipe.transfer.weights:
            take_over_weights(model, network, recipe.network.options, recipe.transfer.weights)
    with progress.step(f"Training {recipe.network.name}") as advance, precision_of(recipe.training):
        watch = Watch(
            advance,
            checkpoints,
            begun,
            tensorboard=folder / "tensorboard" if tensorboard else None,
            pictures=folder / "pictures" if plot else None,
        )
        history = fit(model, recipe, splits, preprocessing, watch)
    model = in_float32(model, recipe.training, build)
    with progress.step("Measuring it"):
        validation, test = measure(model, recipe, splits, preprocessing)
    trained = save_model(model, unsaved_model(recipe, model, out, trained=True), history, progress)
    write_bytes(folder / "history.csv", csv_of(history))
    if test.confusion:
        write_bytes(folder / "confusion.csv", confusion_csv(test.confusion, trained.labels))
    if plot:
        with progress.step("Drawing it"), new_file(folder / "training.png") as picture:
            draw_training(history, test.confusion, trained.labels, picture)
    checkpoints.clear()
    return TrainingResult(trained, history, validation, test)


def _measured_again(trained: Trained, progress: Progress) -> TrainingResult:
    """The result of a training that was over before."""
    from dlkit.conversion.tflite import load_model
    from dlkit.training.learning import learning_of

    recipe, history = trained.recipe, history_of(trained.model.parent)
    assert recipe is not None  # as_recipe_says has compared it
    with progress.step(f"Measuring {trained.model}, which is trained already"):
        make_deterministic(recipe.seed)
        _, measure = learning_of(recipe)
        validation, test = measure(load_model(trained.model), recipe, splits_of(recipe), data_preprocessing(recipe))
    return TrainingResult(trained, history, validation, test)
