"""Models for servers: SavedModels and ONNX files, of networks of each kind, as bundles that run like the others."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shelf import inputs_for, lively, made_for_servers

from dlkit.bundle.loading import Bundle, load_bundle
from dlkit.conversion.keras_file import write_keras
from dlkit.conversion.named_ends import input_names
from dlkit.conversion.serving import RAW, _applied
from dlkit.errors import ExtraMissing, IllegalCombination, ModelFileError, VerificationRefused
from dlkit.filing import files_in
from dlkit.networks import NETWORKS
from dlkit.pipeline import export, export_schemes
from dlkit.pipeline.evaluating import evaluate
from dlkit.report import Report
from dlkit.runtime.arrays import write_npz
from dlkit.runtime.clock import time_file
from dlkit.runtime.preprocessing import Preprocessing, preprocessing_for
from dlkit.runtime.served import SavedModelSession, open_model
from dlkit.schemes import SCHEMES
from dlkit.trained import Trained
from dlkit.verify import MINIMUM_SQNR_DB, sqnr_db

pytestmark = pytest.mark.tf

TIMED = {"latency.json", "report.html"}  # made here, and never the same; a manifest does not know of them
SERVED = [name for name, scheme in SCHEMES.items() if scheme.format != "tflite"]
BFLOAT16_STEP = 2.0**-8
"""Of the number itself: a sigmoid or tanh at the end of random weights hardly varies by more."""
QUICK = ("cnn", "lstm")
UNLIKE_THOSE = (
    "alexnet", "resnext50_32x4d", "inception_v1", "densenet40", "mobilenet_v2", "variational_autoencoder",
    "bidirectional_gru", "dcgan28_generator",
)  # fmt: skip
"""With a layer of ours, grouped convolutions, joins, separable ones, two directions, or growing pictures."""
OTHERS = (
    "vgg16", "resnet50", "inception_v2", "inception_v4", "inception_resnet_v1", "xception", "simple_rnn", "gru",
    "convolutional_autoencoder", "dcgan_discriminator",
)  # fmt: skip
FAMILIES = [
    *QUICK,
    *(pytest.param(name, marks=pytest.mark.slow) for name in UNLIKE_THOSE),
    *(pytest.param(name, marks=[pytest.mark.slow, pytest.mark.full]) for name in OTHERS),
]


@pytest.fixture(scope="module", params=FAMILIES)
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """A folder with a small network's model.keras and inputs.npz, and these inputs."""
    import keras

    keras.backend.clear_session()
    network, folder = NETWORKS[request.param], tmp_path_factory.mktemp(request.param)
    model = lively(network, **network.small)
    inputs = inputs_for(network, model.input_shape[1:])
    write_npz(folder / "inputs.npz", {input_names(model)[0]: inputs})
    write_keras(model, folder / "model.keras")
    return folder, inputs


@pytest.mark.parametrize("scheme", SERVED)
def test_every_family_is_served_in_every_scheme(saved: tuple[Path, np.ndarray], scheme: str, tmp_path: Path) -> None:
    """Its answers to a batch are the Keras model's, and those to raw values too."""
    folder, inputs = saved
    model, wanted = made_for_servers(folder, scheme, tmp_path)
    answers = open_model(model).run(inputs)
    gap = SCHEMES[scheme].gap
    if gap is not None:
        assert np.abs(answers - wanted).max() <= gap * max(1.0, float(np.abs(wanted).max()))
    else:
        far_above_noise = sqnr_db(wanted, answers, softmax_follows=False) >= MINIMUM_SQNR_DB
        assert far_above_noise or np.abs(answers - wanted).max() <= BFLOAT16_STEP * np.abs(wanted).max()
    if model.is_dir():
        again = SavedModelSession(model, signature=RAW).run(inputs)
        assert np.abs(again - answers).max() <= 1e-5 * max(1.0, float(np.abs(answers).max()))


