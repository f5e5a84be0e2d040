"""Generated C source compiled and run: by this computer's compiler with sanitizers, and for Cortex-M under QEMU."""

from __future__ import annotations

import dataclasses
import functools
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from dlkit.finishing._c_source.program import program_of
from dlkit.finishing._c_source.source import kernels
from dlkit.finishing.c_source import sources_of
from dlkit.progress import ignore
from dlkit.runtime.litert import Session

QEMU = Path(__file__).parent / "qemu"
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
SANITIZED = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover"]
INSTALL = "run .ci/devices.d/cgen"


@dataclasses.dataclass(frozen=True)
class Board:
    """A machine of QEMU.

    Attributes:
        processor: as the compiler calls it.
        machine: as QEMU calls it.
        flash, ram: (address, bytes).
        flags: further ones of the compiler.
    """

    processor: str
    machine: str
    flash: tuple[int, int]
    ram: tuple[int, int]
    flags: tuple[str, ...] = ()


BOARDS = {
    board.processor: board
    for board in (
        Board("cortex-m4", "mps2-an386", (0, 4 << 20), (0x20000000, 4 << 20)),
        Board("cortex-m7", "mps2-an500", (0, 4 << 20), (0x60000000, 4 << 20)),
        Board("cortex-m33", "mps2-an505", (0x10000000, 4 << 20), (0x38000000, 4 << 20)),
        # Its tightly coupled memory at 0 has 512 KiB, and the SRAM behind 0x21000000 2 MiB.
        Board("cortex-m55", "mps3-an547", (0, 512 << 10), (0x21000000, 2 << 20), ("-mfloat-abi=hard",)),
    )
}


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
    need("arm-none-eabi-gcc", "qemu-system-arm")
    program = folder / f"{board.processor}.elf"
    memory = [
        f"-Wl,--defsym={name}={number}"
        for name, number in zip(
            ("FLASH_START", "FLASH_SIZE", "RAM_START", "RAM_SIZE"), (*board.flash, *board.ram), strict=True
        )
    ]
    own = [folder / name for name in ("self_test.c", "model.c", "kernels.c")]
    compiled(
        "arm-none-eabi-gcc", *STRICT, "-O2", "-mthumb", f"-mcpu={board.processor}", *board.flags, *own,
        QEMU / "startup.c", "-T", QEMU / "memory.ld", *memory, "--specs=rdimon.specs", "-nostartfiles",
        "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections", "-o", program,
    )  # fmt: skip
    return said([
        "qemu-system-arm", "-M", board.machine, "-nographic", "-monitor", "none", "-serial", "none",
        "-semihosting-config", "enable=on,target=native", "-kernel", program,
    ])  # fmt: skip


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
