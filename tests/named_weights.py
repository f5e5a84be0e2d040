"""Weights that two implementations of a network can both compute: from the names of their layers."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray


def named_weight(layer: str, kind: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The weight `kind` ("kernel", "bias", "gamma", …) of `layer`, in Keras' shape.

    Kernels keep the size of the signal (He et al. 2015); statistics and biases differ from their
    defaults so far that an epsilon, a momentum of the wrong side or a missing bias shows.
    """
    rng = np.random.default_rng(zlib.crc32(f"{layer}/{kind}".encode()))
    if kind.endswith("kernel"):
        depthwise = len(shape) == 4 and shape[3] == 1 and shape[2] > 1
        fan_in = np.prod(shape[:2] if depthwise else shape[:-1])
        values = rng.standard_normal(shape) * np.sqrt(2 / fan_in)
    elif kind in ("gamma", "moving_variance"):
        values = rng.uniform(0.5, 1.5, shape)
    else:
        values = rng.standard_normal(shape) * 0.1
    return values.astype(np.float32)


def named_input(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """(1, *shape) standard normal numbers."""
    return np.random.default_rng(0).standard_normal((1, *shape)).astype(np.float32)


def sampled(outputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """At most 32 of the numbers in `outputs`, evenly spread."""
    flat = outputs.reshape(-1)
    return flat[np.linspace(0, len(flat) - 1, min(32, len(flat))).round().astype(int)]
