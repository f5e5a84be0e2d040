"""int8: weights, activations, input and output in 8-bit integers.

Jacob et al. 2017, arXiv:1712.05877, with weights per channel as in Krishnamoorthi 2018,
arXiv:1806.08342. Ranges are the smallest and largest values seen on calibration samples.
"""

from __future__ import annotations

from dlkit.schemes import Scheme

INT8 = Scheme(
    name="int8",
    summary="8-bit integers throughout, per-channel weights; a quarter of the size, needs calibration samples",
    weights="int8",
    activations="int8",
    io="int8",
    quantizer="static",
    # int32: biases and shapes. A fused LSTM's cell state is int16, which `verify` allows there alone.
    tensors=frozenset({"int8", "int32", "int64", "bool"}),
)
