"""What the steps for model servers share: a name that fits into an address, a real request, and its answers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.bundle.answers import answer_text
from dlkit.conversion.serving import raw_dtype
from dlkit.finishing import Finishing
from dlkit.runtime.served import SavedModelSession, open_here

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGEST_BATCH = 32
"""As many requests are put together at most; where throughput on a GPU often stops to grow for small networks."""
BATCH_SIZES = (1, 2, 4, 8, 16, LARGEST_BATCH)
"""To these a batch is filled up: each new one costs a server time, once, for choosing kernels and memory."""
QUEUE_MICROSECONDS = 1000
"""As long a request waits for others. TensorFlow Serving's batching guide: "a value slightly above zero, e.g. 1
millisecond"."""


def served_name(given: Finishing) -> str:
    """The model's name, of letters, digits, ., _ and - alone: it is part of addresses and of folders."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", given.name).strip("-.") or "model"


def network_inputs(given: Finishing) -> dict[str, NDArray[np.float32]]:
    """The bundle's samples as the network takes them, (N, *shape) by name."""
    return {name: preprocessing.apply(given.samples[name]) for name, preprocessing in given.inputs.items()}


def raw_inputs(given: Finishing) -> dict[str, NDArray[Any]]:
    """The bundle's samples as the signature that prepares them takes them, (N, *raw shape) by name."""
    raw = {}
    for name, preprocessing in given.inputs.items():
        values, dtype = preprocessing.raw_batch(given.samples[name]), raw_dtype(preprocessing)
        raw[name] = (np.round(values) if dtype == "uint8" else values).astype(dtype)
    return raw


def answers_to(given: Finishing, signature: str, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
    """What the model answers, asked on this machine."""
    session = SavedModelSession(given.file, signature=signature) if given.file.is_dir() else open_here(given.file)
    return session.run_named(inputs)


def in_words(given: Finishing, outputs: Mapping[str, NDArray[np.float32]]) -> str:
    """The first sample's answers as `dlkit predict` tells them."""
    first = next(iter(outputs.values()))[0]
    return answer_text(first, given.labels if first.shape == (len(given.labels),) else (), 3)


def as_lists(values: NDArray[Any]) -> Any:
    """Numbers for JSON; float32 in the fewest digits that give it again."""
    if values.dtype == np.float32:
        return [as_lists(row) for row in values] if values.ndim else float(str(values))
    return values.tolist()


def json_line(table: Mapping[str, Any]) -> bytes:
    """A table as a file of JSON."""
    return json.dumps(table, allow_nan=False).encode() + b"\n"
