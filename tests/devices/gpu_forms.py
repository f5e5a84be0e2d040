"""Files of one operation in a form that the GPU accelerator does not run, and one in the form that it does."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from one_file import File

_SLICED = {"options": "StridedSliceOptions", "shrinkAxisMask": 2}
_ADDED = {"options": "AddOptions"}


def many_dimensions() -> bytes:
    file = File().tensor("x", (1, 2, 2, 2, 4)).tensor("y", (1, 2, 2, 2, 4))
    return file.operation("RELU", ["x"], ["y"]).content(["x"], ["y"])


def sliced_away() -> bytes:
    file = File().tensor("x", (1, 4, 4)).tensor("y", (1, 4))
    for name, values in (("begin", [0, 1, 0]), ("end", [1, 2, 4]), ("strides", [1, 1, 1])):
        file.tensor(name, (3,), "int32", values)
    return file.operation("STRIDED_SLICE", ["x", "begin", "end", "strides"], ["y"], _SLICED).content(["x"], ["y"])


def gathered() -> bytes:
    file = File().tensor("x", (1, 4, 4, 2)).tensor("at", (2, 2), "int32", [[0, 1], [2, 3]]).tensor("y", (1, 2, 2, 4, 2))
    return file.operation("GATHER", ["x", "at"], ["y"], {"options": "GatherOptions", "axis": 1}).content(["x"], ["y"])


def many_terms() -> bytes:
    file = File().tensor("x", (1, 4)).tensor("a", (1, 4)).tensor("b", (1, 4)).tensor("y", (1, 4))
    return file.operation("ADD_N", ["x", "a", "b"], ["y"], {"options": "AddNOptions"}).content(["x", "a", "b"], ["y"])


def symmetric_padding() -> bytes:
    file = File().tensor("x", (1, 4, 4, 2)).tensor("p", (4, 2), "int32", [[0, 0], [1, 1], [1, 1], [0, 0]])
    options = {"options": "MirrorPadOptions", "mode": 1}
    return file.tensor("y", (1, 6, 6, 2)).operation("MIRROR_PAD", ["x", "p"], ["y"], options).content(["x"], ["y"])


def with_itself() -> bytes:
    options = {"options": "BatchMatMulOptions", "adjY": True}
    file = File().tensor("x", (1, 2, 3, 4)).tensor("y", (1, 2, 3, 3))
    return file.operation("BATCH_MATMUL", ["x", "x"], ["y"], options).content(["x"], ["y"])


def stored_as_integers() -> bytes:
    weights = np.arange(12).reshape(3, 4) - 6
    file = File().tensor("x", (1, 4)).tensor("w", (3, 4), "int8", weights, scale=0.1).tensor("f", (3, 4))
    file.tensor("y", (1, 3)).operation("DEQUANTIZE", ["w"], ["f"], version=2)
    return file.operation("FULLY_CONNECTED", ["x", "f"], ["y"], {"options": "FullyConnectedOptions"}).content(
        ["x"], ["y"]
    )


def transposed(size: int, activation: int = 0) -> bytes:
    """A kernel of 3 that doubles both sides."""
    rng, made = np.random.default_rng(0), 2 * size
    file = File().tensor("shape", (4,), "int32", [1, made, made, 2]).tensor("x", (1, size, size, 2))
    file.tensor("k", (2, 3, 3, 2), values=rng.standard_normal((2, 3, 3, 2))).tensor("b", (2,), values=[0.5, -0.5])
    options = {"options": "TransposeConvOptions", "strideH": 2, "strideW": 2, "fusedActivationFunction": activation}
    file.tensor("y", (1, made, made, 2))
    version = 4 if activation else 3
    return file.operation("TRANSPOSE_CONV", ["shape", "k", "x", "b"], ["y"], options, version).content(["x"], ["y"])


def wide_integers() -> bytes:
    file = File().tensor("x", (1, 4), "int16", scale=2**-12).tensor("y", (1, 4), "int16", scale=2**-15)
    return file.operation("TANH", ["x"], ["y"], version=3).content(["x"], ["y"])


def unwritten() -> bytes:
    file = File().tensor("x", (1, 4)).tensor("y", (1, 4))
    return file.operation("RELU", ["x"], ["y"]).content(["x"], ["y", "x"])


FORMS: dict[str, tuple[Callable[[], bytes], str]] = {
    "5 dimensions": (many_dimensions, "1 RELU (y): a tensor of 5 dimensions"),
    "an axis dropped": (sliced_away, "1 STRIDED_SLICE (y): it drops an axis"),
    "indices in rows": (gathered, "1 GATHER (y): a tensor of 5 dimensions"),
    "a sum of three": (many_terms, "1 ADD_N (y): a sum of 3"),
    "symmetric padding": (symmetric_padding, "1 MIRROR_PAD (y): symmetric padding"),
    "a product with itself": (with_itself, "1 BATCH_MATMUL (y): a tensor with itself"),
    "a dense layer of integers": (stored_as_integers, "1 FULLY_CONNECTED (y): its weights are stored as integers"),
    "padded wrongly": (lambda: transposed(7), "1 TRANSPOSE_CONV (y): the accelerator pads a kernel of 3"),
    "an activation inside": (lambda: transposed(8, activation=1), "1 TRANSPOSE_CONV (y): it holds an activation"),
    "16-bit activations": (wide_integers, "1 TANH (y): 16-bit activations"),
    "an output that is an input": (unwritten, "x: an output that nothing computes"),
}
"""What is wrong → the file, and how the block begins."""
