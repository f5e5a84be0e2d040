"""What is known to break conversion: each says in one line why, and what to do, in place of a crash.

Each failure is provoked as a user would, and is the real one: nothing here is told to fail.
"""

from __future__ import annotations

import concurrent.futures
import json
import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from elsewhere import samples_for, taken

import dlkit
from dlkit.conversion import starting
from dlkit.conversion.child import run_task
from dlkit.conversion.making import Float, convert_model, make_file
from dlkit.errors import ConversionError, EndedBySystem, IllegalCombination, ModelFileError, OutputError
from dlkit.pipeline.foreign import adopt
from dlkit.progress import SILENT, ignore
from dlkit.runtime.arrays import write_npz
from dlkit.schemes import SCHEMES

pytestmark = [pytest.mark.tf, pytest.mark.filterwarnings("ignore")]


def _saved(tmp_path: Path, outputs: Callable[[Any], Any], *shape: int | None, **options: Any) -> Path:
    """A .keras file of one input of that shape."""
    import keras

    keras.utils.set_random_seed(0)
    x = keras.Input(shape, name="x", **options)
    keras.Model(x, outputs(x)).save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


def _export(model: Path, tmp_path: Path, scheme: str = "float32", shape: tuple[int, ...] = (6, 4)) -> Any:
    """`dlkit.export` with forty samples."""
    data = samples_for({"x": shape})
    return dlkit.export(model, scheme, preprocessing="none", data=data, out=tmp_path / "out")


# Loops.


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Float:
    """The float file of an LSTM that hands out its state, which needs a loop."""
    import keras

    folder = tmp_path_factory.mktemp("loop")

    def outputs(x):
        y, _, cell = keras.layers.LSTM(4, return_state=True)(x)
        return keras.layers.Concatenate()([y, cell])

    return convert_model(_saved(folder, outputs, 6, 4), samples_for({"x": (6, 4)}), folder, SILENT)


@pytest.mark.parametrize("scheme", ["int8", "int16x8"])
def test_1_full_integers_of_a_loop_are_refused_where_the_converter_crashes(loop: Float, scheme: str) -> None:
    """SIGSEGV in TensorFlow's calibrator (2.21)."""
    with pytest.raises(IllegalCombination, match=f"the {scheme} scheme cannot quantize a loop.*--scheme dynamic_int8"):
        make_file(loop, SCHEMES[scheme], samples_for({"x": (6, 4)}), SILENT)


def test_1_and_if_it_crashes_this_process_lives_to_say_so(loop: Float, tmp_path: Path) -> None:
    """The same, past the check."""
    write_npz(tmp_path / "c.npz", samples_for({"x": (6, 4)}))
    with pytest.raises(ConversionError, match=r"crashed \(SIG(SEGV|ABRT)\): .*try --scheme float32"):
        run_task(
            "quantize_saved_model",
            ignore,
            model=str(loop.model),
            saved_model=str(loop.saved_model),
            scheme="int8",
            calibration=str(tmp_path / "c.npz"),
            tflite=str(tmp_path / "q.tflite"),
        )


def test_1_the_scheme_named_instead_works(loop: Float) -> None:
    assert make_file(loop, SCHEMES["dynamic_int8"], {}, SILENT).file.exists()


def test_2_int16x8_of_a_fused_lstm_is_refused(tmp_path: Path) -> None:
    """ "Quantization to 16x8-bit not yet supported for op: 'UNIDIRECTIONAL_SEQUENCE_LSTM'"."""
    import keras

    model = _saved(tmp_path, lambda x: keras.layers.Dense(3)(keras.layers.LSTM(4)(x)), 6, 4)
    made = taken(model, samples_for({"x": (6, 4)}), tmp_path / "made")
    with pytest.raises(IllegalCombination, match=r"UNIDIRECTIONAL_SEQUENCE_LSTM with 16-bit.*--scheme int8"):
        made.quantized("int16x8")


# Open shapes.


def test_3_an_open_sequence_length_is_refused_before_the_converter_is(tmp_path: Path) -> None:
    """ConverterError: TensorListReserve."""
    import keras

    model = _saved(tmp_path, keras.layers.LSTM(4), None, 4)
    with pytest.raises(ConversionError, match=r"\(None, None, 4\) is open; a device needs fixed sizes"):
        _export(model, tmp_path)


