"""The kernels of a twin's layers: which there are, where they hang, and as what matrix a device reads them.

Pruning, clustering and quantization look at a kernel as LiteRT does: (positions, inputs, outputs), of a convolution a
position for each place of its window. Outputs are what has a scale of its own in an 8-bit file.
"""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dlkit.errors import UnknownName
from dlkit.frameworks import tensorflow as tf

if TYPE_CHECKING:
    from numpy.typing import NDArray

Axes = Literal["last", "swapped", "depthwise"]
"""Where outputs are: the last axis; the last but one (transposed convolutions); the last two (depthwise ones)."""
_WHERE: dict[str, tuple[str, Axes]] = {
    "Conv1D": ("kernel", "last"),
    "Conv2D": ("kernel", "last"),
    "Conv3D": ("kernel", "last"),
    "Conv1DTranspose": ("kernel", "swapped"),
    "Conv2DTranspose": ("kernel", "swapped"),
    "Conv3DTranspose": ("kernel", "swapped"),
    "Dense": ("kernel", "last"),
    "DepthwiseConv1D": ("depthwise_kernel", "depthwise"),
    "DepthwiseConv2D": ("depthwise_kernel", "depthwise"),
}
_RECURRENT = ("SimpleRNN", "LSTM", "GRU")


@dataclasses.dataclass(frozen=True)
class Kernel:
    """One kernel.

    Attributes:
        layer: name of the Keras 3 layer it comes from.
        name: of the kernel among those of its layer.
        holder: the object of tf_keras that has it as an attribute.
        attribute: by which name.
        variable: what is trained.
        axes: where its outputs are.
    """

    layer: str
    name: str
    holder: Any
    attribute: str
    variable: Any
    axes: Axes

    @property
    def full_name(self) -> str:
        return self.layer if self.name == "kernel" else f"{self.layer}/{self.name}"

    @property
    def values(self) -> NDArray[np.float32]:
        return np.asarray(self.variable.numpy())

    def cube(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values in the kernel's own shape → (positions, inputs, outputs)."""
        if self.axes == "depthwise":
            return values.reshape(-1, 1, values.shape[-2] * values.shape[-1])
        if self.axes == "swapped":
            values = np.swapaxes(values, -1, -2)
        return values.reshape(-1, *values.shape[-2:])

    def own_shape(self, cube: NDArray[Any]) -> NDArray[Any]:
        """The inverse of `cube`."""
        shape = tuple(self.variable.shape)
        if self.axes != "swapped":
            return cube.reshape(shape)
        return np.swapaxes(cube.reshape(*shape[:-2], shape[-1], shape[-2]), -1, -2)

    def by_output(self, tensor: Any) -> Any:
        """A tensor of TensorFlow in the kernel's own shape → (all else, outputs)."""
        if self.axes == "swapped":
            rank = len(tensor.shape)
            tensor = tf.transpose(tensor, [*range(rank - 2), rank - 1, rank - 2])
        outputs = tensor.shape[-1] * (tensor.shape[-2] if self.axes == "depthwise" else 1)
        return tf.reshape(tensor, (-1, outputs))

    def back(self, matrix: Any) -> Any:
        """The inverse of `by_output`."""
        shape = list(self.variable.shape)
        if self.axes != "swapped":
            return tf.reshape(matrix, shape)
        rank = len(shape)
        turned = tf.reshape(matrix, [*shape[:-2], shape[-1], shape[-2]])
        return tf.transpose(turned, [*range(rank - 2), rank - 1, rank - 2])


def kernels_of(layer: Any, name: str) -> list[Kernel]:
    """Those of a layer of tf_keras that is built, as kernels of the Keras 3 layer `name`; [] if it has none."""
    kind = type(layer).__name__
    if kind in _WHERE:
        attribute, axes = _WHERE[kind]
        return [Kernel(name, "kernel", layer, attribute, getattr(layer, attribute), axes)]
    if kind in _RECURRENT:
        return [
            Kernel(name, which, layer.cell, which, getattr(layer.cell, which), "last")
            for which in ("kernel", "recurrent_kernel")
        ]
    if kind == "Bidirectional":
        ways = (("forward", layer.forward_layer), ("backward", layer.backward_layer))
        both = [(way, kernel) for way, one in ways for kernel in kernels_of(one, name)]
        return [dataclasses.replace(kernel, name=f"{way}_{kernel.name}") for way, kernel in both]
    if kind == "TimeDistributed":
        return kernels_of(layer.layer, name)
    return []


def chosen(kernels: Iterable[Kernel], keep: Sequence[str]) -> list[Kernel]:
    """Those that are pruned and clustered: no depthwise ones, which have few weights that count much each, as in tfmot.

    Args:
        keep: names of layers that are left as they are, or patterns of names.

    Raises:
        UnknownName: no layer with a kernel has a name of `keep`.
    """
    kernels = list(kernels)
    for pattern in keep:
        if not any(fnmatch.fnmatchcase(kernel.layer, pattern) for kernel in kernels):
            names = dict.fromkeys(kernel.layer for kernel in kernels)
            raise UnknownName("layer with a kernel", pattern, names, "compression.keep")
    return [
        kernel
        for kernel in kernels
        if kernel.axes != "depthwise" and not any(fnmatch.fnmatchcase(kernel.layer, pattern) for pattern in keep)
    ]
