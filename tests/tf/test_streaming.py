"""Recurrent networks step by step: a file of one step, proven at the end of whole sequences."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from short import short_recipe

from dlkit.bundle.loading import Bundle, load_bundle
from dlkit.cli import main
from dlkit.conversion.stepwise import stepwise
from dlkit.errors import ConversionError, DataError, IllegalCombination, ModelFileError
from dlkit.networks import NETWORKS
from dlkit.pipeline import export_schemes, train
from dlkit.report import Report
from dlkit.trained import Trained, load_trained

pytestmark = pytest.mark.tf

SCHEMES = ("float32", "dynamic_int8", "int8")
SEQUENCE = np.random.default_rng(0).integers(0, 17, (8, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def lstm(lstm_models: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Bundle, Report]]:
    """A trained LSTM's bundles with a file of one step, one for each scheme."""
    out = tmp_path_factory.mktemp("streaming")
    results = export_schemes(lenient(load_trained(lstm_models / "lstm")), SCHEMES, streaming=True, out=out)
    assert all(isinstance(result, tuple) for result in results), results
    return dict(zip(SCHEMES, results, strict=True))


def lenient(trained: Trained) -> Trained:
    """A network that was hardly trained may lose five points: it is unsure of many a digit."""
    assert trained.recipe is not None
    export = dataclasses.replace(trained.recipe.export, max_drop=0.05)
    return dataclasses.replace(trained, recipe=dataclasses.replace(trained.recipe, export=export))


def streamed(bundle: Bundle, sequence: np.ndarray) -> np.ndarray:
    """The answer after the last step."""
    stream, prepared = bundle.stream(), bundle.preprocessing.apply(sequence[np.newaxis])[0]
    return [stream.step(x)["output"] for x in prepared][-1]


@pytest.mark.parametrize(("scheme", "gap"), [("float32", 1e-5), ("dynamic_int8", 0.05), ("int8", 0.1)])
def test_the_last_step_gives_the_answer_to_the_sequence(lstm: dict, scheme: str, gap: float) -> None:
    """The state carries what the file of the whole sequence sees at once."""
    bundle = lstm[scheme][0]
    assert np.abs(streamed(bundle, SEQUENCE) - bundle.predict(SEQUENCE[np.newaxis])[0]).max() <= gap


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_report_says_how_good_the_stream_is(lstm: dict, scheme: str) -> None:
    """On the held-out sequences of the gate, within what the export may lose."""
    [gate] = lstm[scheme][1].streamed
    assert gate.samples == lstm[scheme][1].gate.samples
    assert gate.exported >= gate.float - (0.05 if scheme == "int8" else 0.01)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_bundle_checks_its_step_too(lstm: dict, scheme: str, tmp_path: Path) -> None:
    """The answers that travel with it are those of both files; others at the end of a stream fail it."""
    bundle = load_bundle(lstm[scheme][0].folder)
    count, gap, allowed = bundle.check()
    assert count == 10
    assert gap <= allowed
    bundle.manifest["streaming"]["tolerance"] = {"output": -1.0}
    assert bundle.check()[1] > bundle.check()[2]


def test_reset_begins_another_sequence(lstm: dict) -> None:
    """A state that was not forgotten would change the next answer."""
    bundle = lstm["float32"][0]
    stream, x = bundle.stream(), bundle.preprocessing.apply(SEQUENCE[np.newaxis])[0]
    first, second = stream.step(x[0])["output"], stream.step(x[0])["output"]
    stream.reset()
    assert np.abs(first - second).max() > 1e-3
    assert np.array_equal(stream.step(x[0])["output"], first)


def test_one_step_of_raw_values_is_prepared_like_the_sequence(lstm: dict) -> None:
    """`step_preprocessing` is for programs that have a step at a time."""
    bundle = lstm["float32"][0]
    whole = bundle.preprocessing.apply(SEQUENCE[np.newaxis])[0]
    assert np.array_equal(bundle.step_preprocessing.apply(SEQUENCE), whole)


