"""One worker of a training on digits, started by test_distribution as a program: FOLDER [DEVICES].

It stands for `dlkit train` under its supervisor: the chief keeps every epoch and writes the weights, and a run
that finds a kept epoch goes on from there. Worker 1 kills itself in the epoch that DIE_IN names.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np

from dlkit.datasets import DATASETS
from dlkit.errors import TrainingError
from dlkit.training import loop, reporting
from dlkit.training.distribution import Distribution, read_distribution, strategy_of
from dlkit.training.supervising import supervise

EPOCHS = 3
SAMPLES, BATCH = 130, 43  # three batches of odd size and one of a single sample


def network(*, normalised: bool, dropout: bool = False) -> Any:
    import keras

    keras.utils.set_random_seed(1)
    layers = keras.layers
    inner = [layers.BatchNormalization()] * normalised + [layers.Dropout(0.3)] * dropout
    convolution = layers.Conv2D(4, 3, kernel_regularizer="l2")
    return keras.Sequential(
        [layers.Input((8, 8, 1)), convolution, *inner, layers.ReLU(), layers.Flatten(), layers.Dense(10)]
    )


def train(model: Any, distribution: Distribution, strategy: Any, kept: Path | None = None) -> list[dict[str, float]]:
    """Losses of each epoch; clipped to a norm that the gradients exceed, and averaged."""
    import keras
    import tensorflow as tf

    split = DATASETS["digits"].load().train
    inputs = (split.samples[:SAMPLES] / 16).astype(np.float32)
    wanted = np.eye(10, dtype=np.float32)[split.labels[:SAMPLES]]
    samples = tf.data.Dataset.from_tensor_slices((inputs, wanted))
    with strategy.scope():
        optimizer = keras.optimizers.AdamW(0.01, global_clipnorm=0.5, use_ema=True)
        optimizer.build(model.trainable_variables)
    variables = [*model.variables, *optimizer.variables]
    history, done = [], 0
    if kept is not None and kept.exists() and distribution.is_chief:
        with np.load(kept) as archive:
            done, *values = archive.values()
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)

    def on_epoch(epoch: int, measured: dict[str, float]) -> bool:
        history.append(measured)
        if kept is not None and distribution.is_chief:
            np.savez(kept, epoch, *(np.asarray(variable.value) for variable in variables))
        if distribution.index == 1 and os.environ.get("DIE_IN") == str(epoch):
            os.kill(os.getpid(), signal.SIGKILL)
        return False

    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1, reduction=None)
    objective = loop.Objective(loss, {"accuracy": keras.metrics.categorical_accuracy})
    trained = loop.Replicated(model, optimizer, distribution, strategy, seed=5)

    def batches(epoch: int) -> Any:
        return samples.shuffle(SAMPLES, seed=epoch).batch(BATCH)

    loop.fit(trained, objective, batches, samples.batch(50), EPOCHS, on_epoch, int(done))
    loop.finish(distribution, strategy)
    return history


def main(folder: Path, devices: int) -> None:
    distribution = read_distribution(os.environ, devices)
    strategy = strategy_of(distribution)
    for name, options in {"plain": {"normalised": False}, "normalised": {"normalised": True, "dropout": True}}.items():
        with strategy.scope():
            model = network(**options)
        history = train(model, distribution, strategy, folder / f"{name}-kept.npz")
        values = [np.asarray(weight.value) for weight in model.weights]
        losses = [list(measured.values()) for measured in history]
        np.savez(folder / f"{name}-{distribution.index}.npz", losses, *values)


if __name__ == "__main__":
    try:
        if "TF_CONFIG" in os.environ and not reporting.supervised():
            sys.exit(supervise([sys.executable, *sys.argv], read_distribution(os.environ), 60.0))
        reporting.enter()
        main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    except TrainingError as error:
        sys.exit(str(error))
