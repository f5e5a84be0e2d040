"""float16: weights in IEEE 754 half precision, arithmetic in single precision."""

from __future__ import annotations

from dlkit.schemes import WHOLE_NUMBERS, Scheme

FLOAT16 = Scheme(
    name="float16",
    summary="16-bit floating point weights, 32-bit arithmetic; half the size, next to no loss",
    weights="float16",
    activations="float32",
    io="float32",
    quantizer="cast",
    tensors=WHOLE_NUMBERS | {"float16", "float32"},
    control_flow=frozenset({"WHILE"}),
    # Half precision keeps 11 bits: each weight is off by 5e-4 of itself at most.
    gap=1e-2,
)
