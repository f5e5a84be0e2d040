"""Microcontrollers by TensorFlow Lite Micro's own runtime: operations, arena, answers, refusals."""

from __future__ import annotations

import dataclasses
import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from board import write_board
from edited import edited, operators_of, rename

from dlkit.conversion.arena import arena_bytes
from dlkit.devices import RUNTIMES
from dlkit.devices import tflm as runtime_module
from dlkit.devices._tflm_operations import OPERATIONS
from dlkit.devices.before_softmax import allowed_by_scores
from dlkit.devices.proving import proven_on_device
from dlkit.devices.tflm import recommended_arena
from dlkit.errors import ConversionError, DlkitError, EndedBySystem, ExtraMissing, ModelFileError
from dlkit.progress import SILENT, ignore
from dlkit.runtime.inspection import CONTROL_FLOW, inspect_file
from dlkit.runtime.litert import Session
from dlkit.runtime.one_operation import file_of_one
from dlkit.runtime.scores import with_scores_beside
from dlkit.targets import TARGETS

TINY = Path(__file__).parents[2] / "exported" / "digits-tiny" / "cpu-int8" / "model.tflite"
M4 = TARGETS["cortex-m4"]
TFLM = RUNTIMES["tflm"]
BOARDS = [name for name, target in TARGETS.items() if target.runtime == "tflm"]
ASK = """
import sys
from dlkit.conversion.arena import _lacks
print(*(name for name in sys.argv[1:] if not _lacks(name)))
"""
with_runtime = pytest.mark.skipif(
    importlib.util.find_spec("tflite_micro") is None,
    reason="TENSORFLOW LITE MICRO NOT TRIED: pip install 'dlkit[micro]'",
)


def changed(folder: Path, change: Any) -> Path:
    path = folder / "changed.tflite"
    path.write_bytes(edited(TINY.read_bytes(), change))
    return path


def answers(file: Path, x: np.ndarray) -> np.ndarray:
    assert TFLM.answers is not None
    [found] = TFLM.answers(file, {next(iter(Session(TINY).inputs)): x}, M4, ignore).values()
    return found


@with_runtime
@pytest.mark.parametrize("name", BOARDS)
def test_a_small_network_fits_every_board(name: str) -> None:
    """All operations are there; file and arena are held against what the board has."""
    verdict = TFLM.examine(TINY, TARGETS[name], ignore)
    assert verdict.fits
    assert {placement.place for placement in verdict.placements} == {"CPU"}
    flash, ram = verdict.budgets
    assert (flash.used_bytes, flash.limit_bytes) == (TINY.stat().st_size, TARGETS[name].flash_bytes)
    assert (ram.used_bytes, ram.limit_bytes) == (recommended_arena(TINY), TARGETS[name].ram_bytes)


@with_runtime
def test_the_margin_of_the_arena() -> None:
    """An eighth is added to what was measured, and no more than that and a KiB."""
    least, recommended = arena_bytes(TINY), recommended_arena(TINY)
    assert least * 9 / 8 <= recommended < least * 9 / 8 + 1024
    assert recommended % 1024 == 0


@with_runtime
def test_the_arena_of_a_file_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the verdict, the proof and the C array of one export together."""
    recommended_arena(TINY)
    monkeypatch.setattr(runtime_module, "arena_bytes", lambda *_: pytest.fail("measured again"))
    assert recommended_arena(TINY) > 0


def without_dense(model: Any) -> None:
    """The file ends where its convolutions and poolings do."""
    graph = model.subgraphs[0]
    last = operators_of(model, "RESHAPE")[0]
    place = next(number for number, each in enumerate(graph.operators) if each is last)
    graph.operators, graph.outputs, model.signatureDefs = graph.operators[: place + 1], list(last.outputs), None


@with_runtime
def test_convolutions_are_exact(tmp_path: Path) -> None:
    """Those of digits-tiny give what LiteRT's reference kernels give, bit for bit, in the order of the samples."""
    path = changed(tmp_path, without_dense)
    assert set(inspect_file(path).ops) == {"CONV_2D", "MAX_POOL_2D", "RESHAPE"}
    x = np.random.default_rng(0).random((64, 8, 8, 1), np.float32)
    np.testing.assert_array_equal(answers(path, x), Session(path, 1, reference=True).run(x))


