"""What holds of kernels is restored after a step of the optimizer, and a step within it is left as it is."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from dlkit.compression.clustering import Clusterer
from dlkit.compression.holding import Levels, Zeros
from dlkit.compression.kernels import Kernel, kernels_of
from dlkit.compression.pruning import kept_weights
from dlkit.compression.toolkit import environment_kept
from dlkit.errors import IllegalCombination
from dlkit.recipe.export_parts import CompressionPart

pytestmark = pytest.mark.tf

RNG = np.random.default_rng(0)


def kernel_of(kind: str = "Conv2D") -> Kernel:
    """The kernel of a layer of tf_keras, of 3 inputs and 6 outputs where it has any, with random weights."""
    import tf_keras

    sizes = {"Dense": (6,), "DepthwiseConv2D": (3,), "LSTM": (6,)}.get(kind, (6, 3))
    layer = getattr(tf_keras.layers, kind)(*sizes)
    layer.build((None, 5, 3) if kind == "LSTM" else (None, 8, 8, 3))
    [kernel, *_] = kernels_of(layer, "it")
    kernel.variable.assign(RNG.normal(size=kernel.variable.shape))
    return kernel


KINDS = ["Conv2D", "Conv2DTranspose", "DepthwiseConv2D", "Dense", "LSTM"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_kernel_as_outputs_have_it_goes_back_into_its_own_shape(kind: str) -> None:
    kernel = kernel_of(kind)
    values = kernel.values
    assert np.array_equal(kernel.own_shape(kernel.cube(values)), values)
    assert np.array_equal(np.asarray(kernel.back(kernel.by_output(kernel.variable))), values)
    matrix = np.asarray(kernel.by_output(kernel.variable))
    assert np.array_equal(kernel.cube(values).reshape(matrix.shape), matrix)


def test_an_output_of_a_transposed_convolution_is_the_last_axis_but_one() -> None:
    kernel = kernel_of("Conv2DTranspose")
    assert kernel.variable.shape == (3, 3, 6, 3)
    assert np.array_equal(kernel.cube(kernel.values)[0, 2], kernel.values[0, 0, :, 2])


def test_zeros_are_zero_again_even_where_a_weight_is_infinite() -> None:
    kernel = kernel_of("Dense")
    kernel.variable.assign(np.where(RNG.random(kernel.variable.shape) < 0.5, 0.0, kernel.values))
    zeros, before = Zeros(kernel), kernel.values
    kernel.variable.assign(np.where(before == 0, np.inf, before + 1.0))
    zeros.restore()
    assert np.array_equal(kernel.values, np.where(before == 0, 0.0, before + 1.0))


@pytest.mark.parametrize("kind", ["Conv2D", "Conv2DTranspose", "Dense", "LSTM"])
def test_a_clustered_kernel_becomes_the_same_few_integers_in_all_outputs(kind: str) -> None:
    kernel = kernel_of(kind)
    [levels] = Clusterer([kernel], CompressionPart(clusters=6), 0, keep_zeros=False).levels
    for _ in range(3):
        kernel.variable.assign_add(RNG.normal(size=kernel.variable.shape, scale=0.05))
        levels.restore()
    matrix = np.asarray(kernel.by_output(kernel.variable))
    integers = np.round(matrix / np.abs(matrix).max(axis=0) * 127)
    assert len(np.unique(integers)) <= 6


def test_levels_are_whole_numbers_of_127_when_a_training_has_ended() -> None:
    kernel = kernel_of("Conv2D")
    [levels] = Clusterer([kernel], CompressionPart(clusters=6), 0, keep_zeros=False).levels
    levels.settle()
    steps = np.asarray(levels.levels) * 127
    assert np.allclose(steps, np.round(steps), atol=1e-4)


def test_levels_that_hold_already_are_left() -> None:
    kernel = kernel_of("Dense")
    which, signs = RNG.integers(0, 3, kernel.variable.shape), RNG.choice([-1.0, 0.0, 1.0], kernel.variable.shape)
    levels, scales = np.array([0.2, 0.5, 1.0], np.float32), RNG.uniform(0.5, 2.0, kernel.variable.shape[-1])
    kernel.variable.assign(signs * levels[which] * scales)
    before = kernel.values
    Levels(kernel, which, signs, levels).restore()
    assert np.allclose(kernel.values, before, rtol=1e-5, atol=0)


def test_clusters_keep_the_zeros_of_pruning() -> None:
    kernel = kernel_of("Conv2D")
    kernel.variable.assign(np.where(RNG.random(kernel.variable.shape) < 0.5, 0.0, kernel.values))
    zeros = kernel.values == 0
    [levels] = Clusterer([kernel], CompressionPart(clusters=5), 0, keep_zeros=True).levels
    kernel.variable.assign_add(RNG.normal(size=kernel.variable.shape))
    levels.restore()
    assert (kernel.values[zeros] == 0).all()


def test_two_clusters_of_which_one_is_zero_are_refused() -> None:
    with pytest.raises(IllegalCombination, match=r"--set compression\.clusters=3"):
        Clusterer([kernel_of()], CompressionPart(clusters=2), 0, keep_zeros=True)


@pytest.mark.parametrize("sparsity", [0.3, 0.5])
def test_the_toolkit_would_prune_the_same_weights_of_a_dense_layer(sparsity: float) -> None:
    with environment_kept():
        import tensorflow_model_optimization as toolkit
    import tf_keras

    dense = tf_keras.layers.Dense(6)
    x = tf_keras.Input((5,))
    schedule = toolkit.sparsity.keras.ConstantSparsity(sparsity, 0, frequency=1)
    model = tf_keras.Model(x, toolkit.sparsity.keras.prune_low_magnitude(dense, schedule)(x))
    before = dense.kernel.numpy()
    model.compile(tf_keras.optimizers.SGD(0.0), "mse")
    pruning = toolkit.sparsity.keras.UpdatePruningStep()
    model.fit(tf.ones((8, 5)), tf.ones((8, 6)), batch_size=2, verbose=0, callbacks=[pruning])
    kept = kept_weights(before[np.newaxis], CompressionPart(sparsity=sparsity), sparsity)[0]
    assert np.array_equal(dense.kernel.numpy() != 0, kept)
