"""The shelf of schemes: what the numbers in an exported file are, and what must hold in the file.

One file per scheme. A scheme says what is promised; `conversion` makes it and `verify` opens the
produced file and holds it to the promise.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

from dlkit.shelf import Shelf, entries_of_modules


@dataclasses.dataclass(frozen=True)
class Scheme:
    """Number formats of an exported file.

    Attributes:
        name: as typed after `--scheme`.
        summary: one line for `dlkit list schemes`.
        weights: dtype of convolution, dense and recurrent kernels.
        activations: dtype of what flows between operations.
        io: dtype of the file's inputs and outputs.
        quantizer: "none" keeps the converted float file; "static" quantizes weights and
            activations with ranges measured on calibration samples.
        tensors: dtypes that may occur in the file at all, in the schema's spelling.
        control_flow: operations that run a subgraph, or do not, that may occur in the file.
    """

    name: str
    summary: str
    weights: str
    activations: str
    io: str
    quantizer: Literal["none", "static"]
    tensors: frozenset[str]
    control_flow: frozenset[str] = frozenset()

    @property
    def needs_calibration(self) -> bool:
        return self.quantizer == "static"


SCHEMES: Shelf[Scheme] = Shelf(
    "scheme", lambda: entries_of_modules("dlkit.schemes", Scheme, lambda scheme: scheme.name)
)
