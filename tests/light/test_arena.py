"""The memory that a microcontroller needs for a file, as TensorFlow Lite Micro itself finds it."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import flatbuffers
import pytest
from ai_edge_litert import schema_py_generated as schema
from edited import edited, operators_of, rename

from dlkit.conversion import arena
from dlkit.conversion.arena import arena_bytes
from dlkit.errors import ConversionError, EndedBySystem, ExtraMissing, IllegalCombination, ModelFileError

RUNS = """
import sys
from tflite_micro.python.tflite_micro import runtime
runtime.Interpreter.from_file(sys.argv[1], arena_size=int(sys.argv[2])).invoke()
"""
with_runtime = pytest.mark.skipif(
    importlib.util.find_spec("tflite_micro") is None, reason="tflite-micro has no wheel for this system"
)


def runs(model: Path, size: int) -> bool:
    """Whether it does in an arena of that size, in a process of its own."""
    return subprocess.run([sys.executable, "-c", RUNS, model, str(size)], capture_output=True).returncode == 0


def changed(tiny_bundle: Path, tmp_path: Path, change: Any) -> Path:
    path = tmp_path / "changed.tflite"
    path.write_bytes(edited((tiny_bundle / "model.tflite").read_bytes(), change))
    return path


@with_runtime
def test_it_is_the_smallest_in_which_the_file_runs(tiny_bundle: Path) -> None:
    """In 16 bytes less it does not."""
    found = arena_bytes(tiny_bundle / "model.tflite")
    assert 1000 < found < 20_000
    assert runs(tiny_bundle / "model.tflite", found)
    assert not runs(tiny_bundle / "model.tflite", found - 16)


@with_runtime
def test_larger_tensors_need_more(tiny_bundle: Path, tmp_path: Path) -> None:
    """A file that keeps its pooled picture beside the answer."""

    def kept(model: Any) -> None:
        graph = model.subgraphs[0]
        first, _ = operators_of(model, "CONV_2D")
        graph.outputs = [*graph.outputs, first.outputs[0]]

    assert arena_bytes(changed(tiny_bundle, tmp_path, kept)) > arena_bytes(tiny_bundle / "model.tflite")


@with_runtime
def test_progress_reaches_its_end(tiny_bundle: Path) -> None:
    """And does not go back."""
    seen: list[tuple[int, int]] = []
    arena_bytes(tiny_bundle / "model.tflite", lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1]


@with_runtime
def test_every_operation_that_it_lacks_is_named(tiny_bundle: Path, tmp_path: Path) -> None:
    """And no other."""

    def lacking(model: Any) -> None:
        rename(model, "MAX_POOL_2D", "GELU")
        rename(model, "SOFTMAX", "TILE")

    with pytest.raises(IllegalCombination, match=r"does not have GELU, TILE, which the file needs"):
        arena_bytes(changed(tiny_bundle, tmp_path, lacking))


@with_runtime
def test_a_custom_operation_is_named(tiny_bundle: Path, tmp_path: Path) -> None:
    """By its own name."""
    path = changed(tiny_bundle, tmp_path, lambda model: rename(model, "SOFTMAX", "CUSTOM", b"Mine"))
    with pytest.raises(IllegalCombination, match=r"does not have CUSTOM Mine, which"):
        arena_bytes(path)


@with_runtime
def test_weights_of_8_bits_with_float_activations_are_refused_with_what_to_use(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    """What the runtime calls a hybrid model."""

    def hybrid(model: Any) -> None:
        graph = model.subgraphs[0]
        for operator in operators_of(model, "CONV_2D"):
            for number in (operator.inputs[0], operator.inputs[2], operator.outputs[0]):
                graph.tensors[number].type = schema.TensorType.FLOAT32
                graph.tensors[number].quantization = None

    with pytest.raises(IllegalCombination, match=r"no 8-bit weights where activations are float; use --scheme int8"):
        arena_bytes(changed(tiny_bundle, tmp_path, hybrid))


@with_runtime
def test_a_loop_without_an_end_is_stopped(tmp_path: Path) -> None:
    """A WHILE whose condition is a constant that is true."""
    (tmp_path / "loop.tflite").write_bytes(endless())
    with pytest.raises(ConversionError, match=r"has not ended after 1 s: a loop for ever"):
        arena_bytes(tmp_path / "loop.tflite", time_limit_s=1.0)


@with_runtime
def test_a_trial_that_is_killed_is_no_arena_that_is_too_small(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system ends a process for want of memory: a larger arena would be told than is needed."""

    def killed(*args: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(arena._Trial, "_attempt", killed)
    with pytest.raises(EndedBySystem, match=r"TensorFlow Lite Micro crashed \(SIGKILL\)"):
        arena._Trial((tiny_bundle / "model.tflite").read_bytes(), 60.0)(2**20, run=False)


def endless() -> bytes:
    """A file that counts up while 1 is less than 2."""

    def tensor(name: str, buffer: int, kind: int = schema.TensorType.FLOAT32) -> Any:
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name, [1], kind, buffer
        return made

    def operator(code: int, inputs: list[int], outputs: list[int]) -> Any:
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = code, inputs, outputs
        return made

    def graph(name: str, tensors: list[Any], inputs: list[int], outputs: list[int], operators: list[Any]) -> Any:
        made = schema.SubGraphT()
        made.name, made.tensors, made.inputs, made.outputs, made.operators = name, tensors, inputs, outputs, operators
        return made

    names = ("WHILE", "LESS", "ADD")
    codes = [schema.OperatorCodeT() for _ in names]
    for code, name in zip(codes, names, strict=True):
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, name)
        code.version = 1
    buffers = [schema.BufferT() for _ in range(3)]
    buffers[1].data, buffers[2].data = list(b"\x00\x00\x80\x3f"), list(b"\x00\x00\x00\x40")
    loop = operator(0, [0], [1])
    loop.builtinOptionsType, loop.builtinOptions = schema.BuiltinOptions.WhileOptions, schema.WhileOptionsT()
    loop.builtinOptions.condSubgraphIndex, loop.builtinOptions.bodySubgraphIndex = 1, 2
    add = operator(2, [0, 1], [2])
    add.builtinOptionsType, add.builtinOptions = schema.BuiltinOptions.AddOptions, schema.AddOptionsT()
    condition = [tensor("x", 0), tensor("one", 1), tensor("two", 2), tensor("less", 0, schema.TensorType.BOOL)]
    model = schema.ModelT()
    model.version, model.operatorCodes, model.buffers = 3, codes, buffers
    model.subgraphs = [
        graph("main", [tensor("x", 0), tensor("y", 0)], [0], [1], [loop]),
        graph("condition", condition, [0], [3], [operator(1, [1, 2], [3])]),
        graph("body", [tensor("x", 0), tensor("one", 1), tensor("y", 0)], [0], [2], [add]),
    ]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_what_is_no_file_is_told_before_anything_is_run(tmp_path: Path) -> None:
    """Missing, or something else."""
    with pytest.raises(ModelFileError, match="there is no file"):
        arena_bytes(tmp_path / "none.tflite")
    (tmp_path / "text.tflite").write_text("hello")
    with pytest.raises(ModelFileError, match=r"is not a \.tflite file"):
        arena_bytes(tmp_path / "text.tflite")


def test_without_the_runtime_its_pip_line_is_told(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no process is started."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(arena, "run_task", lambda *_, **__: pytest.fail("a process was started"))
    with pytest.raises(ExtraMissing, match=r"needs dlkit\[micro\]: pip install 'dlkit\[micro\]'$"):
        arena_bytes(tiny_bundle / "model.tflite")


@with_runtime
def test_inspect_tells_it(dlkit, tiny_bundle: Path) -> None:
    """In bytes; in JSON as a number; and only if asked."""
    found = json.loads(dlkit("inspect", tiny_bundle, "--arena", "--json").out)["arena_bytes"]
    assert f"needs an arena of {found:,} bytes in TensorFlow Lite Micro" in dlkit("inspect", "--arena", tiny_bundle).out
    assert "arena" not in dlkit("inspect", tiny_bundle, "--json").out


@with_runtime
def test_it_needs_no_tensorflow(tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither here nor in the child: a module of that name that cannot be imported stands in its way."""
    (tmp_path / "tensorflow.py").write_text("raise RuntimeError('TensorFlow was imported')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert arena_bytes(tiny_bundle / "model.tflite") > 0
