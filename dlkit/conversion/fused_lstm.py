"""Keras 3 LSTM layers in the form the TFLite converter fuses into one UNIDIRECTIONAL_SEQUENCE_LSTM.

Keras 3 writes an LSTM as a loop, which converts to WHILE and whose int8 calibration ends in a
segmentation fault (tensorflow 2.21). The converter fuses a function that carries the attribute
`tf.api_implements = "lstm_…"` and has the signature of tf_keras' `standard_lstm`; `FusedLSTM` is a
layer that calls such a function.
"""

from __future__ import annotations

import functools
from typing import Any

from dlkit.frameworks import keras
from dlkit.frameworks import tensorflow as tf


def can_be_fused(layer: keras.layers.Layer) -> bool:
    """Whether UNIDIRECTIONAL_SEQUENCE_LSTM computes exactly this layer."""
    return (
        type(layer) is keras.layers.LSTM
        and layer.activation is keras.activations.tanh
        and layer.recurrent_activation is keras.activations.sigmoid
        and layer.use_bias
        and not (layer.stateful or layer.return_state)
    )


@functools.cache
def fused_lstm() -> type[Any]:
    """An LSTM layer that calls the annotated function; made on demand because its base is Keras'."""

    class FusedLSTM(keras.layers.LSTM):
        apart = False
        """Whether the result is a tensor of its own, which a concatenation cannot give the range of what is beside it.

        The int8 kernel reads the state it wrote in the result's range, but the converter gives the state a
        range of its own: of two LSTMs side by side, 7 to 15 dB in place of 34. The operation that parts
        them clips at ±1, which changes nothing: a result is a sigmoid times a tanh.
        """

        def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
            if mask is not None or initial_state is not None:
                return super().call(sequences, initial_state=initial_state, mask=mask, training=training)
            if self.go_backwards:
                sequences = sequences[:, ::-1]
            zeros = tf.zeros((sequences.shape[0], self.units))
            # As tensors: the converter crashes on variables that are passed to the function.
            cell = self.cell
            weights = [tf.convert_to_tensor(w.value) for w in (cell.kernel, cell.recurrent_kernel, cell.bias)]
            last, every, *_ = _standard_lstm(self.name)(sequences, zeros, zeros, *weights)
            result = every if self.return_sequences else last
            return tf.clip_by_value(result, -1.0, 1.0) if self.apart else result

    return FusedLSTM


def _standard_lstm(name: str) -> Any:
    """The function the converter recognises, marked as this layer's own."""
    attributes = {
        "api_implements": f"lstm_{name}",
        "api_preferred_device": "CPU",
        "go_backwards": False,
        "time_major": False,
    }

    @tf.function(autograph=False, experimental_attributes=attributes)
    def standard_lstm(inputs: Any, init_h: Any, init_c: Any, kernel: Any, recurrent_kernel: Any, bias: Any) -> Any:
        steps_first = tf.transpose(inputs, [1, 0, 2])  # (steps, N, features)
        steps = steps_first.shape[0]
        reads = tf.TensorArray(tf.float32, size=steps, element_shape=steps_first.shape[1:]).unstack(steps_first)
        writes = tf.TensorArray(tf.float32, size=steps, element_shape=init_h.shape)

        def step(t: Any, h: Any, c: Any, writes: Any) -> Any:
            gates = tf.matmul(reads.read(t), kernel) + tf.matmul(h, recurrent_kernel) + bias
            i, f, g, o = tf.split(gates, 4, axis=1)  # input, forget, cell, output: Keras' order
            c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
            h = tf.sigmoid(o) * tf.tanh(c)
            return t + 1, h, c, writes.write(t, h)

        start = (0, init_h, init_c, writes)
        _, h, c, writes = tf.while_loop(lambda t, *_: t < steps, step, start, maximum_iterations=steps)
        every = tf.transpose(writes.stack(), [1, 0, 2])  # (N, steps, units)
        return h, every, h, c, tf.constant(1.0)

    return standard_lstm
