"""Recurrent networks compute torch's equations, for weights of torch's shapes.

The equations are written out here as torch documents them for RNN, LSTM and GRU: a kernel for the
input (gates · units, features), one for the state (gates · units, units), a bias for each; gates i,
f, g, o and r, z, n. `keras_weights` is what brings such weights into Keras.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from dlkit.networks import NETWORKS

pytestmark = pytest.mark.tf

Array = NDArray[np.float32]
GATES = {"simple_rnn": 1, "lstm": 4, "gru": 3}
STEPS, FEATURES, UNITS, CLASSES = 7, 5, 6, 3


def keras_weights(kind: str, w_ih: Array, w_hh: Array, b_ih: Array, b_hh: Array) -> list[Array]:
    """Kernel, recurrent kernel and bias of the Keras layer, from torch's weights of one direction."""
    if kind == "gru":  # torch r, z, n; Keras z, r, h, and both biases kept apart
        w_ih, w_hh, b_ih, b_hh = (_reordered(w, [1, 0, 2]) for w in (w_ih, w_hh, b_ih, b_hh))
        return [w_ih.T, w_hh.T, np.stack([b_ih, b_hh])]
    return [w_ih.T, w_hh.T, b_ih + b_hh]  # the LSTM's gates are in the same order: i, f, g (Keras: c), o


def _reordered(weights: Array, order: Sequence[int]) -> Array:
    return np.concatenate([np.split(weights, len(order))[i] for i in order])


def torch_weights(kind: str, features: int, units: int, rng: np.random.Generator) -> list[Array]:
    """weight_ih, weight_hh, bias_ih and bias_hh of one layer and direction."""
    rows = GATES[kind] * units
    return [
        (rng.standard_normal(shape) * 0.5).astype(np.float32) for shape in [(rows, features), (rows, units), rows, rows]
    ]


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def torch_layer(kind: str, x: Array, w_ih: Array, w_hh: Array, b_ih: Array, b_hh: Array) -> Array:
    """(N, steps, features) → the states (N, steps, units), by the formulas of torch.nn.RNN, LSTM and GRU."""
    h = c = np.zeros((len(x), w_hh.shape[1]), np.float64)
    states = []
    for t in range(x.shape[1]):
        a, b = x[:, t] @ w_ih.T + b_ih, h @ w_hh.T + b_hh
        if kind == "simple_rnn":
            h = np.tanh(a + b)
        elif kind == "lstm":
            i, f, g, o = np.split(a + b, 4, axis=1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        else:
            (ar, az, an), (br, bz, bn) = np.split(a, 3, axis=1), np.split(b, 3, axis=1)
            r, z = sigmoid(ar + br), sigmoid(az + bz)
            n = np.tanh(an + r * bn)
            h = (1 - z) * n + z * h
        states.append(h)
    return np.stack(states, axis=1)


def torch_network(kind: str, x: Array, layers: list[list[list[Array]]]) -> Array:
    """The last state of stacked layers, each with one direction or two: (N, steps, features) → (N, units or twice)."""
    for directions in layers:
        ends = [torch_layer(kind, x, *directions[0])]
        if len(directions) == 2:
            ends.append(torch_layer(kind, x[:, ::-1], *directions[1])[:, ::-1])
        x = np.concatenate(ends, axis=2)
    last = x[:, -1, : x.shape[2] // len(layers[-1])]
    return last if len(layers[-1]) == 1 else np.concatenate([last, x[:, 0, last.shape[1] :]], axis=1)


def some_weights(kind: str, depth: int, both: bool) -> list[list[list[Array]]]:
    """For each layer, for each direction, torch's four."""
    rng, ways = np.random.default_rng(depth), 2 if both else 1
    sizes = [FEATURES, *[ways * UNITS] * (depth - 1)]
    return [[torch_weights(kind, size, UNITS, rng) for _ in range(ways)] for size in sizes]


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("both", [False, True], ids=["forward", "both"])
@pytest.mark.parametrize("kind", GATES)
def test_the_networks_compute_torchs_equations(kind: str, both: bool, depth: int) -> None:
    """Scores of the shelf's networks, one layer or two, one direction or both, differ by rounding alone."""
    name = f"bidirectional_{kind.removeprefix('simple_')}" if both else kind
    options = {"input_shape": [STEPS, FEATURES], "classes": CLASSES, "units": UNITS, "depth": depth}
    model = NETWORKS[name].build({**options, "activation": "linear"})
    weights = some_weights(kind, depth, both)
    for number, directions in enumerate(weights, start=1):
        ours = [array for direction in directions for array in keras_weights(kind, *direction)]
        model.get_layer(f"{kind}{number}").set_weights(ours)
    kernel, bias = model.get_layer("predictions").get_weights()
    x = np.random.default_rng(0).standard_normal((4, STEPS, FEATURES)).astype(np.float32)
    theirs = torch_network(kind, x, weights) @ kernel + bias
    assert np.abs(model(x).numpy() - theirs).max() <= 1e-5 * np.abs(theirs).max()


@pytest.mark.parametrize("kind", GATES)
def test_the_forecasters_compute_torchs_equations(kind: str) -> None:
    """The next steps are a dense layer on the last state, step after step."""
    options = {"input_shape": [STEPS, FEATURES], "horizon": 2, "units": UNITS, "depth": 2}
    model = NETWORKS[f"{kind}_forecaster"].build(options)
    weights = some_weights(kind, 2, False)
    for number, [direction] in enumerate(weights, start=1):
        model.get_layer(f"{kind}{number}").set_weights(keras_weights(kind, *direction))
    kernel, bias = model.get_layer("predictions").get_weights()
    x = np.random.default_rng(0).standard_normal((4, STEPS, FEATURES)).astype(np.float32)
    theirs = (torch_network(kind, x, weights) @ kernel + bias).reshape(4, 2, FEATURES)
    assert np.abs(model(x).numpy() - theirs).max() <= 1e-5 * np.abs(theirs).max()


@pytest.mark.parametrize("kind", GATES)
def test_parameters_are_those_of_the_formula(kind: str) -> None:
    """u(u + d + 1), 4u(u + d + 1) and 3u(u + d + 2): the GRU alone keeps both of torch's biases."""
    model = NETWORKS[kind].build({"input_shape": [STEPS, FEATURES], "units": UNITS})
    biases = 2 if kind == "gru" else 1
    assert model.get_layer(f"{kind}1").count_params() == GATES[kind] * UNITS * (UNITS + FEATURES + biases)
