"""What is told of a training while it runs, and when it is stopped."""

from __future__ import annotations

import math
from typing import Any

from dlkit.errors import TrainingError
from dlkit.frameworks import keras
from dlkit.progress import Advance

History = list[dict[str, float]]
"""One entry an epoch: loss and val_loss, of a classifier accuracy and val_accuracy too; of a generator loss and
discriminator_loss."""


def watcher_of(epochs: int, advance: Advance) -> Any:
    """A Keras callback that reports epochs and stops at a loss that is not a number."""

    class Watcher(keras.callbacks.Callback):
        def __init__(self) -> None:
            super().__init__()
            self.history_of_epochs: History = []

        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            measured = {name: float(value) for name, value in (logs or {}).items()}
            losses = {name: value for name, value in measured.items() if name.endswith("loss")}
            if not losses or not all(math.isfinite(loss) for loss in losses.values()):
                found = ", ".join(f"{name} is {value}" for name, value in losses.items())
                raise TrainingError(
                    f"{found or 'there is no loss'} in epoch {epoch + 1}; try a smaller rate: "
                    "--set training.learning_rate=0.0003"
                )
            self.history_of_epochs.append(measured)
            advance(epoch + 1, epochs)

    return Watcher()
