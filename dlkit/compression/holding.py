"""What is kept of kernels while they are trained on: weights that are zero, and weights that are one value.

After each batch the optimizer's step is taken back as far as it breaks this. TensorFlow's optimization toolkit keeps
either inside layers of its own, for convolutions and dense layers; this way it holds for every layer, also of recurrent
and transposed ones, and the result is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from dlkit.compression.kernels import Kernel
from dlkit.frameworks import tensorflow as tf

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Held(Protocol):
    """Something that holds of a kernel."""

    def restore(self) -> None:
        """Make it hold again, as operations of TensorFlow."""


class Zeros:
    """Weights that are zero stay so."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.mask = tf.Variable(tf.cast(kernel.variable != 0.0, tf.float32), trainable=False)

    def become(self, mask: NDArray[np.bool_]) -> None:
        """Other weights are zero from now on: those where `mask`, in the kernel's own shape, is false."""
        self.mask.assign(mask.astype(np.float32))

    def restore(self) -> None:
        # Not a product: a weight that became infinite would make it NaN.
        variable = self.kernel.variable
        variable.assign(tf.where(self.mask > 0.0, variable, tf.zeros_like(variable)))


class Ties:
    """Weights of a cluster stay one value: the mean of what the optimizer makes of them; those of zero stay zero."""

    def __init__(self, kernel: Kernel, clusters: NDArray[np.int64], count: int, zero: int | None) -> None:
        """Args:
        clusters: of each weight, in the kernel's own shape, 0 to `count`.
        zero: the cluster whose value is 0, if one is.
        """
        self.kernel, self.count = kernel, count
        self.clusters = tf.constant(clusters.reshape(-1).astype(np.int32))
        sizes = np.maximum(np.bincount(clusters.reshape(-1), minlength=count), 1).astype(np.float32)
        factors = 1.0 / sizes
        if zero is not None:
            factors[zero] = 0.0
        self.factors = tf.constant(factors.astype(np.float32))

    def restore(self) -> None:
        variable = self.kernel.variable
        sums = tf.math.unsorted_segment_sum(tf.reshape(variable, (-1,)), self.clusters, self.count)
        variable.assign(tf.reshape(tf.gather(sums * self.factors, self.clusters), variable.shape))


def restoring(held: Sequence[Held]) -> Any:
    """A callback of tf_keras that restores all of it after each batch."""
    import tf_keras

    @tf.function
    def restore() -> None:
        for each in held:
            each.restore()

    class Restoring(tf_keras.callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            restore()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            restore()

    return Restoring()
