"""The commands that run a bundle: exact output, exact exit code."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from as_files import encoded, npy
from PIL import Image

from dlkit.bundle.answers import top_classes
from dlkit.bundle.loading import load_bundle


@pytest.fixture
def png(tmp_path: Path, digit_png: bytes) -> Path:
    """A digit 2, as a file."""
    path = tmp_path / "two.png"
    path.write_bytes(digit_png)
    return path


@pytest.fixture(scope="module")
def best(tiny_bundle: Path, digit_png: bytes) -> list[tuple[str, float]]:
    """All classes of the pixels of that digit with their probabilities, by the library."""
    with Image.open(io.BytesIO(digit_png)) as image:
        raw = np.asarray(image, np.float32)[np.newaxis, :, :, np.newaxis] / 255 * 16
    return classes_of(raw, tiny_bundle)


@pytest.fixture(scope="module")
def best_of_array(tiny_bundle: Path, digit: np.ndarray) -> list[tuple[str, float]]:
    """Those of its values; pixels of 0 to 255 are a little beside them."""
    return classes_of(digit[np.newaxis], tiny_bundle)


def classes_of(raw: np.ndarray, bundle: Path) -> list[tuple[str, float]]:
    loaded = load_bundle(bundle)
    return top_classes(loaded.session().run(loaded.preprocessing.apply(raw))[0], loaded.labels, 10)


def line(name: object, best: list[tuple[str, float]], count: int = 1) -> str:
    return f"{name}  " + "  ".join(f"{label} {value:.4f}" for label, value in best[:count]) + "\n"


def test_the_best_class_of_an_image(dlkit, tiny_bundle, png, best) -> None:
    """Name, label, probability."""
    said = dlkit("predict", tiny_bundle, png)
    assert (said.code, said.out, said.err) == (0, line(png, best), "")
    assert said.out.startswith(f"{png}  2 0.")


@pytest.mark.parametrize("top", [2, 10, 1000])
def test_top(dlkit, tiny_bundle, png, best, top: int) -> None:
    """The best classes, best first; no more than there are."""
    assert dlkit("predict", tiny_bundle, png, "--top", str(top)).out == line(png, best, top)


def test_json(dlkit, tiny_bundle, png, best) -> None:
    """A list of inputs, each with labels and probabilities of the same length."""
    said = dlkit("predict", tiny_bundle, png, png, "--top", "3", "--json")
    answer = {"input": str(png), "labels": [b[0] for b in best[:3]], "probabilities": [b[1] for b in best[:3]]}
    assert said.code == 0
    assert said.out == json.dumps([answer, answer], indent=2) + "\n"


@pytest.fixture
def without_labels(bundle: Path, vouch: Callable) -> Path:
    """A bundle whose outputs are no classes."""
    (bundle / "labels.txt").write_text("")
    vouch(bundle)
    return bundle


def test_outputs_that_are_no_classes(dlkit, without_labels, png, best) -> None:
    """A few numbers are printed in the order of the outputs."""
    in_order = [value for _, value in sorted(best)]
    assert dlkit("predict", without_labels, png).out == f"{png}  " + "  ".join(f"{v:.4f}" for v in in_order) + "\n"


def test_json_of_outputs_that_are_no_classes(dlkit, without_labels, png, best) -> None:
    """All of them, nested as their shape is."""
    said = json.loads(dlkit("predict", without_labels, png, "--json").out)
    assert said == [{"input": str(png), "outputs": [value for _, value in sorted(best)]}]


def test_there_is_no_accuracy_without_classes(dlkit, without_labels) -> None:
    """One line says so."""
    said = dlkit("evaluate", without_labels)
    assert (said.code, said.out) == (1, "")
    assert said.err.endswith(
        f"error: {without_labels}: its outputs are no classes, so there is no accuracy to measure\n"
    )


@pytest.mark.parametrize("kind", ["png", "npy", "csv"])
def test_standard_input(dlkit, tiny_bundle, digit, digit_png, best, best_of_array, kind: str) -> None:
    """Each kind of input gives the same answer as its file would."""
    content = {"png": digit_png, "npy": npy(digit), "csv": ",".join(map(str, digit.flat)).encode()}[kind]
    name = "standard input[0]" if kind == "csv" else "standard input"
    assert dlkit("predict", tiny_bundle, "-", stdin=content).out == line(name, best if kind == "png" else best_of_array)


def test_several_inputs_in_order(dlkit, tiny_bundle, png, digit, best, best_of_array, tmp_path) -> None:
    """A line each: a folder's images, a batch's rows."""
    batch = tmp_path / "batch.npy"
    batch.write_bytes(npy(np.stack([digit, digit])))
    folder = tmp_path / "more"
    folder.mkdir()
    (folder / "x.png").write_bytes(png.read_bytes())
    said = dlkit("predict", tiny_bundle, folder, batch, png)
    rows = "".join(line(f"{batch}[{row}]", best_of_array) for row in (0, 1))
    assert said.out == line(folder / "x.png", best) + rows + line(png, best)


def test_a_larger_image_is_fitted(dlkit, tiny_bundle, digit_png, tmp_path) -> None:
    """Ten times the size is the same digit."""
    import io

    large = Image.open(io.BytesIO(digit_png)).resize((80, 80))
    (tmp_path / "large.png").write_bytes(encoded(large.convert("RGB"), "PNG"))
    assert dlkit("predict", tiny_bundle, tmp_path / "large.png").out.startswith(f"{tmp_path}/large.png  2 ")


def test_check(dlkit, tiny_bundle) -> None:
    """How many samples, the largest gap, the gap allowed."""
    count, gap, allowed = load_bundle(tiny_bundle).check()
    said = dlkit("predict", tiny_bundle, "--check")
    wanted = f"check passed: {count} samples, largest gap {gap:.3g}, allowed {allowed:.3g}\n"
    assert (said.code, said.out, said.err) == (0, wanted, "")


def test_check_as_json(dlkit, tiny_bundle) -> None:
    """The same as data."""
    count, gap, allowed = load_bundle(tiny_bundle).check()
    said = dlkit("predict", tiny_bundle, "--check", "--json")
    assert json.loads(said.out) == {"passed": True, "samples": count, "largest_gap": gap, "allowed": allowed}


def test_check_and_predict_as_json(dlkit, tiny_bundle, png) -> None:
    """Standard output stays one JSON value."""
    said = dlkit("predict", tiny_bundle, png, "--check", "--json")
    assert len(json.loads(said.out)) == 1
    assert said.err.startswith("check passed: ")


def test_a_failed_check_is_refused(dlkit, bundle, vouch: Callable) -> None:
    """Exit code 3: this device does not compute what was exported."""
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["inputs"]["image"]["preprocessing"]["scale"] = [0.01]
    vouch(bundle, inputs=manifest["inputs"])
    said = dlkit("predict", bundle, "--check")
    assert (said.code, said.out) == (3, "")
    assert said.err.startswith("error: check failed: ")
    assert said.err.endswith("; this device does not compute what was exported\n")


def test_names_a_terminal_cannot_show(dlkit, tiny_bundle, png, best) -> None:
    """A line break or a broken encoding in a file's name does not break the line."""
    odd = png.with_name("a\nb\udcff.png")
    odd.write_bytes(png.read_bytes())
    assert dlkit("predict", tiny_bundle, odd).out == line(f"{odd.parent}/a\\nb\\udcff.png", best)
    assert json.loads(dlkit("predict", tiny_bundle, odd, "--json").out)[0]["input"] == str(odd)


