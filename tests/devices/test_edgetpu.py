"""The static check for an Edge TPU: what it would run, where its part of a file ends and why."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from edited import edited, operators_of, rename

from dlkit.devices import RUNTIMES
from dlkit.devices import edgetpu as edgetpu_module
from dlkit.devices._edgetpu_forms import Operator, Tensor, reason_against
from dlkit.errors import ModelFileError
from dlkit.progress import ignore
from dlkit.targets import TARGETS
from dlkit.verdict import Verdict

TINY = Path(__file__).parents[2] / "exported" / "digits-tiny" / "cpu-int8" / "model.tflite"
EDGETPU = TARGETS["edgetpu"]
DATA = Tensor("layer", (1, 8, 8, 4), "INT8", None, 0, False, False)
KERNEL = Tensor("kernel", (4, 3, 3, 4), "INT8", None, 144, False, False)


def checked(path: Path, change: Callable[[Any], None] | None = None) -> Verdict:
    file = TINY
    if change is not None:
        file = path / "m.tflite"
        file.write_bytes(edited(TINY.read_bytes(), change))
    return RUNTIMES["edgetpu"].examine(file, EDGETPU, ignore)


def at(*places: int) -> Tensor:
    """A constant of whole numbers: axes, paddings or strides."""
    return Tensor("constant", (len(places),), "INT32", places, 4 * len(places), False, False)


def shaped(*shape: int) -> Tensor:
    return dataclasses.replace(DATA, shape=shape)


def operator(name: str, *inputs: Tensor, to: Tensor = DATA, **options: Any) -> Operator:
    return Operator(name, SimpleNamespace(**options), inputs, (to,))


def test_an_int8_network(tmp_path: Path) -> None:
    """All of it is on the Edge TPU, and the verdict says that nobody confirmed it."""
    verdict = checked(tmp_path)
    assert verdict.fits
    assert {placement.place for placement in verdict.placements} == {"Edge TPU"}
    assert verdict.how.startswith("static check")
    assert "edgetpu_compiler" in verdict.notes[-1]
    assert 5_000 < verdict.budgets[1].used_bytes < 11_984


def test_one_partition(tmp_path: Path) -> None:
    """The first operation that is not supported and all after it run on the processor."""
    verdict = checked(tmp_path, lambda model: rename(model, "RESHAPE", "GELU"))
    places = [(placement.operation, placement.place) for placement in verdict.placements]
    assert places == [
        ("CONV_2D", "Edge TPU"), ("MAX_POOL_2D", "Edge TPU"),
        ("GELU", "CPU"), ("FULLY_CONNECTED", "CPU"), ("SOFTMAX", "CPU"),
    ]  # fmt: skip
    assert "comes after GELU" in verdict.placements[-1].reason
    assert "and the 3 after it run on the processor" in verdict.notes[0]
    assert verdict.fits


def test_nothing_placed(tmp_path: Path) -> None:
    """A file of which nothing is on the Edge TPU does not run there: what to type is said."""
    verdict = checked(tmp_path, lambda model: rename(model, "CONV_2D", "CONV_3D"))
    assert not verdict.fits
    assert "no operation runs on the Edge TPU" in verdict.blocks[0]
    assert "use --scheme int8" in verdict.blocks[0]


def test_float_numbers(tmp_path: Path) -> None:
    """An activation of other numbers than 8-bit integers ends it."""

    def as_float(model: Any) -> None:
        first = model.subgraphs[0].operators[0]
        model.subgraphs[0].tensors[first.inputs[0]].type = 0

    assert "float32 numbers" in checked(tmp_path, as_float).blocks[0]


def test_pooling_with_an_activation(tmp_path: Path) -> None:
    """A form that is not supported is told apart in a file."""

    def fuse(model: Any) -> None:
        operators_of(model, "MAX_POOL_2D")[0].builtinOptions.fusedActivationFunction = 1

    reasons = [placement.reason for placement in checked(tmp_path, fuse).placements if placement.place == "CPU"]
    assert "it has an activation function inside" in reasons[0]


@pytest.mark.parametrize(
    ("custom", "message"),
    [(b"edgetpu-custom-op", "compiled for an Edge TPU already"), (b"Mine", "a custom operation")],
)
def test_custom_operations(tmp_path: Path, custom: bytes, message: str) -> None:
    """A compiled file is told from one with operations that the host lacks."""
    verdict = checked(tmp_path, lambda model: rename(model, "RESHAPE", "CUSTOM", custom))
    assert message in verdict.blocks[0]


def test_a_size_that_is_open(tmp_path: Path) -> None:
    """Sizes that are known at run time alone block it."""

    def open_up(model: Any) -> None:
        first = model.subgraphs[0].operators[0]
        model.subgraphs[0].tensors[first.inputs[0]].shapeSignature = [-1, 8, 8, 1]

    assert "only known at run time" in checked(tmp_path, open_up).blocks[0]


@pytest.mark.parametrize("content", [b"no model", TINY.read_bytes()[:3000]], ids=["other", "short"])
def test_no_file(tmp_path: Path, content: bytes) -> None:
    """A broken file is one line."""
    (tmp_path / "m.tflite").write_bytes(content)
    with pytest.raises(ModelFileError):
        RUNTIMES["edgetpu"].examine(tmp_path / "m.tflite", EDGETPU, ignore)


def test_an_operation_without_its_inputs(tmp_path: Path) -> None:
    """A file that passes for whole and lacks what an operation needs is corrupt."""

    def cut(model: Any) -> None:
        rename(model, "RESHAPE", "MEAN")
        operators_of(model, "MEAN")[0].inputs = operators_of(model, "MEAN")[0].inputs[:1]

    with pytest.raises(ModelFileError, match="corrupt"):
        checked(tmp_path, cut)


def test_more_parameters_than_the_chip_keeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs, and the note says that it is slower."""
    monkeypatch.setattr(edgetpu_module, "CACHE_BYTES", 1000)
    verdict = checked(tmp_path)
    assert verdict.fits
    assert any("fetched for each inference" in note for note in verdict.notes)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (operator("CONV_2D", DATA, KERNEL, dilationHFactor=2, dilationWFactor=1), "dilation is 2×1"),
        (operator("CONV_2D", DATA, DATA, dilationHFactor=1, dilationWFactor=1), "weights are computed"),
        (operator("ADD", shaped(2, 8, 8, 4), shaped(2, 8, 8, 4)), "a tensor of 4 dimensions"),
        (operator("FULLY_CONNECTED", DATA, KERNEL, weightsFormat=1), "shuffled"),
        (operator("FULLY_CONNECTED", DATA, KERNEL, to=shaped(2, 4), weightsFormat=0), "more than one dimension"),
        (operator("MEAN", DATA, at(0, 1)), "first axis"),
        (operator("MEAN", shaped(1, 8, 8, 6), at(-1)), "a mean of 6 channels"),
        (operator("PAD", DATA, at(1, 0, 0, 0, 0, 0, 0, 0)), "first axis"),
        (operator("SPLIT", at(0), DATA), "first axis"),
        (operator("PACK", DATA, to=shaped(1, 8, 8, 4), axis=0), "first axis"),
        (operator("SUM", DATA, at(0)), "first axis"),
        (operator("PRELU", DATA, dataclasses.replace(KERNEL, shape=(8, 8, 4))), "shared_axes=[1, 2]"),
        (operator("SOFTMAX", shaped(1, 16_001)), "a softmax of 16,001"),
        (operator("SOFTMAX", shaped(1, 5, 10)), "more than one dimension"),
        (operator("STRIDED_SLICE", DATA, at(0), at(8), at(2), ellipsisMask=0, newAxisMask=0), "strides must be 1"),
        (operator("STRIDED_SLICE", DATA, at(0), at(8), at(1), ellipsisMask=1, newAxisMask=0), "ellipsis"),
        (operator("CONCATENATION", DATA, KERNEL, fusedActivationFunction=0), "joins a constant"),
        (operator("ADD", dataclasses.replace(DATA, dtype="INT16"), DATA), "int16 numbers"),
    ],
    ids=lambda value: value.name if isinstance(value, Operator) else str(value)[:20],
)
def test_a_form_it_does_not_run(given: Operator, reason: str) -> None:
    """The published limitation is named."""
    assert reason in reason_against(given)


@pytest.mark.parametrize(
    "given",
    [
        operator("CONV_2D", DATA, KERNEL, dilationHFactor=2, dilationWFactor=2),
        operator("MEAN", DATA, at(1, 2)),
        operator("MEAN", DATA, at(3)),
        operator("PAD", DATA, at(0, 0, 1, 1, 1, 1, 0, 0)),
        operator("SOFTMAX", shaped(1, 16_000)),
        operator("CONCATENATION", DATA, dataclasses.replace(KERNEL, is_zero=True), fusedActivationFunction=0),
    ],
    ids=lambda value: value.name,
)
def test_a_form_it_runs(given: Operator) -> None:
    """Nothing published stands in the way."""
    assert reason_against(given) == ""


def test_the_verdict_as_a_command(dlkit) -> None:
    """`dlkit check` says that it is a static check."""
    said = dlkit("check", TINY, "--target", "edgetpu", "--quiet")
    assert (said.code, "static check" in said.out) == (0, True)
