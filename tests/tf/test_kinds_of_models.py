"""What can be exported: .keras, .h5, SavedModel folders, .tflite files, Keras models in memory; the user's code."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from elsewhere import samples_for, taken

import dlkit as toolkit
from dlkit.conversion.describing import described
from dlkit.errors import ConversionError, DataError, IllegalCombination, ModelFileError
from dlkit.pipeline.finding import found_model
from dlkit.pipeline.foreign import adopt

pytestmark = [
    pytest.mark.tf,
    # Keras' about the .h5 format, tf_keras' about its own age.
    pytest.mark.filterwarnings("ignore"),
]
SHAPE = (8, 8, 3)


def _small(K, extra=(), **options):
    """A network of Keras 3 or tf_keras."""
    L = K.layers
    first = K.Input(SHAPE, name="x", **options)
    layers = [L.Conv2D(4, 3, activation="relu"), *extra, L.Flatten(), L.Dense(3, activation="softmax")]
    return K.Sequential([first, *layers], name="small")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One small network as .keras, .h5, SavedModel folder and .tflite file, and one with a LeakyReLU as .tflite."""
    import keras

    keras.utils.set_random_seed(0)
    folder = tmp_path_factory.mktemp("kinds")
    model = _small(keras)
    model.save(folder / "small.keras")
    model.save(folder / "small.h5")
    model.export(folder / "small", verbose=False)
    inputs = samples_for({"x": SHAPE})
    (folder / "small.tflite").write_bytes(
        taken(folder / "small.keras", inputs, folder / "made").float_file.read_bytes()
    )
    _small(keras, [keras.layers.LeakyReLU(0.3)]).save(folder / "leaky.keras")
    made = taken(folder / "leaky.keras", inputs, folder / "leaky")
    (folder / "leaky.tflite").write_bytes(made.float_file.read_bytes())
    return folder


@pytest.mark.parametrize("name", ["small.keras", "small.h5", "small", "small.tflite"])
def test_each_kind_gives_the_models_own_numbers_and_an_int8_file(name: str, files: Path, tmp_path: Path) -> None:
    """The reference is what the file itself answers, by Keras, TensorFlow or the runtime."""
    ends = described(files / name)
    assert list(ends.inputs.values()) == [SHAPE]
    assert ends.classes == 3
    made = taken(files / name, samples_for(ends.inputs), tmp_path / "made")
    assert made.gap < 1e-6
    [comparison] = made.quantized("int8")
    assert comparison.sqnr_db > 20


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from PIL import Image

    folder = tmp_path_factory.mktemp("photos")
    for i, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (12, *SHAPE), dtype=np.uint8)):
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return folder


def test_the_command_takes_a_tflite_file_without_tensorflow(files: Path, photos: Path, tmp_path: Path, fresh) -> None:
    """From the file to the int8 bundle; the process that reads it imports no TensorFlow."""
    code = (
        "import sys; from dlkit.cli import main\n"
        "try: main()\nfinally: print('tensorflow' in sys.modules, file=sys.stderr)"
    )
    arguments = ["--quantize", "--preprocessing", "unit", "--data", photos, "--out", tmp_path]
    said = fresh("-c", code, "export", files / "small.tflite", *arguments)
    assert said.code == 0, said.err
    assert said.err.strip().endswith("False")
    assert (tmp_path / "small" / "cpu-int8" / "model.tflite").exists()


def test_a_keras_model_in_memory_is_exported_under_its_name(photos: Path, tmp_path: Path) -> None:
    """`dlkit.export(model)` is what the command does."""
    import keras

    keras.utils.set_random_seed(0)
    bundle, report = toolkit.export(_small(keras), preprocessing="unit", data=photos, out=str(tmp_path))
    assert bundle.folder == tmp_path / "small" / "cpu-float32"
    assert report.gate.largest_gap < 1e-5


