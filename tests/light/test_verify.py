"""The thresholds refuse what they should, NaN above all."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from dlkit.metrics import Naive
from dlkit.report import Comparison
from dlkit.runtime.dtypes import TensorFormat
from dlkit.runtime.inspection import Inspection
from dlkit.schemes import SCHEMES
from dlkit.verify import (
    Forecast,
    Judged,
    Rebuilt,
    accuracy,
    broken_promises,
    compare,
    failed_gates,
    is_one_score,
    sqnr_db,
)

GOOD = Comparison("validation", 180, "accuracy", 0.99, 0.985, 0.99, 0.99, 1.0, 0.03, 34.0)
UNLABELLED = Comparison("20 images", 20, "agreement", 1.0, 0.95, 0.95, 0.95, 1.0, 0.002, 30.0)
REBUILT = Comparison(
    "20 rows", 20, "psnr_db", 19.5, 18.6, None, None, 1.0, 0.1, 18.0, float_mse=0.011, exported_mse=0.014
)
BINARY = Comparison("20 rows", 20, "auc", 0.98, 0.975, None, None, 1.0, 0.1, 5.0)
NAN = float("nan")
END = TensorFormat("x", (1, 8), "int8", 0.1, 0)
INT8_FILE = Inspection(1, "", "", {"CONV_2D": 1}, {"int8": 4, "int32": 1}, (END,), (END,), {"int8": 9, "int32": 1}, 1)


@pytest.mark.parametrize(
    ("comparison", "scheme"),
    [
        (dataclasses.replace(GOOD, exported=0.979), "int8"),
        (dataclasses.replace(GOOD, exported=NAN), "int8"),
        (dataclasses.replace(GOOD, float=NAN), "int8"),
        (dataclasses.replace(UNLABELLED, sqnr_db=9.9), "int8"),
        (dataclasses.replace(UNLABELLED, sqnr_db=NAN), "int8"),
        (dataclasses.replace(REBUILT, exported=18.4), "int8"),
        (dataclasses.replace(REBUILT, exported=NAN), "int8"),
        (dataclasses.replace(REBUILT, float=NAN), "int8"),
        (dataclasses.replace(REBUILT, sqnr_db=9.9), "int8"),
        (dataclasses.replace(REBUILT, sqnr_db=NAN), "int8"),
        (dataclasses.replace(BINARY, exported=0.96), "int8"),
        (dataclasses.replace(BINARY, exported=NAN), "int8"),
        (dataclasses.replace(BINARY, float=NAN), "int8"),
        (dataclasses.replace(GOOD, largest_gap=2e-4), "float32"),
        (dataclasses.replace(GOOD, largest_gap=NAN), "float32"),
        (dataclasses.replace(GOOD, largest_output=NAN), "float32"),
        (dataclasses.replace(GOOD, largest_output=400.0, largest_gap=0.05), "float32"),
    ],
)
def test_a_bad_or_missing_figure_fails(comparison: Comparison, scheme: str) -> None:
    """Each figure that the gate looks at can fail it, and so can its absence."""
    assert failed_gates(comparison, SCHEMES[scheme], 0.01)


@pytest.mark.parametrize(
    ("comparison", "scheme"),
    [
        (GOOD, "int8"),
        (UNLABELLED, "int8"),
        (REBUILT, "int8"),
        (dataclasses.replace(REBUILT, exported=20.0), "int8"),
        (BINARY, "int8"),
        (dataclasses.replace(GOOD, float_top5=1.0, exported_top5=0.5), "int8"),
        (dataclasses.replace(GOOD, largest_gap=9e-5), "float32"),
        (dataclasses.replace(GOOD, largest_output=400.0, largest_gap=0.03), "float32"),
    ],
)
def test_a_good_figure_passes(comparison: Comparison, scheme: str) -> None:
    """The gate is not closed to what it should let through."""
    assert failed_gates(comparison, SCHEMES[scheme], 0.01) == []


def test_an_int8_file_keeps_its_promise() -> None:
    """Nothing is said of a file that is as its scheme says."""
    assert broken_promises(INT8_FILE, SCHEMES["int8"]) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tensors": {"int8": 4, "float32": 2}}, "2 tensors are float32"),
        ({"inputs": (dataclasses.replace(END, dtype="float32"),)}, "input x is float32, not int8"),
        ({"outputs": (dataclasses.replace(END, dtype="uint8"),)}, "output x is uint8, not int8"),
        ({"ops": {"CUSTOM FlexErf": 1}}, "Erf is an operation that only full TensorFlow has"),
        ({"resized": ("net/flatten",)}, "the shape of net/flatten is only known at run time"),
        ({"tensors": {"int8": 4, "int16": 1}}, "1 tensors are int16"),
        ({"constants": {"int32": 4}}, "no weights are int8"),
    ],
)
def test_a_broken_promise_is_named(change: dict, said: str) -> None:
    """The refusal says which promise broke."""
    assert any(said in broken for broken in broken_promises(dataclasses.replace(INT8_FILE, **change), SCHEMES["int8"]))


def test_a_fused_lstm_may_keep_its_state_in_int16() -> None:
    """One tensor for each such operation, and no more."""
    ops, tensors = {"UNIDIRECTIONAL_SEQUENCE_LSTM": 2}, {"int8": 4, "int16": 2}
    lstm = dataclasses.replace(INT8_FILE, ops=ops, tensors=tensors)
    assert broken_promises(lstm, SCHEMES["int8"]) == []
    assert broken_promises(dataclasses.replace(lstm, tensors={"int8": 4, "int16": 3}), SCHEMES["int8"])


def test_sqnr_of_a_tenth_of_the_signal_is_twenty_decibels() -> None:
    """10 log10(1 / 0.01) = 20."""
    signal = np.array([[1.0, -1.0]], np.float32)
    for softmax_follows in (False, True):
        assert sqnr_db(signal, signal * 1.1, softmax_follows=softmax_follows) == pytest.approx(20.0, abs=1e-4)


def test_a_constant_added_to_all_scores_is_noise_unless_a_softmax_follows() -> None:
    """A softmax does not see it; everything else does."""
    signal = np.array([[3.0, 1.0, 2.0]], np.float32)
    assert sqnr_db(signal, signal + 5, softmax_follows=True) == 200.0
    assert sqnr_db(signal, signal + 5, softmax_follows=False) < 0


def test_one_output_that_no_longer_moves_has_no_signal_above_its_noise() -> None:
    """A sigmoid that always answers 0.5 is worth nothing, however near the mean it is."""
    signal = np.array([[0.1], [0.9], [0.2], [0.8]], np.float32)
    assert sqnr_db(signal, np.full_like(signal, 0.5), softmax_follows=False) < 1


@pytest.mark.parametrize("softmax_follows", [False, True])
def test_no_signal_and_nan_are_nan(softmax_follows: bool) -> None:
    """So that they fail every threshold: a model that always answers alike proves nothing."""
    constant = np.ones((3, 2), np.float32)
    assert np.isnan(sqnr_db(constant, constant, softmax_follows=softmax_follows))
    signal = np.array([[1.0, -1.0]], np.float32)
    assert np.isnan(sqnr_db(signal, signal * np.float32(NAN), softmax_follows=softmax_follows))


def test_accuracy_counts_the_highest_output() -> None:
    """Two of four are right."""
    outputs = np.eye(4, dtype=np.float32)
    assert accuracy(outputs, np.array([0, 1, 3, 2])) == 0.5


def test_accuracy_of_nan_is_nan() -> None:
    """The highest of NaN is no class."""
    assert np.isnan(accuracy(np.full((2, 3), NAN, np.float32), np.array([0, 0])))


def judged(outputs: np.ndarray) -> Judged:
    return Judged({"y": outputs}, {"y": outputs}, frozenset())


def compared(
    reference: np.ndarray, exported: np.ndarray, labels: Any = None, rebuilt: Rebuilt | Forecast | None = None
) -> Comparison:
    answers = None if labels is None else np.asarray(labels, np.int64)
    [comparison] = compare("rows", {"y": reference}, judged(reference), judged(exported), answers, rebuilt)
    return comparison


def test_more_than_five_classes_have_a_top_five_too() -> None:
    """The right classes are the first and the second of six; exported, the second and the last."""
    reference = np.array([[6, 5, 4, 3, 2, 1], [1, 2, 3, 4, 5, 6]], np.float32)
    exported = np.array([[5, 6, 4, 3, 2, 1], [6, 5, 4, 3, 1, 2]], np.float32)
    found = compared(reference, exported, [0, 4])
    assert (found.metric, found.float, found.exported) == ("accuracy", 0.5, 0.0)
    assert (found.float_top5, found.exported_top5) == (1.0, 0.5)


def test_five_classes_have_no_top_five() -> None:
    """All are among them."""
    found = compared(np.eye(5, dtype=np.float32), np.eye(5, dtype=np.float32), range(5))
    assert (found.metric, found.float_top5, found.exported_top5) == ("accuracy", None, None)


def test_a_reconstruction_is_held_against_the_input() -> None:
    """Errors of 0.1 and 0.2 throughout, of a span of 1: 20 and 14 dB."""
    wanted = np.array([[0.0, 0.5], [1.0, 0.25]], np.float32)
    found = compared(wanted + np.float32(0.1), wanted - np.float32(0.2), rebuilt=Rebuilt(wanted, 1.0))
    assert (found.metric, found.agreement, found.score_agreement) == ("psnr_db", None, None)
    assert found.float == pytest.approx(20.0, abs=1e-4)
    assert found.exported == pytest.approx(20.0 - 20 * np.log10(2), abs=1e-4)
    assert (found.float_mse, found.exported_mse) == (pytest.approx(0.01), pytest.approx(0.04))


def test_a_detector_is_held_to_the_order_of_its_errors() -> None:
    """One of two anomalies is given again as well as the normal sample; the exported file gives all alike."""
    wanted, errors = np.zeros((3, 2), np.float32), np.array([[0.1], [0.1], [0.9]], np.float32)
    rebuilt = Rebuilt(wanted, 1.0, np.array([0, 1, 1]))
    found = compared(wanted + errors, wanted + np.float32(0.3), [3, 7, 8], rebuilt)
    assert (found.metric, found.float, found.exported, found.float_mse) == ("auc", 0.75, 0.5, None)
    assert "area under the ROC curve fell from 0.7500 to 0.5000" in failed_gates(found, SCHEMES["int8"], 0.01)[0]


def test_a_forecast_is_held_to_what_came_to_pass() -> None:
    """The naive error is 1; errors of 0.1 and 0.5 leave 0.01 and 0.25 of it."""
    given, wanted = np.zeros((3, 4, 2), np.float32), np.ones((3, 2, 2), np.float32)
    forecast = Forecast(wanted, given, Naive(2, np.array([0.25, 1.0])))
    found = compared(wanted + np.float32(0.1), wanted + np.float32(0.5), rebuilt=forecast)
    assert (found.metric, found.agreement, found.exported, found.exported_mse) == ("skill", None, 0.75, 0.25)
    assert (found.float_seasonal_skill, found.exported_seasonal_skill) == (found.float, 0.75)
    assert (found.float_mase, found.exported_mase) == (pytest.approx(0.25), 1.25)
    assert found.float == pytest.approx(0.99)
    assert failed_gates(found, SCHEMES["int8"], 0.25) == []
    assert "the skill of its forecast fell from 0.9900 to 0.7500" in failed_gates(found, SCHEMES["int8"], 0.01)[0]


def test_an_output_of_another_shape_than_the_input_is_no_reconstruction() -> None:
    """The input is not what it is to give."""
    outputs = np.eye(2, dtype=np.float32)
    found = compared(outputs, outputs, rebuilt=Rebuilt(np.zeros((2, 3), np.float32), 1.0))
    assert (found.metric, found.float_mse) == ("agreement", None)


def test_one_output_with_labels_is_held_to_the_area_under_its_curve() -> None:
    """Three of four pairs are in order; in the exported file all are equal."""
    reference = np.array([[0.1], [0.4], [0.35], [0.8]], np.float32)
    found = compared(reference, np.full_like(reference, 0.5), [0, 0, 1, 1])
    assert (found.metric, found.float, found.exported) == ("auc", 0.75, 0.5)
    assert "area under the ROC curve fell from 0.7500 to 0.5000" in failed_gates(found, SCHEMES["int8"], 0.01)[0]


def test_one_score_is_one_output_of_one_number() -> None:
    """Neither two outputs nor two numbers."""
    one = np.zeros((3, 1), np.float32)
    assert is_one_score({"y": one})
    assert not is_one_score({"y": one, "z": one})
    assert not is_one_score({"y": np.zeros((3, 2), np.float32)})
