"""The layers of which networks are made, each against its formula, written out in numpy.

Images are (rows, columns, channels) without the batch; i and j are places of the output, l, m and n
places and channels of the kernel.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.tf

RNG = np.random.default_rng(0)
IMAGE = RNG.standard_normal((6, 7, 4)).astype(np.float32)


def answered(layer: Any, x: np.ndarray, *weights: np.ndarray, training: bool = False) -> np.ndarray:
    """What a layer with these weights makes of one sample."""
    layer.build((None, *x.shape))
    layer.set_weights(list(weights))
    return np.asarray(layer(x[np.newaxis], training=training))[0]


def places(rows: int, columns: int, kernel: int, stride: int) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """An empty output without padding, and its places."""
    height, width = (rows - kernel) // stride + 1, (columns - kernel) // stride + 1
    return np.zeros((height, width)), list(itertools.product(range(height), range(width)))


@pytest.mark.parametrize("stride", [1, 2])
def test_convolution(stride: int) -> None:
    """y_ij = w_b + Σ_lmn x_{i+l, j+m, n} w_{l,m,n}, a filter w for each output channel."""
    import keras

    w, w_b = RNG.standard_normal((3, 3, 4, 5)), RNG.standard_normal(5)
    y = answered(keras.layers.Conv2D(5, 3, strides=stride), IMAGE, w, w_b)
    for filter_ in range(5):
        wanted, all_places = places(6, 7, 3, stride)
        for i, j in all_places:
            total = w_b[filter_]
            for l, m, n in itertools.product(range(3), range(3), range(4)):  # noqa: E741
                total += IMAGE[i * stride + l, j * stride + m, n] * w[l, m, n, filter_]
            wanted[i, j] = total
        np.testing.assert_allclose(y[..., filter_], wanted, atol=1e-5)


def test_convolution_in_groups() -> None:
    """Output channel f of group g sees the input channels of g alone."""
    import keras

    w = RNG.standard_normal((1, 1, 2, 6))
    y = answered(keras.layers.Conv2D(6, 1, groups=2, use_bias=False), IMAGE, w)
    for f in range(6):
        group = IMAGE[..., :2] if f < 3 else IMAGE[..., 2:]
        np.testing.assert_allclose(y[..., f], np.sum(group * w[0, 0, :, f], axis=-1), atol=1e-5)


def test_depthwise_convolution() -> None:
    """y_ijn = Σ_lm x_{i+l, j+m, n} w_{l,m,n}: each channel with a filter of its own."""
    import keras

    w = RNG.standard_normal((3, 3, 4, 1))
    y = answered(keras.layers.DepthwiseConv2D(3, use_bias=False), IMAGE, w)
    _, all_places = places(6, 7, 3, 1)
    for i, j in all_places:
        np.testing.assert_allclose(y[i, j], np.sum(IMAGE[i : i + 3, j : j + 3] * w[..., 0], axis=(0, 1)), atol=1e-5)


def test_transposed_convolution() -> None:
    """Every input lays the kernel, times itself, on the output at its place times the stride."""
    import keras

    w = RNG.standard_normal((2, 2, 3, 4))
    y = answered(keras.layers.Conv2DTranspose(3, 2, strides=2, use_bias=False), IMAGE, w)
    wanted = np.zeros((12, 14, 3))
    for i, j in itertools.product(range(6), range(7)):
        wanted[2 * i : 2 * i + 2, 2 * j : 2 * j + 2] += np.einsum("n,lmkn->lmk", IMAGE[i, j], w)
    np.testing.assert_allclose(y, wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("relu", lambda x: max(x, 0.0)),
        ("sigmoid", lambda x: 1 / (1 + math.exp(-x))),
        ("tanh", lambda x: (math.exp(x) - math.exp(-x)) / (math.exp(x) + math.exp(-x))),
        ("relu6", lambda x: min(max(x, 0.0), 6.0)),
        ("hard_sigmoid", lambda x: min(max(x + 3, 0.0), 6.0) / 6),
        ("hard_swish", lambda x: x * min(max(x + 3, 0.0), 6.0) / 6),
    ],
)
def test_activation(name: str, formula: Any) -> None:
    """Number by number."""
    import keras

    x = np.linspace(-8, 8, 33, dtype=np.float32)
    y = answered(keras.layers.Activation(name), x)
    np.testing.assert_allclose(y, [formula(float(value)) for value in x], atol=1e-6)


def test_leaky_relu() -> None:
    """x where it is positive, a fifth of it elsewhere."""
    import keras

    y = answered(keras.layers.LeakyReLU(0.2), IMAGE)
    np.testing.assert_allclose(y, np.where(IMAGE > 0, IMAGE, 0.2 * IMAGE), atol=1e-6)


def test_softmax() -> None:
    """e^x_k / Σ e^x."""
    import keras

    x = RNG.standard_normal(10).astype(np.float32)
    np.testing.assert_allclose(answered(keras.layers.Softmax(), x), np.exp(x) / np.exp(x).sum(), atol=1e-6)


@pytest.mark.parametrize(("kind", "formula"), [("MaxPooling2D", np.max), ("AveragePooling2D", np.mean)])
@pytest.mark.parametrize(("size", "stride"), [(2, 2), (3, 2)])
def test_pooling(kind: str, formula: Any, size: int, stride: int) -> None:
    """The largest, or the mean, of each window; windows overlap where the stride is smaller."""
    import keras

    y = answered(getattr(keras.layers, kind)(size, strides=stride), IMAGE)
    _, all_places = places(6, 7, size, stride)
    assert y.shape[:2] == tuple(np.add(all_places[-1], 1))
    for i, j in all_places:
        window = IMAGE[i * stride : i * stride + size, j * stride : j * stride + size]
        np.testing.assert_allclose(y[i, j], formula(window, axis=(0, 1)), atol=1e-6)


def test_average_pooling_leaves_padding_out() -> None:
    """With "same" padding the mean is of what is inside the image (torch counts the zeros by default)."""
    import keras

    y = answered(keras.layers.AveragePooling2D(3, strides=1, padding="same"), IMAGE)
    np.testing.assert_allclose(y[0, 0], IMAGE[:2, :2].mean(axis=(0, 1)), atol=1e-6)


def test_fully_connected() -> None:
    """y_k = b_k + Σ_n x_n w_nk."""
    import keras

    x, w, b = RNG.standard_normal(8).astype(np.float32), RNG.standard_normal((8, 3)), RNG.standard_normal(3)
    y = answered(keras.layers.Dense(3), x, w, b)
    wanted = [b[k] + sum(x[n] * w[n, k] for n in range(8)) for k in range(3)]
    np.testing.assert_allclose(y, wanted, atol=1e-5)


def test_dropout() -> None:
    """In training a fraction p is 0 and the rest is divided by 1 - p, so that the mean stays; else nothing happens."""
    import keras

    x, p = np.ones(10_000, np.float32), 0.25
    trained = answered(keras.layers.Dropout(p, seed=0), x, training=True)
    assert set(np.unique(trained.round(6))) == {0.0, np.float32(1 / (1 - p)).round(6)}
    assert abs((trained == 0).mean() - p) < 0.02
    np.testing.assert_array_equal(answered(keras.layers.Dropout(p), x), x)


def test_batch_normalisation() -> None:
    """γ (x - μ) / √(σ² + ε) + β: μ and σ² of the batch in training, of the past at inference."""
    import keras

    x = RNG.standard_normal((5, 3)).astype(np.float32)
    gamma, beta, mean, variance = RNG.standard_normal(3), RNG.standard_normal(3), RNG.standard_normal(3), np.ones(3) * 2
    layer = keras.layers.BatchNormalization(epsilon=1e-2, momentum=0.9)
    layer.build((None, 3))
    layer.set_weights([gamma, beta, mean, variance])
    wanted = gamma * (x - mean) / np.sqrt(variance + 1e-2) + beta
    np.testing.assert_allclose(layer(x, training=False), wanted, atol=1e-5)
    wanted = gamma * (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-2) + beta
    np.testing.assert_allclose(layer(x, training=True), wanted, atol=1e-5)
    np.testing.assert_allclose(layer.moving_mean, 0.9 * mean + 0.1 * x.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, 0.9 * variance + 0.1 * x.var(axis=0), atol=1e-5)


@pytest.mark.parametrize("training", [False, True])
def test_local_response_normalisation(training: bool) -> None:
    """b_n = a_n / (k + α Σ a²)^¾ over the five channels around n (Krizhevsky et al. 2012, section 3.3)."""
    from dlkit.networks._layers import local_response_normalization

    x = (30 * RNG.standard_normal((2, 2, 8))).astype(np.float32)
    y = answered(local_response_normalization(size=5, alpha=1e-3, k=2.0), x, training=training)
    for n in range(8):
        around = x[..., max(0, n - 2) : n + 3]
        np.testing.assert_allclose(y[..., n], x[..., n] / (2 + 1e-3 * np.sum(around**2, axis=-1)) ** 0.75, rtol=1e-5)


def test_local_response_normalisation_trains_behind_groups() -> None:
    """AlexNet's second; TensorFlow 2.21 died there where batches differ in size, of its rewriting for oneDNN."""
    import keras

    from dlkit.networks._layers import local_response_normalization

    x = keras.Input((20, 20, 4))
    y = keras.layers.Conv2D(32, 5, padding="same", groups=2, activation="relu")(x)
    y = local_response_normalization(size=5)(y)
    model = keras.Model(x, keras.layers.Dense(10)(keras.layers.Flatten()(y)))
    model.compile("sgd", "mse")
    history = model.fit(np.ones((40, 20, 20, 4)), np.zeros((40, 10)), batch_size=32, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