def test_predict_prints_a_line_for_each_step(lstm: dict, tmp_path: Path) -> None:
    """By the command and by the bundle's own runner alike."""
    np.save(tmp_path / "x.npy", SEQUENCE)
    folder = lstm["int8"][0].folder
    told = CliRunner().invoke(main, ["predict", str(folder), str(tmp_path / "x.npy"), "--stream"])
    assert told.exit_code == 0, told.output
    assert [line.split()[1:3] for line in told.stdout.splitlines()] == [["step", str(n)] for n in range(1, 9)]
    command = [sys.executable, str(folder / "predict.py"), "--stream", str(tmp_path / "x.npy")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == told.stdout


def test_a_bundle_without_a_step_says_how_to_get_one(lstm_models: Path, tmp_path: Path) -> None:
    """The line names the option."""
    [(bundle, _)] = export_schemes(load_trained(lstm_models / "lstm"), ["float32"], out=tmp_path)
    with pytest.raises(DataError, match="export the model with --streaming"):
        bundle.stream()


def test_a_step_whose_names_are_not_the_manifests(lstm: dict) -> None:
    """It is refused in a line."""
    bundle = load_bundle(lstm["float32"][0].folder)
    bundle.manifest["streaming"]["input"] = "other"
    with pytest.raises(ModelFileError, match="not what its bundle says"):
        bundle.stream()


def test_a_scheme_for_servers_has_no_step(lstm_models: Path, tmp_path: Path) -> None:
    """What was asked for is not left undone silently."""
    with pytest.raises(IllegalCombination, match="saved_model has no file of one step"):
        export_schemes(load_trained(lstm_models / "lstm"), ["saved_model"], "server", streaming=True, out=tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("network", "depth"), [("gru", 1), ("simple_rnn", 2), ("gru", 2)])
def test_other_recurrent_networks_stream(network: str, depth: int, tmp_path: Path) -> None:
    """Trained for a little, in float32 and int8."""
    options = {"name": network, "options": {"units": 16, "depth": depth}}
    trained = train(short_recipe(network=options, training={"epochs": 4, "learning_rate": 0.01}), tmp_path).trained
    for result in export_schemes(lenient(trained), ["float32", "int8"], streaming=True, out=tmp_path):
        assert isinstance(result, tuple), result
        assert len(result[1].streamed) == 1


@pytest.mark.parametrize("name", ["simple_rnn", "lstm", "gru", "lstm_forecaster"])
@pytest.mark.parametrize("depth", [1, 2])
def test_one_step_after_another_is_the_network(name: str, depth: int) -> None:
    """In Keras, before anything is converted: the same answer as the whole network's."""
    network = NETWORKS[name]
    model = network.build({**network.small, "depth": depth})
    x = np.random.default_rng(0).random((2, *model.input_shape[1:]), dtype=np.float32)
    assert np.abs(run(model, x) - model.predict(x, verbose=0)).max() < 1e-5


def run(model: Any, x: np.ndarray) -> np.ndarray:
    """The one-step network's answers after the last step, or after each where the network has them."""
    step, told = stepwise(model)
    states = {name: np.zeros((len(x), *state["shape"]), np.float32) for name, state in told["states"].items()}
    names, answers = [tensor._keras_history.operation.name for tensor in step.outputs], []
    for now in np.moveaxis(x, 1, 0):
        found = dict(zip(names, step.predict_on_batch([now, *states.values()]), strict=True))
        states = {name: found[state["next"]] for name, state in told["states"].items()}
        answers.append(found[next(iter(told["outputs"]))])
    return np.stack(answers, axis=1) if told["sequences"] else answers[-1]


def test_layers_between_treat_each_step_alike() -> None:
    """Dense, normalisation, TimeDistributed and an answer at every step."""
    import keras

    sequence = keras.Input((5, 3))
    x = keras.layers.Dense(4, activation="relu")(sequence)
    x = keras.layers.BatchNormalization()(x)
    y = keras.layers.GRU(6, return_sequences=True)(x)
    y = keras.layers.LayerNormalization()(keras.layers.Concatenate()([x, y]))
    y = keras.layers.TimeDistributed(keras.layers.Dense(2))(keras.layers.LSTM(4, return_sequences=True)(y))
    model = keras.Model(sequence, y)
    x = np.random.default_rng(0).random((2, 5, 3), dtype=np.float32)
    assert np.abs(run(model, x) - model.predict(x, verbose=0)).max() < 1e-5


def refused(*layers: Any) -> str:
    """Why a chain of layers does not stream."""
    import keras

    with pytest.raises(ConversionError) as caught:
        stepwise(keras.Sequential([keras.Input((5, 3)), *layers]))
    return str(caught.value)


def test_what_cannot_stream_is_told_with_its_layer() -> None:
    """One line says which layer, and why."""
    import keras

    layers = keras.layers
    assert "'both' (Bidirectional) may need more" in refused(layers.Bidirectional(layers.LSTM(2), name="both"))
    assert "'back' reads backwards" in refused(layers.LSTM(2, go_backwards=True, name="back"))
    assert "'flat' (Flatten) may need more" in refused(layers.Flatten(name="flat"))
    assert "'conv' (Conv1D) may need more" in refused(layers.Conv1D(2, 3, name="conv"), layers.LSTM(2))
    assert "it has no recurrent layer" in refused(layers.Dense(2))


def test_graphs_that_are_no_chain_of_steps_are_told() -> None:
    """A layer used twice, an operation between layers, a sequence joined with its own end."""
    import keras

    layers, sequence = keras.layers, keras.Input((5, 3))
    dense, last = layers.Dense(3, name="twice"), layers.LSTM(3, name="last")
    twice = keras.Model(sequence, last(dense(dense(sequence))))
    between = keras.Model(sequence, layers.LSTM(3, name="after")(sequence * 2.0))
    end = layers.Add(name="joined")([sequence, layers.Dense(3)(layers.LSTM(3)(sequence))])
    for model, said in (
        (twice, "'last' reads is computed between layers, or by one used twice"),
        (between, "'after' reads is computed between layers"),
        (keras.Model(sequence, end), "'joined' joins a sequence with what is only known at its end"),
    ):
        with pytest.raises(ConversionError, match=said):
            stepwise(model)


def test_a_damaged_entry_of_a_manifest(lstm: dict, tmp_path: Path) -> None:
    """A step that no checksum vouches for is none."""
    import shutil

    folder = shutil.copytree(lstm["float32"][0].folder, tmp_path / "bundle")
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["sha256"]["step.tflite"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ModelFileError, match="corrupt; export the bundle again"):
        load_bundle(folder)
