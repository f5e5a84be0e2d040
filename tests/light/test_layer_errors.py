"""What each layer of an exported file adds to its error, and which layers stand out."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edited import edited, operators_of

from dlkit.bundle.writing import report_text
from dlkit.conversion.layer_errors import layer_errors, ranked, worth_keeping
from dlkit.conversion.layer_names import Operation
from dlkit.errors import ConversionError
from dlkit.progress import ignore
from dlkit.report import Comparison, LayerError, Report, keep_float_advice

NAMES = ("image", "conv1", "pool1", "conv2", "pool2", "flatten", "hidden", "dropout", "predictions")
CHAIN = [
    Operation("CONV_2D", ("a", "a_norm"), ("x",), ("a/out",)),
    Operation("MAX_POOL_2D", ("pool",), ("a/out",), ("pool/out",)),
    Operation("CONV_2D", ("b",), ("pool/out",), ("b/conv",)),
    Operation("RELU", ("b",), ("b/conv",), ("b/out",)),
    Operation("FULLY_CONNECTED", ("c",), ("b/out",), ("c/out",)),
    Operation("SOFTMAX", ("c",), ("c/out",), ("out",)),
]
NOISE = {"x": 1e-5, "a/out": 2e-5, "pool/out": 2e-5, "b/conv": 0.5, "b/out": 0.3, "c/out": 0.4, "out": 1.0}


def test_layers_are_ranked_by_what_they_add() -> None:
    """The difference between what they give and what they read; the softmax at the end counts for no one."""
    found = ranked(CHAIN, NOISE, NOISE)
    assert [error.layer for error in found.layers] == ["b", "c", "a", "pool"]
    b, c, a, pool = found.layers
    assert b.added == pytest.approx(0.3 - 2e-5)
    assert (b.sqnr_db, b.before_db) == (pytest.approx(5.229, abs=1e-3), pytest.approx(46.99, abs=1e-2))
    assert c.added == pytest.approx(0.1)
    assert (a.added, pool.added) == (pytest.approx(1e-5), 0.0)
    assert (b.operation, c.operation, pool.operation) == ("CONV_2D", "FULLY_CONNECTED", "MAX_POOL_2D")


def test_what_feeds_a_layer_goes_back_to_weights() -> None:
    """Through the pooling to the convolution before it."""
    feeders = {error.layer: error.feeders for error in ranked(CHAIN, NOISE, NOISE).layers}
    assert feeders == {"a": (), "pool": ("a",), "b": ("pool", "a"), "c": ("b",)}


def test_layers_that_give_float_feed_no_one() -> None:
    """Where only weights are integers, what a layer reads has lost nothing."""
    found = ranked(CHAIN, NOISE, set())
    assert {error.feeders for error in found.layers} == {()}
    assert worth_keeping(found.layers) == ("b", "c")


def test_a_layer_without_a_measured_tensor_is_counted() -> None:
    """Its tensors have other names in the exported file."""
    found = ranked(CHAIN, {name: value for name, value in NOISE.items() if not name.startswith("c")}, NOISE)
    assert [error.layer for error in found.layers] == ["b", "a", "pool"]
    assert found.unmatched == 1


def test_the_first_that_stands_out_is_worth_keeping_with_what_feeds_it() -> None:
    """What follows from it is not named, though it adds noise as well."""
    assert worth_keeping(ranked(CHAIN, NOISE, NOISE).layers) == ("b", "pool", "a")


def test_nothing_stands_out_of_a_sound_network() -> None:
    """The most that one of them adds is 1e-3."""
    assert worth_keeping(ranked(CHAIN, {name: i * 1e-3 for i, name in enumerate(NOISE)}, NOISE).layers) == ()


def test_what_only_moves_numbers_does_not_stand_out() -> None:
    """A pooling that seems to lose picks the largest of noisy numbers."""
    assert worth_keeping(ranked(CHAIN, {"a/out": 1e-3, "pool/out": 0.2}, NOISE).layers) == ()


def inputs() -> dict[str, np.ndarray]:
    return {"image": np.random.default_rng(0).random((4, 8, 8, 1), dtype=np.float32)}


def test_a_file_against_itself_loses_nothing(tiny_bundle: Path) -> None:
    """Every layer is measured and exact."""
    file = tiny_bundle / "model.tflite"
    found = layer_errors(file, file, inputs(), NAMES, ignore)
    assert found.unmatched == 0
    assert {error.layer for error in found.layers} == set(NAMES) - {"image", "dropout"}
    assert {(error.sqnr_db, error.added) for error in found.layers} == {(200.0, 0.0)}


def test_the_layer_that_was_spoiled_is_the_worst(tiny_bundle: Path, tmp_path: Path) -> None:
    """The weights of the second convolution, half as large again: a quarter of the signal's energy is error."""

    def spoil(model: Any) -> None:
        kernel = model.subgraphs[0].tensors[operators_of(model, "CONV_2D")[1].inputs[1]]
        kernel.quantization.scale = np.asarray(kernel.quantization.scale, np.float32) * np.float32(1.5)

    file, bad = tiny_bundle / "model.tflite", tmp_path / "bad.tflite"
    bad.write_bytes(edited(file.read_bytes(), spoil))
    found = layer_errors(file, bad, inputs(), NAMES, ignore)
    worst = found.layers[0]
    assert (worst.layer, worst.operation, worst.before_db) == ("conv2", "CONV_2D", 200.0)
    assert worst.sqnr_db < 15
    assert worth_keeping(found.layers) == ("conv2", "pool1", "conv1")


