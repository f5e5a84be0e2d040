"""The Fréchet distance of generated images by the features of a classifier that the recipe names."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from short import short_recipe
from test_resume import weights

from dlkit.datasets import DATASETS, Splits
from dlkit.errors import DataError, ModelFileError
from dlkit.frameworks import keras
from dlkit.metrics import frechet_distance
from dlkit.pipeline import run, train
from dlkit.pipeline.features import Features, load_features
from dlkit.pipeline.frechet import frechet_of
from dlkit.recipe import MeasurePart, Recipe
from dlkit.runtime.preprocessing import preprocessing_for

pytestmark = pytest.mark.tf

SIGNED = preprocessing_for("signed", (8, 8, 1), (8, 8, 1), (0.0, 16.0), "pad")
"""Of what a generator of digits makes."""


def classifier(shape: tuple[int, ...] = (12, 12, 3), features: int = 6) -> keras.Model:
    """A small one with seeded weights."""
    keras.utils.set_random_seed(3)
    layers = keras.layers
    image = x = keras.Input(shape, name="image")
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(x)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    x = layers.Dense(features, name="hidden")(x)
    x = layers.Dropout(0.5, name="dropout")(x)
    x = layers.Dense(3, name="scores")(x)
    return keras.Model(image, layers.Softmax(name="softmax")(x), name="classifier")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It, whole in a file."""
    path = tmp_path_factory.mktemp("classifier") / "seen.keras"
    classifier().save(path)
    return path


@pytest.fixture(scope="module")
def features(file: Path) -> Features:
    found = load_features(MeasurePart(str(file), preprocessing="unit"))
    assert found is not None
    return found


@pytest.fixture(scope="module")
def splits() -> Splits:
    return DATASETS["digits"].load()


def recipe_of(**measure: str) -> Recipe:
    return short_recipe(
        name="made",
        network={"name": "dcgan28_generator", "options": {"input_shape": [16], "width": 8}},
        data={"name": "digits", "resize": "pad", "preprocessing": "signed"},
        training={"epochs": 1, "learning_rate": 0.002},
        adversarial={"options": {"width": 8}, "ema": 0.9},
        measure=measure,
    )


# --- features ---


def test_features_are_what_the_last_layer_with_weights_reads(features: Features) -> None:
    """Of images in the network's own size they are those of Keras; what is dropped in training is there."""
    pixels = np.random.default_rng(0).integers(0, 256, (70, 12, 12, 3)).astype(np.uint8)
    model = classifier()
    wanted = keras.Model(model.input, model.get_layer("hidden").output).predict(pixels / 255.0, verbose=0)
    assert features.size == 6
    assert features.of(pixels) == pytest.approx(wanted, abs=1e-5)


def test_grey_images_of_another_size_are_enlarged_and_repeated(features: Features) -> None:
    """An image of one grey is one of that grey in every channel."""
    grey = features.of(np.full((1, 8, 8, 1), 100, np.uint8))
    assert grey == pytest.approx(features.of(np.full((1, 12, 12, 3), 100, np.uint8)), abs=1e-6)


def test_all_of_an_image_of_other_proportions_is_seen(features: Features) -> None:
    """It is stretched: what is at its edges counts."""
    wide = np.zeros((2, 8, 32, 1), np.uint8)
    wide[1, :, :4] = 255
    assert not np.allclose(*features.of(wide))


def test_a_model_trained_here_knows_how_its_inputs_are_prepared(models: Path) -> None:
    """Its recipe's way, of digits from 0 to 16; its hidden layer is what is read."""
    found = load_features(MeasurePart(str(models / "short" / "model.keras")))
    assert found is not None
    model = keras.models.load_model(models / "short" / "model.keras")
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1)).astype(np.uint8)
    read = keras.Model(model.input, model.layers[-1].input)
    assert found.of(pixels) == pytest.approx(read.predict(pixels / 255.0, verbose=0), abs=1e-5)


@pytest.mark.slow
def test_weights_of_a_network_of_the_shelf(tmp_path: Path) -> None:
    """At its canonical size, prepared as those who published its weights say."""
    from dlkit.networks import NETWORKS

    keras.utils.set_random_seed(5)
    model = NETWORKS["cnn"].build({})
    model.save_weights(tmp_path / "its.weights.h5")
    found = load_features(MeasurePart(str(tmp_path / "its.weights.h5"), network="cnn"))
    assert found is not None
    pixels = np.random.default_rng(0).integers(0, 256, (3, *model.input_shape[1:])).astype(np.uint8)
    read = keras.Model(model.input, model.layers[-1].input)
    assert found.of(pixels) == pytest.approx(read.predict(pixels / 255.0, verbose=0), abs=1e-5)


def saved(model: keras.Model, path: Path) -> MeasurePart:
    model.save(path)
    return MeasurePart(str(path), preprocessing="unit")


