"""The optimizer of a recipe, and the schedule of its learning rate.

AdamW: Loshchilov & Hutter 2019, arXiv:1711.05101; Adam: Kingma & Ba 2015, arXiv:1412.6980; SGD with Nesterov's
momentum: Sutskever et al. 2013; RMSprop: Hinton 2012, lecture 6e; Adagrad: Duchi et al. 2011; LAMB: You et al. 2020,
arXiv:1904.00962; Lion: Chen et al. 2023, arXiv:2302.06675. Schedules: Loshchilov & Hutter 2017, arXiv:1608.03983
(the cosine, without restarts); the warm-up of Goyal et al. 2017, arXiv:1706.02677.
"""

from __future__ import annotations

import math
from typing import Any

from dlkit.frameworks import keras
from dlkit.recipe import TrainingPart

CLASSES = {
    "adamw": "AdamW",
    "adam": "Adam",
    "sgd": "SGD",
    "rmsprop": "RMSprop",
    "adagrad": "Adagrad",
    "lamb": "Lamb",
    "lion": "Lion",
}
"""training.optimizer → its class in keras.optimizers."""


def optimizer_for(part: TrainingPart, steps: int, *, beta_1: float | None = None, ema: float = 0.0) -> Any:
    """The optimizer of a training.

    Args:
        steps: of the training in all.
        beta_1: how slowly the mean of gradients moves, of an optimizer that has one; else its own.
        ema: how slowly an average of the weights follows them; 0 for none.
    """
    options: dict[str, Any] = {"weight_decay": part.weight_decay or None}
    if part.optimizer in ("sgd", "rmsprop"):
        options["momentum"] = part.momentum
    if part.optimizer == "sgd":
        options["nesterov"] = part.momentum > 0
    if beta_1 is not None and part.optimizer in ("adamw", "adam", "lamb", "lion"):
        options["beta_1"] = beta_1
    if part.optimizer == "adamw":
        options["weight_decay"] = part.weight_decay
    if part.epsilon and part.optimizer in ("adamw", "adam", "rmsprop", "adagrad", "lamb"):
        options["epsilon"] = part.epsilon
    if part.clip_norm:
        options["global_clipnorm"] = part.clip_norm
    if ema:
        options |= {"use_ema": True, "ema_momentum": ema}
    return getattr(keras.optimizers, CLASSES[part.optimizer])(schedule_of(part, steps), **options)


def schedule_of(part: TrainingPart, steps: int) -> Any:
    """The learning rate by the number of the step, of `steps` in all."""
    schedules, warmup, top = keras.optimizers.schedules, int(steps * part.warmup), part.learning_rate
    falling = max(1, steps - warmup)
    if part.schedule == "cosine":
        if warmup == 0:
            return schedules.CosineDecay(top, steps)
        return schedules.CosineDecay(0.0, falling, warmup_target=top, warmup_steps=warmup)
    if part.schedule == "linear":
        return _warmed(schedules.PolynomialDecay(top, falling, 0.0), top, warmup, since=warmup)
    if part.schedule == "step":
        # Milestones are of all steps, the warm-up among them.
        rates = [top * part.factor**fallen for fallen in range(len(part.milestones) + 1)]
        edges = [max(1, math.floor(steps * milestone)) for milestone in part.milestones]
        return _warmed(schedules.PiecewiseConstantDecay(edges, rates), top, warmup, since=0)
    if part.schedule == "exponential":
        every = max(1, round(part.every * steps / part.epochs))
        return _warmed(schedules.ExponentialDecay(top, every, part.factor, staircase=True), top, warmup, since=0)
    return _warmed(schedules.PolynomialDecay(top, 1, top), top, warmup, since=0)


def _warmed(schedule: Any, top: float, warmup: int, *, since: int) -> Any:
    """`schedule` behind a straight climb to `top`.

    Args:
        since: number of the step that is the schedule's own first.
    """
    if warmup == 0:
        return schedule
    ops = keras.ops

    class Warmed(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step: Any) -> Any:
            step = ops.cast(step, "float32")
            climbing = top * step / warmup
            return ops.where(step < warmup, climbing, schedule(ops.maximum(step - since, 0.0)))

        def get_config(self) -> dict[str, Any]:
            return {"warmup": warmup, "schedule": schedule.get_config()}

    return Warmed()
