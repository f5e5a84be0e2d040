"""The LSTM road: one fused operation, int8 included, state reset between inputs."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from dlkit.bundle.loading import load_bundle
from dlkit.conversion.fused_lstm import can_be_fused
from dlkit.conversion.without_loops import without_loops
from dlkit.pipeline import export
from dlkit.pipeline.exporting import target_of
from dlkit.runtime.inspection import inspect_file
from dlkit.trained import load_trained

pytestmark = pytest.mark.tf

FUSED = "UNIDIRECTIONAL_SEQUENCE_LSTM"
LOOPS = {"WHILE", "RNN", "LSTM", "UNIDIRECTIONAL_SEQUENCE_RNN", "BIDIRECTIONAL_SEQUENCE_LSTM"}


@pytest.fixture(scope="module", params=["float32", "int8"])
def lstm_bundle(request: pytest.FixtureRequest, lstm_models: Path, tmp_path_factory: pytest.TempPathFactory):
    out = tmp_path_factory.mktemp(request.param)
    bundle, _ = export(load_trained(lstm_models / "lstm"), request.param, out=out)
    return bundle


def test_the_only_recurrent_operation_is_the_fused_one(lstm_bundle) -> None:
    """One LSTM layer is one operation; there is no loop."""
    ops = inspect_file(lstm_bundle.model).ops
    assert ops[FUSED] == 1
    assert not LOOPS & set(ops)


def test_each_input_is_a_new_sequence(lstm_bundle) -> None:
    """An answer does not depend on what was asked before it."""
    x = np.random.default_rng(0).random((8, 8, 8), dtype=np.float32)
    session = lstm_bundle.session()
    together = session.run(x)
    alone = np.concatenate([lstm_bundle.session().run(x[i : i + 1]) for i in range(len(x))])
    assert np.array_equal(together, alone)


def test_without_the_reset_answers_would_differ(lstm_bundle) -> None:
    """The runtime keeps the state between invokes: the test above would catch a runner that forgot."""
    from ai_edge_litert.interpreter import Interpreter

    x = np.random.default_rng(0).random((8, 8, 8), dtype=np.float32)
    session = lstm_bundle.session()
    interpreter = Interpreter(model_path=str(lstm_bundle.model))
    interpreter.allocate_tensors()
    [source], [result] = interpreter.get_input_details(), interpreter.get_output_details()
    carried = []
    for sample in x:
        interpreter.set_tensor(source["index"], session.input.quantize(sample)[np.newaxis])
        interpreter.invoke()
        carried.append(session.output.dequantize(interpreter.get_tensor(result["index"]))[0])
    assert not np.array_equal(np.stack(carried), session.run(x))


def test_the_bundle_checks_itself(lstm_bundle) -> None:
    """The samples in the bundle come out as they were written."""
    count, gap, allowed = load_bundle(lstm_bundle.folder).check()
    assert count == 10
    assert gap <= allowed


def test_its_steps_can_be_written_out(lstm_bundle, lstm_models, tmp_path) -> None:
    """`--unroll`: no operation for all steps, next to the same answers."""
    if lstm_bundle.manifest["scheme"] == "float32":
        pytest.skip("of int8 alone")
    bundle, report = export(load_trained(lstm_models / "lstm"), "int8", unroll=True, out=tmp_path)
    assert FUSED not in inspect_file(bundle.model).ops
    assert not LOOPS & set(inspect_file(bundle.model).ops)
    assert report.gate.agreement > 0.98


def test_a_recipe_can_have_the_steps_written_out(lstm_models) -> None:
    """`export.unroll`: then no option is needed, and every command that makes files of it does so."""
    trained = load_trained(lstm_models / "lstm")
    assert "fused_lstm" not in target_of(trained, None).avoid
    part = dataclasses.replace(trained.recipe.export, unroll=True)
    wanted = dataclasses.replace(trained, recipe=dataclasses.replace(trained.recipe, export=part))
    assert "fused_lstm" in target_of(wanted, None).avoid
    assert target_of(wanted, "web") == target_of(trained, "web")  # which has none of them anyway


def test_what_has_no_lstm_has_nothing_to_write_out(models, dlkit) -> None:
    """One line, and nothing is made."""
    said = dlkit("export", "short", "--out", models, "--unroll")
    assert (said.code, said.err) == (
        1, "error: short has no LSTM to unroll; leave out --unroll (or export.unroll)\n"
    )  # fmt: skip


@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
def test_the_fusable_form_computes_the_same(return_sequences: bool, go_backwards: bool) -> None:
    """The clone that is converted gives the Keras layer's numbers."""
    import keras

    x = keras.Input(batch_shape=(1, 5, 3), name="x")
    y = keras.layers.LSTM(4, return_sequences=True, name="a")(x)
    last = keras.layers.LSTM(6, return_sequences=return_sequences, go_backwards=go_backwards, name="b")
    model = keras.Model(x, last(y))
    for weights in model.weights:
        weights.assign(np.random.default_rng(1).normal(size=weights.shape) * 0.5)
    sequence = np.random.default_rng(0).normal(size=(1, 5, 3)).astype(np.float32)
    assert np.allclose(model(sequence), without_loops(model)(sequence), atol=1e-6)


@pytest.mark.parametrize(
    "options",
    [{"activation": "relu"}, {"recurrent_activation": "hard_sigmoid"}, {"use_bias": False}, {"return_state": True}],
)
def test_what_the_operation_does_not_compute_is_left_alone(options: dict) -> None:
    """A variant that would change its meaning is not fused."""
    import keras

    assert not can_be_fused(keras.layers.LSTM(4, **options))
    assert can_be_fused(keras.layers.LSTM(4))
