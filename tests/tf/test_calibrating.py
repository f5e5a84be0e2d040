"""The ranges that activations take on calibration samples, and the files that are quantized with them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shelf import converted, lively

from dlkit.calibration.calibrating import measured_ranges
from dlkit.calibration.exposing import expose_activations
from dlkit.calibration.observers import OBSERVERS
from dlkit.conversion.layer_errors import layer_errors
from dlkit.conversion.quantizer import calibrate, quantize_flatbuffer
from dlkit.errors import DataError, UnknownName
from dlkit.networks import NETWORKS
from dlkit.progress import ignore
from dlkit.runtime.arrays import write_npz
from dlkit.runtime.litert import Session
from dlkit.verify import judged, sqnr_db

pytestmark = pytest.mark.tf
LEAST_DB = 33.0  # of the quantized file below; 36 to 37 by each method


def float_file(model: Any, folder: Path) -> str:
    """The float .tflite file of a Keras model, one sample at a time; inputs keep their names."""
    import tensorflow as tf

    specs = {x.name: tf.TensorSpec([1, *x.shape[1:]], x.dtype, name=x.name) for x in model.inputs}
    module = tf.Module()
    module.held = [variable.value for variable in model.variables]
    module.serve = tf.function(lambda **named: {"output": model(named, training=False)})
    signature = module.serve.get_concrete_function(**specs)
    tf.saved_model.save(module, str(folder / "saved_model"), signatures={"serving_default": signature})
    file = folder / "float.tflite"
    file.write_bytes(tf.lite.TFLiteConverter.from_saved_model(str(folder / "saved_model")).convert())
    return str(file)


def constrained_model() -> Any:
    """One of each kind of operation whose int8 kernel wants the same range at both ends."""
    import keras

    keras.utils.set_random_seed(0)
    layers = keras.layers
    image = keras.Input((16, 16, 3), name="image")
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(image)
    y = layers.Conv2D(8, 3, strides=2, activation="relu")(layers.ZeroPadding2D(1)(x))
    x = layers.Concatenate()([layers.MaxPooling2D()(x), y, layers.AveragePooling2D(2)(x)])
    x = layers.Permute((2, 1, 3))(x)
    x = layers.Reshape((-1, 24))(layers.Cropping2D(1)(x))
    return keras.Model({"image": image}, layers.Dense(5)(layers.Flatten()(x)))


@pytest.fixture(scope="module")
def constrained(tmp_path_factory: pytest.TempPathFactory) -> str:
    return float_file(constrained_model(), tmp_path_factory.mktemp("constrained"))


@pytest.fixture(scope="module")
def two_inputs(tmp_path_factory: pytest.TempPathFactory) -> str:
    import keras

    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right", dtype="int32")
    rows = keras.layers.Embedding(10, 4, embeddings_initializer="ones")(right)
    total = keras.layers.Add()([left, keras.layers.GlobalMaxPooling1D()(rows)])
    return float_file(
        keras.Model({"left": left, "right": right}, keras.layers.Activation("exponential")(total)),
        tmp_path_factory.mktemp("two"),
    )


def images(count: int = 20) -> np.ndarray:
    return np.random.default_rng(0).random((count, 16, 16, 3), dtype=np.float32)


def by_the_quantizers_own_calibrator(file: str, samples: np.ndarray) -> dict[str, Any]:
    """Its profiler mode, with plain minima and maxima."""
    from ai_edge_litert.interpreter import Interpreter
    from litert_quantizer import calibrator, quantizer, recipe
    from litert_quantizer.utils import qsv_utils

    [(key, tensors)] = Interpreter(model_path=file).get_signature_list().items()
    own = calibrator.Calibrator(
        file,
        mode=calibrator.CalibrationMode.CALIBRATION_PROFILER_BASED,
        qsv_update_func=qsv_utils.min_max_update,
    )
    static = quantizer.Quantizer(file, recipe.static_wi8_ai8())
    own.calibrate({key: [{tensors["inputs"][0]: row[np.newaxis]} for row in samples]}, static._recipe_manager)
    return own.get_model_qsvs()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cnn", "mobilenet_v3_small", "inception_v1", "gru", "xception", "dcgan_generator"])
def test_the_same_as_the_quantizers_own_calibrator(name: str, tmp_path: Path) -> None:
    """The same tensors and the same ranges; other kernels may round differently."""
    from ai_edge_litert.interpreter import Interpreter

    network = NETWORKS[name]
    files = converted(network, lively(network, **network.small), tmp_path)
    [signature] = Interpreter(model_path=str(files.float32)).get_signature_list().values()
    found = measured_ranges(str(files.float32), {signature["inputs"][0]: files.inputs})
    wanted = by_the_quantizers_own_calibrator(str(files.float32), files.inputs)
    assert set(found) == set(wanted)
    for tensor, range_ in wanted.items():
        ends = np.ravel([range_["min"], range_["max"]])
        assert np.allclose(np.ravel([found[tensor]["min"], found[tensor]["max"]]), ends, atol=1e-5 * np.ptp(ends))


def quantize(float_tflite: str, samples: np.ndarray, method: str, tflite: Path) -> None:
    """The int8 file of a float one."""
    batch, ranges = tflite.with_name("samples.npz"), tflite.with_name("ranges.json")
    write_npz(batch, {"image": samples})
    calibrate(float_tflite, str(batch), method, str(ranges), ignore)
    quantize_flatbuffer(float_tflite, "int8", str(ranges), "[]", "[]", str(tflite), ignore)


@pytest.mark.parametrize("method", OBSERVERS)
def test_each_method_makes_a_good_file(method: str, constrained: str, tmp_path: Path) -> None:
    """It runs, and its answers are far above their noise."""
    quantize(constrained, images(), method, tmp_path / "q.tflite")
    answers = Session(tmp_path / "q.tflite").run(images())
    reference = Session(Path(constrained)).run(images())
    assert sqnr_db(reference, answers, softmax_follows=False) > LEAST_DB


@pytest.mark.parametrize("method", OBSERVERS)
def test_operations_that_want_one_range_at_both_ends_have_it(method: str, constrained: str, tmp_path: Path) -> None:
    """However the ranges of their ends were measured; their kernels move numbers and rescale nothing."""
    from ai_edge_litert import schema_py_generated as schema

    quantize(constrained, images(), method, tmp_path / "q.tflite")
    model = schema.ModelT.InitFromPackedBuf((tmp_path / "q.tflite").read_bytes(), 0)
    [graph] = model.subgraphs
    names = {number: name for name, number in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    seen = set()
    for operator in graph.operators:
        name = names[model.operatorCodes[operator.opcodeIndex].builtinCode]
        if name in ("CONV_2D", "FULLY_CONNECTED", "QUANTIZE"):
            continue
        moved = [*(operator.inputs if name == "CONCATENATION" else operator.inputs[:1]), *operator.outputs]
        assert len({float(graph.tensors[n].quantization.scale[0]) for n in moved}) == 1, name
        assert len({int(graph.tensors[n].quantization.zeroPoint[0]) for n in moved}) == 1, name
        seen.add(name)
    assert seen >= {"CONCATENATION", "MAX_POOL_2D", "AVERAGE_POOL_2D", "PAD", "RESHAPE", "TRANSPOSE", "STRIDED_SLICE"}


def test_clipping_methods_clip_a_glitch(constrained: str) -> None:
    """One sample in a thousand with one pixel a hundred times too bright."""
    samples = images(200)
    samples[7, 3, 3, 1] = 100.0
    ranges = {m: measured_ranges(constrained, {"image": samples}, m)["serving_default_image:0"] for m in OBSERVERS}
    assert ranges["minmax"]["max"] == 100.0
    assert ranges["percentile"]["max"] < 2.0


def test_a_glitch_spoils_less_where_it_is_clipped(constrained: str, tmp_path: Path) -> None:
    """Of a file calibrated with it, on images without; measured 7 dB by minmax and 22 dB by percentile."""
    samples = images(200)
    samples[7, 3, 3, 1] = 100.0
    reference, found = Session(Path(constrained)).run(images()), {}
    for method in ("minmax", "percentile"):
        quantize(constrained, samples, method, tmp_path / "q.tflite")
        found[method] = sqnr_db(reference, Session(tmp_path / "q.tflite").run(images()), softmax_follows=False)
    assert found["percentile"] > found["minmax"] + 10


def wide_scores(softmax_alone: bool) -> Any:
    """A classifier whose scores reach from -300 to 50; beside their softmax the scores themselves, if asked."""
    import keras

    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 3), name="image")
    kernel = keras.initializers.RandomNormal(stddev=12.0)
    x = keras.layers.Dense(20, kernel_initializer=kernel, bias_initializer=keras.initializers.Constant(-120.0))(
        keras.layers.Flatten()(image)
    )
    shares = keras.layers.Softmax()(x)
    return keras.Model({"image": image}, shares if softmax_alone else keras.layers.Concatenate()([shares, x]))


@pytest.mark.parametrize("softmax_alone", [True, False])
def test_scores_that_a_softmax_alone_reads_have_finer_steps_where_that_costs_nothing(
    softmax_alone: bool, tmp_path: Path
) -> None:
    """By the methods that clip; scores that something else reads too are left as they are."""
    file, samples = float_file(wide_scores(softmax_alone), tmp_path), images(200)
    widths = []
    for method in ("minmax", "mse"):
        found = measured_ranges(file, {"image": samples}, method)
        widths.append(max(float(each["max"][0] - each["min"][0]) for each in found.values()))
    assert (widths[1] < 0.7 * widths[0]) == softmax_alone


@pytest.mark.parametrize("method", ["percentile", "mse"])
def test_scores_that_were_clipped_on_purpose_lose_no_decibels(method: str, tmp_path: Path) -> None:
    """Neither of the file nor of the last layer: measured 24.6 and 26.5 dB, as they are 0.3 dB.

    Their steps are finer than those of the file that clips nothing (23.8 dB), so what a softmax reads is nearer.
    """
    file, samples, found = Path(float_file(wide_scores(True), tmp_path)), images(200), {}
    original = judged(file.read_bytes(), {"image": samples})
    for each in ("minmax", method):
        quantize(str(file), samples, each, tmp_path / f"{each}.tflite")
        exported = judged((tmp_path / f"{each}.tflite").read_bytes(), {"image": samples})
        [(wide, kept)] = [(original.scores[name], exported.scores[name]) for name in original.end_in_softmax]
        found[each] = sqnr_db(wide, kept, softmax_follows=True)
    assert found[method] > found["minmax"]
    assert sqnr_db(wide, kept, softmax_follows=False) < 3
    layers = layer_errors(file, tmp_path / f"{method}.tflite", {"image": samples}, (), ignore).layers
    [last] = [layer for layer in layers if layer.operation == "FULLY_CONNECTED"]
    assert last.sqnr_db > 20


def test_scores_that_a_softmax_brings_nearer_keep_their_range(tmp_path: Path) -> None:
    """With a β of 0.1, 12 below the largest is still a third of its share."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    file = Path(float_file(wide_scores(True), tmp_path))
    model = schema.ModelT.InitFromPackedBuf(file.read_bytes(), 0)
    options = [op.builtinOptions for op in model.subgraphs[0].operators]
    [softmax] = [each for each in options if isinstance(each, schema.SoftmaxOptionsT)]
    assert expose_activations(file, tmp_path / "copy.tflite").scores
    softmax.beta = 0.1
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    file.write_bytes(bytes(builder.Output()))
    assert not expose_activations(file, tmp_path / "copy.tflite").scores


