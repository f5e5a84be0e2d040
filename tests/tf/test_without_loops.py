"""Recurrent networks convert to no loop: LSTMs fused, others step by step, in float and in int8."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shelf import made_in_children

from dlkit.conversion.quantizer import can_quantize
from dlkit.conversion.without_loops import MOST_STEPS, without_loops
from dlkit.networks import NETWORKS
from dlkit.runtime.inspection import FUSED_LSTM, inspect_file
from dlkit.runtime.litert import Session
from dlkit.schemes import SCHEMES
from dlkit.verify import broken_promises, sqnr_db

pytestmark = pytest.mark.tf

RECURRENT = [name for name, network in NETWORKS.items() if len(network.input) == 2]
LOGITS = {"activation": "linear"}
# Every kind of cell, both directions of a layer that gives its last state and of one that gives all:
# network, its options, how many of its layers and directions are fused.
FILES = [
    ("simple_rnn", LOGITS, 0),
    ("gru_forecaster", {}, 0),
    pytest.param("bidirectional_gru", {"depth": 2} | LOGITS, 0, marks=pytest.mark.slow),
    ("bidirectional_lstm", {"depth": 2} | LOGITS, 4),
]


def small(name: str, **options: Any):
    """The network's small variant, with weights that are not what they begin as: biases differ from 0."""
    model = NETWORKS[name].build({**NETWORKS[name].small, **options})
    rng = np.random.default_rng(0)
    model.set_weights([w + 0.3 * rng.standard_normal(w.shape).astype(np.float32) for w in model.get_weights()])
    return model


def sequences(shape: tuple[int, ...], count: int = 4) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((count, *shape)).astype(np.float32)


def same(model, x: np.ndarray) -> bool:
    """Whether the clone of the model computes what the model does, for one sample as the file does."""
    return np.allclose(without_loops(model)(x[:1]), model(x[:1]), atol=1e-5)


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("name", RECURRENT)
def test_the_form_without_loops_computes_the_same(name: str, depth: int) -> None:
    """Of every recurrent network of the shelf, one layer and two."""
    model = small(name, depth=depth)
    assert same(model, sequences(model.input_shape[1:]))


@pytest.mark.parametrize("merge", ["concat", "sum", "mul", "ave"])
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_two_directions_are_merged_as_they_were(kind: str, merge: str) -> None:
    """In every way that gives one output, with all states and with the last."""
    import keras

    x = keras.Input((5, 3), name="x")
    cell = getattr(keras.layers, kind)
    y = keras.layers.Bidirectional(cell(4, return_sequences=True, name="a"), merge_mode=merge, name="a2")(x)
    y = keras.layers.Bidirectional(cell(6, name="b"), merge_mode=merge, name="b2")(y)
    assert same(keras.Model(x, y), sequences((5, 3)))


def test_a_mask_is_kept() -> None:
    """An LSTM that skips steps is unrolled, not fused: the operation knows no mask."""
    import keras

    x = keras.Input((5, 3), name="x")
    y = keras.layers.LSTM(4, name="l")(keras.layers.Masking(name="m")(x))
    data = sequences((5, 3))
    data[:, 3:] = 0
    assert same(keras.Model(x, y), data)


def test_a_model_without_recurrent_layers_is_converted_as_it_is() -> None:
    """No copy is made of it."""
    model = NETWORKS["cnn"].build({"input_shape": [8, 8, 1]})
    assert without_loops(model) is model


@pytest.mark.parametrize(("name", "options", "fused"), FILES)
def test_files_hold_no_loop_and_keep_their_promise(name: str, options: dict, fused: int, tmp_path: Path) -> None:
    """The float file gives the model's own numbers, the int8 file is int8 throughout and near them."""
    model = small(name, **options)
    x = sequences(model.input_shape[1:], 40)
    made = made_in_children(model, "int8", x, tmp_path)
    for file in (made.float_file, made.file):
        inspection = inspect_file(file)
        assert "WHILE" not in inspection.ops
        assert inspection.ops.get(FUSED_LSTM, 0) == fused
    assert broken_promises(inspect_file(made.file), SCHEMES["int8"]) == []
    gap = np.abs(Session(made.float_file).run(x) - made.reference).max()
    assert gap <= 1e-5 * np.abs(made.reference).max()
    assert sqnr_db(made.reference, Session(made.file).run(x), softmax_follows=False) > 25


def test_a_long_sequence_keeps_its_loop_unless_it_is_fused() -> None:
    """Each step that is unrolled makes the file and its conversion longer; one operation does not grow."""
    long, at_most = ([steps, 2] for steps in (MOST_STEPS + 1, MOST_STEPS))
    unrolled = [without_loops(small("gru", input_shape=s)).get_layer("gru1").unroll for s in (long, at_most)]
    assert unrolled == [False, True]
    assert type(without_loops(small("lstm", input_shape=long)).get_layer("lstm1")).__name__ == "FusedLSTM"


@pytest.mark.parametrize("op", [FUSED_LSTM, "LEAKY_RELU", "REVERSE_V2", "SPLIT", "TILE", "SQUARE", "CUSTOM x"])
def test_the_quantizer_is_not_given_what_it_leaves_in_float(op: str) -> None:
    """One such operation, and the TensorFlow converter quantizes the whole file."""
    known = ["CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED", "RESHAPE", "SOFTMAX", "TANH", "LOGISTIC"]
    assert can_quantize(known, SCHEMES["int8"])
    assert not can_quantize([*known, op], SCHEMES["int8"])
