"""Supervised training over several replicas: the loop that Keras' fit cannot be.

Keras 3.15's `fit` fails under MultiWorkerMirroredStrategy (keras#20585), clips gradients before they are
reduced, and takes the mean of means where slices differ in size. Here every replica sums over its slice, one
all-reduce adds the sums of all, and the optimizer is applied to the result, once for all replicas, as one
process would apply it.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from dlkit.errors import TrainingError
from dlkit.frameworks import tensorflow as tf
from dlkit.training import reporting
from dlkit.training.distribution import Distribution, slice_of, worker_name

PerSample = Callable[[Any, Any], Any]
"""(wanted, given), both (B, ...), → (B, ...): one value a sample, or several whose mean counts. What is wanted may be
several such, as the batches have it."""
OnEpoch = Callable[[int, dict[str, float]], bool]
"""Called on every worker with the number of epochs done and what was measured in the last, the same on all; whether
the training is over, by which the chief decides for all."""


@dataclasses.dataclass(frozen=True)
class Objective:
    """What is made small, and what is watched.

    Attributes:
        loss: of each sample; a Keras loss with reduction=None.
        metrics: of each sample by name, such as keras.metrics.categorical_accuracy.
    """

    loss: PerSample
    metrics: Mapping[str, PerSample] = dataclasses.field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        return ["loss", *self.metrics]


@dataclasses.dataclass(frozen=True)
class Replicated:
    """What is trained, and by whom.

    Attributes:
        model, optimizer: made in the scope of the strategy.
        strategy: `distribution.strategy_of(distribution)`.
        seed: of what the network itself draws (dropout); each replica and each epoch draws anew.
    """

    model: Any
    optimizer: Any
    distribution: Distribution
    strategy: Any
    seed: int


def fit(
    trained: Replicated,
    objective: Objective,
    batches: Callable[[int], Any],
    validation: Any,
    epochs: int,
    on_epoch: OnEpoch,
    done: int = 0,
) -> None:
    """Train in place; what the chief has resumed from is sent to the other workers.

    Args:
        batches: epoch, from 0 → a tf.data.Dataset of global batches (inputs, wanted), the same on all workers.
        validation: such a dataset, or None.
        epochs: at most; the number of other workers than the chief does not count.
        done: epochs that the chief's model and optimizer have seen, likewise.

    Raises:
        TrainingError: another worker is gone, or nothing can be trained like this.
    """
    _check(trained)
    with _loss_of_workers(trained.distribution):
        done, epochs = _agree(trained, done, epochs)
        decided = _deciding(trained)
        take_step = _over_replicas(trained, objective, batches(done), _gradients_and_sums, _apply)
        look = None if validation is None else _over_replicas(trained, objective, validation, _sums_only, None)
        level = _levelling(trained)
        for epoch in range(done, epochs):
            _seed(trained, epoch)
            measured = _means(objective, take_step, _own(trained, batches(epoch)))
            level()
            if look is not None:
                held_out = _means(objective, look, _own(trained, validation))
                measured |= {f"val_{name}": value for name, value in held_out.items()}
            if decided(on_epoch(epoch + 1, measured)):
                break


def finish(distribution: Distribution, strategy: Any) -> None:
    """Wait until all workers are here; called when the chief has written what it writes. Then each may end."""
    with _loss_of_workers(distribution):
        float(_summing(strategy, lambda: [tf.ones(())])()[0])
    reporting.report_done()


def _check(trained: Replicated) -> None:
    if hasattr(trained.optimizer, "inner_optimizer"):
        raise TrainingError("mixed_float16 trains on one device only; take mixed_bfloat16, or leave out --devices")
    if not trained.optimizer.built:
        with trained.strategy.scope():
            trained.optimizer.build(trained.model.trainable_variables)


class _loss_of_workers:  # noqa: N801 - a context
    """Where a collective operation fails, another worker is gone."""

    def __init__(self, distribution: Distribution) -> None:
        self.distribution = distribution

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: Any) -> None:
        errors = tf.errors
        broken = (errors.UnavailableError, errors.AbortedError, errors.CancelledError, errors.DeadlineExceededError)
        if self.distribution.workers == 1 or not isinstance(error, broken):
            return
        named = [int(index) for index in re.findall(r"/task:(\d+)", str(error))]
        lost = next((index for index in named if index != self.distribution.index), None)
        reporting.report_lost(lost)  # does not return where there is a supervisor
        who = "another worker" if lost is None else worker_name(self.distribution, lost)
        raise TrainingError(f"{who} does not answer; {reporting.AGAIN}") from None


def _own(trained: Replicated, batches: Any) -> Any:
    """Global batches → (inputs, wanted, rows of the global batch), with this worker's rows alone."""

    def own(*batch: Any) -> Any:
        inputs, wanted = batch
        rows = tf.shape(tf.nest.flatten(inputs)[0])[0]
        first, stop = trained.distribution.own_rows(rows)
        return *tf.nest.map_structure(lambda values: values[first:stop], (inputs, wanted)), rows

    return batches.map(own).prefetch(tf.data.AUTOTUNE)