def test_samples_go_by_the_name_of_the_input(tiny_bundle: Path) -> None:
    """Of its signature or of its tensor; among several, one that is missing is an error."""
    file, x = tiny_bundle / "model.tflite", inputs()["image"]
    by_tensor = layer_errors(file, file, {"other": x, "serving_default_image:0": x}, NAMES, ignore)
    assert by_tensor == layer_errors(file, file, {"image": x}, NAMES, ignore)
    with pytest.raises(ConversionError, match="no samples for the input 'image'"):
        layer_errors(file, file, {"other": x, "another": x}, NAMES, ignore)


def test_a_file_the_runtime_cannot_run_is_an_error(tiny_bundle: Path, tmp_path: Path) -> None:
    """It is not passed over."""
    bad = tmp_path / "bad.tflite"
    bad.write_bytes((tiny_bundle / "model.tflite").read_bytes()[:2000])
    with pytest.raises(ConversionError):
        layer_errors(tiny_bundle / "model.tflite", bad, inputs(), NAMES, ignore)


REPORT = Report(
    scheme="int8",
    target="cpu",
    quantizer="q",
    gates=(Comparison("validation", 180, "accuracy", 0.99, 0.985, 0.99, 0.99, 1.0, 0.03, 34.0),),
    tests=(),
    calibration_samples=10,
    calibration_source="training split",
    bytes=10,
    float_bytes=40,
    ops={"CONV_2D": 1},
    tensors={"int8": 3},
    warnings=(),
    minimum_runtime="1.14.0",
    layers=(
        LayerError("conv2", "CONV_2D", 5.2, 47.0, 0.3, ("conv1",)),
        LayerError("a", "FULLY_CONNECTED", 30.0, 31.0, 1e-4, ()),
    ),
    keep_float=("conv2", "conv1"),
)


def test_the_report_shows_the_layers_and_what_to_type() -> None:
    """Aligned, the worst first."""
    lines = report_text("net", REPORT).splitlines()
    start = lines.index("layers that lose most (decibels above the noise, in what they read and in what they give)")
    assert lines[start + 1 : start + 4] == [
        "conv2  CONV_2D           47.0 → 5.2 dB",
        "a      FULLY_CONNECTED   31.0 → 30.0 dB",
        "most is lost around conv2: --keep-float conv2 --keep-float conv1",
    ]
    assert "runtime      TFLite 1.14.0 or later" in lines


def test_a_report_of_a_float_file_speaks_of_no_layers() -> None:
    """There is nothing to lose."""
    text = report_text("net", dataclasses.replace(REPORT, layers=(), keep_float=()))
    assert "layers that lose" not in text
    assert keep_float_advice(()) == ""


def test_the_report_shows_the_top_five_where_they_were_counted() -> None:
    """Below the accuracy; nothing where there are too few classes."""
    gate = dataclasses.replace(REPORT.gate, float_top5=1.0, exported_top5=0.995)
    text = report_text("net", dataclasses.replace(REPORT, gates=(gate,)))
    assert "accuracy     0.9900 float, 0.9850 exported\ntop 5        1.0000 float, 0.9950 exported\n" in text
    assert "top 5" not in report_text("net", REPORT)


def test_the_report_says_where_the_runtime_is_not_known() -> None:
    """Nothing is guessed."""
    text = report_text("net", dataclasses.replace(REPORT, unknown_versions=("CONV_2D version 9",)))
    assert "runtime      TFLite 1.14.0 at the least; not known which has CONV_2D version 9\n" in text


def test_the_report_is_json() -> None:
    """With every layer's figures."""
    [first, _] = json.loads(json.dumps(REPORT.as_dict(), allow_nan=False))["layers"]
    assert first == {
        "layer": "conv2",
        "operation": "CONV_2D",
        "sqnr_db": 5.2,
        "before_db": 47.0,
        "added": 0.3,
        "feeders": ["conv1"],
        "place": 0,
    }