def _gru(folder: Path, **options: Any) -> Path:
    import keras

    keras.utils.set_random_seed(0)
    x = keras.Input((6, 4), name="x")
    keras.Model(x, keras.layers.GRU(4)(x)).export(folder / "gru", verbose=False, **options)
    return folder / "gru"


def test_3_a_recurrent_saved_model_of_any_batch_is_told_its_fix(tmp_path: Path) -> None:
    """TensorListReserve again: its loop was made for any batch."""
    with pytest.raises(
        ConversionError, match=r"a recurrent layer with an open batch.*input_signature=\[keras\.InputSpec"
    ):
        _export(_gru(tmp_path), tmp_path)


def test_3_and_with_that_fix_it_is_exported(tmp_path: Path) -> None:
    import keras

    model = _gru(tmp_path, input_signature=[keras.InputSpec(shape=(1, 6, 4), dtype="float32", name="x")])
    assert taken(model, samples_for({"x": (6, 4)}), tmp_path / "made").gap < 1e-6


# Operations that only full TensorFlow has.


def test_4_an_operation_that_only_full_tensorflow_has_is_named(tmp_path: Path) -> None:
    """Keras' own exporter would put it into the file, which no runtime then reads ("Select TensorFlow op")."""
    import keras

    model = _saved(tmp_path, lambda x: keras.ops.linalg.inv(x), 4, 4)
    with pytest.raises(ConversionError, match=r"only full TensorFlow has \(tf\.\w+.*\); replace that layer"):
        _export(model, tmp_path, shape=(4, 4))


def test_4_a_layer_of_look_ups_too(tmp_path: Path) -> None:
    """CategoryEncoding counts with DenseBincount."""
    import keras

    model = _saved(tmp_path, keras.layers.CategoryEncoding(5, output_mode="multi_hot"), 3)
    with pytest.raises(ConversionError, match=r"only full TensorFlow has \(tf\.DenseBincount\)"):
        _export(model, tmp_path, shape=(3,))


# Precision.


def test_5_mixed_precision_is_exported_in_float32_and_the_report_says_so(tmp_path: Path) -> None:
    """It does not convert as it is (`tensor<1x10xf16>`); its weights are float32."""
    import keras

    policy = keras.DTypePolicy("mixed_float16")
    model = _saved(tmp_path, lambda x: keras.layers.Dense(3, dtype=policy)(keras.layers.Flatten()(x)), 6, 4)
    bundle, report = _export(model, tmp_path)
    assert report.warnings[0].startswith("the model computes in mixed_float16; the file")
    assert "mixed_float16" in (bundle.folder / "report.txt").read_text()


# Code and objects that are not in Keras.


def test_6_a_lambda_layer_is_told_what_to_become(tmp_path: Path) -> None:
    import keras

    model = _saved(tmp_path, keras.layers.Lambda(lambda t: t * 2, output_shape=(6, 4)), 6, 4)
    with pytest.raises(ModelFileError, match=r"has a Lambda layer; .* write it as a layer class.*--custom MODULE"):
        _export(model, tmp_path)


def test_6_a_lambda_for_an_activation_too(tmp_path: Path) -> None:
    import keras

    model = _saved(tmp_path, keras.layers.Dense(3, activation=lambda t: t * 2), 6, 4)
    with pytest.raises(ModelFileError, match=r"has a lambda for an activation.* or function in a module of yours"):
        _export(model, tmp_path)


def test_7_a_layer_that_keras_does_not_know_is_named(tmp_path: Path) -> None:
    import keras

    class Mine(keras.layers.Layer):
        def call(self, x):
            return x

    with pytest.raises(ModelFileError, match=r"needs 'Mine', which is no part of Keras; .*--custom MODULE"):
        _export(_saved(tmp_path, Mine(), 6, 4), tmp_path)


def _edited(path: Path, name: str, edit: Callable[[str], str]) -> Path:
    """A copy of a .keras file with one of its texts edited."""
    copy = path.with_name("edited.keras")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(copy, "w") as new:
        for entry in old.namelist():
            content = old.read(entry)
            new.writestr(entry, edit(content.decode()) if entry == name else content)
    return copy


