"""Export: every network in every scheme, proven, whole or not at all."""

from __future__ import annotations

import dataclasses
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shelf import in_lanes
from short import short_recipe

from dlkit.bundle.loading import load_bundle
from dlkit.calibration.samples import samples_of_recipe
from dlkit.datasets import DATASETS
from dlkit.errors import IllegalCombination, ModelFileError, OutputError, UnknownName, VerificationRefused
from dlkit.pipeline import build_recipe, export, export_schemes, run, train
from dlkit.pipeline.evaluating import evaluate
from dlkit.pipeline.finding import as_recipe_says
from dlkit.runtime.inspection import inspect_file
from dlkit.schemes import SCHEMES
from dlkit.trained import load_trained
from dlkit.verify import broken_promises

pytestmark = pytest.mark.tf

FUSED_LSTM_CANNOT = ("int16x8", "int16x8_float_io", "weights_int4", "weights_int8")
DEVICES = [name for name, scheme in SCHEMES.items() if scheme.format == "tflite"]
AS_TRAINED = [name for name in DEVICES if not SCHEMES[name].preparation]
FITTED_AGAIN = [name for name in DEVICES if SCHEMES[name].preparation]
OPTIONS = {"cnn": {"width": 4}, "lstm": {"units": 8}, "resnet8": {"width": 4, "momentum": 0.9}}
TRAINING = {"resnet8": {"epochs": 4, "learning_rate": 0.01}}
"""What a network must have learnt before it can lose half of its weights."""


def exported(name: str, schemes: list[str], folder: Path) -> dict[str, Any]:
    """What became in each scheme of a network trained for an epoch or a few, made by one export."""
    recipe = short_recipe(
        network={"name": name, "options": OPTIONS[name]},
        training=TRAINING.get(name, {"epochs": 1}),
        compression={"epochs": 2},
    )
    recipe = dataclasses.replace(recipe, export=dataclasses.replace(recipe.export, max_drop=0.1))
    return dict(zip(schemes, export_schemes(train(recipe, folder).trained, schemes, out=folder), strict=True))