def test_evaluate(dlkit, tiny_bundle) -> None:
    """Both accuracies and the agreement, as text and as JSON."""
    said = dlkit("evaluate", tiny_bundle, "--quiet")
    result = json.loads(dlkit("evaluate", tiny_bundle, "--json").out)
    assert {"metric", "float", "exported", "agreement", "samples"} <= set(result)
    assert said.out == (
        "accuracy on 360 samples (test split of digits)\n"
        f"float      {result['float']:.4f}\n"
        f"exported   {result['exported']:.4f}\n"
        f"agreement  {result['agreement']:.4f}\n"
    )
    assert result["exported"] > 0.97


def test_evaluate_on_a_folder(dlkit, tiny_bundle, digit_png, tmp_path) -> None:
    """A folder of images for each class; the float model is not there to compare with."""
    for name in ("2", "3"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_bytes(digit_png)
    said = dlkit("evaluate", tiny_bundle, "--data", tmp_path, "--quiet")
    assert said.out == f"accuracy on 2 samples ({tmp_path.name}/)\nexported   0.5000\n"


def test_inspect(dlkit, tiny_bundle) -> None:
    """Operations, number formats, inputs and outputs."""
    said = dlkit("inspect", tiny_bundle)
    assert said.code == 0
    for part in ("CONV_2D              2\n", "int8           13\n", "1×8×8×1  int8", "× (stored + 128)"):
        assert part in said.out


def test_inspect_as_json(dlkit, tiny_bundle) -> None:
    """The promised keys; the file alone says the same as its bundle."""
    result = json.loads(dlkit("inspect", tiny_bundle, "--json").out)
    assert {"ops", "tensors", "inputs", "outputs", "size"} <= set(result)
    assert result["size"] == (tiny_bundle / "model.tflite").stat().st_size
    assert result == json.loads(dlkit("inspect", tiny_bundle / "model.tflite", "--json").out)


def test_bench(dlkit, tiny_bundle) -> None:
    """A row for each bundle; a file can stand for one."""
    said = dlkit("bench", tiny_bundle, tiny_bundle / "model.tflite", "--runs", "3", "--json")
    rows = json.loads(said.out)
    assert [row["bundle"] for row in rows] == [str(tiny_bundle), str(tiny_bundle / "model.tflite")]
    assert {row["runs"] for row in rows} == {3}
    assert len({row["bytes"] for row in rows}) == 1


def test_list_networks_as_json(dlkit) -> None:
    """The promised keys, for every network."""
    from dlkit.networks import NETWORKS

    rows = json.loads(dlkit("list", "networks", "--json").out)
    assert [row["name"] for row in rows] == list(NETWORKS)
    for row in rows:
        assert set(row) == {
            "name", "family", "task", "input", "classes", "parameters", "trainable", "multiply_adds", "paper",
            "reference", "variant", "preprocessing", "smallest", "options",
        }  # fmt: skip
        assert row["options"]["input_shape"] == row["input"]
    assert all(isinstance(row["parameters"], int) and isinstance(row["input"], list) for row in rows)


@pytest.mark.parametrize("kind", ["networks", "datasets", "schemes", "targets", "recipes"])
def test_list_is_a_table_of_the_same(dlkit, root, monkeypatch, kind: str) -> None:
    """A head and a row for each entry, in the same order as JSON."""
    monkeypatch.chdir(root)
    rows = json.loads(dlkit("list", kind, "--json").out)
    head, *lines = dlkit("list", kind).out.splitlines()
    assert head.split()[0] == next(iter(rows[0]))
    assert [line.split()[0] for line in lines] == [next(iter(row.values())) for row in rows]


def test_list_recipes_where_there_are_none(dlkit, tmp_path, monkeypatch) -> None:
    """Says where it looked."""
    monkeypatch.chdir(tmp_path)
    assert dlkit("list", "recipes").out == "there are no recipes in ./recipes\n"
