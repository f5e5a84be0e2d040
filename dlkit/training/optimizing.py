"""AdamW on a schedule that warms up and falls as a cosine.

Loshchilov & Hutter 2017, arXiv:1608.03983 (the cosine, without restarts) and 2019,
arXiv:1711.05101 (AdamW); warm-up as in Goyal et al. 2017, arXiv:1706.02677.
"""

from __future__ import annotations

import math
from typing import Any

from dlkit.frameworks import keras
from dlkit.recipe import TrainingPart


def optimizer_for(part: TrainingPart, samples: int, *, beta_1: float = 0.9, ema: float = 0.0) -> Any:
    """The optimizer of a training over `samples` samples an epoch.

    Args:
        beta_1: how slowly the mean of gradients moves.
        ema: how slowly an average of the weights follows them; 0 for none.
    """
    steps = math.ceil(samples / part.batch_size) * part.epochs
    average: dict[str, Any] = {"use_ema": True, "ema_momentum": ema} if ema else {}
    return keras.optimizers.AdamW(_schedule(part, steps), weight_decay=part.weight_decay, beta_1=beta_1, **average)


def _schedule(part: TrainingPart, steps: int) -> Any:
    warmup = int(steps * part.warmup)
    if warmup == 0:
        return keras.optimizers.schedules.CosineDecay(part.learning_rate, steps)
    return keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - warmup), warmup_target=part.learning_rate, warmup_steps=warmup
    )
