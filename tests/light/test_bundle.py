"""A bundle is believed only where its checksums, its types and its model agree."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from as_files import npy

from dlkit.bundle.answers import answer_text, top_classes
from dlkit.bundle.loading import load_bundle
from dlkit.datasets import DATASETS
from dlkit.errors import DataError, DlkitError, ModelFileError
from dlkit.runtime.preprocessing import preprocessing_for

FILES = ("model.tflite", "labels.txt", "report.json", "report.txt", "samples.npz", "reference.json", "predict.py")


def refused(folder: Path) -> str:
    with pytest.raises(ModelFileError) as caught:
        load_bundle(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def manifest(folder: Path) -> dict:
    return json.loads((folder / "manifest.json").read_text())


# --- what it says of itself ---


@pytest.mark.parametrize(
    "anomaly",
    [
        {"normal": ["0"]},
        {"normal": [0], "threshold": 0.1},
        {"normal": ["0"], "threshold": -0.1},
        {"normal": ["0"], "threshold": float("nan")},
        {"normal": ["0"], "threshold": "low"},
        {"normal": 3, "threshold": 0.1},
    ],
)
def test_a_broken_threshold_is_refused(bundle: Path, vouch: Callable, anomaly: object) -> None:
    """A detector without one would find nothing, or everything."""
    vouch(bundle, anomaly=anomaly)
    assert refused(bundle).endswith("is not a dlkit manifest, or is corrupt; export the bundle again")


def test_a_bundle_loads(tiny_bundle: Path) -> None:
    """Name, labels, preprocessing."""
    bundle = load_bundle(tiny_bundle)
    assert bundle.name == "digits-tiny/cpu-int8"
    assert bundle.labels == tuple("0123456789")
    assert bundle.preprocessing == preprocessing_for("unit", (8, 8, 1), (8, 8, 1), (0.0, 16.0), "pad")


def test_its_own_samples_pass(tiny_bundle: Path) -> None:
    """On this device as where it was made."""
    count, gap, allowed = load_bundle(tiny_bundle).check()
    assert count > 0
    assert gap <= allowed < 0.02


def test_the_manifest_is_the_models(tiny_bundle: Path) -> None:
    """Input and output as the runtime finds them; recipe and versions are there."""
    bundle = load_bundle(tiny_bundle)
    session = bundle.session()
    assert {name: end["shape"] for name, end in bundle.manifest["inputs"].items()} == {"image": [1, 8, 8, 1]}
    assert bundle.manifest["outputs"]["output"]["scale"] == session.outputs["output"].scale
    assert bundle.manifest["recipe"]["network"]["name"] == "cnn"
    assert bundle.manifest["versions"]["tensorflow"]


def test_labels_and_preprocessing_are_inside_the_model_too(tiny_bundle: Path) -> None:
    """The model file alone is enough: an archive at its end."""
    with zipfile.ZipFile(tiny_bundle / "model.tflite") as archive:
        assert archive.read("labels.txt") == (tiny_bundle / "labels.txt").read_bytes()
        inside = json.loads(archive.read("dlkit.json"))
    assert inside["inputs"] == {k: end["preprocessing"] for k, end in manifest(tiny_bundle)["inputs"].items()}


def test_the_reference_is_for_the_test_split(tiny_bundle: Path) -> None:
    """By fingerprint, with a class for each sample."""
    reference = json.loads((tiny_bundle / "reference.json").read_text())
    test = DATASETS["digits"].load().test
    assert reference["fingerprint"] == test.fingerprint
    assert len(reference["classes"]) == len(test)


# --- files that are not as they were ---


@pytest.mark.parametrize("name", FILES)
def test_a_changed_file_is_refused(bundle: Path, name: str) -> None:
    """A single bit, in any file."""
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / name).write_bytes(content)
    assert refused(bundle) == f"{bundle / name}: is not the file that was exported (sha256 differs); export it again"


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_refused(bundle: Path, name: str) -> None:
    """By name; a folder in its place is no file."""
    (bundle / name).unlink()
    assert refused(bundle) == f"{bundle}: {name} is missing; export the bundle again"
    (bundle / name).mkdir()
    assert refused(bundle) == f"{bundle}: {name} is missing; export the bundle again"


def test_a_device_in_place_of_a_file_is_refused(bundle: Path) -> None:
    """And not read."""
    (bundle / "model.tflite").unlink()
    (bundle / "model.tflite").symlink_to("/dev/zero")
    assert "model.tflite: is a link" in refused(bundle)
    (bundle / "model.tflite").unlink()
    os.mkfifo(bundle / "model.tflite")
    assert "model.tflite is missing" in refused(bundle)


@pytest.mark.parametrize("place", ["more.txt", "labels.txt", "manifest.json", "web/more.txt", "web"])
@pytest.mark.parametrize("within", [True, False])
def test_a_link_is_refused(bundle: Path, place: str, within: bool) -> None:
    """Wherever it leads: what is behind it can become another thing when it has been looked at."""
    link = bundle / place
    link.parent.mkdir(exist_ok=True)
    kept = bundle / "kept"
    if link.exists():
        link.rename(kept)
    link.symlink_to(kept if within else "/etc")
    wanted = "is a link, and a bundle holds its files itself; copy it with cp -rL"
    if place == "manifest.json" and not within:
        wanted = "is not a bundle (no manifest.json); 'dlkit export' makes one"
    assert refused(bundle).endswith(wanted)


def test_a_file_that_was_put_into_a_saved_model_is_refused(bundle: Path) -> None:
    """TensorFlow reads what it finds there."""
    (bundle / "saved_model").mkdir()
    (bundle / "saved_model" / "fingerprint.pb").write_bytes(b"x")
    wanted = f"{bundle}: saved_model/fingerprint.pb is in the SavedModel, but not in the manifest; export it again"
    assert refused(bundle) == wanted


# --- no bundle at all ---


def test_what_is_no_bundle(tmp_path: Path, bundle: Path) -> None:
    """Nothing, an empty folder, a file: what it is and what to do."""
    assert refused(tmp_path / "no") == f"there is no bundle {tmp_path}/no; 'dlkit export' makes one"
    (tmp_path / "empty").mkdir()
    assert refused(tmp_path / "empty").endswith("empty is not a bundle (no manifest.json); 'dlkit export' makes one")
    assert refused(bundle / "model.tflite").endswith("is a file; name the bundle, the folder with manifest.json")


def test_a_folder_of_bundles_names_them(bundle: Path) -> None:
    """The clumsy user is one level too high."""
    assert refused(bundle.parent) == f"{bundle.parent} is not a bundle, but holds some: {bundle}"


# --- manifests ---


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "3",
        '"x"',
        "{}",
        '{"format": 2}',
        "[" * 100_000,
        '{"format":' * 5000,
        "1" * 5000,
        "\0",
        "é",
    ],
    ids=lambda text: f"{text[:12]!r}{len(text)}",
)
def test_a_manifest_that_is_none(bundle: Path, text: str) -> None:
    """Not JSON, JSON of another kind, nested without end, not even text."""
    (bundle / "manifest.json").write_bytes(text.encode("latin-1"))
    wanted = f"{bundle}/manifest.json: is not a dlkit manifest, or is corrupt; export the bundle again"
    assert refused(bundle) == wanted


def test_a_manifest_from_the_future(bundle: Path, vouch: Callable) -> None:
    """Both formats are said."""
    vouch(bundle, format=3)
    assert refused(bundle) == f"{bundle}/manifest.json: bundle format 3; this dlkit reads 2"


@pytest.mark.parametrize("key", ["format", "name", "target", "scheme", "sha256", "inputs", "outputs", "recipe"])
@pytest.mark.parametrize("value", [None, 7, "text", [], [1], {}, {"x": {}}, True, "absent"])
def test_a_manifest_of_wrong_types(bundle: Path, key: str, value: object) -> None:
    """Anything in the place of anything: a bundle that works or an error of ours, never another exception."""
    changed = manifest(bundle) | {key: value}
    if value == "absent":
        del changed[key]
    (bundle / "manifest.json").write_text(json.dumps(changed))
    try:
        loaded = load_bundle(bundle)
    except DlkitError:
        return
    assert (key, value) in [("recipe", None), ("recipe", {}), ("recipe", {"x": {}})] or (
        key in ("name", "target", "scheme") and isinstance(value, str) and value != "absent"
    )
    assert loaded.check()[0] > 0


WRONG = [
    (key, value)
    for key in ("shape", "image", "raw_range", "color", "resize", "scale", "offset")
    for value in (None, "text", [], ["a"], [-1], [[1]], 10**30, float("nan"))
    if (key, value) not in [("image", None), ("offset", [-1]), ("scale", [-1])]
]


@pytest.mark.parametrize(("key", "value"), WRONG)
def test_preprocessing_of_wrong_types(bundle: Path, vouch: Callable, key: str, value: object) -> None:
    """No runner guesses what was meant."""
    inputs = manifest(bundle)["inputs"]
    inputs["image"]["preprocessing"][key] = value
    vouch(bundle, inputs=inputs)
    assert "is not a dlkit manifest, or is corrupt" in refused(bundle)


@pytest.mark.parametrize("tolerance", [None, "much", -1, float("nan"), float("inf"), [], {}])
def test_a_tolerance_that_would_let_anything_pass(bundle: Path, vouch: Callable, tolerance: object) -> None:
    """The check of a bundle has a finite limit."""
    outputs = manifest(bundle)["outputs"]
    outputs["output"]["tolerance"] = tolerance
    vouch(bundle, outputs=outputs)
    assert "is not a dlkit manifest, or is corrupt" in refused(bundle)


@pytest.mark.parametrize("before", ['"name": "x", ', '"sha256": {}, ', '"x": NaN, ', '"x": -Infinity, '])
def test_a_manifest_that_readers_read_differently(bundle: Path, before: str) -> None:
    """A key twice, or what JSON does not have: one would take what another has checked for something else."""
    text = (bundle / "manifest.json").read_text()
    (bundle / "manifest.json").write_text(text.replace("{", "{" + before, 1))
    assert "is not a dlkit manifest, or is corrupt" in refused(bundle)


@pytest.mark.parametrize("key", ["name", "target", "scheme"])
@pytest.mark.parametrize("value", ["", "..", "../x", "/tmp/x", "a/b", "a\0b"])
def test_a_model_that_is_called_like_a_place(bundle: Path, vouch: Callable, key: str, value: str) -> None:
    """Pictures are written under its name."""
    vouch(bundle, **{key: value})
    assert "is not a dlkit manifest, or is corrupt" in refused(bundle)


def test_an_image_of_any_size_is_refused(bundle: Path, vouch: Callable) -> None:
    """A manifest of a kilobyte does not ask for terabytes."""
    inputs = manifest(bundle)["inputs"]
    inputs["image"]["preprocessing"] |= {"shape": [10**6, 10**6, 3], "image": [10**6, 10**6, 3]}
    vouch(bundle, inputs=inputs)
    assert "is not a dlkit manifest, or is corrupt" in refused(bundle)


@pytest.mark.parametrize("what", ["inputs", "outputs", "shape"])
def test_a_manifest_of_another_model(bundle: Path, vouch: Callable, what: str) -> None:
    """It is noticed before anything is made for the inputs that it describes."""
    described = manifest(bundle)
    if what == "shape":
        described["inputs"]["image"]["preprocessing"] |= {"shape": [9, 9, 1], "image": [9, 9, 1]}
    else:
        described[what] = {"other": next(iter(described[what].values()))}
    vouch(bundle, inputs=described["inputs"], outputs=described["outputs"])
    with pytest.raises(ModelFileError, match="is not the model that the manifest describes"):
        load_bundle(bundle).session()


@pytest.mark.parametrize("device", [[], [[]], "cpu", 1])
def test_a_device_that_is_no_table(bundle: Path, vouch: Callable, device: object) -> None:
    """It is described by names."""
    vouch(bundle, device=device)
    assert "is not a dlkit manifest, or is corrupt" in refused(bundle)


def test_preprocessing_beyond_all_numbers_says_nothing(bundle: Path, vouch: Callable) -> None:
    """But that what comes of it is infinite; numpy's warnings would be lines of their own."""
    inputs = manifest(bundle)["inputs"]
    inputs["image"]["preprocessing"]["scale"] = [3e38]
    vouch(bundle, inputs=inputs)
    with pytest.raises(DataError, match="NaN or infinite"):
        load_bundle(bundle).check()


