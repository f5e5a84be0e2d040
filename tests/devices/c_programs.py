"""Generated C source compiled and run: by this computer's compiler with sanitizers, and for Cortex-M under QEMU."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from dlkit.finishing._c_source.boards import Board
from dlkit.finishing._c_source.program import program_of
from dlkit.finishing._c_source.source import kernels
from dlkit.finishing.c_source import sources_of
from dlkit.progress import ignore
from dlkit.runtime.litert import Session

STRICT = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
SANITIZED = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover"]
INSTALL = "run .ci/devices.d/cgen"


def need(*tools: str) -> None:
    """Skip the test, loudly, where a tool is not there."""
    for tool in tools:
        if shutil.which(tool) is None:
            pytest.skip(f"NOT COMPILED: there is no {tool}; {INSTALL}")


def write_sources(
    file: Path, folder: Path, inputs: Mapping[str, np.ndarray] | None = None, *, name: str = "net",
    labels: tuple[str, ...] = (), count: int = 20,
) -> None:  # fmt: skip
    """The source of a .tflite file, whose self-test has random inputs over the whole range where none are given."""
    program = program_of(file.read_bytes(), file.name, ignore)
    given = inputs or random_inputs(file, count)
    for path, text in sources_of(program, file, name, labels, dict(given), ignore).items():
        (folder / path).write_text(text, encoding="utf-8")


def random_inputs(file: Path, count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """(count, ...) network inputs; of integers every one is as likely."""
    rng = np.random.default_rng(seed)
    given = {}
    for name, end in Session(file, 1, reference=True).inputs.items():
        shape = (count, *end.shape[1:])
        if end.quantized:
            limits = np.iinfo(end.dtype)
            given[name] = end.dequantize(rng.integers(limits.min, limits.max + 1, shape).astype(end.dtype))
        else:
            given[name] = rng.normal(size=shape).astype(np.float32)
    return given


def run_here(folder: Path) -> str:
    """What the self-test in `folder` says, compiled by gcc without a warning and run under its sanitizers."""
    need("gcc")
    program = folder / "self_test"
    sources = [folder / "self_test.c", folder / "model.c", _sanitized_kernels()]
    compiled("gcc", *STRICT, *SANITIZED, "-I", folder, *sources, "-o", program)
    return said([program])


@functools.cache
def _sanitized_kernels() -> Path:
    """The kernels, which are the same for all, compiled once."""
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="dlkit-kernels-"))
    for name, text in kernels().items():
        (folder / name).write_text(text, encoding="utf-8")
    compiled("gcc", *STRICT, "-Wconversion", *SANITIZED, "-c", folder / "kernels.c", "-o", folder / "kernels.o")
    return folder / "kernels.o"


def run_on(board: Board, folder: Path) -> str:
    """What the self-test in `folder` says on a Cortex-M."""
    need("arm-none-eabi-gcc", "qemu-system-arm", "make")
    (folder / "qemu").mkdir(exist_ok=True)
    for name, content in board.files().items():
        (folder / "qemu" / name).write_text(content, encoding="utf-8")
    done = make_qemu(folder, "clean", "qemu")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    *_, about, result = done.stdout.splitlines()
    assert about == f"{board.about}:"
    return result


def make_qemu(folder: Path, *targets: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`make TARGETS` in a folder of sources."""
    return subprocess.run(
        ["make", "--no-print-directory", "-C", folder, *targets],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, **environment},
    )


def compiled(*command: str | Path) -> None:
    """Run a compiler; what it says is an error."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300)
    assert not done.stdout + done.stderr, done.stdout + done.stderr
    assert done.returncode == 0


def said(command: list[str | Path]) -> str:
    """What a program prints; its exit code must be 0."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()
