"""weights_int4: weights stored in 4-bit integers, per channel, and turned back into floats before they are used.

Depthwise and transposed kernels, of which the runtime has no 4-bit form, take 8 bits.
"""

from __future__ import annotations

from dlkit.schemes import WHOLE_NUMBERS, Scheme

WEIGHTS_INT4 = Scheme(
    name="weights_int4",
    summary="4-bit weights, 32-bit arithmetic; an eighth of the size, some loss, no calibration",
    weights="int4",
    activations="float32",
    io="float32",
    quantizer="weights",
    tensors=WHOLE_NUMBERS | {"int4", "int8", "float32"},
    control_flow=frozenset({"WHILE"}),
    instead="weights_int8",
)
