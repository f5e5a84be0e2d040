"""The shelf of schemes: what the numbers in an exported file are, and what must hold in the file.

One file per scheme. A scheme says what is promised; `conversion` makes it and `verify` opens the
produced file and holds it to the promise.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

from dlkit.shelf import Shelf, entries_of_modules

WHOLE_NUMBERS = frozenset({"int32", "int64", "bool"})
"""Shapes, indices, axes and biases; in no scheme are they anything else."""


@dataclasses.dataclass(frozen=True)
class Scheme:
    """Number formats of an exported file.

    Attributes:
        name: as typed after `--scheme`.
        summary: one line for `dlkit list schemes`.
        weights: dtype of convolution, dense and recurrent kernels.
        activations: dtype of what flows between operations.
        io: dtype of the file's inputs and outputs.
        quantizer: "none" keeps the converted float file; "cast" rounds weights to a shorter float;
            "weights" quantizes weights, which are turned back into floats before they are used;
            "dynamic" quantizes weights, and activations when they are known; "static" quantizes
            both, with ranges measured on calibration samples.
        tensors: dtypes that may occur in the file at all, in the schema's spelling.
        instead: the scheme to name where a network cannot have this one.
        gap: largest difference to the float model's outputs, in units of the largest of them; None
            where the task's metric decides.
        control_flow: operations that run a subgraph, or do not, that may occur in the file.
        preparation: steps in which the network is fitted again before it is converted, in this order: "pruned" and
            "clustered" weights, and weights trained with the rounding of 8 bits, "quantization_aware".
        format: of the file: .tflite for devices; a SavedModel or ONNX for servers, where `tensors` are
            the dtypes of the weights.
    """

    name: str
    summary: str
    weights: str
    activations: str
    io: str
    quantizer: Literal["none", "cast", "weights", "dynamic", "static"]
    tensors: frozenset[str]
    instead: str = "float32"
    gap: float | None = None
    control_flow: frozenset[str] = frozenset()
    preparation: tuple[Literal["pruned", "clustered", "quantization_aware"], ...] = ()
    format: Literal["tflite", "saved_model", "onnx"] = "tflite"

    @property
    def needs_calibration(self) -> bool:
        return self.quantizer == "static"


SCHEMES: Shelf[Scheme] = Shelf(
    "scheme", lambda: entries_of_modules("dlkit.schemes", Scheme, lambda scheme: scheme.name)
)
