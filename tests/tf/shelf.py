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

from dlkit.bundle.loading import MODELS
from dlkit.conversion.batches import read_batch
from dlkit.networks import NETWORKS, Network
from dlkit.progress import SILENT, ignore
from dlkit.runtime.arrays import write_npz
from dlkit.runtime.inspection import inspect_file, inspect_model
from dlkit.schemes import SCHEMES
from dlkit.verify import MINIMUM_SQNR_DB, Judged, judged, sqnr_db

SAMPLES = 8
DEEP = {
    "densenet100_bc", "densenet121", "densenet169", "densenet201", "densenet264", "efficientnet_lite1",
    "efficientnet_lite2", "efficientnet_lite3", "efficientnet_lite4", "inception_resnet_v1", "inception_resnet_v2",
    "inception_v1_bn", "inception_v3", "inception_v4", "mobilenet_v3_large", "resnet101", "resnet101v2", "resnet110",
    "resnet152", "resnet152v2", "resnet32", "resnet34", "resnet44", "resnet56", "resnext101_32x4d", "resnext101_32x8d",
    "resnext101_64x4d", "resnext50_32x4d",
}  # fmt: skip
"""So many layers that even a narrow one takes long; their families have a shallower one."""
OF_ONE_MAKE = {
    "bidirectional_rnn", "conditional_dcgan_discriminator", "dcgan28_discriminator", "deep_autoencoder",
    "denoising_autoencoder", "dense_autoencoder", "gru_forecaster", "inception_v2", "lstm_forecaster", "mobilenet_v1",
    "mobilenet_v1_025_96", "resnet18", "resnet20", "resnet50", "simple_rnn_forecaster", "vgg11", "vgg13", "vgg19",
}  # fmt: skip
"""Of the same layers as another network that is neither these nor deep."""


def in_lanes(names: Iterable[str], heavy: Callable[[str], bool] = (DEEP | OF_ONE_MAKE).__contains__) -> list[Any]:
    """Parameters for a test: what is heavy, or asks the same of the code as another, goes to the slow lane."""
    return [pytest.param(name, marks=pytest.mark.slow if heavy(name) else ()) for name in names]


def takes_long_at_full_width(name: str) -> bool:
    """Whether making the weights alone, or one answer, takes many seconds."""
    network = NETWORKS[name]
    return name in DEEP or network.parameters > 50e6 or network.multiply_adds > 4.2e9


def outlined(network: Network, **options: Any):
    """The network with its layers, shapes and names, but without the numbers of its weights: fast at any size."""
    from dlkit import outlines

    return outlines.outlined(lambda: network.build(options))


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


def with_statistics(network: Network, **options: Any):
    """The network with the statistics of what it sees; with random ones a deep one answers the same to everything."""
    model = lively(network, **options)
    for layer in model.layers:
        if hasattr(layer, "momentum"):
            layer.momentum = 0.0
    model(inputs_for(network, model.input_shape[1:], 64), training=True)
    return model


def inputs_for(network: Network, shape: tuple[int, ...], count: int = SAMPLES) -> np.ndarray:
    """(count, *shape) float32 as the network's preprocessing would give them: 0…1, or about 0 where it says so."""
    rng = np.random.default_rng(0)
    if network.preprocessing == "unit":
        return rng.random((count, *shape), dtype=np.float32)
    return rng.standard_normal((count, *shape)).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Converted:
    """A network's files, made in this process by the functions that `dlkit export` runs in children.

    Attributes:
        folder: where they are.
        name: of the network's one input.
        inputs: (N, *shape) float32; they calibrate too.
        reference: (N, ...) what the Keras model answers.
    """

    folder: Path
    name: str
    inputs: np.ndarray
    reference: np.ndarray

    @property
    def float32(self) -> Path:
        return self.folder / "float.tflite"

    @property
    def int8(self) -> Path:
        return self.file("int8")

    def file(self, name: str) -> Path:
        """The file of a scheme. Raises IllegalCombination where the network cannot have it."""
        from dlkit.conversion import tflite
        from dlkit.conversion.making import check_possible
        from dlkit.conversion.quantizer import calibrate, can_quantize, quantize_flatbuffer

        path, ranges = self.folder / f"{name}.tflite", self.folder / "ranges.json"
        scheme, ops = SCHEMES[name], inspect_file(self.float32).ops
        if scheme.quantizer == "none":
            return self.float32
        check_possible(ops, scheme)
        if path.exists():
            return path
        if not can_quantize(ops, scheme):
            samples = str(self.folder / "inputs.npz")
            tflite.quantize_saved_model(
                str(self.folder / "model.keras"), str(self.folder / "saved_model"), name, samples, str(path), ignore
            )
            return path
        if scheme.needs_calibration and not ranges.exists():
            calibrate(str(self.float32), str(self.folder / "inputs.npz"), "minmax", str(ranges), ignore)
        quantize_flatbuffer(str(self.float32), name, str(ranges), "[]", "[]", str(path), ignore)
        return path

    @property
    def operations(self) -> dict[str, dict[str, int]]:
        """Operation → count, of the float and of the int8 file."""
        return {"float32": inspect_file(self.float32).ops, "int8": inspect_file(self.int8).ops}


