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


STEPS, SMALLEST_SCALE = 127, 1e-12
"""Of an 8-bit weight above 0; and what the largest weight of a channel is at the least."""


class Held(Protocol):
    """Something that holds of a kernel."""

    def restore(self) -> None:
        """Make it hold again, as operations of TensorFlow."""

    def settle(self) -> None:
        """When the training has ended: come to what 8-bit integers can hold, likewise."""


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

    def settle(self) -> None:
        self.restore()


class Ties:
    """Weights of a cluster stay one size, in units of the largest of their output channel; zeros stay zero.

    What the optimizer makes of the weights is brought back to the nearest kernel of that form, in the sense of least
    squares, first by its channels and then by its sizes. When the training ends sizes are whole numbers of 127, which
    int8 rounds no further.
    """

    def __init__(
        self,
        kernel: Kernel,
        clusters: NDArray[np.int64],
        signs: NDArray[np.float32],
        sizes: NDArray[np.float32],
    ) -> None:
        """
        Args:
            clusters: of each weight, as (all else, outputs), the place of its size in `sizes`.
            signs: likewise, -1 or 1; 0 where a weight is 0 and stays so.
            sizes: rising, the last one 1.
        """
        self.kernel, self.count = kernel, len(sizes)
        self.clusters, self.signs = tf.constant(clusters.astype(np.int32)), tf.constant(signs)
        self.sizes = tf.Variable(sizes.astype(np.float32), trainable=False)

    def restore(self) -> None:
        weights = self.kernel.by_output(self.kernel.variable) * self.signs
        there, sizes = tf.abs(self.signs), tf.gather(self.sizes, self.clusters) * tf.abs(self.signs)
        scales = tf.math.divide_no_nan(tf.reduce_sum(weights * sizes, 0), tf.reduce_sum(sizes * sizes, 0))
        scales = tf.maximum(scales, SMALLEST_SCALE)  # (outputs,)

        def summed(values: Any) -> Any:
            return tf.math.unsorted_segment_sum(tf.reshape(values, (-1,)), tf.reshape(self.clusters, (-1,)), self.count)

        moved = tf.math.divide_no_nan(summed(weights * scales), summed(there * scales * scales))
        self.sizes.assign(tf.concat([tf.clip_by_value(moved[:-1], 0.0, 1.0), [1.0]], 0))
        self._become(scales)

    def settle(self) -> None:
        scales = tf.reduce_max(tf.abs(self.kernel.by_output(self.kernel.variable)), 0)
        self.sizes.assign(tf.round(self.sizes * STEPS) / STEPS)
        self._become(scales)

    def _become(self, scales: Any) -> None:
        sizes = tf.gather(self.sizes, self.clusters)
        self.kernel.variable.assign(self.kernel.back(self.signs * sizes * scales))


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

        def on_train_end(self, logs: Any = None) -> None:
            for each in held:
                each.settle()

    return Restoring()
