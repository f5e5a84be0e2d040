"""Files that break a promise of their scheme or target: each is told by the name of what broke."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from edited import code_of, edited, operators_of, rename

from dlkit.errors import VerificationRefused
from dlkit.runtime.inspection import Inspection, inspect_model
from dlkit.runtime.versions import first_runtime, latest, needed_version
from dlkit.schemes import SCHEMES
from dlkit.targets import TARGETS
from dlkit.verify import broken_promises, refuse_broken

INT8, FLOAT32, CPU = SCHEMES["int8"], SCHEMES["float32"], TARGETS["cpu"]


@pytest.fixture(scope="module")
def changed(tiny_bundle: Path) -> Callable[[Callable[[Any], None]], Inspection]:
    """The inspection of the tiny bundle's file after a change."""
    content = (tiny_bundle / "model.tflite").read_bytes()
    return lambda change: inspect_model(edited(content, change), "w")


def test_the_file_as_it_is_keeps_every_promise(changed) -> None:
    """It is int8 throughout, static, and a runtime of 2019 has all of it."""
    assert broken_promises(changed(lambda model: None), INT8, CPU) == []


def test_flex_is_named_with_its_layer(changed) -> None:
    """An operation of full TensorFlow: which, and what computes it."""
    inspection = changed(lambda model: rename(model, "MAX_POOL_2D", "CUSTOM", b"FlexErf"))
    [broken] = broken_promises(inspection, INT8, CPU)
    assert broken.startswith("Erf is an operation that only full TensorFlow has, as a Flex operation (it computes ")
    assert "pool1" in broken


def test_a_custom_operation_is_named_with_its_layer(changed) -> None:
    """One that no runtime has unless it is taught."""
    inspection = changed(lambda model: rename(model, "RESHAPE", "CUSTOM", b"Mine"))
    [broken] = broken_promises(inspection, INT8, CPU)
    assert broken.startswith("Mine is a custom operation, which the runtime does not have (it computes ")


@pytest.mark.parametrize("operation", ["WHILE", "IF", "CALL_ONCE"])
def test_control_flow_in_int8_is_broken(changed, operation: str) -> None:
    """No quantized scheme has a loop or a branch."""
    inspection = changed(lambda model: rename(model, "RESHAPE", operation))
    [broken] = broken_promises(inspection, INT8, CPU)
    assert broken == f"it holds {operation}, control flow that int8 files must not hold"


def test_a_float_file_may_hold_a_loop_where_the_target_runs_it(changed) -> None:
    """The scheme allows WHILE alone, and a target without it refuses."""
    loop = changed(lambda model: rename(model, "RESHAPE", "WHILE"))
    once = changed(lambda model: rename(model, "RESHAPE", "CALL_ONCE"))
    small = dataclasses.replace(CPU, name="small", control_flow=())

    def about_control_flow(*promises: Any) -> list[str]:
        return [broken for broken in broken_promises(*promises) if "control flow" in broken]

    assert about_control_flow(loop, FLOAT32, CPU) == []
    assert about_control_flow(loop, FLOAT32, small) == ["it holds WHILE, control flow that small cannot run"]
    assert "CALL_ONCE" in about_control_flow(once, FLOAT32, CPU)[0]


def test_an_open_shape_is_broken(changed) -> None:
    """A batch that is not fixed: the tensor is named."""

    def open_batch(model: Any) -> None:
        graph = model.subgraphs[0]
        graph.tensors[graph.inputs[0]].shapeSignature = [-1, 8, 8, 1]

    inspection = changed(open_batch)
    assert [r for r in inspection.resized if "image" in r]
    assert f"the shape of {inspection.resized[0]} is only known at run time" in broken_promises(inspection, INT8, CPU)


def test_a_shape_that_is_computed_is_broken(changed) -> None:
    """A RESHAPE to what another tensor says."""

    def computed(model: Any) -> None:
        [reshape] = operators_of(model, "RESHAPE")
        reshape.inputs = [reshape.inputs[0], model.subgraphs[0].inputs[0]]

    inspection = changed(computed)
    assert len(inspection.resized) == 1
    assert "flatten" in inspection.resized[0]


def test_a_refusal_names_every_promise_that_broke(changed) -> None:
    """And has the exit code of a refusal."""

    def two(model: Any) -> None:
        rename(model, "MAX_POOL_2D", "CUSTOM", b"FlexErf")
        rename(model, "RESHAPE", "IF")

    with pytest.raises(VerificationRefused, match=r"no bundle was written: Erf is .*Flex.*; it holds IF") as refusal:
        refuse_broken(changed(two), INT8, CPU)
    assert refusal.value.exit_code == 3


