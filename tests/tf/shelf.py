"""Networks of the shelf, built and converted for tests."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from named_weights import named_weight

from dlkit.networks import NETWORKS, Network
from dlkit.progress import ignore
from dlkit.runtime.inspection import inspect_file

SAMPLES = 8
DEEP = {
    "densenet100_bc", "densenet121", "densenet169", "densenet201", "densenet264", "efficientnet_lite1",
    "efficientnet_lite2", "efficientnet_lite3", "efficientnet_lite4", "inception_resnet_v1", "inception_resnet_v2",
    "inception_v4", "resnet101", "resnet101v2", "resnet110", "resnet152", "resnet152v2", "resnext101_32x4d",
    "resnext101_32x8d", "resnext101_64x4d",
}  # fmt: skip
"""So many layers that even a narrow one takes half a minute; their families have a shallower one."""


def in_lanes(names: Iterable[str], heavy: Callable[[str], bool] = DEEP.__contains__) -> list[Any]:
    """Parameters for a test: what is heavy goes to the slow lane."""
    return [pytest.param(name, marks=pytest.mark.slow if heavy(name) else ()) for name in names]


def takes_long_at_full_width(name: str) -> bool:
    """Whether making the weights alone, or one answer, takes many seconds."""
    network = NETWORKS[name]
    return name in DEEP or network.parameters > 50e6 or network.multiply_adds > 4.2e9


def outlined(network: Network, **options: Any):
    """The network with its layers, shapes and names, but without the numbers of its weights: fast at any size."""
    import keras

    with keras.StatelessScope(initialize_variables=False):
        return network.build(options)


def lively(network: Network, **options: Any):
    """The network with statistics, scales and biases that are not 0 and 1, as training leaves them."""
    import keras

    keras.utils.set_random_seed(0)
    model = network.build(options)
    for layer in model.layers:
        for weight in layer.weights:
            if weight.name in ("gamma", "beta", "moving_mean", "moving_variance", "bias"):
                weight.assign(named_weight(layer.name, weight.name, tuple(weight.shape)))
    return model


def inputs_for(network: Network, shape: tuple[int, ...], count: int = SAMPLES) -> np.ndarray:
    """(count, *shape) float32 as the network's preprocessing would give them: 0…1, or about 0 where it says so."""
    rng = np.random.default_rng(0)
    if network.preprocessing == "unit":
        return rng.random((count, *shape), dtype=np.float32)
    return rng.standard_normal((count, *shape)).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Converted:
    """A network's two files, made in this process by the functions that `dlkit export` runs in children.

    Attributes:
        inputs: (N, *shape) float32.
        reference: (N, ...) what the Keras model answers.
    """

    float32: Path
    int8: Path
    inputs: np.ndarray
    reference: np.ndarray

    @property
    def operations(self) -> dict[str, dict[str, int]]:
        """Operation → count, of each file."""
        return {"float32": inspect_file(self.float32).ops, "int8": inspect_file(self.int8).ops}


def converted(network: Network, model: Any, folder: Path) -> Converted:
    """Save `model`, convert it and quantize it, all in `folder`."""
    from dlkit.conversion import tflite
    from dlkit.conversion.quantizer import can_quantize, quantize_flatbuffer
    from dlkit.pipeline.keras_file import write_keras

    names = ("m.keras", "inputs.npy", "reference.npy", "weights.sha256", "sm", "f.tflite", "q.tflite")
    paths = {name: str(folder / name) for name in names}
    inputs = inputs_for(network, model.input_shape[1:])
    np.save(paths["inputs.npy"], inputs)
    write_keras(model, Path(paths["m.keras"]))
    tflite.convert(
        model=paths["m.keras"],
        inputs=paths["inputs.npy"],
        saved_model=paths["sm"],
        tflite=paths["f.tflite"],
        reference=paths["reference.npy"],
        weights_sha256=paths["weights.sha256"],
        advance=ignore,
    )
    if can_quantize(inspect_file(Path(paths["f.tflite"])).ops):
        quantize_flatbuffer(paths["f.tflite"], paths["inputs.npy"], paths["q.tflite"], ignore)
    else:
        tflite.quantize_saved_model(paths["m.keras"], paths["sm"], paths["inputs.npy"], paths["q.tflite"], ignore)
    return Converted(Path(paths["f.tflite"]), Path(paths["q.tflite"]), inputs, np.load(paths["reference.npy"]))


def golden_operations() -> dict[str, dict[str, dict[str, int]]]:
    """Network → file → operation → count, as written down."""
    found: dict[str, Any] = json.loads((Path(__file__).parents[1] / "golden" / "operations.json").read_text())
    return found
