"""weights_int8: weights stored in 8-bit integers, per channel, and turned back into floats before they are used."""

from __future__ import annotations

from dlkit.schemes import WHOLE_NUMBERS, Scheme

WEIGHTS_INT8 = Scheme(
    name="weights_int8",
    summary="8-bit weights, 32-bit arithmetic; a quarter of the size, no calibration",
    weights="int8",
    activations="float32",
    io="float32",
    quantizer="weights",
    tensors=WHOLE_NUMBERS | {"int8", "float32"},
    control_flow=frozenset({"WHILE"}),
    instead="dynamic_int8",
)
