"""A .keras file from elsewhere: exported if it can be, one clear line if not, never executed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dlkit.errors import ConversionError, DataError, DlkitError, ModelFileError
from dlkit.pipeline import export
from dlkit.pipeline.foreign import adopt

pytestmark = pytest.mark.tf


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
    with pytest.raises(ModelFileError, match="cannot load"):
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


def test_two_inputs_are_explained(tmp_path: Path) -> None:
    """The count is said."""
    import keras

    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    keras.Model([a, b], keras.layers.Add(name="s")([a, b])).save(tmp_path / "two.keras")
    with pytest.raises(ConversionError, match="2 inputs and 1 outputs"):
        adopt(tmp_path / "two.keras", "unit")


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
