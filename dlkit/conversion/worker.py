"""The child's side of `child.run_task`: one task, then the process ends."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dlkit.children import end_with_parent
from dlkit.errors import DlkitError
from dlkit.frameworks import imported, quieten
from dlkit.room import is_want_of_room
from dlkit.writing import TMPDIR, no_room


def _tasks() -> dict[str, Callable[..., None]]:
    from dlkit.compression import compressing
    from dlkit.conversion import answering, arena, layer_errors, quantizer, serving, stepwise, tflite, variants

    return {
        "convert": tflite.convert,
        "quantize_saved_model": tflite.quantize_saved_model,
        "calibrate": quantizer.calibrate,
        "quantize_flatbuffer": quantizer.quantize_flatbuffer,
        "answer": answering.answer,
        "serve": serving.serve,
        "make_stepwise": stepwise.make_stepwise,
        "run_stream": stepwise.run_stream,
        "answer_served": serving.answer_served,
        "layer_errors": layer_errors.measure,
        "arena": arena.measure,
        "compress": compressing.compress,
        "variants": variants.make_and_ask,
    }


def _task(name: str) -> Callable[..., None]:
    """A task by its name, or as "dlkit.module:function"."""
    module, colon, function = name.partition(":")
    if not colon:
        return _tasks()[name]
    found: Callable[..., None] = getattr(importlib.import_module(module), function)
    return found


def prepare() -> None:
    """Import what most tasks need, and run nothing of it."""
    quieten()
    _tasks()
    imported("tensorflow")
    imported("keras")
    importlib.import_module("litert_quantizer.quantizer")


def main(request: dict[str, Any]) -> int:
    """Run the requested task; on failure leave its type and text in the result file. Returns the exit code."""
    quieten()
    tempfile.tempdir = os.environ["TMPDIR"] = request["temporary"]  # what it leaves goes with the caller's folder

    def advance(done: int, total: int) -> None:
        os.write(request["progress"], f"{done} {total}\n".encode())

    try:
        _task(request["task"])(advance=advance, **request["arguments"])
    except Exception as error:  # everything the converter may raise becomes a line for the user
        with contextlib.suppress(OSError):
            traceback.print_exc()
        if isinstance(error, OSError) and is_want_of_room(error):
            error = no_room(error, Path(request["temporary"]), TMPDIR)
        kind = type(error).__name__ if isinstance(error, DlkitError) else ""
        with contextlib.suppress(OSError):  # no room for that either: the parent finds the disk full
            Path(request["result"]).write_text(json.dumps({"type": kind, "text": str(error)}))
        return 1
    return 0


if __name__ == "__main__":
    end_with_parent()
    sys.exit(main(json.loads(sys.argv[1])))