def test_8_a_file_of_a_newer_keras_says_so(tmp_path: Path) -> None:
    """If it has what this one does not know."""
    import keras

    model = _saved(tmp_path, keras.layers.Dense(3), 6, 4)
    newer = _edited(model, "metadata.json", lambda text: re.sub(r'"3\.[\d.]+"', '"3.99.1"', text))
    assert adopt(newer, "none").name == "edited"
    unknown = _edited(newer.rename(tmp_path / "newer.keras"), "config.json", lambda s: s.replace('"Dense"', '"Denser"'))
    with pytest.raises(ModelFileError, match=r"saved by Keras 3\.99\.1, and this is 3\..*pip install --upgrade keras"):
        _export(unknown, tmp_path)


# Files with something missing.


def test_9_weights_that_are_missing_are_told(tmp_path: Path) -> None:
    import h5py
    import keras

    model = _saved(tmp_path, keras.layers.Dense(3), 6, 4)
    with zipfile.ZipFile(model) as archive:
        archive.extractall(tmp_path / "parts")
    with h5py.File(tmp_path / "parts" / "model.weights.h5", "r+") as weights:
        del weights["layers/dense/vars/1"]
    with zipfile.ZipFile(tmp_path / "less.keras", "w") as archive:
        for part in (tmp_path / "parts").iterdir():
            archive.write(part, part.name)
    with pytest.raises(ModelFileError, match=r"the weights in it are not those of its layers.*save the whole model"):
        _export(tmp_path / "less.keras", tmp_path)


def test_9_an_archive_without_its_configuration_is_told(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "empty.keras", "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.0"}))
    with pytest.raises(ModelFileError, match=r"an archive without a model of Keras \(no config\.json in it\)"):
        _export(tmp_path / "empty.keras", tmp_path)


def test_9_a_model_that_was_never_built_has_no_input(tmp_path: Path) -> None:
    import keras

    keras.Sequential([keras.layers.Dense(3)]).save(tmp_path / "unbuilt.keras")
    with pytest.raises(
        ConversionError, match=r"has no input: it was saved before it was built; begin it with keras\.I"
    ):
        _export(tmp_path / "unbuilt.keras", tmp_path)


# Inputs that are no plain numbers.


def test_10_text_is_refused_with_what_to_do_about_it(tmp_path: Path) -> None:
    import keras

    words = keras.layers.TextVectorization(10, output_sequence_length=4, vocabulary=["a", "b"])
    keras.Sequential([keras.Input((1,), dtype="string"), words]).save(tmp_path / "text.keras")
    with pytest.raises(ConversionError, match=r"is text; a device takes numbers: leave TextVectorization"):
        _export(tmp_path / "text.keras", tmp_path)


def test_10_sparse_inputs_are_refused(tmp_path: Path) -> None:
    import keras

    with pytest.raises(ConversionError, match=r"the input 'x' is sparse; a device takes plain arrays"):
        _export(_saved(tmp_path, keras.layers.Dense(3), 4, sparse=True), tmp_path)


def test_10_ragged_inputs_are_refused(tmp_path: Path) -> None:
    import keras

    with pytest.raises(ConversionError, match=r"the input 'x' is ragged; .* fill up short samples"):
        _export(_saved(tmp_path, keras.layers.Embedding(4, 3), 4, ragged=True, dtype="int32"), tmp_path)


def test_10_longer_and_shorter_floats_are_taken_as_float32(tmp_path: Path) -> None:
    """float64 and float16 inputs."""
    import keras

    for dtype in ("float64", "float16"):
        model = _saved(tmp_path, keras.layers.Dense(3, dtype=dtype), 4, dtype=dtype)
        made = taken(model, samples_for({"x": (4,)}), tmp_path / dtype)
        assert made.notes == [f"the model computes in {dtype}; the file, and what it was held against, in float32"]


# State, batches and shapes that are not a device's.


