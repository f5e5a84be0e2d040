"""Epochs of a compiled Keras model, from the beginning or from where an earlier run was stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dlkit.extras import require
from dlkit.frameworks import keras
from dlkit.recipe import TrainingPart
from dlkit.training.watching import Course, History, Watch, watcher_of


def fit_epochs(
    model: keras.Model,
    optimizers: Sequence[Any],
    part: TrainingPart,
    batches: Callable[[int], Any],
    steps: int,
    watch: Watch,
    validation: Any = None,
) -> History:
    """Train a compiled `model` in place for what is left of its epochs.

    Args:
        optimizers: built, those whose state belongs to the training.
        batches: number of an epoch → the batches of it and of all that follow, in a row.
        steps: batches an epoch.
        validation: what `keras.Model.fit` takes as validation data.

    Raises:
        TrainingError: a loss is no longer a number.
        OutputError: a checkpoint cannot be written, or is of another training.
    """
    # Metrics begin anew each epoch; they are no state.
    own = [v for v in model.variables if not any(v is other for other in model.metrics_variables)]
    course = Course(part, own, [*own, *(variable for optimizer in optimizers for variable in optimizer.variables)])
    if watch.checkpoints and watch.resume and (checkpoint := watch.checkpoints.newest()):
        course.take_up(checkpoint)
    first = len(course.history)
    callbacks = [watcher_of(course, watch)]
    if watch.tensorboard:
        require("tensorboard")
        callbacks.append(keras.callbacks.TensorBoard(watch.tensorboard, write_graph=False))
    if not course.is_over:
        # shuffle=False: the batches are shuffled already.
        model.fit(
            batches(first),
            initial_epoch=first,
            epochs=part.epochs,
            steps_per_epoch=steps,
            validation_data=validation,
            verbose=0,
            callbacks=callbacks,
            shuffle=False,
        )
    course.end()
    return course.history
