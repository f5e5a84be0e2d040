"""A folder that any web server can serve: a page that runs the model with LiteRT.js in whatever browser opens it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.finishing import Finish, Finished, Finishing
from dlkit.runtime.litert import Session
from dlkit.runtime.output_steps import steps_of
from dlkit.web import page
from dlkit.web.packages import litert_js

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDER = "web"
MOST_NUMBERS = 2**20
"""In the samples that the page brings along: 4 MiB."""


def make(finishing: Finishing) -> Finished:
    """The page, LiteRT.js, the model, what the bundle says of it, and the bundle's samples with their answers.

    Raises ExtraMissing without LiteRT.js.
    """
    facts, samples = _described(finishing)
    files = {
        **page.files(),
        **litert_js(),
        "model.tflite": finishing.file.read_bytes(),
        "model.json": json.dumps(facts, indent=1, allow_nan=False).encode() + b"\n",
        "samples.bin": samples,
    }
    return Finished(
        {f"{FOLDER}/{path}": content for path, content in files.items()},
        (f"{FOLDER}/ is a page for any web server; to see it here: dlkit serve BUNDLE",),
    )


def _described(finishing: Finishing) -> tuple[dict[str, Any], bytes]:
    """What the page reads: facts as a table, and numbers as little-endian float32, one array after the other."""
    manifest, session = finishing.manifest, Session(finishing.file)
    raw = _few({name: inputs.raw_batch(finishing.samples[name]) for name, inputs in finishing.inputs.items()})
    expected = session.run_named({name: inputs.apply(raw[name]) for name, inputs in finishing.inputs.items()})
    steps = steps_of(finishing.file.read_bytes())
    numbers, places = _placed({**{("raw", name): v for name, v in raw.items()},
                               **{("expected", name): v for name, v in expected.items()}})  # fmt: skip
    facts = {
        "name": finishing.name,
        "scheme": finishing.scheme.name,
        "task": finishing.task,
        "labels": list(finishing.labels),
        "bytes": finishing.file.stat().st_size,
        "inputs": [
            {"name": name, "shape": list(session.inputs[name].shape), "preprocessing": inputs.as_dict()}
            for name, inputs in finishing.inputs.items()
        ],
        "outputs": [
            {
                "name": name,
                "shape": list(end.shape),
                "answers": manifest["outputs"][name]["answers"],
                "tolerance": manifest["outputs"][name]["tolerance"],
                "step": steps.get(place, 0.0),
            }
            for place, (name, end) in enumerate(session.outputs.items())
        ],
        **{key: manifest[key] for key in ("picture", "conditions", "forecast", "anomaly")},
        "samples": {"count": len(next(iter(raw.values()))), **places},
    }
    return facts, numbers


def _few(raw: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """As many of the samples as are not too long to download, one at the least."""
    each = sum(values[0].size for values in raw.values())
    return {name: values[: max(1, MOST_NUMBERS // each)] for name, values in raw.items()}


def _placed(
    arrays: Mapping[tuple[str, str], NDArray[np.float32]],
) -> tuple[bytes, dict[str, dict[str, dict[str, int]]]]:
    """Arrays (N, ...) by kind and name, one after the other; and where each begins, with the numbers of one sample."""
    content, start = [], 0
    places: dict[str, dict[str, dict[str, int]]] = {"raw": {}, "expected": {}}
    for (kind, name), values in arrays.items():
        places[kind][name] = {"start": start, "size": values[0].size}
        content.append(np.ascontiguousarray(values, "<f4").tobytes())
        start += values.size
    return b"".join(content), places


WEB = Finish("web", "a page that runs the model in the browser", make)