@with_runtime
def test_a_layer_that_is_dense_is_a_step_away_at_most(tmp_path: Path) -> None:
    """Before the softmax, behind which a step of the scores may be more."""
    path = changed(tmp_path, lambda model: None)
    content, _ = with_scores_beside(path.read_bytes())
    path.write_bytes(content)
    x = {name: np.random.default_rng(0).random((64, 8, 8, 1), np.float32) for name in Session(path).inputs}
    session = Session(path, 1, reference=True)
    assert TFLM.answers is not None
    _, found = TFLM.answers(path, x, M4, ignore).values()
    _, wanted = session.run_named(x).values()
    step = list(session.outputs.values())[1].scale
    assert 0 < np.abs(found - wanted).max() <= 1.001 * step


@with_runtime
def test_more_than_a_step_of_the_probabilities(tmp_path: Path) -> None:
    """Samples whose probabilities are 2 steps away are proven by their scores, which are a step away at most."""
    x = {"image": np.random.default_rng(0).random((64, 8, 8, 1), np.float32)[40:56]}
    gap = np.abs(answers(TINY, x["image"]) - Session(TINY, 1, reference=True).run(x["image"])).max()
    assert gap == 2 / 256
    proof = proven_on_device(TINY, x, M4, SILENT)
    assert proof is not None
    assert (proof.steps, proof.largest_gap) == (2.0, gap)
    score = 0.040303
    assert proof.allowed == pytest.approx(1 / 256 + np.tanh(score / 2), rel=1e-3)


