"""What each layer costs when it alone is quantized, and wins back when it alone stays float."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from short import short_recipe
from spoiled import with_idle_weights, with_uneven_filters

import dlkit
from dlkit.calibration.samples import samples_of_recipe
from dlkit.conversion import variants
from dlkit.conversion.layer_names import operations
from dlkit.conversion.making import convert_model, measure_ranges
from dlkit.conversion.variants import Asked, Variant, kept_by, try_variants
from dlkit.errors import DataError, IllegalCombination, UnknownName
from dlkit.layer_costs import LayerSensitivity, Sensitivity, noise_of
from dlkit.pipeline import export, train
from dlkit.pipeline.sensing import ENDS, sensitivity
from dlkit.progress import SILENT
from dlkit.runtime.arrays import write_npz
from dlkit.schemes import SCHEMES
from dlkit.trained import Trained

pytestmark = pytest.mark.tf

LAYERS = {"conv1", "pool1", "conv2", "pool2", "flatten", "hidden", "predictions"}


@pytest.fixture(scope="module")
def idle(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A network of which 8 bits spoil the second convolution, and it alone."""
    return with_idle_weights(models / "short", tmp_path_factory.mktemp("idle"))


@pytest.fixture(scope="module")
def of_idle(idle: Trained) -> Sensitivity:
    return sensitivity(idle, "int8")


@pytest.fixture(scope="module")
def sound(models: Path) -> Sensitivity:
    """Of a network that loses next to nothing."""
    return sensitivity(models / "short", "int8")


def row(found: Sensitivity, layer: str) -> LayerSensitivity:
    [entry] = [entry for entry in found.layers if entry.layer == layer]
    return entry


def test_a_spoiled_layer_comes_first_both_ways(of_idle: Sensitivity) -> None:
    """Alone it costs most, and to keep it float alone wins back all that is lost."""
    worst, *others = of_idle.layers
    assert worst.layer == "conv2"
    assert worst.alone_metric < of_idle.float_metric - 0.1
    assert of_idle.all_metric < of_idle.float_metric - 0.1
    assert worst.kept_metric > of_idle.float_metric - 0.01
    assert worst.kept_sqnr_db > of_idle.all_sqnr_db + 20
    for other in others:
        assert other.alone_sqnr_db > worst.alone_sqnr_db + 20
        assert other.kept_sqnr_db < of_idle.all_sqnr_db + 6


def test_what_is_advised_is_a_file_that_an_export_proves(of_idle: Sensitivity, idle: Trained, tmp_path: Path) -> None:
    """Of the same bytes but for its labels, and with the figures that were told."""
    assert of_idle.advice.layers == ("conv2",)
    assert (of_idle.advice.metric, of_idle.advice.sqnr_db) == (
        row(of_idle, "conv2").kept_metric,
        row(of_idle, "conv2").kept_sqnr_db,
    )
    _, report = export(idle, "int8", keep_float=of_idle.advice.layers, out=tmp_path)
    assert report.gate.exported == of_idle.advice.metric
    assert report.gate.sqnr_db == pytest.approx(of_idle.advice.sqnr_db)
    assert report.gate.samples == of_idle.samples


