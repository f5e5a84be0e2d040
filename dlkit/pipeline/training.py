"""A recipe → a trained Keras model on disk."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from dlkit.runtime.preprocessing import Preprocessing
from dlkit.trained import Trained, history_of, is_whole, load_trained, only_built
from dlkit.training.distribution import Distribution
from dlkit.writing import check_temporaries, new_file

if TYPE_CHECKING:
    import keras

    from dlkit.datasets import Splits
    from dlkit.pipeline.features import Features
    from dlkit.training.measuring import Quality
    from dlkit.training.watching import History, Watch

ALONE = Distribution()
"""One worker with one device."""


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    """A trained model and how it got there.

    Attributes:
        trained: the model on disk.
        history: one entry an epoch.
        validation, test: what the float model is worth, by the metric of its task.
        damaged: checkpoints that could not be taken up, newest first; the training went on from one before them, or
            began anew where there was none.
    """

    trained: Trained
    history: History
    validation: Quality
    test: Quality
    damaged: tuple[Path, ...] = ()


def train(
    recipe: Recipe,
    out: str | Path = EXPORTED,
    *,
    force: bool = False,
    resume: bool = False,
    tensorboard: bool = False,
    plot: bool = False,
    distribution: Distribution = ALONE,
    progress: Progress = SILENT,
) -> TrainingResult:
    """Build and fit the recipe's network and write it to `out`/name/.

    While it trains, checkpoints are kept in `out`/name/checkpoints/; they go when the model is there.

    >>> result = dlkit.train(dlkit.read_recipe("recipes/digits.toml"))    # doctest: +SKIP
    >>> result.test.value, result.trained.model                           # doctest: +SKIP
    (1.0, PosixPath('exported/digits/model.keras'))

    Args:
        out: folder that holds models and bundles.
        force: replace the model that is there.
        resume: go on where a run of the same recipe was stopped, or begin if there is none; what is trained
            already is only measured again.
        tensorboard: write event files to `out`/name/tensorboard/.
        plot: draw the course as training.png beside the model, and what a generator makes on the way in pictures/.
        distribution: who trains; this process is the chief. Others call `train_beside`.
        progress: told of each step; silent by default.

    Returns:
        The model on disk, a history of one entry an epoch, and the metric of its task on both held-out splits.

    Raises:
        DataError: the data cannot be loaded, or are not what the recipe says.
        OutputError: there is a model or a stopped training already and `force` is false, another process trains
            there, `out` cannot be written, or a checkpoint is of a training with other values.
        TrainingError: the loss is no longer a number, the network cannot be trained by this recipe, or a worker is
            gone.
        ExtraMissing: tensorboard or matplotlib is wanted and not installed.
    """
    from dlkit.training import loop
    from dlkit.training.checkpoints import Checkpoints
    from dlkit.training.watching import Watch

    out = Path(out)
    folder = out / recipe.name
    checkpoints = Checkpoints(folder / "checkpoints", recipe)
    for wanted, module in ((tensorboard, "tensorboard"), (plot, "matplotlib"), (plot, "PIL")):
        if wanted:
            check_installed(module)
    damaged = tuple(checkpoints.damaged()) if resume else ()
    if resume and (trained_before := found_trained(recipe, out)) is not None:
        result = _measured_again(trained_before, progress)
        if plot:
            _draw(result, progress)
        return result
    check_destination(folder, force or (resume and checkpoints.newest() is not None))
    check_temporaries()  # without room for those TensorFlow leaves out steps of its own
    with checkpoints.held():
        begun = resume and checkpoints.newest() is not None
        check_destination(folder, force or begun)  # another process may have trained here until now
        if not resume and not force:
            checkpoints.refuse()
        features = _features_of(recipe, progress)
        if not begun:
            checkpoints.clear()
        watch = Watch(
            checkpoints=checkpoints,
            resume=begun,
            tensorboard=folder / "tensorboard" if tensorboard else None,
            pictures=folder / "pictures" if plot else None,
        )
        fitted = _fitted(recipe, watch, distribution, progress)
        validation, test = _measured(
            fitted.model, recipe, fitted.splits, fitted.preprocessing, features, "Measuring it", progress
        )
        unsaved = unsaved_model(recipe, fitted.model, out, trained=True)
        result = TrainingResult(unsaved, fitted.history, validation, test, damaged)
        trained = save_model(fitted.model, unsaved, fitted.history, progress, _tables(result))
        result = dataclasses.replace(result, trained=trained)
        if plot:
            _draw(result, progress)
        checkpoints.clear()
        if fitted.strategy is not None:
            loop.finish(distribution, fitted.strategy)
        return result


def found_trained(recipe: Recipe, out: Path) -> Trained | None:
    """The model that `train` is to go on with and that needs no more training; None if there is none.

    Raises:
        ModelFileError: it was made by other values.
        OutputError: a checkpoint is of a training with other values.
    """
    from dlkit.training.checkpoints import Checkpoints

    folder = out / recipe.name
    begun = Checkpoints(folder / "checkpoints", recipe).newest() is not None
    if begun or not is_whole(folder) or only_built(folder):
        return None
    return as_recipe_says(load_trained(folder), recipe)


def train_beside(recipe: Recipe, distribution: Distribution, progress: Progress = SILENT) -> None:
    """Train as a worker that is not the chief: it takes its part of every batch, and writes nothing.

    Raises:
        TrainingError: as `train` does.
    """
    from dlkit.training import loop
    from dlkit.training.watching import Watch

    fitted = _fitted(recipe, Watch(), distribution, progress)
    loop.finish(distribution, fitted.strategy)


@dataclasses.dataclass(frozen=True)
class _Fitted:
    """A trained model in float32, on what, and by which strategy; None on one device."""

    model: keras.Model
    history: History
    splits: Splits
    preprocessing: Preprocessing
    strategy: Any


def _fitted(recipe: Recipe, watch: Watch, distribution: Distribution, progress: Progress) -> _Fitted:
    from dlkit.training import replicated
    from dlkit.training.distribution import strategy_of
    from dlkit.training.learning import learning_of
    from dlkit.training.precision import in_float32, precision_of
    from dlkit.training.watching import Replicas

    network = NETWORKS[recipe.network.name]

    def build() -> keras.Model:
        return network.build(recipe.network.options, recipe.name)

    fit, _ = learning_of(recipe)
    alone = distribution.is_single
    if not alone:
        replicated.check_replicated(recipe, network.task)
    with progress.step("Loading Keras and the data"):
        strategy = None if alone else strategy_of(distribution)
        make_deterministic(recipe.seed)
        preprocessing, splits = data_preprocessing(recipe), splits_of(recipe)
        with precision_of(recipe.training), strategy.scope() if strategy else contextlib.nullcontext():
            model = build()
        if recipe.transfer.weights:
            take_over_weights(model, network, recipe.network.options, recipe.transfer.weights)
    by = "" if alone else f" on {distribution.replicas} devices"
    with progress.step(f"Training {recipe.network.name}{by}") as advance, precision_of(recipe.training):
        watch = dataclasses.replace(watch, advance=advance)
        if alone:
            history = fit(model, recipe, splits, preprocessing, watch)
            model = in_float32(model, recipe.training, build)
        else:
            replicas = Replicas(distribution, strategy)
            history = replicated.fit(model, recipe, splits, preprocessing, watch, replicas)
    if not alone:
        weights, model = model.get_weights(), build()
        model.set_weights(weights)
    return _Fitted(model, history, splits, preprocessing, strategy)


def _features_of(recipe: Recipe, progress: Progress) -> Features | None:
    """The network of [measure], read before the training: what is wrong with it is told before the work."""
    from dlkit.pipeline.features import load_features

    if not recipe.measure.features:
        return None
    with progress.step(f"Loading {recipe.measure.features}, by whose features images are measured"):
        return load_features(recipe.measure)


def _measured(
    model: keras.Model,
    recipe: Recipe,
    splits: Splits,
    preprocessing: Preprocessing,
    features: Features | None,
    label: str,
    progress: Progress,
) -> tuple[Quality, Quality]:
    """What a float model is worth on the validation and the test split, on that by `features` too."""
    from dlkit.pipeline.frechet import frechet_of
    from dlkit.training.learning import learning_of
    from dlkit.training.measuring import images_for_test

    _, measure = learning_of(recipe)
    with progress.step(label):
        validation, test = measure(model, recipe, splits, preprocessing)
    if features is None:
        return validation, test
    with progress.step(f"Measuring it by {features.name}") as advance:
        found = frechet_of(features, images_for_test(model, recipe), splits, preprocessing, advance)
    besides = {**test.besides, **found.besides}
    return validation, dataclasses.replace(test, besides=besides, warnings=found.warnings)


def _tables(result: TrainingResult) -> dict[str, bytes]:
    """history.csv and, of a classifier, confusion.csv: what stands beside the model."""
    from dlkit.training.histories import confusion_csv, csv_of

    tables = {"history.csv": csv_of(result.history)}
    if result.test.confusion:
        tables["confusion.csv"] = confusion_csv(result.test.confusion, result.trained.labels)
    return tables


def _draw(result: TrainingResult, progress: Progress) -> None:
    """training.png, of both tables, beside the model."""
    trained = result.trained
    with progress.step("Drawing it"), new_file(trained.model.with_name("training.png")) as picture:
        draw_training(result.history, result.test.confusion, trained.labels, picture)


def _measured_again(trained: Trained, progress: Progress) -> TrainingResult:
    """The result of a training that was over before."""
    from dlkit.conversion.tflite import load_model

    recipe, history = trained.recipe, history_of(trained.model.parent)
    assert recipe is not None  # as_recipe_says has compared it
    features = _features_of(recipe, progress)
    make_deterministic(recipe.seed)
    model, splits, preprocessing = load_model(trained.model), splits_of(recipe), data_preprocessing(recipe)
    label = f"Measuring {trained.model}, which is trained already"
    validation, test = _measured(model, recipe, splits, preprocessing, features, label, progress)
    return TrainingResult(trained, history, validation, test)