def test_a_model_of_ours_is_found_by_its_name_alone(models: Path) -> None:
    """In Python as on the command line; it needs, and takes, no word on its preprocessing."""
    with found_model("short", models) as trained:
        assert trained.model == models / "short" / "model.keras"
    with (
        pytest.raises(DataError, match="preprocessing is for a model from elsewhere"),
        found_model("short", models, "unit"),
    ):
        pass


def test_what_is_no_model_at_all_is_told(tmp_path: Path) -> None:
    """A layer is not a model."""
    import keras

    with pytest.raises(DataError, match="of type Dense; give a Keras 3 model"):
        toolkit.export(keras.layers.Dense(1), preprocessing="unit", out=tmp_path)


def test_a_scheme_of_a_tflite_file_that_needs_the_converter_is_refused(files: Path, tmp_path: Path) -> None:
    """litert-quantizer leaves a LEAKY_RELU in float, and the converter reads no .tflite files."""
    from dlkit.conversion.making import convert_model, make_file
    from dlkit.progress import SILENT
    from dlkit.schemes import SCHEMES

    inputs = samples_for({"x": SHAPE}, count=4)
    converted = convert_model(files / "leaky.tflite", inputs, tmp_path, SILENT)
    with pytest.raises(IllegalCombination, match=r"\(for LEAKY_RELU\).*--scheme dynamic_int8"):
        make_file(converted, SCHEMES["int8"], inputs, SILENT)
    assert make_file(converted, SCHEMES["dynamic_int8"], {}, SILENT).file.exists()


def test_a_quantized_tflite_file_is_refused(tiny_bundle: Path) -> None:
    """There is nothing to gain by it."""
    with pytest.raises(ModelFileError, match=r"is quantized already \(\d+ tensors are int8\).*export the float file"):
        adopt(tiny_bundle / "model.tflite", "unit")


def test_a_tflite_file_without_a_signature_and_with_an_open_batch_is_taken(files: Path, tmp_path: Path) -> None:
    """As the converter writes it from a Keras model: the shape says 1, and that it may be more."""
    import tensorflow as tf

    content = tf.lite.TFLiteConverter.from_saved_model(str(files / "small")).convert()
    (tmp_path / "open.tflite").write_bytes(_without_signature(content))
    ends = described(tmp_path / "open.tflite")
    made = taken(tmp_path / "open.tflite", samples_for(ends.inputs), tmp_path / "made")
    assert made.gap == 0
    assert made.quantized("int8")[0].sqnr_db > 20


def test_a_tflite_file_with_variables_is_refused(tmp_path: Path) -> None:
    """As the converter writes it from a function alone."""
    import keras
    import tensorflow as tf

    model = _small(keras)
    function = tf.function(lambda x: model(x)).get_concrete_function(tf.TensorSpec((1, *SHAPE), tf.float32))
    (tmp_path / "v.tflite").write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([function], model).convert())
    with pytest.raises(ModelFileError, match=r"keeps its weights in variables, .* the SavedModel itself"):
        adopt(tmp_path / "v.tflite", "unit")


def _without_signature(content: bytes) -> bytes:
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    model.signatureDefs = None
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


# Keras 2.


