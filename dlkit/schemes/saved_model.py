"""saved_model: a SavedModel for servers, in single precision and in two shorter floats.

In the shorter ones every kernel is stored short and every layer computes so, which the matrix units of
GPUs are made for; what is summed up over a batch (statistics, biases) stays in single precision, as in
mixed precision training (Micikevicius et al. 2018, arXiv:1710.03740). bfloat16: Kalamkar et al. 2019,
arXiv:1905.12322.
"""

from __future__ import annotations

import dataclasses

from dlkit.schemes import WHOLE_NUMBERS, Scheme

SAVED_MODEL = Scheme(
    name="saved_model",
    summary="TensorFlow SavedModel in 32-bit floating point, for servers; any batch, preprocessing inside if asked",
    weights="float32",
    activations="float32",
    io="float32",
    quantizer="none",
    tensors=WHOLE_NUMBERS | {"float32"},
    gap=1e-5,
    format="saved_model",
)
SAVED_MODEL_FLOAT16 = dataclasses.replace(
    SAVED_MODEL,
    name="saved_model_float16",
    summary="SavedModel that stores and computes in 16-bit floating point, for GPU servers; half the size",
    weights="float16",
    activations="float16",
    quantizer="cast",
    tensors=WHOLE_NUMBERS | {"float16", "float32"},
    gap=1e-2,
    instead="saved_model",
)
SAVED_MODEL_BFLOAT16 = dataclasses.replace(
    SAVED_MODEL_FLOAT16,
    name="saved_model_bfloat16",
    summary="SavedModel that stores and computes in bfloat16, with the range of 32 bits and the precision of 8",
    weights="bfloat16",
    activations="bfloat16",
    tensors=WHOLE_NUMBERS | {"bfloat16", "float32"},
    gap=None,
)
