"""A .tflite file run by LiteRT.js in Chromium: inputs and answers go through a server on loopback."""

from __future__ import annotations

import json
import secrets
import signal
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dlkit.errors import ConversionError, EndedBySystem
from dlkit.runtime.litert import Session
from dlkit.web.chromium import chromium, find_chromium
from dlkit.web.packages import litert_js
from dlkit.web.serving import Server, serving
from dlkit.writing import temporary_folder

if TYPE_CHECKING:
    from numpy.typing import NDArray

HERE = Path(__file__).parent
TIME_LIMIT_S = 300.0
LOOK_S = 0.2
"""How often it is looked whether the browser still runs."""
BACKENDS = ("wasm", "webgpu")


def run_in_browser(
    file: Path, inputs: Mapping[str, NDArray[np.float32]], backend: str = "wasm", time_limit_s: float = TIME_LIMIT_S
) -> dict[str, NDArray[np.float32]]:
    """Network inputs by name, (N, *shape) each → outputs by name, (N, *shape) float32, as LiteRT.js computes them.

    Args:
        backend: "wasm", on the processor; or "webgpu", which is computed there too where Chromium has no GPU.

    Raises:
        ConversionError: LiteRT.js refuses the file, the browser ends early, or it takes longer than the limit.
        EndedBySystem: the browser was killed.
        ExtraMissing: there is no Chromium, or no LiteRT.js.
        ModelFileError: it is no .tflite file.
    """
    find_chromium()
    session = Session(file)
    count = len(next(iter(inputs.values())))
    job = {"backend": backend, "count": count, "inputs": list(session.inputs), "outputs": list(session.outputs)}
    files = litert_js() | {
        "index.html": (HERE / "bench" / "index.html").read_bytes(),
        "bench.js": (HERE / "bench" / "bench.js").read_bytes(),
        "engine.js": (HERE / "page" / "engine.js").read_bytes(),
        "job.json": json.dumps(job).encode(),
        "model.tflite": file.read_bytes(),
        "favicon.ico": b"",
    }
    for place, name in enumerate(session.inputs):
        files[f"input-{place}"] = np.ascontiguousarray(inputs[name], "<f4").tobytes()
    posted = _posted(files, backend, time_limit_s)
    outputs = {}
    for place, (name, end) in enumerate(session.outputs.items()):
        found = np.frombuffer(posted[f"output-{place}"], "<f4")
        if found.size != count * np.prod(end.shape[1:], dtype=int):
            raise ConversionError(f"{file}: LiteRT.js gives {found.size} numbers as output {name!r}")
        outputs[name] = found.reshape(count, *end.shape[1:]).astype(np.float32)
    return outputs


def _posted(files: Mapping[str, bytes], backend: str, time_limit_s: float) -> dict[str, bytes]:
    """What the page posts until it is done, by path. Everything is below a path that no other page can know."""
    secret = f"{secrets.token_hex(16)}/"
    posted: dict[str, bytes] = {}
    ended = threading.Event()

    def content(path: str) -> bytes | None:
        return files.get(path.removeprefix(secret)) if path.startswith(secret) or path == "favicon.ico" else None

    def receive(path: str, body: bytes) -> None:
        if path.startswith(secret):
            posted[path.removeprefix(secret)] = body
            if path.removeprefix(secret) in ("done", "failed"):
                ended.set()

    with (
        serving(Server(content, receive=receive)) as url,
        temporary_folder() as folder,
        chromium(url + secret, folder, webgpu=backend == "webgpu") as browser,
    ):
        deadline = time.monotonic() + time_limit_s
        while not ended.wait(LOOK_S):
            if browser.poll() == -signal.SIGKILL:
                raise EndedBySystem.at("Chromium")
            if browser.poll() is not None:
                said = (folder / "log.txt").read_text(errors="replace").strip().splitlines()
                raise ConversionError(f"Chromium ended early; it said: {said[-1][:300] if said else 'nothing'}")
            if time.monotonic() > deadline:
                raise ConversionError(f"LiteRT.js: no result after {time_limit_s:.0f} s; Chromium was stopped")
    if "failed" in posted:
        why = " ".join(posted["failed"].decode(errors="replace").split())
        raise ConversionError(f"LiteRT.js ({backend}) cannot run the file; it said: {why[:300]}")
    return posted
