"""What compression promises of a network's weights, kernel by kernel; the exported file is held to it."""

from __future__ import annotations

import dataclasses
from typing import Literal


@dataclasses.dataclass(frozen=True)
class Promise:
    """What was done to one kernel of a Keras layer, and must still be so in every file that is made of it.

    Attributes:
        layer: name of the layer in Keras.
        kernel: which of the layer's: "kernel", "recurrent_kernel", "forward_kernel", "depthwise_kernel" …
        shape: of the variable, as Keras has it.
        sparsity: fraction of its numbers that are 0, or of its blocks in "block"; 0.0 where it was not pruned.
        pattern: "2:4" where of 4 neighbours along the inputs at most 2 are not 0, the last ones of an odd number
            filled up with zeros; "block" where whole blocks are 0; "unstructured" where zeros are anywhere.
        block: inputs and outputs of such a block, at each place of a convolution's window; (1, 1) elsewhere.
        clusters: how many different numbers an output channel has at the most; 0 where it was not clustered.
    """

    layer: str
    kernel: str
    shape: tuple[int, ...]
    sparsity: float = 0.0
    pattern: Literal["unstructured", "2:4", "block"] = "unstructured"
    block: tuple[int, int] = (1, 1)
    clusters: int = 0
