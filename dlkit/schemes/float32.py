"""float32: the converted file as it is; the reference the others are held against."""

from __future__ import annotations

from dlkit.schemes import WHOLE_NUMBERS, Scheme

FLOAT32 = Scheme(
    name="float32",
    summary="32-bit floating point throughout; largest file, no loss",
    weights="float32",
    activations="float32",
    io="float32",
    quantizer="none",
    tensors=WHOLE_NUMBERS | {"float32"},
    # A float file computes what the model computes but for the order of its additions. Measured on
    # this project's networks: 5e-7 at most.
    gap=1e-4,
    # A recurrent layer that could not be unrolled.
    control_flow=frozenset({"WHILE"}),
)
