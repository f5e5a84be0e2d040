"""What is kept of kernels while they are trained on: weights that are zero, and weights of a few levels.

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


STEPS = 127
"""Of an 8-bit weight above 0."""


class Held(Protocol):
    """Something that holds of a kernel."""

    def restore(self) -> None:
        """Make it hold again, as operations of TensorFlow."""

    def settle(self) -> None:
        """When a training has ended: come to what 8-bit integers hold, likewise."""


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


class Levels:
    """Weights are levels times the scale of their output: ± s_c · l_k, the largest level 1, or zero.

    After a step of the optimizer scales and levels are fitted to the weights again by least squares, one after the
    other; which level and sign a weight has stays as it was. When the training ends levels are whole numbers of 127, so
    that the rounding of another sum cannot make two integers of one.
    """

    def __init__(
        self, kernel: Kernel, which: NDArray[np.int64], signs: NDArray[np.float32], levels: NDArray[np.float32]
    ) -> None:
        """Args:
        which: level of each weight, (all else, outputs) as `Kernel.by_output` has them.
        signs: of each weight, 1 or -1; 0 of one that is zero and stays so.
        levels: rising, the last one 1.
        """
        self.kernel, self.count = kernel, len(levels)
        self.which, self.signs = tf.constant(which.astype(np.int32)), tf.constant(signs.astype(np.float32))
        self.levels = tf.Variable(levels.astype(np.float32), trainable=False)

    def restore(self) -> None:
        sizes = self.signs * self.kernel.by_output(self.kernel.variable)  # (all else, outputs), 0 where there is a zero
        own = tf.gather(self.levels, self.which) * tf.abs(self.signs)
        scales = tf.math.divide_no_nan(tf.reduce_sum(sizes * own, 0), tf.reduce_sum(own * own, 0))
        scales = tf.maximum(scales, 0.0)
        squares = tf.square(scales) * tf.abs(self.signs)
        members = tf.math.unsorted_segment_sum(squares, self.which, self.count)
        fitted = tf.math.divide_no_nan(tf.math.unsorted_segment_sum(sizes * scales, self.which, self.count), members)
        levels = tf.clip_by_value(tf.where(members > 0.0, fitted, self.levels), 0.0, fitted[-1])
        levels = tf.math.divide_no_nan(levels, fitted[-1])
        self.levels.assign(levels)
        self._become(scales * fitted[-1])

    def settle(self) -> None:
        scales = tf.reduce_max(tf.abs(self.kernel.by_output(self.kernel.variable)), 0)
        self.levels.assign(tf.round(self.levels * STEPS) / STEPS)
        self._become(scales)

    def _become(self, scales: Any) -> None:
        weights = self.signs * (tf.gather(self.levels, self.which) * scales)
        self.kernel.variable.assign(self.kernel.back(weights))


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
