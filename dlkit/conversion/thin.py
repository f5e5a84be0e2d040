"""A float .tflite file of a large Keras model, converted without its large kernels; runs in a child process.

The kernels of convolutions and dense layers are inputs of what is converted, and become constants of
the file afterwards (`completing`). VGG16 at full size took the converter 22 s and 5.0 GB with them, and
0.4 s and 0.7 GB without. The file has the same operations and the same numbers either way.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlkit.conversion.completing import IncompleteFile
from dlkit.conversion.without_loops import every_layer
from dlkit.frameworks import keras
from dlkit.frameworks import tensorflow as tf

LEAST_KERNEL_BYTES = 2**20
"""A smaller kernel costs the converter little."""
LEAST_BYTES = 2**25
"""Of all large kernels together: a smaller model is converted whole, in about the same time."""
MOST_BYTES = 2**31 - 2**24
"""Of the whole model: a FlatBuffer ends at 2 GiB. What the converter makes of a larger one has another form."""


@dataclasses.dataclass(frozen=True)
class Kernel:
    """A variable that is converted as an input.

    Attributes:
        name: of the input.
        variable: (..., channels) float32; in the file the channels come first.
    """

    name: str
    variable: keras.Variable

    @property
    def shape(self) -> tuple[int, ...]:
        """In the file."""
        *others, channels = self.variable.shape
        return (channels, *others)

    @property
    def values(self) -> np.ndarray[Any, np.dtype[np.float32]]:
        """(channels, numbers of each): what the variable holds, seen in the order of the file."""
        value = np.asarray(memoryview(self.variable.value.read_value()))  # where it is; its `numpy` copies it
        return value.reshape(-1, value.shape[-1]).T


def large_kernels(model: keras.Model) -> list[Kernel]:
    """The kernels of `model` that are worth to be converted as inputs; none if it is no large model."""
    if sum(map(_bytes, model.variables)) > MOST_BYTES:
        return []
    found: dict[int, keras.Variable] = {}
    for layer in every_layer(model):
        if _is_plain(layer) and _bytes(layer.kernel) >= LEAST_KERNEL_BYTES:
            found[id(layer.kernel)] = layer.kernel  # once, if layers share it
    kernels = [Kernel(f"kernel_{i}", variable) for i, variable in enumerate(found.values())]
    return kernels if sum(map(_bytes, found.values())) >= LEAST_BYTES else []


def float_file(model: keras.Model, convert: Callable[[Sequence[Kernel]], bytes], tflite: Path) -> None:
    """Write the float .tflite file of `model`.

    Args:
        model: whose kernels these are.
        convert: gives the .tflite file of the model, with the kernels given as inputs of it beside its own:
            their `specifications`, used as the variables' values where they are `given`.
        tflite: file for the result.
    """
    kernels = large_kernels(model)
    while kernels:
        try:
            content = convert(kernels)
        except Exception:  # perhaps only for want of a constant; if not, the whole model fails the same way
            break
        file = IncompleteFile(content, {kernel.name: kernel.shape for kernel in kernels})
        if not file.unfit:
            variables = {kernel.name: kernel.variable.path for kernel in kernels}
            file.write(tflite, functools.partial(_values, kernels), variables)
            return
        kernels = [kernel for kernel in kernels if kernel.name not in file.unfit]
    tflite.write_bytes(convert([]))


def _values(kernels: Sequence[Kernel], name: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    return next(kernel.values for kernel in kernels if kernel.name == name)


def specifications(kernels: Sequence[Kernel]) -> dict[str, tf.TensorSpec]:
    """Input name → shape and dtype of each kernel as an input."""
    return {kernel.name: tf.TensorSpec(kernel.shape, tf.float32, name=kernel.name) for kernel in kernels}


@contextlib.contextmanager
def given(kernels: Sequence[Kernel], named: Mapping[str, tf.Tensor]) -> Iterator[None]:
    """While the block runs, a kernel's variable is what the input of its name says."""
    values = [(k.variable, tf.transpose(named[k.name], [*range(1, len(k.shape)), 0])) for k in kernels]
    with keras.StatelessScope(values, initialize_variables=False) if kernels else contextlib.nullcontext():
        yield


def _is_plain(layer: keras.layers.Layer) -> bool:
    """Whether the layer computes with its kernel as it is, in float32."""
    if type(layer) not in (keras.layers.Dense, keras.layers.Conv2D) or layer.compute_dtype != "float32":
        return False
    return not getattr(layer, "lora_enabled", False) and getattr(layer, "quantization_mode", None) is None


def _bytes(variable: keras.Variable) -> int:
    return 4 * math.prod(variable.shape)
