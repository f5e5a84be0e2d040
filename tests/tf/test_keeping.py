"""Layers that stay float in a quantized file, and the report that says which should."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from litert_quantizer import recipe
from litert_quantizer.utils import tfl_flatbuffer_utils

from dlkit.conversion.keeping import kept_operations, left_to_quantize, mixed, recipe_for
from dlkit.conversion.layer_errors import layer_errors, worth_keeping
from dlkit.conversion.layer_names import layer_names, operations
from dlkit.conversion.making import make_file
from dlkit.conversion.samples import ExportSamples, samples_of_recipe
from dlkit.errors import UnknownName, VerificationRefused
from dlkit.pipeline import export
from dlkit.progress import SILENT, ignore
from dlkit.runtime.inspection import inspect_file
from dlkit.runtime.litert import Session
from dlkit.schemes import SCHEMES
from dlkit.trained import Trained, load_trained
from dlkit.verify import accuracy, broken_promises

pytestmark = pytest.mark.tf


@pytest.fixture(scope="module")
def uneven(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The short recipe's network with a filter of 1,000 times the range of the others; in float it answers the same.

    What multiplies a rectified filter divides the weights that read it.
    """
    import keras

    folder = tmp_path_factory.mktemp("uneven") / "models" / "short"
    shutil.copytree(models / "short", folder)
    uneven = load_trained(folder)
    model = keras.models.load_model(uneven.model)
    (kernel, bias), (after, after_bias) = (model.get_layer(name).get_weights() for name in ("conv1", "conv2"))
    kernel[..., 0] *= 1e3
    bias[0] *= 1e3
    after[:, :, 0] /= 1e3
    model.get_layer("conv1").set_weights([kernel, bias])
    model.get_layer("conv2").set_weights([after, after_bias])
    model.save(uneven.model)
    return uneven


@pytest.fixture(scope="module")
def samples(uneven: Trained) -> ExportSamples:
    """Of the recipe."""
    return samples_of_recipe(uneven.recipe)


@pytest.fixture(scope="module")
def float_file(uneven: Trained, samples: ExportSamples, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network, converted."""
    x = uneven.preprocessing.apply(samples.calibration)
    folder = tmp_path_factory.mktemp("float")
    return make_file(uneven.model, SCHEMES["float32"], x, x[:8], folder, SILENT).file


def quantized(float_file: Path, calibration: np.ndarray, rules: list[dict[str, Any]], file: Path) -> Path:
    """`float_file` by a recipe of litert-quantizer, as `quantize_flatbuffer` does it."""
    from ai_edge_litert.interpreter import Interpreter
    from litert_quantizer import calibrator, quantizer
    from litert_quantizer.utils import qsv_utils

    [(signature, tensors)] = Interpreter(model_path=str(float_file)).get_signature_list().items()
    static = quantizer.Quantizer(str(float_file), rules)
    ranges = calibrator.Calibrator(
        str(float_file),
        mode=calibrator.CalibrationMode.CALIBRATION_PROFILER_BASED,
        qsv_update_func=qsv_utils.min_max_update,
    )
    data = [{tensors["inputs"][0]: sample[np.newaxis]} for sample in calibration]
    ranges.calibrate({signature: data}, static._recipe_manager)
    static.quantize(ranges.get_model_qsvs()).export_model(str(file), overwrite=True)
    return file


def test_keeping_what_the_measurement_names_restores_the_accuracy(
    uneven: Trained, samples: ExportSamples, float_file: Path, tmp_path: Path
) -> None:
    """The layer that reads the uneven one is found, both stay float, and the rest is int8."""
    names, held_out = layer_names(uneven.model), uneven.preprocessing.apply(samples.gate.raw)
    calibration = uneven.preprocessing.apply(samples.calibration)

    def accuracy_of(file: Path) -> float:
        return accuracy(Session(file).run(held_out), samples.gate.labels)

    bad = quantized(float_file, calibration, recipe.static_wi8_ai8(), tmp_path / "bad.tflite")
    found = layer_errors(float_file, bad, {"image": held_out}, names, ignore)
    keep = worth_keeping(found.layers)
    assert keep == ("conv2", "pool1", "conv1")
    rules = recipe_for(recipe.static_wi8_ai8(), keep, float_file, names)
    good = quantized(float_file, calibration, rules, tmp_path / "good.tflite")
    assert accuracy_of(bad) < accuracy_of(float_file) - 0.2
    assert accuracy_of(good) > accuracy_of(float_file) - 0.01
    inspection = inspect_file(good)
    assert {"float32", "int8"} <= set(inspection.tensors)
    assert {"float32", "int8"} <= set(inspection.constants)
    assert broken_promises(inspection, mixed(SCHEMES["int8"])) == []
    assert any("float32" in broken for broken in broken_promises(inspection, SCHEMES["int8"]))


def test_patterns_name_layers(uneven: Trained, float_file: Path) -> None:
    """As file names do; what is left is to be quantized."""
    names = layer_names(uneven.model)
    kept = kept_operations(float_file, ["conv*", "hidden"], names)
    assert [operation.name for operation in kept] == ["CONV_2D", "CONV_2D", "FULLY_CONNECTED"]
    assert left_to_quantize(float_file, ["conv*"], names) == {"MAX_POOL_2D", "RESHAPE", "FULLY_CONNECTED", "SOFTMAX"}
    assert "CONV_2D" in left_to_quantize(float_file, [], names)


def test_a_pattern_that_names_no_layer_is_an_error(uneven: Trained, float_file: Path) -> None:
    """With the nearest names."""
    with pytest.raises(UnknownName, match=r"--keep-float: unknown layer 'cnv1'; did you mean 'conv1'"):
        recipe_for(recipe.static_wi8_ai8(), ["conv2", "cnv1"], float_file, layer_names(uneven.model))


def test_scopes_are_those_that_the_quantizers_rules_match(uneven: Trained, float_file: Path) -> None:
    """Ours are read without unpacking the file."""
    model = tfl_flatbuffer_utils.read_model(str(float_file))
    graph = model.subgraphs[0]
    theirs = [tfl_flatbuffer_utils.get_op_scope(operator, graph.tensors) for operator in graph.operators]
    assert [operation.scope for operation in operations(float_file, ())] == theirs


def test_a_refusal_says_what_to_keep(uneven: Trained, tmp_path: Path) -> None:
    """The layers are measured before the file is thrown away."""
    with pytest.raises(VerificationRefused, match=r"accuracy fell.*; most is lost around conv2: --keep-float conv2 "):
        export(uneven, "int8", out=tmp_path)


def test_the_report_of_a_sound_network_names_layers_and_keeps_none(trained, tmp_path: Path) -> None:
    """Every layer loses something, none stands out."""
    bundle, report = export(trained, "int8", out=tmp_path)
    assert {"conv1", "conv2", "hidden", "predictions"} <= {error.layer for error in report.layers}
    assert report.keep_float == ()
    assert report.minimum_runtime == "1.14.0"
    text = (bundle.folder / "report.txt").read_text()
    assert "layers that lose most" in text
    assert "--keep-float" not in text


def test_a_float_file_has_no_layers_to_report(trained, tmp_path: Path) -> None:
    """It is the file they would be measured against."""
    _, report = export(trained, "float32", out=tmp_path)
    assert report.layers == ()