def test_several_inputs_of_several_kinds(two_inputs: str) -> None:
    """Each is found by its name in the signature; integers have no range."""
    samples = {"right": np.zeros((3, 4), np.int32), "left": np.arange(12, dtype=np.float32).reshape(3, 4)}
    ranges = measured_ranges(two_inputs, samples)
    assert (ranges["serving_default_left:0"]["min"], ranges["serving_default_left:0"]["max"]) == (0.0, 11.0)
    assert not any("right" in name for name in ranges if name.startswith("serving_default"))
    assert 12.0 in [float(found["max"][0]) for found in ranges.values()]


def test_the_float_file_stays_as_it_was(constrained: str) -> None:
    """Its copy is what is written to, and the copy goes."""
    before = hashlib.sha256(Path(constrained).read_bytes()).digest()
    steps: list[tuple[int, int]] = []
    measured_ranges(constrained, {"image": images(3)}, advance=lambda done, total: steps.append((done, total)))
    assert hashlib.sha256(Path(constrained).read_bytes()).digest() == before
    assert steps == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        ({"picture": images(2)}, "calibration samples for picture, but the model takes image"),
        ({"image": images(2)[:, :8]}, r"\(1, 8, 16, 3\) for image, which takes \(1, 16, 16, 3\)"),
        ({"image": images(0)}, "0 for image; each input needs as many, and at least one"),
        ({"image": np.stack([images(1)[0], images(1)[0] * np.nan])}, "sample 1 gives NaN or infinity in"),
        ({"image": images(1) * np.float32(3e38)}, "sample 0 gives NaN or infinity in"),
    ],
)
def test_samples_that_do_not_fit_are_refused(samples: dict[str, np.ndarray], said: str, constrained: str) -> None:
    """In one line that names the input or the sample."""
    with pytest.raises(DataError, match=said):
        measured_ranges(constrained, samples)


def test_inputs_need_the_same_number_of_samples(two_inputs: str) -> None:
    """They are fed side by side."""
    with pytest.raises(DataError, match="2 for left, 3 for right; each input needs as many"):
        measured_ranges(two_inputs, {"left": np.zeros((2, 4), np.float32), "right": np.zeros((3, 4), np.int32)})


def test_an_unknown_method_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    """With the nearest name."""
    with pytest.raises(UnknownName, match="did you mean 'minmax'"):
        measured_ranges(str(tmp_path / "none.tflite"), {}, "min-max")