def test_labels_without_end_are_refused(bundle: Path, vouch: Callable) -> None:
    """Of a file that takes no room on the disk."""
    with (bundle / "labels.txt").open("r+b") as file:
        file.truncate(2**28)
    vouch(bundle)
    assert "File too large" in refused(bundle)


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "./model.tflite", "..", "saved_model/../../x"])
def test_a_manifest_that_names_a_file_elsewhere(bundle: Path, name: str) -> None:
    """It is not opened."""
    changed = manifest(bundle)
    changed["sha256"][name] = "0" * 64
    (bundle / "manifest.json").write_text(json.dumps(changed))
    assert refused(bundle) == f"{bundle}: the manifest names a file outside the bundle: {name!r}"


@pytest.mark.parametrize("name", ["model.tflite", "labels.txt", "samples.npz"])
def test_a_manifest_that_does_not_vouch_for_a_file(bundle: Path, name: str) -> None:
    """A checksum that is not there proves nothing."""
    changed = manifest(bundle)
    del changed["sha256"][name]
    (bundle / "manifest.json").write_text(json.dumps(changed))
    assert "is not a dlkit manifest, or is corrupt" in refused(bundle)


def test_a_manifest_that_cannot_be_read(bundle: Path) -> None:
    """A sparse file of 100 GB is not read into memory."""
    os.truncate(bundle / "manifest.json", 10**11)
    assert refused(bundle) == f"{bundle}/manifest.json: cannot be read: File too large"


