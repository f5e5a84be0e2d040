"""Arm's compiler for Ethos-U, in a child process: the compiled file, its estimates, and what stays on the processor."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import json
import os
import re
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dlkit.conversion.child import run_task
from dlkit.errors import ConversionError
from dlkit.extras import check_installed, require
from dlkit.progress import Advance
from dlkit.targets import EthosU
from dlkit.writing import temporary_folder

TIME_LIMIT_S = 600.0
KIB = 1024
REASON = re.compile(
    r"Warning \(supported operators\) operator: (?P<operation>\w+), ofm: '(?P<tensor>[^']*)'\n"
    r"Reason: (?P<reason>[^\n]*)"
)
SHORTENED = re.compile(r" \([^()]*\)$")
"""The tensor at the end of a reason; it is named beside it."""


@dataclasses.dataclass(frozen=True)
class Fallback:
    """An operation that stays on the processor: its name in the schema, the tensor it computes, and vela's reason."""

    operation: str
    tensor: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Compiled:
    """What vela made of a file.

    Attributes:
        content: the compiled .tflite file.
        summary: estimates by vela's names: "cycles_total", "inferences_per_second", "sram_memory_used" (KiB), ….
        layers: a row for each operation that runs on the NPU, with vela's columns.
        fallbacks: operations that it left to the processor.
        compiler: "vela 5.2.0".
    """

    content: bytes
    summary: dict[str, str]
    layers: tuple[dict[str, str], ...]
    fallbacks: tuple[Fallback, ...]
    compiler: str

    def number(self, name: str) -> float:
        """An estimate; 0 where vela gives none, as for a file of which nothing is on the NPU."""
        value = float(self.summary.get(name) or 0)
        return value if value == value else 0.0


def compiled(file: Path, ethos_u: EthosU, advance: Advance) -> Compiled:
    """Compile a .tflite file for an Ethos-U.

    Raises:
        ExtraMissing: ethos-u-vela is not installed.
        ConversionError: it fails on the file, crashes or does not end.
    """
    check_installed("ethosu")
    with temporary_folder() as folder:
        result = folder / "result.json"
        run_task(
            "dlkit.devices.vela:compile_file",
            advance,
            TIME_LIMIT_S,
            frameworks=False,
            tflite=str(file),
            described=json.dumps(dataclasses.asdict(ethos_u)),
            folder=str(folder / "made"),
            result=str(result),
        )
        told = json.loads(result.read_text(encoding="utf-8"))
        content = (folder / "made" / told["file"]).read_bytes()
    fallbacks = tuple(Fallback(**found) for found in told["fallbacks"])
    return Compiled(content, told["summary"], tuple(told["layers"]), fallbacks, f"vela {version('ethos-u-vela')}")


def compile_file(tflite: str, described: str, folder: str, result: str, advance: Advance) -> None:
    """The child's side: the compiled file in `folder`, the rest as JSON in `result`."""
    made = Path(folder)
    made.mkdir()
    (made / "model.tflite").symlink_to(Path(tflite).resolve())  # what it makes is called after the file
    said = _run(_arguments(made, EthosU(**json.loads(described))), made / "said.txt")
    found = sorted(made.glob("*_vela.tflite"))
    if not found:
        lines = [line for line in said.splitlines() if line.strip()]
        raise ConversionError(f"vela made no file; it said: {lines[-1][:300] if lines else 'nothing'}")
    summaries = [row for path in sorted(made.glob("*_summary_*.csv")) for row in _rows(path)]
    told = {
        "file": found[0].name,
        "summary": summaries[0] if summaries else {},
        "layers": [row for path in sorted(made.glob("*_per-layer.csv")) for row in _rows(path)],
        "fallbacks": _fallbacks(said),
    }
    Path(result).write_text(json.dumps(told), encoding="utf-8")


def _arguments(made: Path, ethos_u: EthosU) -> list[str]:
    arguments = [str(made / "model.tflite"), "--accelerator-config", ethos_u.accelerator, "--output-dir", str(made)]
    if ethos_u.system:
        arguments += ["--config", "Arm/vela.ini", "--system-config", ethos_u.system]
    if ethos_u.memory_mode:
        arguments += ["--memory-mode", ethos_u.memory_mode]
    return [*arguments, "--verbose-performance"]


def _run(arguments: list[str], log: Path) -> str:
    """What vela says while it compiles; its native half writes to the descriptor itself. Raises ConversionError."""
    main = require("ethosu.vela.vela").main
    with log.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    failure: Any = None
    try:
        failure = main(arguments)
    except SystemExit as stop:
        failure = stop.code
    except Exception as error:  # it raises what it raises; each is about the file or the configuration
        failure = f"{type(error).__name__}: {error}"
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    said = log.read_text(encoding="utf-8", errors="replace")
    if failure:
        raise ConversionError(f"vela does not compile the file: {_cause(str(failure), said)}")
    return said


def _cause(failure: str, said: str) -> str:
    """The error in what it said, else how it ended."""
    errors = [line.strip() for line in said.splitlines() if re.match(r"(?i)\s*(error|.*\berror:)", line)]
    return (errors[-1] if errors else failure)[:300]


def _fallbacks(said: str) -> list[dict[str, str]]:
    return [
        {
            "operation": found["operation"],
            "tensor": found["tensor"],
            "reason": SHORTENED.sub("", found["reason"]),
        }
        for found in REASON.finditer(said)
    ]


def _rows(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
