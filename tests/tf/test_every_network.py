"""Every network, small: it learns, is saved and loaded, and becomes a float and an int8 file that run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graph import unfolded
from shelf import DEEP, OF_ONE_MAKE, Converted, converted, golden_operations, in_lanes, inputs_for, lively, near

from dlkit.conversion.tflite import load_model
from dlkit.errors import IllegalCombination
from dlkit.networks import NETWORKS, Network
from dlkit.runtime.inspection import inspect_file, inspect_model
from dlkit.runtime.litert import Session
from dlkit.schemes import SCHEMES
from dlkit.verify import broken_promises

pytestmark = pytest.mark.tf

LOSSES = {
    "classification": "sparse_categorical_crossentropy",
    "discrimination": "binary_crossentropy",
    "forecasting": "mse",
    "reconstruction": "mse",
    "generation": "mse",
}
GOLDEN = golden_operations()
FLOAT32_GAP = 1e-5
"""Of the largest output; an export allows ten times as much, for networks that are not ours."""


LONG = {
    "densenet40", "efficientnet_lite0", "inception_v1", "mobilenet_v1_025", "mobilenet_v2", "mobilenet_v3_small",
    "resnet50v2", "resnext29_8x64d",
}  # fmt: skip
"""Of which a file of each scheme takes many seconds in all."""


def takes_long(name: str) -> bool:
    """Whether its files are made in the slow lane."""
    return name in DEEP | OF_ONE_MAKE | LONG


@pytest.fixture(scope="module", params=in_lanes(NETWORKS, takes_long))
def built(request: pytest.FixtureRequest):
    import keras

    keras.backend.clear_session()
    network = NETWORKS[request.param]
    return network, lively(network, **network.small)


@pytest.fixture(scope="module")
def files(built: tuple[Network, Any], tmp_path_factory: pytest.TempPathFactory) -> Converted:
    network, model = built
    return converted(network, model, tmp_path_factory.mktemp(network.name))


def targets_for(network: Network, model: Any, x: np.ndarray) -> np.ndarray:
    """Something to learn from `x`."""
    rng = np.random.default_rng(1)
    if network.task == "classification":
        return rng.integers(0, model.output_shape[-1], len(x))
    if network.task == "reconstruction":
        return x
    return rng.random((len(x), *model.output_shape[1:]), dtype=np.float32)


def test_files_give_the_models_answers(files: Converted) -> None:
    """The float file computes what the Keras model computes; LiteRT runs it."""
    answers = Session(files.float32.read_bytes()).run(files.inputs)
    assert np.isfinite(answers).all()
    assert np.abs(answers - files.reference).max() <= FLOAT32_GAP * max(1.0, float(np.abs(files.reference).max()))


def test_int8_file_is_int8_and_runs(files: Converted) -> None:
    """Every tensor keeps the scheme's promise, input and output too, and LiteRT runs it."""
    inspection = inspect_file(files.int8)
    assert broken_promises(inspection, SCHEMES["int8"]) == []
    assert Session(files.int8.read_bytes()).run(files.inputs).shape == files.reference.shape


def test_int8_answers_are_close_to_the_models(files: Converted) -> None:
    """As far above their noise as an export must be, or with less noise than one step of the output.

    A sigmoid or tanh at the end of random weights hardly varies at all.
    """
    assert near(files.float32.read_bytes(), files.int8.read_bytes(), {files.name: files.inputs})


@pytest.mark.parametrize("scheme", [name for name in SCHEMES if name.endswith("_io")])
@pytest.mark.parametrize("name", in_lanes(["cnn", "lstm", "dcgan28_generator"], lambda name: name != "cnn"))
def test_other_inputs_and_outputs_give_the_same_answers(name: str, scheme: str, tmp_path: Path) -> None:
    """Of a network by each of the two quantizers, and of one that answers with a picture."""
    network = NETWORKS[name]
    files, plain = converted(network, lively(network, **network.small), tmp_path), scheme.partition("_")[0]
    if instead := scheme_instead(files, scheme):
        assert instead == "int8_float_io"
        return
    content = files.file(scheme).read_bytes()
    assert broken_promises(inspect_model(content, scheme), SCHEMES[scheme]) == []
    step = inspect_file(files.file(plain)).outputs[0].scale
    gap = np.abs(Session(content).run(files.inputs) - Session(files.file(plain).read_bytes()).run(files.inputs)).max()
    assert gap <= 1.01 * step