@pytest.fixture(scope="module")
def keras_2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models that tf_keras saved."""
    import tf_keras

    tf_keras.utils.set_random_seed(0)
    folder = tmp_path_factory.mktemp("keras2")
    L = tf_keras.layers
    rows = [tf_keras.Input((6, 4), name="x"), L.LSTM(5, return_sequences=True), L.Bidirectional(L.GRU(4)), L.Dense(3)]
    recurrent = tf_keras.Sequential(rows)
    recurrent.save(folder / "recurrent.h5")
    recurrent.save(folder / "recurrent.keras")
    _small(tf_keras, [L.DepthwiseConv2D(3), L.BatchNormalization(), L.LeakyReLU(0.3)]).save(folder / "depthwise.h5")
    # Wide enough that the hard sigmoid of Keras 2 and that of Keras 3 differ.
    gate = L.Dense(3, activation="hard_sigmoid", kernel_initializer=tf_keras.initializers.RandomNormal(stddev=3))
    tf_keras.Sequential([tf_keras.Input((4,), name="x"), gate]).save(folder / "hard_sigmoid.h5")
    recurrent.save_weights(folder / "only.h5")
    code = tf_keras.Sequential([tf_keras.Input((4,)), L.Lambda(lambda t: t * 2)])
    code.save(folder / "lambda.h5")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", ["recurrent.h5", "recurrent.keras", "depthwise.h5", "hard_sigmoid.h5"])
def test_models_of_keras_2_give_the_numbers_of_keras_2(name: str, keras_2: Path, tmp_path: Path) -> None:
    """Keys that say nothing are dropped; the answers are those of tf_keras."""
    import tf_keras

    inputs = samples_for(described(keras_2 / name).inputs)
    made = taken(keras_2 / name, inputs, tmp_path / "made")
    original = tf_keras.models.load_model(keras_2 / name, compile=False)
    assert np.allclose(made.original.outputs["output"], original(inputs["x"][:8]), atol=1e-6)


def test_what_keras_3_computes_otherwise_is_refused(keras_2: Path, tmp_path: Path, monkeypatch) -> None:
    """Were the hard sigmoid of Keras 2 not known here, the difference would be."""
    from dlkit.conversion import legacy_keras

    monkeypatch.setattr(legacy_keras, "_for_keras_3", lambda config: config)
    with pytest.raises(
        ConversionError, match=r"computes this model of Keras 2 otherwise.*off; save it as a SavedModel"
    ):
        taken(keras_2 / "hard_sigmoid.h5", samples_for({"x": (4,)}), tmp_path / "made")


def test_a_file_of_weights_alone_is_refused_by_what_it_holds(keras_2: Path) -> None:
    """And by its name, if that says so."""
    with pytest.raises(
        ModelFileError, match=r"holds weights without their network; .*model\.load_weights\('only\.h5'\)"
    ):
        adopt(keras_2 / "only.h5", "none")
    (keras_2 / "w.weights.h5").write_bytes(b"")
    with pytest.raises(ModelFileError, match="holds weights without their network"):
        adopt(keras_2 / "w.weights.h5", "none")


def test_the_code_of_a_lambda_in_an_h5_file_is_not_run(keras_2: Path) -> None:
    """The legacy format has it too."""
    with pytest.raises(ModelFileError, match=r"has a Lambda layer; .* code in files is never run"):
        adopt(keras_2 / "lambda.h5", "none")


# SavedModels.


def _saved(folder: Path, function: Callable, shape=(None, 4), dtype="float32") -> Path:
    import tensorflow as tf

    module = tf.Module()
    module.weight = tf.Variable(np.ones((4, 3), np.float32))
    given = tf.TensorSpec(shape, dtype, name="x")
    module.serve = tf.function(lambda x: {"y": function(x, module.weight)}, input_signature=[given])
    tf.saved_model.save(module, str(folder), signatures=module.serve)
    return folder


def _writes(x, weight):
    import tensorflow as tf

    with tf.control_dependencies([tf.io.write_file("/tmp/written", "x")]):
        return x @ weight


def _runs_python(x, weight):
    import tensorflow as tf

    return tf.ensure_shape(tf.py_function(lambda t: t, [x @ weight], tf.float32), (None, 3))


@pytest.mark.parametrize(("function", "op"), [(_writes, "WriteFile"), (_runs_python, "EagerPyFunc")])
def test_a_saved_model_that_touches_files_or_runs_python_is_not_loaded(
    function: Callable, op: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its graphs are read first; the operation is named."""
    import tensorflow as tf

    _saved(tmp_path / "evil", function)
    monkeypatch.setattr(tf.saved_model, "load", lambda path: pytest.fail("it was loaded"))
    with pytest.raises(ModelFileError, match=f"has the operation {op}, which .* is not loaded"):
        taken(tmp_path / "evil", samples_for({"x": (4,)}), tmp_path / "made")


