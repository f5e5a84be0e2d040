"""Layers that stay float in a quantized file, and the report that says which should."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from litert_quantizer.utils import tfl_flatbuffer_utils
from spoiled import with_uneven_filters

from dlkit.calibration.samples import ExportSamples, samples_of_recipe
from dlkit.conversion.keeping import kept_operations, left_to_quantize, mixed
from dlkit.conversion.layer_errors import layer_errors, worth_keeping
from dlkit.conversion.layer_names import layer_names, operations
from dlkit.conversion.making import Float, convert_model, make_file
from dlkit.errors import UnknownName, VerificationRefused
from dlkit.pipeline import export
from dlkit.progress import SILENT, ignore
from dlkit.runtime.inspection import inspect_file
from dlkit.runtime.litert import Session
from dlkit.schemes import SCHEMES
from dlkit.trained import Trained
from dlkit.verify import accuracy, broken_promises

pytestmark = pytest.mark.tf


@pytest.fixture(scope="module")
def uneven(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The short recipe's network with a filter of 1,000 times the range of the others."""
    return with_uneven_filters(models / "short", tmp_path_factory.mktemp("uneven"))


@pytest.fixture(scope="module")
def samples(uneven: Trained) -> ExportSamples:
    """Of the recipe."""
    return samples_of_recipe(uneven.recipe, "image")


@pytest.fixture(scope="module")
def held_out(uneven: Trained, samples: ExportSamples) -> dict[str, np.ndarray]:
    """Network inputs of the validation split."""
    return {"image": uneven.inputs["image"].apply(samples.gate.raw["image"])}


@pytest.fixture(scope="module")
def converted(uneven: Trained, held_out: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Float:
    """The network in float."""
    return convert_model(uneven.model, held_out, tmp_path_factory.mktemp("float"), SILENT)


@pytest.fixture(scope="module")
def float_file(converted: Float) -> Path:
    return converted.file


def test_keeping_what_the_measurement_names_restores_the_accuracy(
    uneven: Trained, samples: ExportSamples, converted: Float, held_out: dict[str, np.ndarray]
) -> None:
    """The layer that reads the uneven one is found, both stay float, and the rest is int8."""
    calibration = {"image": uneven.inputs["image"].apply(samples.calibration.raw["image"])}

    def accuracy_of(file: Path) -> float:
        return accuracy(Session(file).run(held_out["image"]), samples.gate.labels)

    bad = make_file(converted, SCHEMES["int8"], calibration, SILENT)
    accuracy_of_bad = accuracy_of(bad.file)
    found = layer_errors(converted.file, bad.file, held_out, converted.layer_names, ignore)
    keep = worth_keeping(found.layers)
    assert keep == ("conv2", "pool1", "conv1")
    good = make_file(converted, SCHEMES["int8"], calibration, SILENT, keep_float=keep).file
    assert accuracy_of_bad < accuracy_of(converted.file) - 0.2
    assert accuracy_of(good) > accuracy_of(converted.file) - 0.01
    inspection = inspect_file(good)
    assert {"float32", "int8"} <= set(inspection.tensors)
    assert {"float32", "int8"} <= set(inspection.constants)
    assert broken_promises(inspection, mixed(SCHEMES["int8"])) == []
    assert any("float32" in broken for broken in broken_promises(inspection, SCHEMES["int8"]))


def test_an_export_keeps_layers_float(uneven: Trained, tmp_path: Path) -> None:
    """The report says which, by the patterns that were given, and the bundle passes."""
    bundle, report = export(uneven, "int8", keep_float=["conv*", "pool1"], out=tmp_path)
    assert report.kept_float == ("conv*", "pool1")
    assert report.gate.exported > report.gate.float - 0.01
    assert "kept float   conv*, pool1" in (bundle.folder / "report.txt").read_text()


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
        kept_operations(float_file, ["conv2", "cnv1"], layer_names(uneven.model))


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