def test_layers_that_spoil_each_other_are_advised_together(
    models: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """None of them wins anything back alone: the steps of what one gives and the next reads are the trouble."""
    found = sensitivity(with_uneven_filters(models / "short", tmp_path_factory.mktemp("uneven")), "int8")
    assert {entry.layer for entry in found.layers[:3]} == {"conv1", "pool1", "conv2"}
    assert found.advice is not None
    assert {"conv1", "conv2"} <= set(found.advice.layers) <= {"conv1", "pool1", "conv2"}
    assert found.advice.metric > found.float_metric - 0.01 > found.all_metric
    assert max(entry.kept_sqnr_db for entry in found.layers) < found.advice.sqnr_db - 6


def test_every_layer_that_became_an_operation_is_measured(sound: Sensitivity) -> None:
    """Those without weights too; what all of them add up to is what the whole file loses, more or less."""
    assert {entry.layer for entry in sound.layers} == LAYERS
    assert sound.unaffected == ()
    assert [entry.alone_sqnr_db for entry in sound.layers] == sorted(entry.alone_sqnr_db for entry in sound.layers)
    assert row(sound, "conv1").operations == ("CONV_2D",)
    together = sum(noise_of(entry.alone_sqnr_db) for entry in sound.layers)
    assert noise_of(sound.all_sqnr_db) / 2 < together < 4 * noise_of(sound.all_sqnr_db)
    assert all(entry.alone_sqnr_db > sound.all_sqnr_db for entry in sound.layers)


def test_a_sound_network_is_left_as_it_is(sound: Sensitivity) -> None:
    """No advice, and why."""
    assert sound.advice is None
    assert sound.reason.startswith("nothing needs to stay float: with all layers quantized accuracy is ")
    assert (sound.metric, sound.split) == ("accuracy", "validation")


@pytest.mark.slow
def test_bytes_are_those_of_files(sound: Sensitivity, models: Path, tmp_path: Path) -> None:
    """Of the file of an export without its labels."""
    hidden = row(sound, "hidden")
    _, whole = export(models / "short", "int8", out=tmp_path)
    _, kept = export(models / "short", "int8", keep_float=["hidden"], out=tmp_path, force=True)
    assert hidden.kept_bytes == kept.bytes - whole.bytes
    assert sound.all_bytes < whole.bytes < sound.float_bytes


def test_the_ends_of_the_file_are_a_row_of_their_own(sound: Sensitivity, models: Path) -> None:
    """Where the scheme has them in integers; layers alone are measured with ends in float."""
    assert sound.ends.layer == ENDS
    assert sound.ends.alone_sqnr_db > sound.all_sqnr_db
    beside = sensitivity(models / "short", "int8_float_io")
    assert beside.ends is None
    assert [(entry.layer, entry.alone_sqnr_db) for entry in beside.layers] == [
        (entry.layer, entry.alone_sqnr_db) for entry in sound.layers
    ]


@pytest.mark.slow
def test_what_a_scheme_leaves_as_it_is_is_told(models: Path) -> None:
    """Of layers without weights, where only weights are integers; of kernels that are too small for it."""
    found = sensitivity(models / "short", "dynamic_int8")
    assert set(found.unaffected) == {"conv1", "pool1", "pool2", "flatten", "predictions"}
    assert {entry.layer for entry in found.layers} == LAYERS - set(found.unaffected)
    assert {entry.layer for entry in sensitivity(models / "short", "weights_int4").layers} == {
        "conv1", "conv2", "hidden", "predictions",
    }  # fmt: skip


def test_a_layer_can_be_float_throughout(idle: Trained) -> None:
    """It is in no row, and the rest is measured as an export with it is."""
    found = sensitivity(idle, "int8", keep_float=["conv2"])
    assert found.kept_float == ("conv2",)
    assert {entry.layer for entry in found.layers} == LAYERS - {"conv2"}
    assert found.all_metric > found.float_metric - 0.01
    assert found.advice is None
    with pytest.raises(UnknownName, match="--keep-float: unknown layer 'cnv'"):
        sensitivity(idle, "int8", keep_float=["cnv"])


def test_a_fused_lstm_is_one_layer(lstm_models: Path) -> None:
    """Its 8-bit weights are our own work, and so is leaving them float."""
    found = sensitivity(lstm_models / "lstm", "dynamic_int8")
    lstm = row(found, "lstm1")
    assert "UNIDIRECTIONAL_SEQUENCE_LSTM" in lstm.operations
    assert 20 < lstm.alone_sqnr_db < 100
    assert lstm.kept_bytes > 1000


@pytest.mark.slow
def test_both_directions_are_one_layer(tmp_path: Path) -> None:
    """One of them reads the network's input, and no tensor around it bears a name."""
    options = {"units": 16, "input_shape": [8, 8]}
    recipe = short_recipe(
        name="both", network={"name": "bidirectional_lstm", "options": options}, training={"epochs": 1}
    )
    trained = train(recipe, tmp_path).trained
    found = sensitivity(trained, "dynamic_int8")
    [lstm] = [entry for entry in found.layers if entry.layer == "lstm1"]
    assert lstm.operations.count("UNIDIRECTIONAL_SEQUENCE_LSTM") == 2
    assert lstm.alone_sqnr_db == found.all_sqnr_db
    assert lstm.kept_sqnr_db == 200.0


def test_a_network_that_only_tensorflow_quantizes_is_refused(lstm_models: Path) -> None:
    """It quantizes all layers or none."""
    with pytest.raises(IllegalCombination, match=r"only the TensorFlow .* int8 \(for .*LSTM\).*--scheme dynamic_int8"):
        sensitivity(lstm_models / "lstm", "int8")


@pytest.mark.parametrize("scheme", ["float32", "saved_model", "onnx", "int8_qat"])
def test_a_scheme_that_quantizes_nothing_is_refused(models: Path, scheme: str) -> None:
    """With one that does."""
    with pytest.raises(IllegalCombination, match=f"{scheme} .*use --scheme int8"):
        sensitivity(models / "short", scheme)


def test_a_model_without_data_needs_some(idle: Trained) -> None:
    """Which is said as an export says it."""
    foreign = dataclasses.replace(idle, recipe=None)
    with pytest.raises(DataError, match="add --data"):
        sensitivity(foreign, "int8")


def test_a_keras_model_in_memory_is_measured_by_its_scores() -> None:
    """Nothing is known of it: no labels, no recipe."""
    import keras

    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    hidden = keras.layers.Dense(8, activation="relu", name="first")(keras.layers.Flatten()(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3, name="second")(hidden))
    data = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1))
    found = dlkit.sensitivity(model, data=data, preprocessing="none")
    assert found.scheme == "int8"
    assert found.metric == "agreement"
    assert {"first", "second"} <= {entry.layer for entry in found.layers}


