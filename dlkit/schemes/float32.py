"""float32: the converted file as it is; the reference the others are held against."""

from __future__ import annotations

from dlkit.schemes import Scheme

FLOAT32 = Scheme(
    name="float32",
    summary="32-bit floating point throughout; largest file, no loss",
    weights="float32",
    activations="float32",
    io="float32",
    quantizer="none",
    # int32/int64/bool: shapes, indices and axes.
    tensors=frozenset({"float32", "int32", "int64", "bool"}),
    # A recurrent layer that could not be unrolled.
    control_flow=frozenset({"WHILE"}),
)
