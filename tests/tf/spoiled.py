"""Trained networks that are the same in float, or nearly so, and that 8 bits spoil."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from dlkit.trained import Trained, load_trained


def with_uneven_filters(source: Path, folder: Path) -> Trained:
    """A copy of the short recipe's network with a filter of 1,000 times the range of the others.

    In float it answers the same: what multiplies a rectified filter divides the weights that read it. The steps of
    everything between the two are too coarse for the other filters.
    """
    import keras

    spoiled = _copied(source, folder)
    model = keras.models.load_model(spoiled.model)
    (kernel, bias), (after, after_bias) = (model.get_layer(name).get_weights() for name in ("conv1", "conv2"))
    kernel[..., 0] *= 1e3
    bias[0] *= 1e3
    after[:, :, 0] /= 1e3
    model.get_layer("conv1").set_weights([kernel, bias])
    model.get_layer("conv2").set_weights([after, after_bias])
    return _saved(model, spoiled)


def with_idle_weights(source: Path, folder: Path) -> Trained:
    """A copy of it in which the second convolution has weights 1,000 times as large for a filter that gives nothing.

    In float they count for nothing. They make the steps of that kernel too coarse for its other weights, and of no
    other layer.
    """
    import keras

    spoiled = _copied(source, folder)
    model = keras.models.load_model(spoiled.model)
    (kernel, bias), (after, after_bias) = (model.get_layer(name).get_weights() for name in ("conv1", "conv2"))
    kernel[..., 0], bias[0] = 0.0, -1.0
    after[:, :, 0] = 1e3 * abs(after).max()
    model.get_layer("conv1").set_weights([kernel, bias])
    model.get_layer("conv2").set_weights([after, after_bias])
    return _saved(model, spoiled)


def _copied(source: Path, folder: Path) -> Trained:
    shutil.copytree(source, folder / "models" / "short")
    return load_trained(folder / "models" / "short")


def _saved(model: Any, spoiled: Trained) -> Trained:
    with spoiled.new_model([]) as path:
        model.save(path)
    return spoiled
