"""A .keras file from elsewhere: exported if it can be, one clear line if not, never executed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dlkit.errors import ConversionError, DataError, DlkitError, ModelFileError, OutputError, VerificationRefused
from dlkit.pipeline import export
from dlkit.pipeline.foreign import adopt

pytestmark = pytest.mark.tf


@pytest.fixture(autouse=True)
def _same_weights_each_time() -> None:
    import keras

    keras.utils.set_random_seed(0)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty colour images of different shapes; blurred noise, so that they have structure."""
    from PIL import Image, ImageFilter

    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for i in range(20):
        pixels = rng.integers(0, 256, (20 + i, 60 - i, 3), dtype=np.uint8)
        image = Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(2))
        image.save(folder / f"{i}.{'png' if i % 2 else 'jpg'}")
    return folder


def _colour_model():
    import keras

    x = keras.Input((16, 16, 3), name="x")
    y = keras.layers.Conv2D(8, 3, activation="relu", name="c")(x)
    y = keras.layers.GlobalAveragePooling2D(name="p")(y)
    return keras.Model(x, keras.layers.Dense(5, activation="softmax", name="d")(y))


@pytest.mark.parametrize("scheme", ["float32", "int8"])
def test_a_users_model_is_proven_on_a_folder_of_images(scheme: str, photos: Path, tmp_path: Path) -> None:
    """A fifth of the images is held out; the rest calibrates."""
    _colour_model().save(tmp_path / "mine.keras")
    bundle, report = export(adopt(tmp_path / "mine.keras", "unit"), scheme, data=photos, out=tmp_path / "out")
    assert bundle.folder == tmp_path / "out" / "mine" / f"cpu-{scheme}"
    assert report.gate.samples == 4
    assert report.gate.sqnr_db > 15
    assert report.calibration_samples == (16 if scheme == "int8" else 0)


