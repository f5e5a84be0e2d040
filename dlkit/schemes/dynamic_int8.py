"""dynamic_int8: weights in 8-bit integers, activations quantized sample by sample while the network runs.

Weights per channel as in Krishnamoorthi 2018, arXiv:1806.08342.
"""

from __future__ import annotations

from dlkit.schemes import WHOLE_NUMBERS, Scheme

DYNAMIC_INT8 = Scheme(
    name="dynamic_int8",
    summary="8-bit weights, activations quantized as they come; a quarter of the size, no calibration",
    weights="int8",
    activations="float32",
    io="float32",
    quantizer="dynamic",
    tensors=WHOLE_NUMBERS | {"int8", "float32"},
    control_flow=frozenset({"WHILE"}),
)
