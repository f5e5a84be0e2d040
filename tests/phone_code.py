"""Code for phones in tests: made of a bundle, parsed, and Kotlin compiled and run beside stand-ins for Android."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlkit.bundle.loading import Bundle
from dlkit.finishing import Finishing
from dlkit.runtime.local import LocalSession
from dlkit.schemes import SCHEMES
from dlkit.targets import TARGETS

TOOLS = Path(os.environ.get("DLKIT_DEVICE_TOOLS", Path.home() / ".cache" / "dlkit-devices"))
JARS = TOOLS / "kotlin" / "usr" / "share" / "java"
COMPILER = ("kotlin-compiler", "kotlin-stdlib", "kotlin-reflect", "kotlin-script-runtime", "libtrove-intellij",
            "org.jetbrains.annotations-common", "kotlin-daemon-client")  # fmt: skip
STUBS = Path(__file__).with_name("android_stubs")


def finishing_of(bundle: Bundle, target: str, **changes: Any) -> Finishing:
    """What a finishing step would be given for a bundle that is there."""
    stored = np.load(bundle.folder / "samples.npz")
    samples = {name: stored[f"raw {name}"] for name in bundle.inputs}
    facts: dict[str, Any] = {
        "file": bundle.model, "name": bundle.manifest["name"], "scheme": SCHEMES[bundle.manifest["scheme"]],
        "target": TARGETS[target], "task": bundle.task, "labels": bundle.labels, "inputs": bundle.inputs,
        "samples": samples, "manifest": bundle.manifest,
    }  # fmt: skip
    return Finishing(**facts | changes)


def java(name: str) -> str:
    """The path of a program of Java's, or a test that is left out."""
    found = shutil.which(name)
    if found is None or not (JARS / "kotlin-compiler.jar").exists():
        pytest.skip(f"NO KOTLIN COMPILER ({name}, {JARS}): run .ci/devices.d/phones")
    return found


def heard(bundle: Bundle, network_inputs: Mapping[str, np.ndarray]) -> bytes:
    """The bytes that LiteRT is given for network inputs (N, ...) by name, and those that it answers."""
    session = LocalSession(bundle.model, 1)
    count = len(next(iter(network_inputs.values())))
    told = [struct.pack(">i", count)]
    for row in range(count):
        session._interpreter.reset_all_variables()
        sample = {name: values[row] for name, values in network_inputs.items()}
        session.set_inputs(sample)
        session.invoke()
        given = [session.inputs[name].quantize(sample[name]).tobytes() for name in session.inputs]
        places = session._places[1]
        found = [session._interpreter.get_tensor(places[name]["index"]).tobytes() for name in session.outputs]
        told += [_blocks(given), _blocks(found)]
    return b"".join(told)


def _blocks(blocks: Sequence[bytes]) -> bytes:
    rows = [struct.pack(">i", len(block)) + block for block in blocks]
    return struct.pack(">i", len(blocks)) + b"".join(rows)


def kotlin_says(code: str, main: str, folder: Path, record: bytes, *files: tuple[str, bytes]) -> list[str]:
    """Lines that `main`, the body of a function, prints with the generated class beside it.

    Args:
        code: the generated file.
        record: of `heard`.
        files: name → content of what main reads.
    """
    run, compile_java = java("java"), java("javac")
    folder.mkdir(exist_ok=True)
    for name, content in (*files, ("heard", record)):
        (folder / name).write_bytes(content)
    (folder / "Model.kt").write_text(code, encoding="utf-8")
    (folder / "Main.kt").write_text(_MAIN + main + "\n}\n", encoding="utf-8")
    home = JARS.parent / "kotlin" / "kotlinc"
    made, jars = folder / "classes", ":".join(str(JARS / f"{name}.jar") for name in COMPILER)
    _run([run, "-Xmx1g", "-cp", jars, "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler", "-kotlin-home", str(home),
          "-jvm-target", "1.8", "-Werror", "-no-reflect", "-d", str(made), str(folder / "Model.kt"),
          str(folder / "Main.kt"), str(STUBS)])  # fmt: skip
    stubs = [str(path) for path in STUBS.rglob("*.java")]
    _run([compile_java, "-d", str(made), *stubs])
    return _run(
        [run, f"-Dheard={folder / 'heard'}", "-cp", f"{made}:{JARS / 'kotlin-stdlib.jar'}", "MainKt", str(folder)]
    ).splitlines()


_MAIN = """\
import android.graphics.Bitmap
import dlkit.model.*
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder

fun floats(file: File): FloatArray {
    val from = ByteBuffer.wrap(file.readBytes()).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer()
    return FloatArray(from.remaining()) { from.get(it) }
}

fun bitmap(file: File, width: Int, height: Int): Bitmap {
    val from = ByteBuffer.wrap(file.readBytes()).order(ByteOrder.LITTLE_ENDIAN).asIntBuffer()
    return Bitmap.createBitmap(IntArray(width * height) { from.get(it) }, width, height, Bitmap.Config.ARGB_8888)
}

fun main(args: Array<String>) {
    val folder = File(args.single())
    check(folder.isDirectory)
"""


def _run(words: list[str]) -> str:
    said = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert said.returncode == 0, (said.stdout + said.stderr)[-3000:]
    return said.stdout


def numbers(line: str) -> np.ndarray:
    """A line "[0.5, 1.0E-4]" as Kotlin prints an array's list."""
    return np.array([float(word) for word in line.strip("[]").split(", ")], np.float32)


def parsed(code: str, language: str) -> list[str]:
    """Lines in which tree-sitter's grammar finds no code of the language."""
    tree_sitter = pytest.importorskip("tree_sitter", reason="NO PARSER: pip install 'dlkit[test]'")
    grammar = pytest.importorskip(f"tree_sitter_{language}", reason="NO PARSER: pip install 'dlkit[test]'")
    parser = tree_sitter.Parser(tree_sitter.Language(grammar.language()))
    lines, wrong = code.splitlines(), []
    waiting = [parser.parse(code.encode()).root_node]
    while waiting:
        node = waiting.pop()
        if node.is_error or node.is_missing:
            wrong.append(lines[node.start_point[0]])
        waiting.extend(node.children)
    return wrong
