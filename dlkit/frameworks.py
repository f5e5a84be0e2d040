"""Keras and TensorFlow, reached only when something heavy is done, and quiet when they are.

`from dlkit.frameworks import keras` imports nothing; the first attribute does. Builders therefore
read as ordinary Keras and can be listed without it.
"""

from __future__ import annotations

import os
from types import ModuleType
from typing import TYPE_CHECKING, Any

from dlkit.extras import require
from dlkit.noise import native_noise_aside


class LazyModule(ModuleType):
    """Stands for a module until one of its attributes is asked for."""

    def __getattr__(self, attribute: str) -> Any:
        quieten()
        with native_noise_aside():  # announcements of missing GPU libraries that no log level stops
            module = require(self.__name__)
        value = getattr(module, attribute)
        setattr(self, attribute, value)
        return value


def quieten() -> None:
    """Choose the TensorFlow backend and ask its C++ side for errors only, before either is imported."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # A backend chosen for other work (environment or ~/.keras/keras.json) could not be converted.
    os.environ["KERAS_BACKEND"] = "tensorflow"


if TYPE_CHECKING:
    import keras as keras
    import tensorflow as tensorflow
else:
    keras = LazyModule("keras")
    tensorflow = LazyModule("tensorflow")


def make_deterministic(seed: int) -> None:
    """Seed Python, numpy and Keras, and ask TensorFlow for the deterministic form of every op.

    Same recipe, seed and versions then give the same weights, bit for bit.
    """
    keras.utils.set_random_seed(seed)
    tensorflow.config.experimental.enable_op_determinism()
