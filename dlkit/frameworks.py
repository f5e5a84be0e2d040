"""Keras and TensorFlow, reached only when something heavy is done, and quiet when they are.

`from dlkit.frameworks import keras` imports nothing; the first attribute does. Builders therefore
read as ordinary Keras and can be listed without it.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

from dlkit.extras import require
from dlkit.noise import native_noise_aside

NOT_USED = ("matplotlib", "scipy")
"""Keras and TensorFlow import them if they are there: to draw galleries, and for sparse inputs of a Keras before 3.

Of 3.8 s of the processor that `import keras` takes, they are 0.6.
"""
DRAWING = {
    "keras.src.visualization.plot_image_gallery": ("plt", "matplotlib.pyplot"),
    "keras.src.visualization.plot_bounding_box_gallery": ("patches", "matplotlib.patches"),
}
"""Modules of Keras that draw → what they call what they draw with, which comes when a user does."""


class LazyModule(ModuleType):
    """Stands for a module until one of its attributes is asked for."""

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(imported(self.__name__), attribute)
        setattr(self, attribute, value)
        return value


def imported(name: str) -> ModuleType:
    """The framework of that name, imported quietly, and without what costs a sixth of the time and is not used."""
    if name in sys.modules:
        return sys.modules[name]
    quieten()
    with native_noise_aside(), _as_if_missing(NOT_USED):  # announcements of missing GPU libraries that no level stops
        module = require(name)
    for place, (attribute, wanted) in DRAWING.items():
        if place in sys.modules and getattr(sys.modules[place], attribute, wanted) is None:
            setattr(sys.modules[place], attribute, _Later(wanted))
    return module


@contextlib.contextmanager
def _as_if_missing(names: Iterable[str]) -> Iterator[None]:
    """Have an import of one of `names` say that it is not installed, unless it has been imported already."""
    missing = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(missing))  # type: ignore[arg-type]  # None is how Python writes that down
    try:
        yield
    finally:
        for name in missing:
            sys.modules.pop(name)


class _Later(ModuleType):
    """Stands for a module until one of its attributes is asked for."""

    def __getattr__(self, attribute: str) -> Any:
        return getattr(require(self.__name__), attribute)


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