def built(kind: str) -> keras.Model:
    layers = keras.layers
    image = keras.Input((8, 8, 1), name="image")
    if kind == "autoencoder":
        return keras.Model(image, layers.Conv2D(1, 3, padding="same")(image))
    if kind == "convolution":
        x = layers.Conv2D(3, 3, name="classes")(image)
        return keras.Model(image, layers.GlobalAveragePooling2D()(x))
    if kind == "two inputs":
        other = keras.Input((8, 8, 1), name="other")
        return keras.Model([image, other], layers.Dense(3)(layers.Flatten()(image + other)))
    series = keras.Input((7,), name="numbers")
    return keras.Model(series, layers.Dense(3)(layers.Dense(4)(series)))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("autoencoder", "is no classifier: it gives 8×8×1 numbers; name a model that ends in classes"),
        ("convolution", "its last layer with weights, 'classes', reads 8×8×1, no row of features; name a classifier"),
        ("two inputs", "has 2 inputs and 1 outputs; name a classifier, which has one of each"),
        ("numbers", "reads 7, no images; name a classifier of images"),
    ],
)
def test_what_is_no_classifier_of_images_is_refused(kind: str, message: str, tmp_path: Path) -> None:
    """By what it is."""
    with pytest.raises(ModelFileError) as caught:
        load_features(saved(built(kind), tmp_path / "it.keras"))
    assert str(caught.value).startswith(f"measure.features {tmp_path / 'it.keras'}: {message}")


@pytest.mark.parametrize(
    ("name", "content", "part", "message"),
    [
        ("none.keras", None, {"preprocessing": "unit"}, "none.keras: there is no such file"),
        (
            "it.tflite",
            b"x",
            {"preprocessing": "unit"},
            "it.tflite: is no file of Keras; name a .keras file, or a whole",
        ),
        ("it.txt", b"x", {"preprocessing": "unit"}, "it.txt: is no file of Keras; name a .keras file, or a whole"),
        ("it.weights.h5", b"x", {"preprocessing": "unit"}, "of a network of the shelf say which: measure.network"),
        ("it.keras", b"x", {"preprocessing": "unit"}, "it.keras: is not a .keras file"),
        ("it.keras", b"x", {}, "it.keras: say how its inputs are prepared: measure.preprocessing = 'unit' (0…1), "),
        ("it.h5", b"x", {"network": "cnn"}, "it.h5: cannot be read: it is no HDF5 file, or cut short"),
        ("none.h5", None, {"network": "cnn"}, "measure.features none.h5: there is no such file"),
        ("imagenet", None, {"network": "cnn"}, "there are no ImageNet weights of cnn; there are of "),
    ],
)
def test_a_wrong_file_is_one_line(
    name: str, content: bytes | None, part: dict[str, Any], message: str, tmp_path: Path, monkeypatch
) -> None:
    """With its name and what to type instead."""
    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path(name).write_bytes(content)
    with pytest.raises((ModelFileError, DataError)) as caught:
        load_features(MeasurePart(name, **part))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    """By the layer that differs."""
    classifier().save_weights(tmp_path / "other.weights.h5")
    with pytest.raises(ModelFileError, match=r"other\.weights\.h5: .*layer"):
        load_features(MeasurePart(str(tmp_path / "other.weights.h5"), network="cnn"))


def test_a_model_trained_here_is_not_prepared_otherwise(models: Path) -> None:
    """It would see other images than it was trained on."""
    path = models / "short" / "model.keras"
    with pytest.raises(DataError, match=r"measure\.preprocessing = 'signed', but .* was trained here and has its own"):
        load_features(MeasurePart(str(path), preprocessing="signed"))


def test_what_is_for_colour_is_not_for_grey_images(tmp_path: Path) -> None:
    """Said by the key."""
    classifier((12, 12, 1)).save(tmp_path / "grey.keras")
    with pytest.raises(
        DataError, match=r"measure\.preprocessing of .*grey\.keras: preprocessing 'torch' is for colour"
    ):
        load_features(MeasurePart(str(tmp_path / "grey.keras"), preprocessing="torch"))


def test_a_network_that_computes_no_numbers_is_told(tmp_path: Path) -> None:
    """Rather than a distance of nothing."""
    model = classifier()
    model.get_layer("hidden").set_weights([np.full((4, 6), np.nan), np.zeros(6)])
    found = load_features(saved(model, tmp_path / "nan.keras"))
    assert found is not None
    with pytest.raises(DataError, match=r"nan\.keras: gives NaN or infinity of these images"):
        found.of(np.zeros((1, 8, 8, 1), np.uint8))


# --- distances ---