@pytest.fixture(scope="module")
def bundles(models: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Bundle, Report]]:
    """The short recipe's model in every scheme for servers, by one export."""
    from dlkit.trained import load_trained

    results = export_schemes(load_trained(models / "short"), SERVED, "server", out=tmp_path_factory.mktemp("served"))
    assert all(isinstance(result, tuple) for result in results), results
    return dict(zip(SERVED, results, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("scheme", SERVED)
def test_a_bundle_for_servers_checks_itself(bundles: dict[str, tuple[Bundle, Report]], scheme: str) -> None:
    """Read back, it gives the answers that travel with it."""
    count, gap, allowed = load_bundle(bundles[scheme][0].folder).check()
    assert count == 10
    assert gap <= allowed


@pytest.mark.parametrize("scheme", SERVED)
def test_inspect_describes_it(bundles: dict[str, tuple[Bundle, Report]], scheme: str, dlkit) -> None:
    """Kind, size, what its export counted, and both ends with their open batch; the memory of a board it has none."""
    bundle, report = bundles[scheme]
    said = dlkit("inspect", bundle.folder)
    assert said.code == 0
    assert ("ONNX file" if scheme == "onnx" else "SavedModel") in said.out.splitlines()[0]
    assert f"run by {report.runtime}" in said.out
    assert re.search(r"^output +\S+ +N×\d+ +float32$", said.out, re.M)
    told = json.loads(dlkit("inspect", bundle.folder, "--json").out)
    assert (told["ops"], told["tensors"]) == (report.ops, report.tensors)
    assert [end["shape"][0] for end in (*told["inputs"], *told["outputs"])] == [None, None]
    assert "--arena is of .tflite files" in dlkit("inspect", bundle.folder, "--arena").err


@pytest.mark.parametrize("scheme", SERVED)
def test_every_file_of_a_served_model_is_vouched_for(bundles: dict[str, tuple[Bundle, Report]], scheme: str) -> None:
    """Also those in the folder of a SavedModel: a changed one is refused by its name."""
    folder = bundles[scheme][0].folder
    named = json.loads((folder / "manifest.json").read_text())["sha256"]
    assert {path.relative_to(folder).as_posix() for path in files_in(folder)} - TIMED - {
        "manifest.json"
    } == named.keys()


def test_a_damaged_variable_is_refused(bundles: dict[str, tuple[Bundle, Report]], tmp_path: Path) -> None:
    """Its sha256 differs, and the message names the file."""
    import shutil

    folder = shutil.copytree(bundles["saved_model"][0].folder, tmp_path / "bundle")
    path = folder / "saved_model" / "variables" / "variables.data-00000-of-00001"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(ModelFileError, match=r"variables\.data-00000-of-00001: is not the file that was exported"):
        load_bundle(folder)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", SERVED)
def test_a_bundle_for_servers_is_evaluated(bundles: dict[str, tuple[Bundle, Report]], scheme: str) -> None:
    """`dlkit evaluate` measures what the report says."""
    bundle, report = bundles[scheme]
    assert report.test is not None
    assert evaluate(bundle).exported == report.test.exported


@pytest.mark.parametrize("scheme", ["saved_model", "onnx"])
def test_a_bundle_for_servers_is_timed(bundles: dict[str, tuple[Bundle, Report]], scheme: str) -> None:
    """`dlkit bench` runs it in a process of its own."""
    assert time_file(bundles[scheme][0].model, 1, 3).runs == 3


def test_shorter_floats_halve_the_kernels(bundles: dict[str, tuple[Bundle, Report]]) -> None:
    """Every kernel is in the scheme's float, biases in float32, and as many numbers as before."""
    whole = bundles["saved_model"][1].tensors["float32"]
    for scheme in ("saved_model_float16", "saved_model_bfloat16"):
        weights = bundles[scheme][1].tensors
        assert sum(weights.values()) == whole
        assert weights[SCHEMES[scheme].weights] > 0.9 * whole


@pytest.mark.parametrize("scheme", ["saved_model_float16", "onnx"])
def test_the_same_model_gives_the_same_bytes(trained: Trained, bundles: dict, scheme: str, tmp_path: Path) -> None:
    """Nothing random is in a bundle for servers: neither a fingerprint nor names that count on."""
    again, _ = export(trained, scheme, "server", out=tmp_path)
    first = bundles[scheme][0].folder
    one, other = (
        {path.name: path.read_bytes() for path in files_in(folder) if path.name not in TIMED}
        for folder in (first, again.folder)
    )
    assert one == other


@pytest.mark.parametrize(
    ("mode", "image", "low", "high"),
    [("unit", (4, 5, 1), 0.0, 16.0), ("caffe", (4, 5, 3), 0.0, 255.0), ("torch", (4, 5, 3), 0.0, 255.0)],
)
def test_preprocessing_inside_is_that_of_every_runner(
    mode: str, image: tuple[int, int, int], low: float, high: float
) -> None:
    """The graph prepares raw values as `Preprocessing.apply` does."""
    preprocessing: Preprocessing = preprocessing_for(mode, image, image, (low, high), "crop")
    raw = np.random.default_rng(0).integers(0, int(high) + 1, (3, *image)).astype(np.uint8)
    assert np.allclose(_applied(preprocessing, raw).numpy(), preprocessing.apply(raw), rtol=1e-6, atol=1e-5)


def test_values_between_bytes_are_proven_too(tmp_path: Path) -> None:
    """A server is sent bytes, but an image that was fitted to the network has values between them."""
    import keras

    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(3)], name="fractions")
    data = (np.random.default_rng(0).random((20, 4, 4, 3)) * 255).astype(np.float32)
    bundle, report = export(model, "saved_model", "server", preprocessing="unit", data=data, out=tmp_path)
    assert report.gate.largest_gap <= 1e-5
    assert SavedModelSession(bundle.model, signature=RAW).input.dtype == "uint8"


