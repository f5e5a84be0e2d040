"""int8: weights and activations in 8-bit integers; three schemes, by what goes in and comes out.

Jacob et al. 2017, arXiv:1712.05877, with weights per channel as in Krishnamoorthi 2018,
arXiv:1806.08342. Ranges are measured on calibration samples.
"""

from __future__ import annotations

import dataclasses

from dlkit.schemes import WHOLE_NUMBERS, Scheme

INT8 = Scheme(
    name="int8",
    summary="8-bit integers throughout, per-channel weights; a quarter of the size, needs calibration samples",
    weights="int8",
    activations="int8",
    io="int8",
    quantizer="static",
    # A fused LSTM's cell state is int16, which `verify` allows there alone.
    tensors=WHOLE_NUMBERS | {"int8"},
)
INT8_UINT8_IO = dataclasses.replace(
    INT8,
    name="int8_uint8_io",
    summary="int8 inside, input and output in unsigned 8-bit integers, as cameras and older accelerators have them",
    io="uint8",
)
INT8_FLOAT_IO = dataclasses.replace(
    INT8,
    name="int8_float_io",
    summary="int8 inside, input and output in 32-bit floating point, which the file itself quantizes",
    io="float32",
)