@pytest.fixture(scope="module", params=in_lanes(["cnn", "lstm", "resnet8"], lambda name: name != "cnn"))
def as_trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    return request.param, exported(request.param, AS_TRAINED, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module", params=OPTIONS)
def fitted_again(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return exported(request.param, FITTED_AGAIN, tmp_path_factory.mktemp(request.param))


def check_export(result: Any, scheme: str) -> None:
    bundle, report = result
    assert broken_promises(inspect_file(bundle.model), SCHEMES[scheme]) == []
    assert report.gate.sqnr_db > (5 if scheme == "weights_int4" else 15)
    count, gap, allowed = load_bundle(bundle.folder).check()
    assert count == 10
    assert gap <= allowed


@pytest.mark.parametrize("scheme", AS_TRAINED)
def test_a_network_exports_in_every_scheme(as_trained: tuple[str, dict[str, Any]], scheme: str) -> None:
    """Each passes its gate, keeps its promise and checks itself; what a network cannot have is refused."""
    name, results = as_trained
    if name == "lstm" and scheme in FUSED_LSTM_CANNOT:
        assert isinstance(results[scheme], IllegalCombination)
        assert str(results[scheme]).rpartition("use --scheme ")[2] in SCHEMES
    else:
        check_export(results[scheme], scheme)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", FITTED_AGAIN)
def test_a_network_exports_in_every_scheme_that_fits_it_again(fitted_again: dict[str, Any], scheme: str) -> None:
    check_export(fitted_again[scheme], scheme)


def test_int8_is_smaller_and_int8_throughout(trained, tmp_path: Path) -> None:
    """No float tensor is left, and the input and output are int8 too."""
    bundle, report = export(trained, "int8", out=tmp_path)
    inspection = inspect_file(bundle.model)
    assert set(inspection.tensors) == {"int8", "int32"}
    assert {t.dtype for t in inspection.inputs + inspection.outputs} == {"int8"}
    assert report.bytes < 0.7 * report.float_bytes


def test_float32_gives_the_models_own_numbers(trained, tmp_path: Path) -> None:
    """The largest gap of a float file is rounding."""
    _, report = export(trained, "float32", out=tmp_path)
    assert report.gate.largest_gap < 1e-5
    assert report.gate.agreement == 1.0
    assert report.calibration_samples == 0


def test_evaluate_repeats_the_reports_figures(trained, tmp_path: Path) -> None:
    """What is measured again from the bundle alone is what was measured at export."""
    bundle, report = export(trained, "int8", out=tmp_path)
    again = evaluate(load_bundle(bundle.folder))
    assert (again.float, again.exported, again.agreement, again.samples) == (
        report.test.float,
        report.test.exported,
        report.test.agreement,
        360,
    )


def test_labels_and_preprocessing_are_inside_the_file(trained, tmp_path: Path) -> None:
    """The .tflite file is also an archive; any unzip reads the labels back."""
    bundle, _ = export(trained, "int8", out=tmp_path)
    with zipfile.ZipFile(bundle.model) as archive:
        assert archive.read("labels.txt").decode().split() == list("0123456789")
        inside = json.loads(archive.read("dlkit.json"))
    assert inside["inputs"] == {name: end["preprocessing"] for name, end in bundle.manifest["inputs"].items()}


def test_manifest_holds_the_recipe_in_full(trained, tmp_path: Path) -> None:
    """Defaults included, so that the bundle alone says how it was made."""
    bundle, _ = export(trained, "int8", out=tmp_path)
    assert bundle.manifest["recipe"] == json.loads(json.dumps(trained.recipe.as_dict()))
    assert bundle.manifest["recipe"]["export"]["calibration_samples"] == 300
    assert set(bundle.manifest["sha256"]) == {p.name for p in bundle.folder.iterdir()} - {
        "manifest.json",
        "latency.json",
        "report.html",
    }


def test_calibration_never_sees_validation_or_test() -> None:
    """Calibration samples are all from the training split, as many of each class as can be."""
    samples, splits = samples_of_recipe(short_recipe(), "image"), DATASETS["digits"].load()

    def keys(images: np.ndarray) -> set[bytes]:
        return {image.tobytes() for image in images}

    assert keys(samples.calibration.raw["image"]) <= keys(splits.train.samples)
    assert not keys(samples.calibration.raw["image"]) & (keys(splits.validation.samples) | keys(splits.test.samples))
    by_bytes = {image.tobytes(): label for image, label in zip(splits.train.samples, splits.train.labels, strict=True)}
    counts = np.bincount([by_bytes[image.tobytes()] for image in samples.calibration.raw["image"]])
    assert counts.tolist() == [30] * 10


@pytest.mark.slow
def test_a_file_that_lost_too_much_is_not_written(models: Path, tmp_path: Path) -> None:
    """One hidden unit of a huge range leaves no int8 steps for the others: refused, nothing is left.

    The float model is unchanged by it: what multiplies a ReLU unit's input divides its output.
    """
    import keras

    shutil.copytree(models / "short", tmp_path / "models" / "short")
    trained = load_trained(tmp_path / "models" / "short")
    model = keras.models.load_model(trained.model)
    (kernel, bias), (after, after_bias) = (model.get_layer(n).get_weights() for n in ("hidden", "predictions"))
    unit = int(np.argmax(np.abs(after).sum(axis=1)))
    kernel[:, unit] *= 1e4
    bias[unit] *= 1e4
    after[unit] /= 1e4
    model.get_layer("hidden").set_weights([kernel, bias])
    model.get_layer("predictions").set_weights([after, after_bias])
    model.save(trained.model)
    with pytest.raises(
        VerificationRefused, match=r"no bundle was written: accuracy fell from 0\.9\d+ to 0\.\d+"
    ) as refusal:
        export(trained, "int8", out=tmp_path / "out")
    assert refusal.value.exit_code == 3
    assert list((tmp_path / "out").rglob("*.*")) == []
    bundle, _ = export(trained, "float32", out=tmp_path / "out")
    assert bundle.model.exists()


def test_an_existing_bundle_is_refused_before_the_work(trained, tmp_path: Path) -> None:
    """Without force nothing is converted; with it the bundle is replaced."""
    bundle, _ = export(trained, "float32", out=tmp_path)
    (bundle.folder / "mine.txt").write_text("x")
    with pytest.raises(OutputError, match="exists already; add --force"):
        export(trained, "float32", out=tmp_path)
    assert (bundle.folder / "mine.txt").exists()
    export(trained, "float32", out=tmp_path, force=True)
    assert not (bundle.folder / "mine.txt").exists()


def test_unknown_scheme_suggests_the_nearest(trained, tmp_path: Path) -> None:
    """A misspelt scheme is never replaced by another."""
    with pytest.raises(UnknownName, match="did you mean 'int8'"):
        export(trained, "in8", out=tmp_path)


def test_a_scheme_the_target_cannot_run_is_refused(trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names what the target does run."""
    from dlkit.targets import TARGETS

    only_int8 = dataclasses.replace(TARGETS["cpu"], schemes=("int8",))
    monkeypatch.setitem(TARGETS._load(), "cpu", only_int8)
    with pytest.raises(IllegalCombination, match="cpu cannot run float32 files; it runs int8: --scheme int8"):
        export(trained, "float32", out=tmp_path)


def test_an_untrained_model_of_a_recipe_exports_too(tmp_path: Path) -> None:
    """Conversion does not ask whether the weights are any good; the manifest says that they are random."""
    recipe = short_recipe()
    recipe = dataclasses.replace(recipe, export=dataclasses.replace(recipe.export, max_drop=1.0))
    trained, _ = build_recipe(recipe, tmp_path)
    bundle, _ = export(trained, "int8", out=tmp_path)
    assert bundle.manifest["trained"] is False


def test_a_folder_of_images_calibrates_a_recipes_model_too(trained, tmp_path: Path) -> None:
    """What proves the file stays the recipe's: its gate on validation, its test split."""
    from PIL import Image

    digits = DATASETS["digits"].load().train.samples[:40, ..., 0]
    for i, digit in enumerate(digits):
        Image.fromarray(digit * np.uint8(15)).save(tmp_path / f"{i}.png")
    bundle, report = export(trained, "int8", data=tmp_path, out=tmp_path / "out")
    assert (report.gate.metric, report.gate.split) == ("accuracy", "validation")
    assert report.calibration_samples == 40
    assert report.calibration_source == f"images of {tmp_path.name}/"
    assert evaluate(bundle).samples == 360


def test_export_of_an_edited_recipe_takes_its_export_table(trained) -> None:
    """[export] is read anew; what decides the weights must be what trained them."""
    loose = dataclasses.replace(trained.recipe, export=dataclasses.replace(trained.recipe.export, max_drop=0.5))
    assert as_recipe_says(trained, loose).recipe.export.max_drop == 0.5
    other = dataclasses.replace(loose, seed=9, training=dataclasses.replace(loose.training, epochs=3))
    with pytest.raises(ModelFileError, match=r"made with other values of seed, training\.epochs; train it again"):
        as_recipe_says(trained, other)


def test_logits_are_called_scores(tmp_path: Path) -> None:
    """A network without its softmax trains on logits, and no one calls its answers probabilities."""
    network = {"name": "cnn", "options": {"width": 8, "activation": "linear"}}
    result = train(short_recipe(network=network), tmp_path)
    assert result.validation.value > 0.9
    bundle, report = export(result.trained, "int8", out=tmp_path)
    assert bundle.manifest["outputs"]["output"]["answers"] == "scores"
    assert report.gate.largest_output > 1


def test_probabilities_are_called_probabilities(trained, tmp_path: Path) -> None:
    """A file that ends in a softmax says so in its bundle."""
    bundle, _ = export(trained, "int8", out=tmp_path)
    assert bundle.manifest["outputs"]["output"]["answers"] == "probabilities"


def test_a_refused_export_does_not_hide_the_training(tmp_path: Path) -> None:
    """`run` tells what the training came to before it exports."""
    seen = []

    def get_in_the_way(result) -> None:
        seen.append(result.test.value)
        (tmp_path / "short" / "cpu-int8").mkdir()

    with pytest.raises(OutputError, match="exists already"):
        run(short_recipe(training={"epochs": 1}), tmp_path, when_trained=get_in_the_way)
    assert len(seen) == 1
