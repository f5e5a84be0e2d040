"""Recurrent networks: scores of a sequence, or the values that come after it.

Simple (Elman 1990), LSTM (Hochreiter & Schmidhuber 1997) and GRU (Cho et al. 2014), each also in
both directions (Schuster & Paliwal 1997) and as a forecaster. A layer with u units on d features has
u(u + d + 1), 4u(u + d + 1) and 3u(u + d + 2) parameters.
"""

from __future__ import annotations

from typing import Any

from dlkit.frameworks import keras
from dlkit.networks import network

_ELMAN = "Elman 1990, doi:10.1207/s15516709cog1402_1"
_LSTM = "Hochreiter & Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735; forget gate: Gers et al. 2000"
_GRU = "Cho et al. 2014, arXiv:1406.1078"
_BOTH = "; both directions: Schuster & Paliwal 1997, doi:10.1109/78.650093"
_RESET_AFTER = "reset gate after the product with the recurrent kernel, as cuDNN and torch; two biases"


def _stack(kind: str, x: keras.KerasTensor, units: int, depth: int, both: bool, dropout: float) -> keras.KerasTensor:
    """`depth` layers of a kind, the last of which gives its last state: (N, steps, features) → (N, units or twice)."""
    layers = keras.layers
    cells = {"simple_rnn": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}
    for number in range(1, depth + 1):
        name = f"{kind}{number}"
        layer = cells[kind](units, return_sequences=number < depth, name=name)
        x = (layers.Bidirectional(layer, name=name) if both else layer)(x)
    return layers.Dropout(dropout, name="dropout")(x)


def _classifier(
    name: str,
    kind: str,
    both: bool = False,
    *,
    input_shape: tuple[int, int] = (28, 28),
    classes: int = 10,
    units: int = 64,
    depth: int = 1,
    dropout: float = 0.0,
    activation: str = "softmax",
) -> keras.Model:
    """`depth` recurrent layers and a classifier on the last state: (N, steps, features) float32 → (N, classes).

    An image is read as a sequence of its rows: (N, height, width). Layers are called `lstm1` … after
    their kind.
    """
    sequence = keras.Input(input_shape, name="sequence")
    x = _stack(kind, sequence, units, depth, both, dropout)
    x = keras.layers.Dense(classes, activation=activation, name="predictions")(x)
    return keras.Model(sequence, x, name=name)


def _forecaster(
    name: str,
    kind: str,
    *,
    input_shape: tuple[int, int] = (48, 1),
    horizon: int = 12,
    units: int = 64,
    depth: int = 1,
    dropout: float = 0.0,
) -> keras.Model:
    """The next `horizon` steps of a series, all at once: (N, steps, features) float32 → (N, horizon, features).

    A dense layer on the last state. Canonical are 48 steps of one value, two days by the hour, and
    the 12 after them; values are to be standardised.
    """
    steps, features = input_shape
    sequence = keras.Input((steps, features), name="sequence")
    x = _stack(kind, sequence, units, depth, False, dropout)
    x = keras.layers.Dense(horizon * features, name="predictions")(x)
    x = keras.layers.Reshape((horizon, features), name="steps")(x)
    return keras.Model(sequence, x, name=name)


_SCORES: dict[str, Any] = {
    "like": _classifier,
    "input": (28, 28),
    "classes": 10,
    "small": {"input_shape": [8, 8], "units": 8},
}
_VALUES: dict[str, Any] = {
    "like": _forecaster,
    "input": (48, 1),
    "task": "forecasting",
    "preprocessing": "none",
    "raw_range": (-100.0, 100.0),
    "small": {"input_shape": [12, 1], "horizon": 4, "units": 8},
}


@network(
    family="RNN",
    parameters=6_602,
    trainable=6_602,
    multiply_adds=165_504,
    paper=_ELMAN,
    reference="keras.layers.SimpleRNN",
    **_SCORES,
)
def simple_rnn(**options: Any) -> keras.Model:
    """Elman's network, tanh of input and last state, and a classifier: (N, steps, features) float32 → (N, classes)."""
    return _classifier("simple_rnn", "simple_rnn", **options)


