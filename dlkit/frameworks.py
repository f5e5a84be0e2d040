"""Keras and TensorFlow, reached only when something heavy is done, and quiet when they are.

`from dlkit.frameworks import keras` imports nothing; the first attribute does. Builders therefore
read as ordinary Keras and can be listed without it.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any


class LazyModule(ModuleType):
    """Stands for a module until one of its attributes is asked for."""

    def __getattr__(self, attribute: str) -> Any:
        quieten()
        with _native_noise_aside():
            module = importlib.import_module(self.__name__)
        value = getattr(module, attribute)
        setattr(self, attribute, value)
        return value


def quieten() -> None:
    """Choose the TensorFlow backend and ask its C++ side for errors only, before either is imported."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # A backend chosen for other work (environment or ~/.keras/keras.json) could not be converted.
    os.environ["KERAS_BACKEND"] = "tensorflow"


@contextlib.contextmanager
def _native_noise_aside() -> Iterator[None]:
    """Keep what native code writes to descriptor 2 off the screen while TensorFlow is imported.

    It announces missing GPU libraries and rounding there before any log level counts
    (tensorflow 2.21). An import that fails speaks through its Python error.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)


if TYPE_CHECKING:
    import keras
    import tensorflow
else:
    keras = LazyModule("keras")
    tensorflow = LazyModule("tensorflow")


def make_deterministic(seed: int) -> None:
    """Seed Python, numpy and Keras, and ask TensorFlow for the deterministic form of every op.

    Same recipe, seed and versions then give the same weights, bit for bit.
    """
    keras.utils.set_random_seed(seed)
    tensorflow.config.experimental.enable_op_determinism()