@pytest.mark.slow
def test_the_distance_is_that_of_the_features(features: Features, splits: Splits) -> None:
    """Of generated and of training images to the test images, as pixels of 8 bits."""

    def pixels(samples: np.ndarray) -> np.ndarray:
        return np.round(np.asarray(samples, np.float64) * 255 / 16).astype(np.uint8)

    test, validation = features.of(pixels(splits.test.samples)), features.of(pixels(splits.validation.samples))
    found = frechet_of(features, SIGNED.apply(splits.validation.samples), splits, SIGNED)
    assert found.frechet_distance == pytest.approx(frechet_distance(validation, test), rel=1e-6)
    few = np.linspace(0, len(splits.train) - 1, len(validation)).round().astype(int)
    train = features.of(pixels(splits.train.samples[few]))
    assert found.frechet_real_distance == pytest.approx(frechet_distance(train, test), rel=1e-6)
    assert found.warnings == ()


@pytest.mark.slow
def test_real_images_are_nearer_than_noise(features: Features, splits: Splits) -> None:
    """By far, even for a network that never learnt anything; the test images are at no distance from themselves."""
    own = frechet_of(features, SIGNED.apply(splits.test.samples), splits, SIGNED)
    noise = np.random.default_rng(0).uniform(-1, 1, (400, 8, 8, 1)).astype(np.float32)
    assert own.frechet_distance < 1e-6
    assert frechet_of(features, noise, splits, SIGNED).frechet_distance > 5 * own.frechet_real_distance


@pytest.mark.parametrize(("count", "warned"), [(6, True), (7, False)])
def test_too_few_images_for_so_many_features_are_told(
    count: int, warned: bool, features: Features, splits: Splits
) -> None:
    """A covariance of six features is singular where there are no more than six images."""
    few = dataclasses.replace(splits, test=splits.test.rows(np.arange(count)))
    found = frechet_of(features, SIGNED.apply(splits.train.samples[:100]), few, SIGNED)
    assert len(found.warnings) == warned
    for warning in found.warnings:
        assert f"is of 100 generated and {count} test images by 6 features" in warning


# --- by recipe ---


@pytest.fixture(scope="module")
def measured(file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any, Path]:
    """A generator whose recipe names a copy of the classifier, trained and exported: result, bundle, the copy."""
    folder = tmp_path_factory.mktemp("measured")
    copy = folder / "copy.keras"
    copy.write_bytes(file.read_bytes())
    result, bundle, _ = run(recipe_of(features=str(copy), preprocessing="unit"), folder)
    return result, bundle, copy


@pytest.mark.slow
def test_a_recipe_measures_by_the_network_that_it_names(measured, tmp_path: Path) -> None:
    """Beside the feature distance, on the test split; the generator is the same as without."""
    result, _, _ = measured
    assert {"frechet_distance", "frechet_real_distance", "confident"} < result.test.besides.keys()
    assert "frechet_distance" not in result.validation.besides
    without = train(recipe_of(), tmp_path)
    assert weights(result) == weights(without)
    assert without.test.value == result.test.value


@pytest.mark.slow
def test_the_distance_is_printed(measured, dlkit, capsys) -> None:
    """By train and by evaluate; that of the int8 file is near."""
    from dlkit.cli.train import print_training

    result, bundle, _ = measured
    print_training(result)
    wanted = f"Fréchet distance {result.test.besides['frechet_distance']:.4g} by the features of the recipe's [measure]"
    assert wanted in capsys.readouterr().out
    found = re.search(r"Fréchet distance ([\d.]+) by the features", dlkit("evaluate", bundle.folder, "-q").out)
    assert found
    assert float(found[1]) == pytest.approx(result.test.besides["frechet_distance"], rel=0.2, abs=0.02)


@pytest.mark.slow
def test_a_wrong_file_is_told_before_the_training(tmp_path: Path) -> None:
    """Nothing is written."""
    with pytest.raises(ModelFileError, match="there is no such file"):
        train(recipe_of(features="none.keras", preprocessing="unit"), tmp_path / "out")
    assert not (tmp_path / "out" / "made" / "model.keras").exists()


@pytest.mark.slow
def test_a_bundle_is_evaluated_where_the_file_is_not(measured, dlkit) -> None:
    """By our own classifier alone, and it is said."""
    _, bundle, copy = measured
    content = copy.read_bytes()
    copy.unlink()
    try:
        said = dlkit("evaluate", bundle.folder, "-q")
    finally:
        copy.write_bytes(content)
    assert said.code == 0
    assert "Fréchet distance " not in said.out.partition("warning: ")[0]
    assert f"warning: there is no file {copy} here, so the Fréchet distance by it is left out" in said.out


@pytest.mark.full
@pytest.mark.slow
def test_a_trained_generator_is_measured_anew_by_another_network(measured, models: Path, tmp_path: Path) -> None:
    """Its training does not depend on it: --resume only measures."""
    result = train(recipe_of(), tmp_path)
    again = train(recipe_of(features=str(models / "short" / "model.keras")), tmp_path, resume=True)
    assert weights(again) == weights(result)
    assert again.test.besides["frechet_distance"] > 0