def test_11_a_stateful_layer_is_refused(tmp_path: Path) -> None:
    """A file cannot remember what it was last asked."""
    import keras

    model = _saved(tmp_path, keras.layers.LSTM(3, stateful=True, name="memory"), 6, 4, batch_size=1)
    with pytest.raises(ConversionError, match=r"the layer 'memory' keeps its state.*stateful=False"):
        _export(model, tmp_path)


def test_11_a_batch_of_several_is_refused_and_one_of_1_is_not(tmp_path: Path) -> None:
    import keras

    with pytest.raises(ConversionError, match=r"takes 8 samples at a time \('x'\), and a device has one"):
        _export(_saved(tmp_path, keras.layers.Dense(3), 6, 4, batch_size=8), tmp_path)
    model = _saved(tmp_path, keras.layers.Dense(3), 6, 4, batch_size=1)
    assert taken(model, samples_for({"x": (6, 4)}), tmp_path / "made").gap < 1e-6


def test_12_a_shape_that_depends_on_the_data_is_refused(tmp_path: Path) -> None:
    """As many numbers as are larger than a half."""
    import tensorflow as tf

    module = tf.Module()
    given = tf.TensorSpec((1, 4), tf.float32, name="x")
    module.serve = tf.function(lambda x: {"y": tf.boolean_mask(x, x > 0.5)[tf.newaxis]}, input_signature=[given])
    tf.saved_model.save(module, str(tmp_path / "mask"), signatures=module.serve)
    with pytest.raises(ConversionError, match=r"the shape of the output 'y' depends on the data"):
        _export(tmp_path / "mask", tmp_path, shape=(4,))


def test_12_reshapes_by_the_batch_are_static_in_the_file(tmp_path: Path) -> None:
    """The shape of the batch is computed in Keras, and is known in the file."""
    import keras

    model = _saved(tmp_path, lambda x: keras.layers.Dense(3)(keras.ops.reshape(x, (-1, 24))), 6, 4)
    made = taken(model, samples_for({"x": (6, 4)}), tmp_path / "made")
    assert set(made.ops) <= {"RESHAPE", "FULLY_CONNECTED"}


def test_13_a_16_bit_form_that_is_missing_is_named(tmp_path: Path) -> None:
    """ "Quantization to 16x8-bit not yet supported for op: 'SQRT'"."""
    import keras

    model = _saved(tmp_path, lambda x: keras.layers.Dense(3)(keras.activations.squareplus(x)), 6, 4)
    made = taken(model, samples_for({"x": (6, 4)}), tmp_path / "made")
    converted = Float(made.folder, model, made.reference, "", ())
    with pytest.raises(ConversionError, match=r"no form with 16-bit activations \(SQRT\); use --scheme int8"):
        make_file(converted, SCHEMES["int16x8"], made.inputs, SILENT)
    assert made.quantized("int8")[0].sqnr_db > 10


# The machine.


def test_14_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder for temporary files is a disk of a few kilobytes, if this system lets us have one."""
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    write_npz(tmp_path / "i.npz", samples_for({"x": (6, 4)}))
    import keras

    model = _saved(tmp_path, keras.layers.Dense(3), 6, 4)
    with pytest.raises(OutputError, match=r"cannot write temporary files: the disk of .* is full .*; set TMPDIR"):
        run_task(
            "convert",
            ignore,
            model=str(model),
            inputs=str(tmp_path / "i.npz"),
            saved_model=str(tmp_path / "s"),
            tflite=str(full),
            reference=str(tmp_path / "r.npz"),
            weights_sha256=str(tmp_path / "w"),
        )


def test_15_a_child_that_the_system_ended_is_told(tmp_path: Path) -> None:
    """The kernel kills what takes too much memory, without a word."""
    import keras

    model = _saved(tmp_path, keras.layers.Dense(3), 6, 4)
    os.mkfifo(tmp_path / "inputs")
    files = {name: str(tmp_path / name) for name in ("inputs", "saved_model", "tflite", "reference", "weights_sha256")}

    def kill() -> None:
        with (tmp_path / "inputs").open("wb"):  # when the child reads it
            starting.end_all()

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        killing = pool.submit(kill)
        with pytest.raises(EndedBySystem, match=r"^convert crashed \(SIGKILL\): .* most likely for want of memory"):
            run_task("convert", ignore, 60.0, model=str(model), **files)
        killing.result()
