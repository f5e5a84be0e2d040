"""Epochs of a Keras model, from the beginning or from where an earlier run was stopped."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from dlkit.errors import DataError
from dlkit.extras import require
from dlkit.frameworks import keras
from dlkit.frameworks import tensorflow as tf
from dlkit.recipe import TrainingPart
from dlkit.training.checkpoints import Checkpoint
from dlkit.training.watching import Course, History, Watch, watcher_of


@dataclasses.dataclass(frozen=True)
class Phase:
    """Epochs in which the same layers are trained by the same optimizers.

    Attributes:
        until: number of epochs that are done when it ends, from the beginning of the training.
        compiled: compiles the model and returns its optimizers, built.
    """

    until: int
    compiled: Callable[[], list[Any]]


def fit_epochs(
    model: keras.Model,
    phases: Sequence[Phase],
    part: TrainingPart,
    batches: Callable[[int], Any],
    steps: int,
    watch: Watch,
    validation: Any = None,
    callbacks: Sequence[Any] = (),
) -> History:
    """Train `model` in place for what is left of its epochs.

    Args:
        phases: one after the other.
        batches: number of an epoch → the batches of it and of all that follow, in a row.
        steps: batches an epoch.
        validation: what `keras.Model.fit` takes as validation data.
        callbacks: of Keras, called after the training is watched.

    Raises:
        TrainingError: a loss is no longer a number.
        DataError: a sample can no longer be read.
        OutputError: a checkpoint cannot be written, or is of another training.
    """
    # Metrics begin anew each epoch; they are no state.
    own = [v for v in model.variables if not any(v is other for other in model.metrics_variables)]
    course = Course(part, own)
    checkpoint = watch.checkpoints.newest() if watch.checkpoints and watch.resume else None
    watchers = [watcher_of(course, watch), *_event_files(watch), *callbacks]
    for phase in phases:
        if checkpoint and checkpoint.epochs >= phase.until < part.epochs:
            continue
        optimizers = phase.compiled()
        course.state = [*own, *(variable for optimizer in optimizers for variable in optimizer.variables)]
        if checkpoint:
            course.take_up(_at_its_beginning(checkpoint, phases, len(own)))
            checkpoint = None
        if not course.is_over:
            with _errors_of_reading():
                # shuffle=False: the batches are shuffled already.
                model.fit(
                    batches(course.done),
                    initial_epoch=course.done,
                    epochs=phase.until,
                    steps_per_epoch=steps,
                    validation_data=validation,
                    verbose=0,
                    callbacks=watchers,
                    shuffle=False,
                )
    course.end()
    return course.history


@contextlib.contextmanager
def _errors_of_reading() -> Iterator[None]:
    """What the input pipeline could not read is told as where it is read; TensorFlow passes on its text alone."""
    try:
        yield
    except tf.errors.OpError as error:
        told = re.search(r"\bDataError: (.+)", error.message or "")
        if not told:
            raise
        raise DataError(told[1]) from None


def _at_its_beginning(checkpoint: Checkpoint, phases: Sequence[Phase], variables: int) -> Checkpoint:
    """`checkpoint` without the state of optimizers, where it ends a phase: the next one has its own."""
    if any(checkpoint.epochs == phase.until for phase in phases[:-1]):
        return dataclasses.replace(checkpoint, state=checkpoint.state[:variables])
    return checkpoint


def _event_files(watch: Watch) -> list[Any]:
    if not watch.tensorboard:
        return []
    require("tensorboard")
    return [keras.callbacks.TensorBoard(watch.tensorboard, write_graph=False)]