def test_weights_beyond_half_precision_are_refused(tmp_path: Path) -> None:
    """65,504 is the largest number of float16; what becomes infinite never reaches a bundle."""
    import keras

    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="wide")], name="wide")
    model.layers[0].kernel.assign(np.full((4, 3), 1e5, np.float32))
    data = np.random.default_rng(0).random((20, 4), dtype=np.float32)
    with pytest.raises(VerificationRefused, match="use --scheme saved_model"):
        export(model, "saved_model_float16", "server", preprocessing="none", data=data, out=tmp_path)
    assert not list(tmp_path.rglob("server-*"))


def test_a_scheme_for_servers_needs_their_target(trained: Trained, tmp_path: Path) -> None:
    """The message says which target has it."""
    with pytest.raises(IllegalCombination, match="; or give --target server"):
        export(trained, "onnx", out=tmp_path)


def test_no_layer_is_kept_float_in_half_precision(trained: Trained, tmp_path: Path) -> None:
    """What was asked for is not left undone silently."""
    with pytest.raises(IllegalCombination, match="computes in float16 in every layer"):
        export(trained, "saved_model_float16", "server", keep_float=["conv1"], out=tmp_path)


def test_a_tflite_file_is_not_made_a_saved_model(trained: Trained, tmp_path: Path) -> None:
    """It has lost the layers; the Keras model is asked for."""
    bundle, _ = export(trained, "float32", out=tmp_path)
    data = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1))
    with pytest.raises(IllegalCombination, match="is made of a Keras model"):
        export(bundle.model, "saved_model", "server", preprocessing="none", data=data, out=tmp_path / "elsewhere")


def test_a_missing_converter_gives_its_pip_line(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is never installed for the user, and said before anything is converted."""
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "tf2onnx" else found(name))
    with pytest.raises(ExtraMissing, match="writing an ONNX file needs tf2onnx: pip install tf2onnx"):
        export(trained, "onnx", "server", out=tmp_path)


def test_a_saved_model_that_runs_python_is_not_loaded(tmp_path: Path) -> None:
    """A bundle comes from strangers; its graphs are read first."""
    import tensorflow as tf

    module = tf.Module()
    module.serve = tf.function(
        lambda x: {"output": tf.ensure_shape(tf.py_function(lambda v: v, [x], tf.float32), [None, 2])},
        input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x")],
    )
    tf.saved_model.save(module, str(tmp_path / "bad"), signatures={"serving_default": module.serve})
    with pytest.raises(ModelFileError, match="EagerPyFunc, which runs Python code"):
        open_model(tmp_path / "bad")


def test_large_dense_kernels_are_put_into_an_onnx_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is converted has none of them, as tf2onnx copies them too often; the file has, and once where shared."""
    import keras
    import onnx
    import tf2onnx

    from dlkit.conversion.onnx_file import write_onnx

    seen: list[int] = []
    convert = tf2onnx.convert.from_function

    def noted(function: Any, **options: Any) -> Any:
        result = convert(function, **options)
        seen.append(max((len(constant.raw_data) for constant in result[0].graph.initializer), default=0))
        return result

    monkeypatch.setattr(tf2onnx.convert, "from_function", noted)
    shared = keras.layers.Dense(600, activation="relu")
    x = keras.Input((600,), name="kernel_0")
    model = keras.Model(x, keras.layers.Dense(3, name="y")(shared(shared(x))))
    write_onnx(model, tmp_path / "model.onnx")
    graph = onnx.load(tmp_path / "model.onnx").graph
    batch = np.random.default_rng(0).random((5, 600), dtype=np.float32)
    assert seen[0] < 600 * 600 * 4
    assert [end.name for end in graph.input] == ["kernel_0"]
    assert sum(list(constant.dims) == [600, 600] for constant in graph.initializer) == 1
    [found] = open_model(tmp_path / "model.onnx").run_named({"kernel_0": batch}).values()
    np.testing.assert_allclose(found, model(batch), rtol=1e-4, atol=1e-5)