@network(
    family="LSTM",
    parameters=24_458,
    trainable=24_458,
    multiply_adds=660_096,
    paper=_LSTM,
    reference="keras.layers.LSTM",
    **_SCORES,
)
def lstm(**options: Any) -> keras.Model:
    """`depth` LSTM layers and a classifier on the last state: (N, steps, features) float32 → (N, classes)."""
    return _classifier("lstm", "lstm", **options)


@network(
    family="GRU",
    parameters=18_698,
    trainable=18_698,
    multiply_adds=495_232,
    paper=_GRU,
    reference="keras.layers.GRU",
    variant=_RESET_AFTER,
    **_SCORES,
)
def gru(**options: Any) -> keras.Model:
    """`depth` GRU layers and a classifier on the last state: (N, steps, features) float32 → (N, classes)."""
    return _classifier("gru", "gru", **options)


@network(
    family="RNN",
    parameters=13_194,
    trainable=13_194,
    multiply_adds=331_008,
    paper=_ELMAN + _BOTH,
    reference="keras.layers.Bidirectional(SimpleRNN)",
    **_SCORES,
)
def bidirectional_rnn(**options: Any) -> keras.Model:
    """Simple recurrent layers read from both ends, and a classifier: (N, steps, features) float32 → (N, classes)."""
    return _classifier("bidirectional_rnn", "simple_rnn", True, **options)


@network(
    family="LSTM",
    parameters=48_906,
    trainable=48_906,
    multiply_adds=1_320_192,
    paper=_LSTM + _BOTH,
    reference="keras.layers.Bidirectional(LSTM)",
    **_SCORES,
)
def bidirectional_lstm(**options: Any) -> keras.Model:
    """LSTM layers read from both ends, and a classifier: (N, steps, features) float32 → (N, classes)."""
    return _classifier("bidirectional_lstm", "lstm", True, **options)


@network(
    family="GRU",
    parameters=37_386,
    trainable=37_386,
    multiply_adds=990_464,
    paper=_GRU + _BOTH,
    reference="keras.layers.Bidirectional(GRU)",
    variant=_RESET_AFTER,
    **_SCORES,
)
def bidirectional_gru(**options: Any) -> keras.Model:
    """GRU layers read from both ends, and a classifier: (N, steps, features) float32 → (N, classes)."""
    return _classifier("bidirectional_gru", "gru", True, **options)


@network(
    family="RNN",
    parameters=5_004,
    trainable=5_004,
    multiply_adds=200_448,
    paper=_ELMAN,
    reference="keras.layers.SimpleRNN",
    **_VALUES,
)
def simple_rnn_forecaster(**options: Any) -> keras.Model:
    """The next steps of a series from a simple recurrent network: (N, steps, features) → (N, horizon, features)."""
    return _forecaster("simple_rnn_forecaster", "simple_rnn", **options)


@network(
    family="LSTM",
    parameters=17_676,
    trainable=17_676,
    multiply_adds=799_488,
    paper=_LSTM,
    reference="keras.layers.LSTM",
    **_VALUES,
)
def lstm_forecaster(**options: Any) -> keras.Model:
    """The next steps of a series from an LSTM: (N, steps, features) float32 → (N, horizon, features)."""
    return _forecaster("lstm_forecaster", "lstm", **options)


@network(
    family="GRU",
    parameters=13_644,
    trainable=13_644,
    multiply_adds=599_808,
    paper=_GRU,
    reference="keras.layers.GRU",
    variant=_RESET_AFTER,
    **_VALUES,
)
def gru_forecaster(**options: Any) -> keras.Model:
    """The next steps of a series from a GRU: (N, steps, features) float32 → (N, horizon, features)."""
    return _forecaster("gru_forecaster", "gru", **options)
