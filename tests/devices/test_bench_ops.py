"""`dlkit bench --ops`: the kernels of a file, what they are for and what they take."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from edited import edited

from dlkit.conversion.kernel_layers import matched
from dlkit.conversion.layer_names import Operation
from dlkit.errors import ExtraMissing, ModelFileError
from dlkit.runtime import litert_profiler
from dlkit.runtime.litert_profiler import BUILT_IN, OF_DELEGATE, WHOLE, Event, check_version
from dlkit.runtime.operation_times import KernelTime, summed, time_operations


@pytest.fixture(scope="module")
def profile(dlkit, tiny_bundle: Path) -> dict:
    """What `--ops --json` says of the tiny bundle."""
    said = dlkit("bench", tiny_bundle, "--ops", "--runs", "20", "--json")
    assert said.err == ""
    [row] = json.loads(said.out)
    return row["operations"]


def test_every_operation_is_there(profile: dict) -> None:
    """In the file's order, with its layer: the reshape that XNNPACK makes several of is not guessed."""
    told = [(one["operation"], *one["layers"]) for one in profile["operations"] if one["operation"]]
    assert told == [
        ("CONV_2D", "conv1"),
        ("MAX_POOL_2D", "pool1"),
        ("CONV_2D", "conv2"),
        ("MAX_POOL_2D", "pool2"),
        ("FULLY_CONNECTED", "hidden"),
        ("FULLY_CONNECTED", "predictions"),
        ("SOFTMAX", "predictions"),
    ]


def test_kernels_are_named(profile: dict) -> None:
    """XNNPACK's by what it calls them; LiteRT's own by the operation."""
    kernels = {one["operation"]: (one["kernel"], one["delegated"]) for one in profile["operations"]}
    assert kernels["CONV_2D"][0].startswith("Convolution (NHWC, QC8)")
    assert kernels["CONV_2D"][1]
    assert kernels["SOFTMAX"] == ("SOFTMAX", False)


def test_sums(profile: dict) -> None:
    """Kernels come to no more than the whole, and the shares are of their sum."""
    rows = profile["operations"]
    assert profile["runs"] == 20
    assert profile["counted_us"] == pytest.approx(sum(row["mean_us"] for row in rows))
    assert 0 <= profile["counted_us"] <= profile["whole_us"]
    assert profile["whole_us"] > 0
    assert all(row["share"] * profile["counted_us"] == pytest.approx(row["mean_us"]) for row in rows)


def test_the_table(dlkit, tiny_bundle: Path) -> None:
    """A table for each number of threads, which ends with the sum, and beside it what the whole takes."""
    said = dlkit("bench", tiny_bundle, "--ops", "--runs", "3", "--threads", "1", "--threads", "2")
    lines = said.out.splitlines()
    assert [line.split()[1:3] for line in lines[1:3]] == [["XNNPACK", "1"], ["XNNPACK", "2"]]
    assert f"{tiny_bundle}: 3 inferences, 1 thread" in lines
    assert f"{tiny_bundle}: 3 inferences, 2 threads" in lines
    assert [line.split()[0] for line in lines if line.startswith(("sum", "a whole"))] == ["sum", "a", "sum", "a"]


def test_threads_are_measured_once_each(dlkit, tiny_bundle: Path) -> None:
    """A number that is said twice is one row."""
    rows = json.loads(dlkit("bench", tiny_bundle, "--runs", "1", "--threads", "2", "--threads", "2", "--json").out)
    assert [(row["threads"], row["backend"]) for row in rows] == [(2, "XNNPACK")]


def test_another_version_of_the_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its events may be laid out otherwise: it says which version is known, and how to go on."""
    monkeypatch.setattr(litert_profiler, "version", lambda name: "9.1.0")
    with pytest.raises(
        ExtraMissing, match=r"and 9\.1\.0 is installed: pip install 'ai-edge-litert==2\.3\.\*', or leave"
    ):
        check_version()


def test_the_version_that_is_installed() -> None:
    """It is the one that is known; if this fails, look at LiteRT's litert_common.h and profile a file."""
    assert version("ai-edge-litert").startswith(f"{litert_profiler.KNOWN}.")
    check_version()