def converted(network: Network, model: Any, folder: Path, avoid: str = "") -> Converted:
    """Save `model` and convert it to float, all in `folder`; `avoid` is a target's."""
    from dlkit.conversion import tflite
    from dlkit.conversion.keras_file import write_keras
    from dlkit.conversion.named_ends import input_names

    [name] = input_names(model)
    inputs = inputs_for(network, model.input_shape[1:])
    write_npz(folder / "inputs.npz", {name: inputs})
    write_keras(model, folder / "model.keras")
    tflite.convert(
        model=str(folder / "model.keras"),
        inputs=str(folder / "inputs.npz"),
        saved_model=str(folder / "saved_model"),
        tflite=str(folder / "float.tflite"),
        reference=str(folder / "reference.npz"),
        weights_sha256=str(folder / "weights.sha256"),
        advance=ignore,
        avoid=avoid,
    )
    return Converted(folder, name, inputs, read_batch(folder / "reference.npz")["output"])


def made_for_servers(saved: Path, scheme: str, folder: Path) -> tuple[Path, np.ndarray]:
    """The model of a scheme for servers, in `folder`, of the model.keras and inputs.npz in `saved`.

    Returns:
        The model, and (N, ...) what the Keras model answers to the inputs.
    """
    from dlkit.conversion.serving import serve
    from dlkit.runtime.preprocessing import ANY_NUMBER, preprocessing_for

    model = folder / MODELS[SCHEMES[scheme].format]
    as_given = {
        name: dataclasses.asdict(preprocessing_for("none", values.shape[1:], None, ANY_NUMBER, "pad"))
        for name, values in read_batch(saved / "inputs.npz").items()
    }
    serve(
        model=str(saved / "model.keras"),
        inputs=str(saved / "inputs.npz"),
        scheme=scheme,
        preprocessing=json.dumps(as_given),
        served=str(model),
        reference=str(folder / "reference.npz"),
        facts=str(folder / "facts.json"),
        advance=ignore,
    )
    [reference] = read_batch(folder / "reference.npz").values()
    return model, reference


@dataclasses.dataclass(frozen=True)
class MadeInChildren:
    """A model's file of a scheme, made as `dlkit export` makes it.

    Attributes:
        reference: (N, ...) what the Keras model answers.
    """

    file: Path
    float_file: Path
    quantizer: str
    reference: np.ndarray


def made_in_children(model: Any, scheme: str, inputs: np.ndarray, folder: Path) -> MadeInChildren:
    """Save a Keras model of one input and one output, and make its file of `scheme`, calibrated with `inputs`."""
    from dlkit.conversion.making import convert_model, make_file
    from dlkit.conversion.named_ends import input_names

    model.save(folder / "model.keras")
    batch = {input_names(model)[0]: inputs}
    float_model = convert_model(folder / "model.keras", batch, folder, SILENT)
    made = make_file(float_model, SCHEMES[scheme], batch, SILENT)
    [reference] = float_model.reference.values()
    return MadeInChildren(made.file, made.float_file, made.quantizer, reference)


def decibels(floats: Judged, integers: Judged) -> float:
    """How far all scores of the only output are above their noise, about the mean of each row where a softmax follows.

    Those too that a softmax makes nothing of, unlike in the proof of an export: the random weights of some families
    give all shares to one class, whatever a file makes of them, and `minmax` clips no scores.
    """
    wanted, found = floats.scores["output"], integers.scores["output"]
    if floats.end_in_softmax:
        wanted, found = (x - x.mean(axis=-1, keepdims=True) for x in (wanted, found))
    return sqnr_db(wanted, found, softmax_follows=False)


def near(original: bytes, exported: bytes, batch: dict[str, np.ndarray]) -> bool:
    """Whether a file of one output answers as one of integers must.

    Its scores are as far above their noise as an export's must be, or there is less noise than one step of the output:
    a sigmoid or tanh at the end of random weights hardly varies at all.
    """
    floats, integers = judged(original, batch), judged(exported, batch)
    if decibels(floats, integers) >= MINIMUM_SQNR_DB:
        return True
    noise = np.sqrt(np.mean((floats.outputs["output"] - integers.outputs["output"]) ** 2))
    return bool(noise <= (inspect_model(exported, "exported").outputs[0].scale or 1 / 255))


def golden_operations() -> dict[str, dict[str, dict[str, int]]]:
    """Network → file → operation → count, as written down."""
    found: dict[str, Any] = json.loads((Path(__file__).parents[1] / "golden" / "operations.json").read_text())
    return found