def _over_replicas(trained: Replicated, objective: Objective, batches: Any, on_replica: Any, then: Any) -> Any:
    """A function of this worker's part of a batch that gives the sums over all replicas, (1 + metrics,).

    Args:
        on_replica: what each replica computes of its slice; a list of tensors that are summed.
        then: what is done with all sums but the last.
    """

    def on_each(inputs: Any, wanted: Any, rows: Any) -> Any:
        context = tf.distribute.get_replica_context()
        replica, replicas = context.replica_id_in_sync_group, trained.distribution.replicas
        begins = trained.distribution.own_rows(rows)[0]
        first, stop = slice_of(tf.cast(replica, tf.int32), replicas, rows)
        count = stop - first
        here = tf.shape(tf.nest.flatten(inputs)[0])[0]
        first = tf.minimum(first - begins, here - 1)  # with fewer rows than replicas: a row that does not count
        stop = tf.maximum(stop - begins, first + 1)
        mine = tf.nest.map_structure(lambda values: values[first:stop], (inputs, wanted))
        share = tf.cast(count, tf.float32) / tf.cast(rows, tf.float32)
        return _all_reduced(context, on_replica(trained, objective, *mine, share))

    @tf.function(input_signature=_own(trained, batches).element_spec)
    def step(inputs: Any, wanted: Any, rows: Any) -> Any:
        *others, sums = _first_replica(trained.strategy, trained.strategy.run(on_each, (inputs, wanted, rows)))
        if then is not None:
            then(trained, others)
        return sums, tf.cast(rows, tf.float32)

    return step


