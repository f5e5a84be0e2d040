"""For Ethos-U: the compiled file, what vela estimates of it, and a table of its layers."""

from __future__ import annotations

import csv
import io
import json

from dlkit.devices.ethos_u import ESTIMATED, ethos_u_of
from dlkit.devices.vela import compiled
from dlkit.finishing import Finish, Finished, Finishing


def make(given: Finishing) -> Finished:
    """ethos-u/model_vela.tflite, summary.json and layers.csv."""
    found = compiled(given.file, ethos_u_of(given.target), given.advance)
    summary = {"compiler": found.compiler, "note": ESTIMATED} | found.summary
    files = {
        "ethos-u/model_vela.tflite": found.content,
        "ethos-u/summary.json": (json.dumps(summary, indent=1) + "\n").encode(),
    }
    if found.layers:
        text = io.StringIO()
        writer = csv.DictWriter(text, list(found.layers[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(found.layers)
        files["ethos-u/layers.csv"] = text.getvalue().encode()
    return Finished(files)


VELA = Finish("vela", "the file for the NPU", make)