def test_the_runtime_is_that_of_the_number_formats(changed) -> None:
    """The quantizer left version 1 of a float convolution, and 1.5.0, in a file of int8 ones."""
    inspection = changed(lambda model: None)
    assert (inspection.stated_runtime, inspection.minimum_runtime) == ("1.5.0", "1.14.0")
    assert inspection.unknown_versions == ()


def test_a_later_version_of_an_operation_needs_a_later_runtime(changed) -> None:
    """Version 6 of a convolution, the grouped one, came with 2.9.0."""

    def grouped(model: Any) -> None:
        code_of(model, "CONV_2D").version = 6

    assert changed(grouped).minimum_runtime == "2.9.0"


def test_the_later_of_the_stated_and_the_computed_runtime_counts(changed) -> None:
    """What wrote the file may know more."""

    def stated(model: Any) -> None:
        [entry] = [e for e in model.metadata if e.name == b"min_runtime_version"]
        model.buffers[entry.buffer].data = list(b"2.99.0\0\0")

    assert changed(stated).minimum_runtime == "2.99.0"


def test_an_unknown_version_is_named_not_guessed(changed) -> None:
    """A convolution from the future, and the runtime of the rest."""

    def future(model: Any) -> None:
        code_of(model, "CONV_2D").version = 9

    inspection = changed(future)
    assert inspection.unknown_versions == ("CONV_2D version 9",)
    assert inspection.minimum_runtime == "1.14.0"


@pytest.mark.parametrize(
    ("operation", "operands", "runtime"),
    [
        ("CONV_2D", ("float32", "float32", "float32"), "1.5.0"),
        ("CONV_2D", ("int8", "int8 per channel", "int32 per channel"), "1.14.0"),
        ("CONV_2D", ("int16", "int8 per channel", "int64"), "2.3.0"),
        ("CONV_2D", ("float32", "int8 per channel", "float32"), "2.4.0"),
        ("CONV_2D", ("int8", "int4 per channel", "int32"), "2.11.0"),
        ("DEPTHWISE_CONV_2D", ("float32", "int8", "float32"), "2.2.0"),
        ("FULLY_CONNECTED", ("float32", "int8", ""), "1.14.0"),
        ("FULLY_CONNECTED", ("float32", "int8 per channel", ""), "2.17.0"),
        ("FULLY_CONNECTED", ("int16", "int8", "int64"), "2.3.0"),
        ("TRANSPOSE_CONV", ("int32", "int8 per channel", "int8"), "2.2.0"),
        ("SPLIT", ("int32", "int8"), "1.14.0"),
        ("RSQRT", ("int8",), "2.5.0"),
        ("DEQUANTIZE", ("float16",), "1.15.0"),
        ("DEQUANTIZE", ("int8 per channel",), "2.7.0"),
        ("RESHAPE", ("int8", "int32"), "1.5.0"),
    ],
)
def test_runtime_of_number_formats(operation: str, operands: tuple[str, ...], runtime: str) -> None:
    """As LiteRT's own tables have it."""
    version = needed_version(operation, operands)
    assert version is not None
    assert first_runtime(operation, version) == runtime


def test_formats_that_no_table_has_are_unknown() -> None:
    """A float convolution with 2-bit weights."""
    assert needed_version("CONV_2D", ("float32", "int2", "float32")) is None
    assert first_runtime("CONV_2D", 99) is None
    assert first_runtime("NOT_AN_OPERATION", 1) is None
    assert first_runtime("BROADCAST_TO", 1) is None


def test_versions_are_compared_as_numbers() -> None:
    """2.10 is later than 2.9."""
    assert latest(["2.9.0", "2.10.0", "1.15.0"]) == "2.10.0"
    assert latest([]) == ""


def test_inspect_says_which_runtime_and_why(dlkit, tiny_bundle: Path) -> None:
    """The computed version, and that the file states another."""
    said = dlkit("inspect", tiny_bundle)
    assert "needs a TFLite runtime of 1.14.0 or later" in said.out
    assert "(the file states 1.5.0, which lacks operations in its number formats)" in said.out


def test_inspect_says_what_is_not_known(dlkit, tiny_bundle: Path, tmp_path: Path) -> None:
    """A version of an operation that is on no list."""

    def future(model: Any) -> None:
        code_of(model, "CONV_2D").version = 9

    path = tmp_path / "future.tflite"
    path.write_bytes(edited((tiny_bundle / "model.tflite").read_bytes(), future))
    said = dlkit("inspect", path)
    assert "needs a TFLite runtime of 1.14.0 at the least\n(not known which has CONV_2D version 9)\n" in said.out