# --- files that are vouched for but make no sense ---


def archive(path: Path, **members: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)


RAW, OUTPUTS = npy(np.zeros((2, 8, 8, 1), np.uint8)), npy(np.zeros((2, 10), np.float32))


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({}, "has no array 'raw image'; export the bundle again"),
        ({"raw image": RAW}, "has no array 'output output'; export the bundle again"),
        ({"raw image": RAW, "output output": b"hello"}, "is not a .npy array"),
        ({"raw image": RAW, "output output": npy(np.asarray([{}], object))}, "holds object, not numbers"),
        ({"raw image": RAW, "output output": npy(np.zeros((3, 10), np.float32))}, "does not belong to the model"),
        ({"raw image": npy(np.zeros((0, 8, 8, 1))), "output output": npy(np.zeros((0, 10)))}, "does not belong to the"),
        ({"raw image": npy(np.zeros((2, 9, 9, 1))), "output output": OUTPUTS}, "samples of shape 9×9×1, but"),
        ({"raw image": RAW, "output output": b"\0" * 300_000_000}, "unpacks to 300,000,"),
    ],
)
def test_samples_that_make_no_sense(bundle: Path, vouch: Callable, members: dict, message: str) -> None:
    """A check cannot pass on nothing, on another shape, on a pickle or on an archive that unpacks to very much."""
    archive(bundle / "samples.npz", **members)
    vouch(bundle)
    with pytest.raises(DlkitError, match=message):
        load_bundle(bundle).check()


