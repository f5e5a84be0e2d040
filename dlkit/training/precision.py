"""Training in mixed precision, and its result in float32: a network built for float16 cannot be converted."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from dlkit.frameworks import keras
from dlkit.recipe import TrainingPart

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
"""training.precision → the policy of Keras, under which weights stay float32."""


@contextlib.contextmanager
def precision_of(part: TrainingPart) -> Iterator[None]:
    """Networks that are built in the block compute as the recipe says."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(POLICIES[part.precision])
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def in_float32(model: keras.Model, part: TrainingPart, build: Callable[[], keras.Model]) -> keras.Model:
    """`model`, or where it computes in less than float32 another of its weights that does not."""
    if part.precision == "float32":
        return model
    full = build()
    full.set_weights(model.get_weights())
    return full
