"""Keras models as users bring them: small, but of every awkward form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

L = keras.layers
PICTURE, WORDS = (8, 8, 3), 20
MODELS: dict[str, Callable[[], keras.Model]] = {}
TEXTS = ("transformer", "masked_lstm")
"""Those whose inputs are numbers of words."""


def _model(build: Callable[[], keras.Model]) -> Callable[[], keras.Model]:
    MODELS[build.__name__] = build
    return build


def _picture(*shape: int) -> Any:
    return keras.Input(shape or PICTURE, name="x")


@_model
def multi_input() -> keras.Model:
    picture, facts = keras.Input(PICTURE, name="picture"), keras.Input((4,), name="facts")
    y = L.GlobalAveragePooling2D()(L.Conv2D(8, 3, activation="relu")(picture))
    y = L.Concatenate()([y, L.Dense(8, activation="relu")(facts)])
    return keras.Model([picture, facts], L.Dense(3, activation="softmax")(y))


@_model
def multi_output() -> keras.Model:
    x = _picture()
    y = L.Flatten()(L.Conv2D(8, 3, activation="relu")(x))
    return keras.Model(x, [L.Dense(3, activation="softmax", name="kind")(y), L.Dense(4, name="box")(y)])


@_model
def multi_input_and_output() -> keras.Model:
    a, b = keras.Input((6,), name="a"), keras.Input((4,), name="b")
    y = L.Dense(16, activation="relu")(L.Concatenate()([a, b]))
    return keras.Model([a, b], {"kind": L.Dense(3, activation="softmax")(y), "value": L.Dense(1)(y)})


@_model
def dictionary() -> keras.Model:
    inputs = {"b": keras.Input((4,), name="b"), "a": keras.Input((3,), name="a")}
    y = L.Dense(8, activation="relu")(L.Concatenate()([inputs["a"], inputs["b"]]))
    return keras.Model(inputs, {"out": L.Dense(2)(y)})


@_model
def nested() -> keras.Model:
    i, j, x = keras.Input(PICTURE), keras.Input(PICTURE), _picture()
    inner = keras.Model(i, L.Conv2D(8, 3, activation="relu")(i), name="inner")
    middle = keras.Model(j, L.BatchNormalization()(inner(j)), name="middle")
    return keras.Model(x, L.Dense(3)(L.Flatten()(middle(x))))


@_model
def siamese() -> keras.Model:
    a, b = keras.Input(PICTURE, name="left"), keras.Input(PICTURE, name="right")
    tower = keras.Sequential([keras.Input(PICTURE), L.Conv2D(8, 3, activation="relu"), L.Flatten(), L.Dense(8)])
    return keras.Model([a, b], L.Dense(1, activation="sigmoid")(L.Subtract()([tower(a), tower(b)])))


@_model
def preprocessing_in_front() -> keras.Model:
    """What it rescales is 0 to 1 here: the steps of an int8 input are the same."""
    x, normalization = _picture(), L.Normalization()
    normalization.adapt(np.random.default_rng(0).random((64, *PICTURE), dtype=np.float32) + np.array([0.5, 0, 2]))
    y = L.RandomContrast(0.2)(L.RandomRotation(0.1)(L.RandomFlip()(L.Rescaling(2.0, -1)(x))))
    return keras.Model(x, L.Dense(3)(L.Flatten()(L.Conv2D(4, 3, activation="relu")(normalization(y)))))


@_model
def leaky() -> keras.Model:
    x = _picture()
    return keras.Model(x, L.Dense(3)(L.Flatten()(L.LeakyReLU(negative_slope=0.35)(L.Conv2D(8, 3)(x)))))


@_model
def grouped_and_dilated() -> keras.Model:
    x = _picture(12, 12, 4)
    y = L.Conv2D(8, 3, groups=4, activation="relu", padding="same")(x)
    y = L.Conv2D(8, 3, dilation_rate=2, activation="relu", padding="same")(y)
    return keras.Model(x, L.Dense(3)(L.GlobalAveragePooling2D()(y)))


@_model
def bidirectional_sequences() -> keras.Model:
    x = _picture(6, 4)
    return keras.Model(x, L.Dense(3)(L.Bidirectional(L.LSTM(6, return_sequences=True))(x)))


@_model
def transformer() -> keras.Model:
    tokens = keras.Input((8,), dtype="int32", name="tokens")
    y = L.Embedding(WORDS, 16)(tokens)
    y = L.LayerNormalization()(y + L.MultiHeadAttention(2, 8)(y, y))
    y = L.LayerNormalization()(y + L.Dense(16)(L.Dense(32, activation="gelu")(y)))
    return keras.Model(tokens, L.Dense(3, activation="softmax")(L.GlobalAveragePooling1D()(y)))


@_model
def masked_lstm() -> keras.Model:
    tokens, wide = keras.Input((6,), dtype="int32", name="tokens"), keras.initializers.RandomNormal(stddev=1)
    return keras.Model(tokens, L.Dense(3)(L.LSTM(6)(L.Embedding(WORDS, 8, wide, mask_zero=True)(tokens))))


@_model
def masked_gru() -> keras.Model:
    x = _picture(6, 4)
    return keras.Model(x, L.Dense(3)(L.GRU(6)(L.Masking()(x))))


@_model
def series() -> keras.Model:
    x = _picture(16, 3)
    y = L.MaxPooling1D()(L.Conv1D(8, 3, activation="relu")(x))
    y = L.Conv1D(8, 3, padding="causal", activation="relu")(y)
    return keras.Model(x, L.Dense(3, activation="softmax")(L.GlobalMaxPooling1D()(y)))


@_model
def separable_prelu() -> keras.Model:
    x, slopes = _picture(), keras.initializers.Constant(0.3)
    y = L.PReLU(shared_axes=[1, 2], alpha_initializer=slopes)(L.SeparableConv2D(8, 3, padding="same")(x))
    return keras.Model(x, L.Dense(3)(L.GlobalAveragePooling2D()(y)))


@_model
def smooth_activations() -> keras.Model:
    x = _picture()
    y = L.Conv2D(8, 3, activation="silu")(x)
    for name in ("gelu", "elu", "softplus", "hard_silu"):
        y = L.Conv2D(8, 1, activation=name)(y)
    return keras.Model(x, L.Dense(3)(L.Flatten()(y)))


@_model
def normalizations() -> keras.Model:
    x = _picture()
    y = L.Activation("relu")(L.GroupNormalization(2)(L.Conv2D(8, 3)(x)))
    y = L.UnitNormalization()(L.RMSNormalization()(L.Dense(16)(L.Flatten()(y))))
    return keras.Model(x, L.Dense(3)(y))


@_model
def time_distributed() -> keras.Model:
    x = _picture(4, 8, 8, 1)
    y = L.TimeDistributed(L.Flatten())(L.TimeDistributed(L.Conv2D(4, 3, activation="relu"))(x))
    return keras.Model(x, L.Dense(3)(L.LSTM(6)(y)))


@_model
def conv_lstm() -> keras.Model:
    x = _picture(3, 8, 8, 1)
    return keras.Model(x, L.Dense(3)(L.Flatten()(L.ConvLSTM2D(4, 3)(x))))


@_model
def u_net() -> keras.Model:
    x = _picture(8, 8, 1)
    a = L.Conv2D(4, 3, padding="same", activation="relu")(x)
    b = L.Conv2D(8, 3, padding="same", activation="relu")(L.MaxPooling2D()(a))
    up = L.Concatenate()([L.Conv2DTranspose(4, 2, strides=2)(b), a])
    return keras.Model(x, L.Conv2D(2, 1, activation="softmax")(up))


@_model
def squeeze_and_excite() -> keras.Model:
    x = _picture()
    y = L.Conv2D(8, 3, activation="relu")(x)
    s = L.Conv2D(2, 1, activation="relu")(L.GlobalAveragePooling2D(keepdims=True)(y))
    return keras.Model(x, L.Dense(3)(L.Flatten()(L.Multiply()([y, L.Conv2D(8, 1, activation="sigmoid")(s)]))))


@_model
def numpy_like_operations() -> keras.Model:
    x, ops = _picture(), keras.ops
    y = ops.transpose(ops.concatenate([x, ops.flip(x, 1)], -1), (0, 2, 1, 3))
    y = L.AveragePooling2D(2)(L.Cropping2D(1)(L.ZeroPadding2D(2)(y)))
    return keras.Model(x, L.Dense(3)(ops.mean(ops.square(y) - ops.negative(y), axis=(1, 2))))
