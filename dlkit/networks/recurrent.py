"""Recurrent networks for sequences: Hochreiter & Schmidhuber 1997, "Long Short-Term Memory"."""

from __future__ import annotations

from dlkit.frameworks import keras
from dlkit.networks import network


@network(
    family="LSTM",
    input=(28, 28),
    classes=10,
    parameters=24_458,
    trainable=24_458,
    multiply_adds=660_096,
    paper="Hochreiter & Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735; forget gate: Gers et al. 2000",
    reference="keras.layers.LSTM",
    small={"input_shape": [8, 8], "units": 8},
)
def lstm(
    input_shape: tuple[int, int] = (28, 28),
    classes: int = 10,
    units: int = 64,
    depth: int = 1,
    dropout: float = 0.0,
    activation: str = "softmax",
) -> keras.Model:
    """`depth` LSTM layers and a classifier on the last step: (N, steps, features) float32 → (N, classes).

    An image is read as a sequence of its rows: (N, height, width).
    """
    layers = keras.layers
    sequence = x = keras.Input(input_shape, name="sequence")
    for layer in range(1, depth + 1):
        x = layers.LSTM(units, return_sequences=layer < depth, name=f"lstm{layer}")(x)
    x = layers.Dropout(dropout, name="dropout")(x)  # (N, units)
    x = layers.Dense(classes, activation=activation, name="predictions")(x)
    return keras.Model(sequence, x, name="lstm")
