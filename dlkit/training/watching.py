"""What is told and kept of a training while it runs, and when it ends."""

from __future__ import annotations

import dataclasses
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlkit.errors import OutputError, TrainingError
from dlkit.frameworks import keras
from dlkit.progress import Advance, ignore
from dlkit.recipe import TrainingPart
from dlkit.training.checkpoints import Checkpoint, Checkpoints
from dlkit.training.distribution import Distribution

if TYPE_CHECKING:
    from numpy.typing import NDArray

History = list[dict[str, float]]
"""One entry an epoch: loss and val_loss, of a classifier accuracy and val_accuracy too; of a generator loss and
discriminator_loss."""
WATCHED = "val_loss"
"""By which the best epoch is found."""


@dataclasses.dataclass(frozen=True)
class Replicas:
    """Several devices or workers that train together.

    Attributes:
        distribution: which they are.
        strategy: that of `distribution.strategy_of`, in whose scope the model was made.
    """

    distribution: Distribution
    strategy: Any


@dataclasses.dataclass(frozen=True)
class Watch:
    """What is wanted of a training besides its result.

    Attributes:
        advance: is told the epochs.
        checkpoints: where its state is kept; None keeps none.
        resume: begin where the newest checkpoint is.
        tensorboard: folder for event files; None writes none.
        pictures: folder for what a generator makes on the way; None writes none.
        replicas: who trains, where it is not one device of this process.
    """

    advance: Advance = ignore
    checkpoints: Checkpoints | None = None
    resume: bool = False
    tensorboard: Path | None = None
    pictures: Path | None = None
    replicas: Replicas | None = None


@dataclasses.dataclass
class Course:
    """How far a training is.

    Attributes:
        variables: of the model.
        state: every variable that decides how it goes on, those of the model first, then those of optimizers.
        history: of the epochs that are done.
        best: values of the model's variables after the best epoch, where they are kept.
    """

    part: TrainingPart
    variables: list[Any]
    state: list[Any] = dataclasses.field(default_factory=list)
    history: History = dataclasses.field(default_factory=list)
    best: list[NDArray[Any]] = dataclasses.field(default_factory=list)

    @property
    def done(self) -> int:
        """Number of epochs."""
        return len(self.history)

    @property
    def is_over(self) -> bool:
        """All epochs are done, or no better one came for as many as the recipe waits."""
        if self.done >= self.part.epochs:
            return True
        return bool(self.part.patience and self.history and self._since_best() >= self.part.patience)

    def take_up(self, checkpoint: Checkpoint) -> None:
        """Go on from there; one without a state of optimizers leaves them as they are.

        Raises OutputError if it is of another network.
        """
        wanted = self.variables if len(checkpoint.state) == len(self.variables) else self.state
        of_best = self.variables if checkpoint.best else []
        stored = [values.shape for values in (*checkpoint.state, *checkpoint.best)]
        if [tuple(variable.shape) for variable in (*wanted, *of_best)] != stored:
            raise OutputError("the checkpoint holds other variables than this network has; start over with --force")
        for variable, values in zip(wanted, checkpoint.state, strict=True):
            variable.assign(values)
        self.history, self.best = list(checkpoint.history), list(checkpoint.best)

    def add(self, measured: dict[str, float]) -> None:
        """An epoch is done."""
        self.history.append(measured)
        if self.part.keep == "best" and self._since_best() == 0:
            self.best = [variable.numpy() for variable in self.variables]

    def checkpoint(self) -> Checkpoint:
        return Checkpoint(self.history, [variable.numpy() for variable in self.state], self.best)

    def end(self) -> None:
        """Give the model the weights that the recipe keeps."""
        for variable, values in zip(self.variables, self.best, strict=False):
            variable.assign(values)

    def _since_best(self) -> int:
        losses = [entry[WATCHED] for entry in self.history]
        return len(losses) - 1 - losses.index(min(losses))


class Keeper:
    """What is done after each epoch of a training: history, the best epoch, checkpoints, the end."""

    def __init__(self, course: Course, watch: Watch) -> None:
        self.course, self.watch, self.kept_at = course, watch, time.monotonic()

    def epoch_is_done(self, measured: dict[str, float]) -> bool:
        """Whether the training is over. Raises TrainingError at a loss that is not a number."""
        course, part = self.course, self.course.part
        losses = {name: value for name, value in measured.items() if name.endswith("loss")}
        if not losses or not all(math.isfinite(loss) for loss in losses.values()):
            found = ", ".join(f"{name} is {value}" for name, value in losses.items())
            raise TrainingError(
                f"{found or 'there is no loss'} in epoch {course.done + 1}; try a smaller rate: "
                "--set training.learning_rate=0.0003"
            )
        course.add(dict(sorted(measured.items())))
        self.watch.advance(course.done, part.epochs)
        due = course.is_over or time.monotonic() - self.kept_at >= part.checkpoint_s
        if self.watch.checkpoints is not None and due:
            self.watch.checkpoints.write(course.checkpoint())
            self.kept_at = time.monotonic()
        return course.is_over


def watcher_of(course: Course, watch: Watch) -> Any:
    """A Keras callback that has a Keeper do that."""
    keeper = Keeper(course, watch)

    class Watcher(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            if keeper.epoch_is_done({name: float(value) for name, value in (logs or {}).items()}):
                self.model.stop_training = True

    return Watcher()