def _gradients_and_sums(trained: Replicated, objective: Objective, inputs: Any, wanted: Any, share: Any) -> list[Any]:
    """Of one replica: its part of the gradients of the global batch's mean loss, and of the means themselves."""
    with tf.GradientTape() as tape:
        means = _measured(trained.model, objective, inputs, wanted, training=True) * share
        loss = means[0]
    weights = [variable.value for variable in trained.model.trainable_variables]
    gradients = tape.gradient(loss, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return [*map(tf.convert_to_tensor, gradients), means]


def _sums_only(trained: Replicated, objective: Objective, inputs: Any, wanted: Any, share: Any) -> list[Any]:
    return [_measured(trained.model, objective, inputs, wanted, training=False) * share]


def _measured(model: Any, objective: Objective, inputs: Any, wanted: Any, *, training: bool) -> Any:
    """Means over the rows: the loss, with what layers add to it, and the metrics; (1 + metrics,) float32.

    What layers add (decay, divergences, penalties on activity) is a mean over the batch or does not depend on it:
    both are whole again when replicas add it in proportion to their rows.
    """
    given = model(inputs, training=training)
    added = [tf.cast(loss, tf.float32) for loss in model.losses]
    means = [
        tf.reduce_mean(tf.cast(per_sample(wanted, given), tf.float32))
        for per_sample in (objective.loss, *objective.metrics.values())
    ]
    return tf.stack([tf.add_n([means[0], *added]), *means[1:]])


def _apply(trained: Replicated, gradients: list[Any]) -> None:
    """One step of the optimizer on all replicas: clipping, averages and decay see the global gradient.

    Called outside of the replicas, where a Keras optimizer reduces nothing again.
    """
    trained.optimizer.apply(gradients, trained.model.trainable_variables)


def _means(objective: Objective, step: Any, batches: Any) -> dict[str, float]:
    """Means over the samples of an epoch."""
    total: Any = None
    samples: Any = 0.0
    for batch in batches:
        means, rows = step(*batch)
        total = means * rows if total is None else total + means * rows
        samples += rows
    if total is None:
        raise TrainingError("there is nothing to train on: no batch in this epoch")
    return dict(zip(objective.names, map(float, total / samples), strict=True))


def _all_reduced(context: Any, tensors: list[Any]) -> list[Any]:
    """Sums over all replicas, in one operation: the fewer there are, the less can wait for each other."""
    flat = tf.concat([tf.reshape(tensor, [-1]) for tensor in tensors], axis=0)
    flat = context.all_reduce(tf.distribute.ReduceOp.SUM, flat)
    parts = tf.split(flat, [tf.size(tensor) for tensor in tensors], num=len(tensors))
    return [tf.reshape(part, tf.shape(tensor)) for part, tensor in zip(parts, tensors, strict=True)]


def _first_replica(strategy: Any, results: list[Any]) -> list[Any]:
    """What the first replica here has; after an all-reduce it is what all have."""
    return [strategy.experimental_local_results(result)[0] for result in results]


def _summing(strategy: Any, on_replica: Callable[[], list[Any]]) -> Callable[[], list[Any]]:
    """A function that sums over all replicas what each gives."""

    def run() -> Any:
        return strategy.run(lambda: _all_reduced(tf.distribute.get_replica_context(), on_replica()))

    traced = tf.function(run).get_concrete_function()
    return lambda: _first_replica(strategy, traced())


def _agree(trained: Replicated, done: int, epochs: int) -> tuple[int, int]:
    """Give all workers the chief's variables and its numbers of epochs."""
    variables = [*trained.model.variables, *trained.optimizer.variables]
    floats = [variable for variable in variables if _is_float(variable)]
    counts = [variable for variable in variables if not _is_float(variable) and not _is_seed(variable)]

    shared = _summing(trained.strategy, lambda: _of_chief([variable.value for variable in floats], tf.float32))()
    own = [done, epochs]
    *whole, done, epochs = _summing(trained.strategy, lambda: _of_chief([*(v.value for v in counts), *own], tf.int64))()
    for variable, value in zip([*floats, *counts], [*shared, *whole], strict=True):
        variable.assign(tf.cast(value, variable.dtype))
    return int(done), int(epochs)


def _of_chief(values: list[Any], dtype: Any) -> list[Any]:
    """On a replica: its values if it is the chief's first, else zeros, so that their sums are the chief's."""
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    is_first = tf.equal(tf.cast(replica, tf.int32), 0)
    return [tf.where(is_first, tf.cast(value, dtype), tf.zeros((), dtype)) for value in values]


def _deciding(trained: Replicated) -> Callable[[bool], bool]:
    """A function that takes what a worker thinks, and gives what the chief does."""
    if trained.distribution.workers == 1:
        return lambda own: own

    def on_replica(own: Any) -> Any:
        return _all_reduced(tf.distribute.get_replica_context(), _of_chief([own], tf.float32))

    @tf.function(input_signature=[tf.TensorSpec((), tf.float32)])
    def sums(own: Any) -> Any:
        return trained.strategy.run(on_replica, (own,))

    return lambda own: bool(_first_replica(trained.strategy, sums(tf.constant(float(own))))[0] > 0.5)


def _levelling(trained: Replicated) -> Callable[[], None]:
    """A function that makes equal on all replicas what is not trained, such as moving statistics: their mean."""
    variables = [variable for variable in trained.model.non_trainable_variables if _is_float(variable)]
    if not variables:
        return lambda: None
    sums = _summing(trained.strategy, lambda: [tf.cast(variable.value, tf.float32) for variable in variables])

    def level() -> None:
        for variable, total in zip(variables, sums(), strict=True):
            variable.assign(tf.cast(total / trained.distribution.replicas, variable.dtype))

    return level


def _seed(trained: Replicated, epoch: int) -> None:
    """Let what the network draws in an epoch follow from seed, epoch and replica: resumed, it is the same."""
    first = trained.distribution.index * trained.distribution.devices
    for place, variable in enumerate(filter(_is_seed, trained.model.variables)):
        for here, state in enumerate(trained.strategy.experimental_local_results(variable.value)):
            drawn = np.random.SeedSequence([trained.seed, epoch, first + here, place]).generate_state(1)
            state.assign(tf.cast([drawn[0], 0], state.dtype))


def _is_float(variable: Any) -> bool:
    return "float" in variable.dtype


def _is_seed(variable: Any) -> bool:
    return bool(variable.path.endswith("seed_generator_state"))