@pytest.mark.parametrize("options", [[], ["--ops"]], ids=["bench", "ops"])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda content: content[:3000], "m.tflite"),
        (lambda content: b"no model", "is not a .tflite file (the mark 'TFL3' is missing)"),
        (lambda content: b"", "is not a .tflite file"),
    ],
    ids=["short", "other", "empty"],
)
def test_a_spoiled_file(
    dlkit, tiny_bundle: Path, tmp_path: Path, spoil: Callable[[bytes], bytes], message: str, options: list[str]
) -> None:
    """One line, code 1, whatever its native code does of it."""
    (tmp_path / "m.tflite").write_bytes(spoil((tiny_bundle / "model.tflite").read_bytes()))
    said = dlkit("bench", tmp_path / "m.tflite", "--quiet", *options)
    assert (said.code, said.out, said.err.count("\n"), message in said.err) == (1, "", 1, True)


def test_a_bundle_whose_model_was_changed(dlkit, bundle: Path) -> None:
    """It is not timed: it is not what was exported."""
    with (bundle / "model.tflite").open("ab") as file:
        file.write(b"\0")
    said = dlkit("bench", bundle, "--quiet")
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert "is not the file that was exported" in said.err


def test_of_other_formats(dlkit, tmp_path: Path) -> None:
    """An ONNX file is timed as a whole alone."""
    said = dlkit("bench", tmp_path / "m.onnx", "--ops")
    assert said.code == 1
    assert said.err.endswith("holds an ONNX file, and --ops times .tflite files alone; leave it out\n")


def _keep_a_state(model: Any) -> None:
    state = copy.copy(model.subgraphs[0].tensors[model.subgraphs[0].outputs[0]])
    state.name, state.isVariable, state.buffer = b"state", True, 0
    model.subgraphs[0].tensors.append(state)


def test_a_file_with_a_state(dlkit, tiny_bundle: Path, tmp_path: Path) -> None:
    """The profiler's library does not load a fused LSTM; that is said, and the file is timed without --ops."""
    lstm = tmp_path / "lstm.tflite"
    lstm.write_bytes(edited((tiny_bundle / "model.tflite").read_bytes(), _keep_a_state))
    said = dlkit("bench", lstm, "--ops", "--runs", "1", "--quiet")
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert "its operations keep a state, as a fused LSTM does" in said.err


def test_a_file_without_a_signature(dlkit, tiny_bundle: Path, tmp_path: Path) -> None:
    """As other converters make them; its input is filled by its place."""
    plain = tmp_path / "plain.tflite"
    plain.write_bytes(
        edited((tiny_bundle / "model.tflite").read_bytes(), lambda model: setattr(model, "signatureDefs", None))
    )
    assert dlkit("bench", plain, "--ops", "--runs", "1", "--quiet").code == 0


def test_on_a_gpu(dlkit, tiny_bundle: Path) -> None:
    """The profiler is the processor's."""
    said = dlkit("bench", tiny_bundle, "--ops", "--gpu")
    assert said.code == 1
    assert said.err.endswith("--ops times operations on the processor alone, not on a GPU; leave it out\n")