def scheme_instead(files: Converted, scheme: str) -> str:
    """What is said to be the nearest scheme where the network cannot have this one; "" where it can."""
    try:
        files.file(scheme)
    except IllegalCombination as error:
        return str(error).rpartition("--scheme ")[2]
    return ""


SCHEMES_OF_EACH = [
    name
    for name, scheme in SCHEMES.items()
    if scheme.format == "tflite" and not scheme.preparation
    if name not in ("float32", "int8") and not name.endswith("_io")
]
"""Other inputs and outputs change nothing between them; a network of each kind is enough for those, see below."""


@pytest.mark.parametrize("scheme", SCHEMES_OF_EACH)
def test_the_file_of_every_scheme_runs_and_is_near(files: Converted, scheme: str) -> None:
    """Each keeps its promise and runs; a cast one is within its gap, others are above their noise."""
    if instead := scheme_instead(files, scheme):
        assert files.file(instead).exists()
        return
    content = files.file(scheme).read_bytes()
    broken = broken_promises(inspect_model(content, scheme), SCHEMES[scheme])
    if scheme == "weights_int4" and "CONV_2D" not in files.operations["float32"]:
        assert set(broken) <= {"no weights are int4"}  # transposed convolutions alone have none
    else:
        assert broken == []
    answers = Session(content).run(files.inputs)
    gap = SCHEMES[scheme].gap
    if gap is not None:
        assert np.abs(answers - files.reference).max() <= gap * max(1.0, float(np.abs(files.reference).max()))
    elif scheme != "weights_int4":
        assert near(files.float32.read_bytes(), content, {files.name: files.inputs})


@pytest.mark.parametrize("kind", ["float32", "int8"])
def test_nothing_a_small_runtime_lacks(files: Converted, kind: str) -> None:
    """No operation of full TensorFlow, no control flow, no shape computed on the device."""
    inspection = inspect_file(getattr(files, kind))
    assert inspection.subgraphs == 1
    assert not [name for name in inspection.ops if name.startswith(("CUSTOM", "FLEX"))]
    assert not {"WHILE", "IF", "CALL_ONCE", "SHAPE"} & set(inspection.ops)
    assert all(min(t.shape, default=1) > 0 for t in (*inspection.inputs, *inspection.outputs))


def test_normalisation_and_activations_are_folded(files: Converted) -> None:
    """Into the convolution or dense layer before them, wherever its result goes nowhere else."""
    assert unfolded(files.float32) == []


def test_operations_are_those_written_down(built: tuple[Network, Any], files: Converted) -> None:
    """A changed operation shows as a difference; `make_operations.py` writes them anew."""
    network, _ = built
    assert files.operations == GOLDEN[network.name]


def test_it_loads_in_safe_mode_with_the_same_answers(built: tuple[Network, Any], files: Converted) -> None:
    """Nothing in the file is executed, and nothing is lost."""
    _, model = built
    again = load_model(files.float32.with_name("model.keras"))
    assert np.array_equal(model(files.inputs, training=False), again(files.inputs, training=False))


def test_a_training_step_lowers_the_loss(built: tuple[Network, Any]) -> None:
    """On the batch it was taken on, with the same random numbers in dropout and noise.

    Where normalisation over a few numbers makes the slope steep, the step is to be a shorter one.
    """
    network, model = built
    x = inputs_for(network, model.input_shape[1:])
    y = targets_for(network, model, x)
    state = [(variable, variable.numpy()) for variable in model.variables]
    for rate in (1e-3, 1e-4, 1e-5):
        before, after = losses_around_a_step(network, model, x, y, rate, state)
        assert np.isfinite([before, after]).all()
        if after < before:
            return
    raise AssertionError(f"no step lowers the loss: {before} before, {after} after")


def losses_around_a_step(
    network: Network, model: Any, x: np.ndarray, y: np.ndarray, rate: float, state: list[tuple[Any, np.ndarray]]
) -> tuple[float, float]:
    """The loss in training before and after a step from `state`."""
    import keras

    for variable, value in state:
        variable.assign(value)
    model.compile(keras.optimizers.SGD(rate, global_clipnorm=1.0), LOSSES[network.task], run_eagerly=True)
    before = float(model.train_on_batch(x, y))
    for variable, value in state:
        if "seed_generator" in variable.path:
            variable.assign(value)
    return before, float(model.compute_loss(x, y, model(x, training=True)))