CRASHES = """
import os
from litert_quantizer import quantizer

class Quantizer(quantizer.Quantizer):
    def quantize(self, *arguments):
        rules = self.get_quantization_recipe()
        if sum(rule["algorithm_key"] == "no_quantize" for rule in rules) == 2:
            os.abort()
        return super().quantize(*arguments)

quantizer.Quantizer = Quantizer
"""
"""What a quantizer would be that crashes where two operations stay float."""


@pytest.mark.slow
def test_a_variant_that_crashes_costs_the_others_nothing(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its child is followed by another; one that is refused is told with its reason."""
    [(name, of_input)] = trained.inputs.items()
    inputs = {name: of_input.apply(samples_of_recipe(trained.recipe, name).gate.raw[name][:40])}
    converted = convert_model(trained.model, inputs, tmp_path, SILENT)
    write_npz(tmp_path / "samples.npz", inputs)
    measure_ranges(converted, tmp_path / "samples.npz", "minmax", tmp_path / "ranges.json", SILENT)
    made = operations(converted.file, converted.layer_names)
    asked = Asked(converted, SCHEMES["int8"], tmp_path / "ranges.json", inputs)
    good, bad = Variant(kept_by(made, ["conv1"])), Variant(kept_by(made, ["conv1", "pool1"]))
    missing = Variant(frozenset([len(made)]))
    (tmp_path / "sitecustomize.py").write_text(CRASHES)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(variants, "MOST_BYTES", 1)  # one child at a time
    done = []
    told = try_variants(
        asked,
        [good, bad, missing, bad, good],
        lambda answers: len(answers.outputs["output"]),
        lambda *progress: done.append(progress),
    )
    assert [tried.measured for tried in told] == [40, None, None, None, 40]
    assert [tried.problem.partition(":")[0] for tried in told] == [
        "", "variants crashed (SIGABRT)", "list index out of range", "variants crashed (SIGABRT)", "",
    ]  # fmt: skip
    assert told[0] == told[4]
    assert done[-1] == (5, 5)


@pytest.mark.slow
def test_the_command_prints_a_table_and_what_to_type(dlkit, idle: Trained, tmp_path: Path) -> None:
    """The layer that costs most first; the export that is named passes."""
    out = idle.model.parents[1]
    said = dlkit("sensitivity", "short", "--scheme", "int8", "--out", out, "--plot")
    assert said.code == 0
    lines = said.out.splitlines()
    head = next(number for number, line in enumerate(lines) if line.startswith("layer "))
    assert re.split("  +", lines[head]) == [
        "layer", "operations", "alone accuracy", "alone dB", "kept accuracy", "kept dB", "kept bytes",
    ]  # fmt: skip
    assert lines[head + 1].startswith("conv2 ")
    assert f"drew {out / 'short' / 'sensitivity.png'}" in lines
    with Image.open(out / "short" / "sensitivity.png") as image:
        assert image.width > image.height > 300
    command = shlex.split(lines[-1])
    assert command[:5] == ["dlkit", "export", "short", "--quantize", "--keep-float"]
    assert dlkit(*command[1:]).code == 0


def test_the_command_prints_json(dlkit, idle: Trained, of_idle: Sensitivity) -> None:
    """What Python gives."""
    said = dlkit("sensitivity", idle.model.parent, "--scheme", "int8", "--json")
    assert json.loads(said.out) == json.loads(json.dumps({**of_idle.as_dict(), "picture": None}))


def test_the_command_refuses_in_one_line(dlkit, lstm_models: Path) -> None:
    """And prints nothing else."""
    said = dlkit("sensitivity", "lstm", "--scheme", "int8", "--out", lstm_models, "--quiet")
    assert said.code == 1
    assert said.err.startswith("error: only the TensorFlow converter")
    assert said.out == ""


@pytest.mark.slow
def test_a_short_recipe_decides_the_scheme(tmp_path: Path, models: Path) -> None:
    """Where it quantizes something."""
    trained = dlkit.load_trained(models / "short")
    of_weights = short_recipe(export={"scheme": "weights_int8"})
    assert sensitivity(dataclasses.replace(trained, recipe=of_weights)).scheme == "weights_int8"
    of_floats = short_recipe(export={"scheme": "float32"})
    assert sensitivity(dataclasses.replace(trained, recipe=of_floats)).scheme == "int8"