def test_a_crash_is_a_line(tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Native code that ends its process does not end ours."""
    (tmp_path / "sitecustomize.py").write_text("import os; os.kill(os.getpid(), 11)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ModelFileError, match=r"the runtime crashed on this file \(signal SIGSEGV\)"):
        time_operations(tiny_bundle / "model.tflite", 1, 1)


def _run(*kernels: Event, whole: int = 10) -> list[Event]:
    return [Event("Invoke", WHOLE, whole, 0, 0), *kernels]


def test_the_slower_half_is_left_out() -> None:
    """An inference in which another program had its turn does not make an operation slow."""
    runs = [_run(Event("Add (ND)", OF_DELEGATE, us, 0, 0), whole=us) for us in (4, 4000, 6, 5000)]
    times = summed(runs, 1, "m")
    assert (times.whole_us, times.kernels[0].mean_us, times.kernels[0].min_us, times.runs) == (5.0, 5.0, 4.0, 4)


def test_a_loop_is_its_body() -> None:
    """The kernels of its body are summed, a row each; the loop itself is not counted beside them."""
    body = [Event("ADD", BUILT_IN, 2, 0, 1), Event("MUL", BUILT_IN, 1, 1, 1)]
    [add, mul] = summed([_run(Event("WHILE", BUILT_IN, 9, 3, 0), *body, *body)], 1, "m").kernels
    assert (add.kernel, add.calls, add.mean_us) == ("ADD", 2, 4.0)
    assert (mul.kernel, mul.calls, mul.mean_us) == ("MUL", 2, 2.0)


@pytest.mark.parametrize("runs", [[_run()], [_run(Event("ADD", BUILT_IN, 1, 0, 0)), _run()]], ids=["none", "other"])
def test_what_cannot_be_summed(runs: list[list[Event]]) -> None:
    """Inferences of another course are not averaged."""
    with pytest.raises(ModelFileError, match="tells of other operations in each inference"):
        summed(runs, 1, "m")


def _operation(name: str, layer: str) -> Operation:
    return Operation(name, (layer,), (), ())


def _kernels(*names: str) -> list[KernelTime]:
    return [KernelTime(name, "(" in name, number, 0, 1, 1.0, 1.0) for number, name in enumerate(names)]


def _layers(found: Sequence[Operation], kernels: Sequence[KernelTime]) -> list[tuple[str, ...]]:
    return [one.layers for one in matched(found, kernels)]


def test_as_many_of_a_kind_are_matched_in_order() -> None:
    """Both kinds of convolution are one kind of XNNPACK's, and one of 1×1 may be a fully connected layer to it."""
    found = [_operation("CONV_2D", "a"), _operation("DEPTHWISE_CONV_2D", "b"), _operation("ADD", "c")]
    kernels = _kernels("Fully Connected (NC, F32) GEMM", "Convolution (NHWC, F32) DWConv", "Add (ND)", "Clamp (NC)")
    assert _layers(found, kernels) == [("a",), ("b",), ("c",), ()]


def test_kinds_of_another_number_are_not_guessed() -> None:
    """One of two additions was fused away, and which is not known."""
    found = [_operation("ADD", "a"), _operation("ADD", "b"), _operation("MEAN", "c")]
    assert _layers(found, _kernels("Add (ND)", "Mean (ND) Reduce2")) == [(), ("c",)]


def test_what_litert_runs_itself_is_not_xnnpacks() -> None:
    """The first softmax is LiteRT's, so the one of XNNPACK's is the second."""
    found = [_operation("SOFTMAX", "a"), _operation("SOFTMAX", "b")]
    kernels = _kernels("SOFTMAX", "Softmax (NC, F32)")
    assert _layers(found, kernels) == [("a",), ("b",)]


def test_a_place_that_holds_another_operation() -> None:
    """A runtime that made other operations of the file's is not taken at its word."""
    assert _layers([_operation("ADD", "a")], _kernels("SOFTMAX")) == [()]


def test_a_bundle_in_a_folder_of_any_name(dlkit, tiny_bundle: Path, tmp_path: Path) -> None:
    """The library takes the name as bytes."""
    folder = shutil.copytree(tiny_bundle, tmp_path / "zählt 1")
    assert dlkit("bench", folder, "--ops", "--runs", "1", "--quiet").code == 0


def test_a_kernel_of_a_loops_body_is_none_of_the_main_subgraphs() -> None:
    """Where both add, only the one outside is matched with the file's operation."""
    inside, outside = KernelTime("Add (ND)", True, 0, 1, 7, 1.0, 1.0), KernelTime("Add (ND)", True, 0, 0, 1, 1.0, 1.0)
    assert _layers([_operation("WHILE", "a"), _operation("ADD", "b")], [inside, outside]) == [(), ("b",)]