def test_sequential_models_are_models_too(photos: Path, tmp_path: Path) -> None:
    """Keras' Sequential exports like the functional form."""
    import keras

    layers = [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")]
    keras.Sequential(layers).save(tmp_path / "s.keras")
    bundle, _ = export(adopt(tmp_path / "s.keras", "signed"), "int8", data=photos, out=tmp_path / "out")
    assert bundle.model.exists()


def test_without_data_the_command_says_what_it_needs(tmp_path: Path) -> None:
    """There is no calibrating on noise."""
    _colour_model().save(tmp_path / "mine.keras")
    with pytest.raises(DataError, match=r"to calibrate with.*fitted to 16×16×3.*--data FOLDER"):
        export(adopt(tmp_path / "mine.keras", "unit"), "int8", out=tmp_path / "out")


def test_preprocessing_is_asked_for_never_guessed(tmp_path: Path) -> None:
    """A wrong guess would give wrong answers silently."""
    _colour_model().save(tmp_path / "mine.keras")
    with pytest.raises(DataError, match="--preprocessing unit"):
        adopt(tmp_path / "mine.keras", None)


def test_a_lambda_layer_is_not_executed(tmp_path: Path) -> None:
    """Code in a model file stays where it is."""
    import keras

    mark = tmp_path / "executed"
    x = keras.Input((4,), name="x")
    text = f"lambda t: (open({str(mark)!r}, 'w'), t)[1]"
    y = keras.layers.Lambda(eval(text), output_shape=(4,), name="evil")(x)
    keras.Model(x, y).save(tmp_path / "evil.keras")
    mark.unlink(missing_ok=True)
    with pytest.raises(ModelFileError, match="code in files is never run"):
        adopt(tmp_path / "evil.keras", "none")
    assert not mark.exists()


def test_an_open_shape_is_explained(tmp_path: Path) -> None:
    """A device needs fixed sizes."""
    import keras

    x = keras.Input((None, None, 3), name="x")
    y = keras.layers.GlobalAveragePooling2D(name="p")(keras.layers.Conv2D(4, 3, name="c")(x))
    keras.Model(x, y).save(tmp_path / "open.keras")
    with pytest.raises(ConversionError, match="is open; a device needs fixed sizes"):
        adopt(tmp_path / "open.keras", "unit")


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04 cut short"])
def test_a_broken_file_is_one_line(content: bytes, tmp_path: Path) -> None:
    """Empty, text or truncated: the same clear error."""
    (tmp_path / "bad.keras").write_bytes(content)
    with pytest.raises(ModelFileError, match=r"bad\.keras: is not a \.keras file") as error:
        adopt(tmp_path / "bad.keras", "unit")
    assert "\n" not in str(error.value)


def test_a_truncated_file_is_one_line(tmp_path: Path) -> None:
    """A download that stopped half-way."""
    _colour_model().save(tmp_path / "whole.keras")
    content = (tmp_path / "whole.keras").read_bytes()
    (tmp_path / "half.keras").write_bytes(content[: len(content) // 2])
    with pytest.raises(DlkitError) as error:
        adopt(tmp_path / "half.keras", "unit")
    assert "\n" not in str(error.value)


def test_a_model_that_does_not_classify_is_proven_by_its_signal(photos: Path, tmp_path: Path) -> None:
    """An auto-encoder's output is compared number by number."""
    import keras

    x = keras.Input((8, 8, 1), name="x")
    y = keras.layers.Conv2D(8, 3, padding="same", activation="relu", name="a")(x)
    keras.Model(x, keras.layers.Conv2D(1, 3, padding="same", name="b")(y)).save(tmp_path / "auto.keras")
    _, report = export(adopt(tmp_path / "auto.keras", "unit"), "int8", data=photos, out=tmp_path / "out")
    assert report.gate.metric == "sqnr_db"
    assert report.gate.agreement is None
    assert 15 <= report.gate.exported == report.gate.sqnr_db


def _sigmoid_model(crippled: bool):
    """Tells bright images from dark; crippled, by two hidden units of which one has a range that hides the other."""
    import keras

    x = keras.Input((8, 8, 1), name="x")
    hidden = keras.layers.Dense(2, activation="relu", name="h")(keras.layers.Flatten(name="f")(x))
    model = keras.Model(x, keras.layers.Dense(1, activation="sigmoid", name="y")(hidden))
    kernel = np.zeros((64, 2), np.float32)
    kernel[:, 0], kernel[:, 1] = 1 / 64, 60.0 if crippled else 1 / 64
    model.get_layer("h").set_weights([kernel, np.array([-0.4, 0], np.float32)])
    model.get_layer("y").set_weights([np.array([[40.0], [0.0]], np.float32), np.array([-4.0], np.float32)])
    return model


@pytest.fixture(scope="module")
def greys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty grey images, from dark to bright."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("greys")
    for i in range(30):
        pixels = np.full((8, 8), 60 + 5 * i, np.uint8)
        pixels[::2] += 5
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return folder


def test_one_output_is_proven_by_how_it_moves(greys: Path, tmp_path: Path) -> None:
    """A sigmoid has no classes to agree on; a good file passes."""
    _sigmoid_model(crippled=False).save(tmp_path / "good.keras")
    bundle, report = export(adopt(tmp_path / "good.keras", "unit"), "int8", data=greys, out=tmp_path / "out")
    assert report.gate.metric == "sqnr_db"
    assert bundle.manifest["outputs"]["output"]["answers"] == "probabilities"


def test_one_output_that_no_longer_moves_is_refused(greys: Path, tmp_path: Path) -> None:
    """The same model with a hidden range that int8 cannot hold answers a constant."""
    _sigmoid_model(crippled=True).save(tmp_path / "bad.keras")
    with pytest.raises(VerificationRefused, match="dB above their noise"):
        export(adopt(tmp_path / "bad.keras", "unit"), "int8", data=greys, out=tmp_path / "out")
    assert not list((tmp_path / "out").rglob("model.tflite"))


def test_copies_of_one_image_count_once(tmp_path: Path) -> None:
    """What calibrates must not be held out under another name."""
    from PIL import Image

    for i in range(12):
        Image.new("RGB", (16, 16), (9, 9, 9)).save(tmp_path / f"{i}.png")
    _colour_model().save(tmp_path / "mine.keras")
    with pytest.raises(DataError, match=r"1 different samples in images of .*; at least 10 are needed"):
        export(adopt(tmp_path / "mine.keras", "unit"), "int8", data=tmp_path, out=tmp_path / "out")


def test_large_outputs_may_round_as_floats_do(photos: Path, tmp_path: Path) -> None:
    """The float file is held to the model's numbers in units of the largest."""
    import keras

    model = _colour_model()
    last = keras.layers.Dense(5, name="logits")
    big = keras.Model(model.inputs, last(model.layers[-2].output))
    last.set_weights([w * 3000 for w in last.get_weights()])
    big.save(tmp_path / "big.keras")
    _, report = export(adopt(tmp_path / "big.keras", "unit"), "float32", data=photos, out=tmp_path / "out")
    assert report.gate.largest_output > 10


def test_a_plain_lstm_inside_a_nested_model_is_fused(photos: Path, tmp_path: Path) -> None:
    """A Sequential within a model is looked into."""
    import keras

    inner = keras.Sequential([keras.Input((8, 8)), keras.layers.LSTM(8, name="l")], name="inner")
    x = keras.Input((8, 8), name="x")
    keras.Model(x, keras.layers.Dense(3, activation="softmax", name="d")(inner(x))).save(tmp_path / "nested.keras")
    _, report = export(adopt(tmp_path / "nested.keras", "unit"), "int8", data=photos, out=tmp_path / "out")
    assert report.ops["UNIDIRECTIONAL_SEQUENCE_LSTM"] == 1


def test_a_model_that_reads_no_images_is_told_at_once(tmp_path: Path) -> None:
    """Not after asking for a folder of images."""
    import keras

    x = keras.Input((20,), name="x")
    keras.Model(x, keras.layers.Dense(2, name="d")(x)).save(tmp_path / "table.keras")
    with pytest.raises(DataError, match=r"the input 'x' is no image \(its shape is 20.*add --preprocessing x=none"):
        adopt(tmp_path / "table.keras", "unit")


def test_a_model_from_elsewhere_does_not_take_the_place_of_ours(photos: Path, tmp_path: Path) -> None:
    """Two models of one name do not share a folder of bundles."""
    (tmp_path / "out" / "mine").mkdir(parents=True)
    (tmp_path / "out" / "mine" / "model.keras").write_text("ours")
    _colour_model().save(tmp_path / "mine.keras")
    with pytest.raises(OutputError, match=r"rename mine\.keras, or choose another --out"):
        export(adopt(tmp_path / "mine.keras", "unit"), "float32", data=photos, out=tmp_path / "out", force=True)


def test_many_classes_that_int8_cannot_tell_apart_are_warned_of(photos: Path, tmp_path: Path) -> None:
    """Probabilities of a thousand classes vanish below the steps of an 8-bit output."""
    import keras

    model = _colour_model()
    last = keras.layers.Dense(1000, activation="softmax", name="many")
    keras.Model(model.inputs, last(model.layers[-2].output)).save(tmp_path / "many.keras")
    _, report = export(adopt(tmp_path / "many.keras", "unit"), "int8", data=photos, out=tmp_path / "out")
    assert "only 16 calibration samples" in report.warnings[0]
    assert "steps of 0.0039" in report.warnings[1]