def test_what_saves_variables_may_not_hide_what_serves(tmp_path: Path) -> None:
    """Saving and restoring is every SavedModel's own; one that calls its serving function so is not let through."""
    import tensorflow as tf
    from tensorflow.core.protobuf import saved_model_pb2

    def saves(x, weight):
        saved = tf.raw_ops.SaveV2(prefix="x", tensor_names=["y"], shape_and_slices=[""], tensors=[x])
        with tf.control_dependencies([saved]):
            return x @ weight

    file = _saved(tmp_path / "hidden", saves) / "saved_model.pb"
    content = saved_model_pb2.SavedModel()
    content.ParseFromString(file.read_bytes())
    [graph] = content.meta_graphs
    serving = next(iter(graph.signature_def["serving_default"].outputs.values())).name
    saver = {graph.saver_def.save_tensor_name.partition(":")[0], graph.saver_def.restore_op_name}
    for node in [node for node in graph.graph_def.node if node.name in saver]:
        graph.graph_def.node.remove(node)
    graph.saver_def.save_tensor_name = graph.saver_def.restore_op_name = serving
    file.write_bytes(content.SerializeToString())
    with pytest.raises(ModelFileError, match="has the operation SaveV2, which can read or write files"):
        adopt(tmp_path / "hidden", "none")


def test_an_open_shape_of_a_saved_model_is_explained(tmp_path: Path) -> None:
    """But for the batch, which becomes 1."""
    import tensorflow as tf

    _saved(tmp_path / "open", lambda x, weight: tf.reduce_sum(x, 1), shape=(None, None))
    with pytest.raises(ConversionError, match=r"the input shape of 'x' \(None, None\) is open"):
        adopt(tmp_path / "open", "none")


def test_an_output_of_a_shape_that_depends_on_the_data_is_refused(tmp_path: Path) -> None:
    """A file has fixed shapes."""
    import tensorflow as tf

    _saved(tmp_path / "where", lambda x, weight: tf.reshape(tf.where(x > 0.5)[:, 1], (1, -1)), shape=(1, 4))
    with pytest.raises(ConversionError, match=r"the shape of the output 'y' depends on the data \(\(1, \d\) and"):
        taken(tmp_path / "where", samples_for({"x": (4,)}), tmp_path / "made")


def test_a_folder_that_is_no_saved_model_is_told(tmp_path: Path, dlkit) -> None:
    """A cut-short one too."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "saved_model.pb").write_bytes(b"\xff\xff\xff")
    said = dlkit("export", tmp_path / "folder", "--preprocessing", "none")
    assert said.code == 1
    assert "is not a SavedModel, or cut short" in said.err


# The user's own code.

MODULE = """
import keras
from pathlib import Path

Path(__file__).with_name("imported").touch()

class Scale(keras.layers.Layer):
    def build(self, shape):
        self.factor = self.add_weight(shape=(shape[-1],), initializer="ones")

    def call(self, x):
        return x * self.factor

@keras.saving.register_keras_serializable("mine")
def twice(x):
    return 2 * x

@keras.saving.register_keras_serializable("mine")
class Tower(keras.Model):
    def __init__(self, **options):
        super().__init__(**options)
        self.convolution, self.dense = keras.layers.Conv2D(4, 3, activation="relu"), keras.layers.Dense(3)

    def call(self, x):
        return self.dense(keras.ops.mean(self.convolution(x), axis=(1, 2)))

@keras.saving.register_keras_serializable("mine")
class Reader(keras.Model):
    def __init__(self, **options):
        super().__init__(**options)
        self.recurrent = keras.layers.LSTM(4)

    def call(self, inputs):
        return {"read": self.recurrent(inputs["rows"]), "mean": keras.ops.mean(inputs["facts"], axis=1, keepdims=True)}