@with_runtime
@pytest.mark.parametrize("work", ["arena_bytes", "run_task"])
def test_a_killed_runtime_is_no_refusal(work: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system ends a process for want of memory: that says nothing of the file, so the code is 1 and not 3."""

    def killed(*args: Any, **options: Any) -> None:
        raise EndedBySystem.at("tflm answer")

    monkeypatch.setattr(runtime_module, "_measured", lambda digest: [] if work == "arena_bytes" else [1000])
    monkeypatch.setattr(runtime_module, work, killed)
    with pytest.raises(EndedBySystem):
        proven_on_device(TINY, {"image": np.zeros((2, 8, 8, 1), np.float32)}, M4, SILENT)


@with_runtime
def test_scores_that_are_further_away_prove_nothing() -> None:
    """A device that computes another network is refused, softmax or not."""
    x = {"image": np.random.default_rng(0).random((8, 8, 8, 1), np.float32)}
    assert (
        allowed_by_scores(
            TINY,
            x,
            lambda file, batch: Session(file, 1).run_named({name: 1 - values for name, values in batch.items()}),
            lambda file, batch: Session(file, 1, reference=True).run_named(batch),
            1.0,
        )
        == {}
    )


@with_runtime
@pytest.mark.parametrize("value", [-5.0, 0.0, 1.0, 7.0])
def test_inputs_are_quantized_as_elsewhere(value: float) -> None:
    """What is beyond the range of the tensor is cut off at its ends."""
    x = np.full((1, 8, 8, 1), value, np.float32)
    np.testing.assert_array_equal(answers(TINY, x), Session(TINY, 1, reference=True).run(x))


@with_runtime
def test_several_outputs_by_name(tmp_path: Path) -> None:
    """Each is called as LiteRT calls it, and has its own scale."""

    def kept(model: Any) -> None:
        graph = model.subgraphs[0]
        model.signatureDefs = None
        graph.outputs = [operators_of(model, "CONV_2D")[1].outputs[0], *graph.outputs]

    path = changed(tmp_path, kept)
    x = {"image": np.random.default_rng(1).random((3, 8, 8, 1), np.float32)}
    session = Session(path, 1, reference=True)
    given = {next(iter(session.inputs)): x["image"]}
    assert TFLM.answers is not None
    found, wanted = TFLM.answers(path, given, M4, ignore), session.run_named(given)
    assert list(found) == list(wanted)
    assert len(found) == 2
    for name, values in wanted.items():
        np.testing.assert_array_equal(found[name], values)


@with_runtime
@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"flash_bytes": 10_000}, "flash (the file) 11,984 bytes, but my-board has 10,000"),
        ({"ram_bytes": 4096}, "RAM (arena) 5,120 bytes, but my-board has 4,096; take a smaller scheme"),
    ],
    ids=["flash", "ram"],
)
def test_too_large_for_the_board(dlkit, tmp_path: Path, facts: dict[str, int], message: str) -> None:
    """What it takes, what there is and what to do; code 3."""
    said = dlkit("check", TINY, "--target", write_board(tmp_path, runtime="tflm", **facts))
    assert (said.code, message in said.err) == (3, True), said.err


def test_what_is_missing_is_named_before_anything_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it, with its count; without the runtime too."""
    monkeypatch.setattr(runtime_module, "recommended_arena", lambda *_: pytest.fail("it was run"))

    def lacking(model: Any) -> None:
        rename(model, "MAX_POOL_2D", "GELU")
        rename(model, "SOFTMAX", "CUSTOM", b"Mine")

    verdict = TFLM.examine(changed(tmp_path, lacking), M4, ignore)
    assert set(verdict.blocks) == {
        "2 GELU: cortex-m4 does not have it",
        "1 CUSTOM Mine: a custom operation, which the runtime does not have",
    }


def test_a_loop_is_refused_by_name(tmp_path: Path) -> None:
    """WHILE, as an LSTM that was not fused has: the runtime has it and may never come back from it."""
    path = changed(tmp_path, lambda model: rename(model, "SOFTMAX", "WHILE"))
    assert TFLM.examine(path, M4, ignore).blocks == ("1 WHILE: control flow, which cortex-m4 cannot run",)


@with_runtime
def test_8_bit_weights_with_float_activations(tmp_path: Path) -> None:
    """The runtime's refusal of hybrid files is the verdict, with what to type."""

    def hybrid(model: Any) -> None:
        graph = model.subgraphs[0]
        for operator in operators_of(model, "CONV_2D"):
            for number in (operator.inputs[0], operator.inputs[2], operator.outputs[0]):
                graph.tensors[number].type = schema.TensorType.FLOAT32
                graph.tensors[number].quantization = None

    verdict = TFLM.examine(changed(tmp_path, hybrid), M4, ignore)
    assert verdict.blocks == (
        "TensorFlow Lite Micro takes no 8-bit weights where activations are float; use --scheme int8",
    )


@with_runtime
def test_a_crash_is_one_line(tmp_path: Path) -> None:
    """The runtime's own kernel of MEAN reads an input that is not there: not this process, but a child ends by it."""
    path = tmp_path / "m.tflite"
    path.write_bytes(file_of_one("MEAN"))
    [block] = TFLM.examine(path, M4, ignore).blocks
    assert "crashed (SIGSEGV)" in block
    with pytest.raises(DlkitError) as caught:
        answers(path, np.zeros((1, 4), np.float32))
    assert "\n" not in str(caught.value)


@with_runtime
def test_it_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that takes too long is stopped, and says so in one line."""
    monkeypatch.setattr(runtime_module, "TIME_LIMIT_S", 0.01)
    with pytest.raises(ConversionError, match=r"tflm answer: no result after .* it was stopped"):
        answers(TINY, np.zeros((1, 8, 8, 1), np.float32))


@with_runtime
def test_a_broken_file(tmp_path: Path) -> None:
    """It does not reach the runtime."""
    path = tmp_path / "m.tflite"
    path.write_bytes(TINY.read_bytes()[:3000])
    with pytest.raises(ModelFileError, match="cut short or corrupt"):
        TFLM.examine(path, M4, ignore)


def test_without_the_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pip line."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ExtraMissing, match=r"pip install 'dlkit\[micro\]'$"):
        TFLM.examine(TINY, M4, ignore)


def test_a_target_may_have_more_or_less(tmp_path: Path) -> None:
    """A list of operations in a board's file holds in place of the runtime's."""
    target = dataclasses.replace(M4, operations=("CONV_2D", "RESHAPE"))
    assert "2 MAX_POOL_2D: cortex-m4 does not have it" in TFLM.examine(TINY, target, ignore).blocks


@with_runtime
def test_the_operations_are_those_of_the_installed_runtime() -> None:
    """Every operation of the schema is asked for in a file of its own: on the list are those that it knows."""
    names = [name for name in vars(schema.BuiltinOperator) if name.isupper() and name != "CUSTOM"]
    known = registered(names)
    assert known - CONTROL_FLOW == set(OPERATIONS)
    assert known & CONTROL_FLOW == {"CALL_ONCE", "IF", "WHILE"}


def registered(names: list[str]) -> set[str]:
    """Those that its resolver has. Asked in a process of its own, whose forks may crash: that is an operation, too."""
    done = subprocess.run([sys.executable, "-c", ASK, *names], capture_output=True, text=True, check=True, timeout=300)
    return set(done.stdout.split())
