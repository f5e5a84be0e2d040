"""On-device inference with LiteRT: real numbers in and out, by the names of inputs and outputs."""

from __future__ import annotations

import os
from pathlib import Path

from dlkit.extras import require
from dlkit.runtime.dtypes import TensorFormat
from dlkit.runtime.forked import Forked, forked
from dlkit.runtime.local import FAST, PLAIN, REFERENCE, LocalSession, check_file, name_of
from dlkit.runtime.named_ends import NamedEnds


class Session(Forked):
    """A loaded .tflite file, in a process of its own: whatever the file is, it cannot crash this one.

    Attributes:
        inputs, outputs: name → format, in the file's order. Names are those of its signature; where it
            has none, those of its tensors.

    `reference` has it computed by the plain kernels that define what each operation gives, slowly.

    Raises:
        ModelFileError: the file is missing, is no .tflite file, is broken, or takes other than one sample at a time;
            or the runtime crashes on it, does not end, or needs more memory than a file of its size may take.
        DataError: fewer than 1 or more than 256 threads.
        ExtraMissing: ai-edge-litert is not installed.
    """

    def __init__(self, model: Path | bytes, threads: int | None = None, *, reference: bool = False) -> None:
        threads = min(4, os.cpu_count() or 1) if threads is None else threads
        check_file(model, threads)
        require("ai_edge_litert.interpreter")  # once, and not in each process

        def opened() -> tuple[NamedEnds, str]:
            session = LocalSession(model, threads, REFERENCE if reference else FAST)
            return session, session.backend

        super().__init__(name_of(model), lambda: forked(opened, _size(model), threads))


def formats_of(model: Path) -> tuple[dict[str, TensorFormat], dict[str, TensorFormat]]:
    """Inputs and outputs of a file as a `Session` has them, without setting it up. Raises as that does."""
    check_file(model, 1)
    require("ai_edge_litert.interpreter")
    read = Forked(str(model), lambda: forked(lambda: (LocalSession(model, 1, PLAIN, ready=False), ""), _size(model), 1))
    read.close()
    return read.inputs, read.outputs


def _size(model: Path | bytes) -> int:
    return len(model) if isinstance(model, bytes) else model.stat().st_size
