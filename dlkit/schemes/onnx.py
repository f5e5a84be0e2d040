"""onnx: the Open Neural Network Exchange format in single precision, for ONNX Runtime and what reads its files."""

from __future__ import annotations

from dlkit.schemes import WHOLE_NUMBERS, Scheme

ONNX = Scheme(
    name="onnx",
    summary="ONNX file in 32-bit floating point, for ONNX Runtime; any batch; needs tf2onnx",
    weights="float32",
    activations="float32",
    io="float32",
    quantizer="none",
    tensors=WHOLE_NUMBERS | {"float32", "uint8", "int8"},
    gap=1e-5,
    format="onnx",
    instead="saved_model",
)