"""


def _forget() -> None:
    """No trace of the module."""
    import keras

    for key in ("own", "own.layers"):
        sys.modules.pop(key, None)
    registry = keras.saving.get_custom_objects()
    for key in [key for key in registry if key.startswith("mine>")]:
        del registry[key]


@pytest.fixture(scope="module")
def own_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a module of layers in a package, and two models made with it."""
    import keras

    folder = tmp_path_factory.mktemp("custom")
    (folder / "own").mkdir()
    (folder / "own" / "layers.py").write_text(MODULE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        own = importlib.import_module("own.layers")
        keras.utils.set_random_seed(0)
        x = keras.Input(SHAPE, name="x")
        y = keras.layers.Dense(3, activation=own.twice)(keras.layers.Flatten()(own.Scale()(x)))
        keras.Model(x, y).save(folder / "layer.keras")
        tower = own.Tower(name="tower")
        tower(np.zeros((1, *SHAPE), np.float32))
        tower.save(folder / "tower.keras")
        reader = own.Reader(name="reader")
        reader({"rows": np.zeros((1, 6, 4), np.float32), "facts": np.zeros((1, 3), np.float32)})
        reader.save(folder / "reader.keras")
    _forget()
    return folder


@pytest.fixture
def custom(own_models: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same folder, as the current one, and as if nothing had been imported from it."""
    (own_models / "own" / "imported").unlink(missing_ok=True)
    monkeypatch.chdir(own_models)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield own_models
    _forget()


def test_a_model_of_the_users_own_layers_says_what_to_type(custom: Path) -> None:
    """Nothing is imported that was not named."""
    with pytest.raises(ModelFileError, match=r"needs '\w+', which is no part of Keras; .*: add --custom MODULE"):
        adopt(Path("layer.keras"), "unit")
    assert not (custom / "own" / "imported").exists()


@pytest.mark.parametrize("name", ["layer.keras", "tower.keras"])
def test_with_its_module_named_it_is_exported(name: str, custom: Path, tmp_path: Path) -> None:
    """A layer, a function, and a model of a class of the user's own, which does not say its inputs."""
    ends = described(Path(name), ["own.layers"])
    assert list(ends.inputs.values()) == [SHAPE]
    made = taken(Path(name), samples_for(ends.inputs), tmp_path, ["own.layers"])
    assert made.gap < 1e-6
    assert made.quantized("int8")[0].sqnr_db > 20


def test_a_class_of_the_users_own_with_inputs_by_name_and_a_loop(custom: Path, tmp_path: Path) -> None:
    """What is inside such a class is not rewritten: its LSTM stays a loop."""
    ends = described(Path("reader.keras"), ["own.layers"])
    assert ends.inputs == {"facts": (3,), "rows": (6, 4)}
    made = taken(Path("reader.keras"), samples_for(ends.inputs), tmp_path, ["own.layers"])
    assert made.gap < 1e-6
    with pytest.raises(IllegalCombination, match=r"part of a layer of your own.*--scheme dynamic_int8"):
        made.quantized("int8")


def test_the_child_process_imports_it_too(custom: Path, photos: Path, dlkit) -> None:
    """From the current folder, which is not on its path otherwise."""
    arguments = ["--preprocessing", "unit", "--data", photos, "--out", "out"]
    said = dlkit("export", "layer.keras", "--custom", "own.layers", *arguments)
    assert said.code == 0, said.err
    assert Path("out/layer/cpu-float32/model.tflite").exists()


def test_a_module_that_is_not_there_or_fails_is_one_line(custom: Path) -> None:
    """The user's mistakes are theirs, with their names."""
    with pytest.raises(ModelFileError, match=r"--custom own\.layer: Python finds no module 'own\.layer'"):
        adopt(Path("layer.keras"), "unit", ["own.layer"])
    Path("broken.py").write_text("1 / 0")
    with pytest.raises(ModelFileError, match="--custom broken: importing it failed: ZeroDivisionError"):
        adopt(Path("layer.keras"), "unit", ["broken"])
