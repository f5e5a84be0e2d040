"""int16x8: weights in 8-bit, activations in 16-bit integers; two schemes, by what goes in and comes out.

TensorFlow's "16x8 quantization mode". Nearly the accuracy of floats; the CPU runtime has it as plain
reference kernels only (ResNet-50: 1.3 s, where int8 takes 6 ms).
"""

from __future__ import annotations

import dataclasses

from dlkit.schemes import WHOLE_NUMBERS, Scheme

INT16X8 = Scheme(
    name="int16x8",
    summary="8-bit weights, 16-bit activations; nearly no loss, slow on a CPU, needs calibration samples",
    weights="int8",
    activations="int16",
    io="int16",
    quantizer="static",
    tensors=WHOLE_NUMBERS | {"int8", "int16"},
    instead="int8",
)
INT16X8_FLOAT_IO = dataclasses.replace(
    INT16X8,
    name="int16x8_float_io",
    summary="int16x8 inside, input and output in 32-bit floating point, which the file itself quantizes",
    io="float32",
    instead="int8_float_io",
)