def test_wrong_outputs_fail_the_check(bundle: Path, vouch: Callable) -> None:
    """NaN among them too."""
    for value in (0.0, np.nan):
        archive(bundle / "samples.npz", **{"raw image": RAW, "output output": npy(np.full((2, 10), value, np.float32))})
        vouch(bundle)
        _, gap, allowed = load_bundle(bundle).check()
        assert not gap <= allowed


def test_labels_may_hold_odd_characters(bundle: Path, vouch: Callable) -> None:
    """A line is a label, whatever else Unicode calls the end of a line."""
    labels = ["a\u2028b", "é", "数字", " ", "x\x0by", "5", "6", "7", "8", "9"]
    (bundle / "labels.txt").write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
    vouch(bundle)
    assert load_bundle(bundle).labels == tuple(labels)


# --- what it answers ---


def test_a_picture_is_told_by_its_shape_and_range() -> None:
    """Where there are no labels and many numbers."""
    assert answer_text(np.linspace(-1, 2, 48, dtype=np.float32).reshape(4, 4, 3), (), 1) == (
        "4×4×3 numbers from -1.0000 to 2.0000"
    )


def test_top_classes_are_the_highest_first() -> None:
    """Equal ones in the order of the labels; no more than there are."""
    outputs = np.asarray([0.1, 0.4, 0.1, 0.4], np.float32)
    assert [label for label, _ in top_classes(outputs, ("a", "b", "c", "d"), 3)] == ["b", "d", "a"]
    assert len(top_classes(outputs, ("a", "b", "c", "d"), 100)) == 4
    assert top_classes(outputs, ("a", "b", "c", "d"), 1) == [("b", pytest.approx(0.4))]


@pytest.mark.parametrize("labels", [("a",), ("a", "b", "c"), ()])
def test_labels_that_do_not_fit_are_refused(labels: tuple[str, ...]) -> None:
    """A class without a name is not given its number instead."""
    with pytest.raises(ModelFileError, match=rf"has the shape \(2,\), but the bundle has {len(labels)} labels"):
        top_classes(np.zeros(2, np.float32), labels, 1)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_outputs_that_are_no_numbers_are_refused(value: float) -> None:
    """NaN has no place in an order."""
    with pytest.raises(ModelFileError, match="holds NaN or infinity"):
        top_classes(np.asarray([0, value], np.float32), ("a", "b"), 1)
