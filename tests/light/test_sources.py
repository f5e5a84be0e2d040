"""What a user gives to calibrate with → samples by input."""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from as_files import encoded, npy
from PIL import Image

from dlkit.calibration.linting import identities
from dlkit.calibration.sources import Samples, drawn, held_out_apart, read_samples
from dlkit.errors import DataError
from dlkit.runtime.preprocessing import preprocessing_for

SHAPE = (2, 3, 1)
GREY = {"image": preprocessing_for("none", SHAPE, SHAPE, (0.0, 255.0), "stretch")}
TWO = {
    "left": preprocessing_for("none", (4,), None, (0.0, 1.0), "stretch"),
    "right": preprocessing_for("none", (2,), None, (-9.0, 9.0), "stretch"),
}
PIXELS = np.random.default_rng(0).integers(2, 256, (20, *SHAPE)).astype(np.uint8)
LEFT = np.random.default_rng(1).random((20, 4))
RIGHT = np.random.default_rng(2).integers(-9, 10, (20, 2))
LABELS = np.repeat([0, 1, 2], [14, 4, 2])


def npz(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def written(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def image_files(folder: Path, names: list[str]) -> Path:
    """Different images; files with the same first letter are equal where it is 'x'."""
    for number, name in enumerate(names):
        pixels = PIXELS[0] if Path(name).name.startswith("x") else PIXELS[number + 1]
        written(folder / name, encoded(Image.fromarray(pixels[..., 0]), "PNG"))
    return folder


def refused(data: Any, preprocessing: Any = GREY) -> str:
    with pytest.raises(DataError) as caught:
        read_samples(data, preprocessing)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- folders ---


def test_a_folder_of_images(tmp_path: Path) -> None:
    """All of them, in order, without labels."""
    found = read_samples(image_files(tmp_path / "photos", ["a.png", "b.png", "c.png"]), GREY)
    assert np.array_equal(found.raw["image"], PIXELS[1:4])
    assert (found.labels, found.source, found.class_names) == (None, "images of photos/", ())


def test_a_folder_of_classes(tmp_path: Path) -> None:
    """A folder a class, in the order of their names."""
    found = read_samples(image_files(tmp_path / "pets", ["dog/1.png", "cat/1.png", "dog/old/2.png"]), GREY)
    assert found.class_names == ("cat", "dog")
    assert found.labels is not None
    assert found.labels.tolist() == [0, 1, 1]
    assert np.array_equal(found.raw["image"], PIXELS[[2, 1, 3]])
    assert found.source == "images of pets/, 2 classes"


@pytest.mark.parametrize("names", [["all/1.png", "all/2.png"], ["a/1.png", "b/2.png", "3.png"]])
def test_folders_that_are_no_classes(names: list[str], tmp_path: Path) -> None:
    """One alone is none, and neither are those with images beside them."""
    found = read_samples(image_files(tmp_path, names), GREY)
    assert (found.labels, found.class_names, len(found)) == (None, (), len(names))


def test_copies_of_an_image_are_read_once(tmp_path: Path) -> None:
    """Whatever they are called."""
    assert len(read_samples(image_files(tmp_path, ["x1.png", "x2.png", "b.png", "x3.png"]), GREY)) == 2


def test_as_many_images_as_asked_for_although_some_are_copies(tmp_path: Path) -> None:
    """Drawn by the seed, spread over the classes."""
    folder = image_files(
        tmp_path, ["a/x1.png", "a/x2.png", "a/x3.png", *(f"{c}/{i}.png" for c in "abc" for i in range(4))]
    )
    found = read_samples(folder, GREY, most=9, seed=3)
    assert found.labels is not None
    assert np.bincount(found.labels).tolist() == [3, 3, 3]
    again, other = (read_samples(folder, GREY, most=9, seed=seed).raw["image"] for seed in (3, 4))
    assert np.array_equal(found.raw["image"], again)
    assert not np.array_equal(found.raw["image"], other)


def test_a_folder_feeds_one_input(tmp_path: Path) -> None:
    """Which of several is not guessed."""
    text = refused(image_files(tmp_path, ["a.png"]), TWO)
    assert text.endswith("a folder of files feeds one input, but this model has 2: left, right; give arrays by name")


def test_a_link_that_leads_nowhere(tmp_path: Path) -> None:
    """Is not passed over."""
    (image_files(tmp_path, ["a.png"]) / "b.png").symlink_to(tmp_path / "gone.png")
    assert refused(tmp_path).endswith("b.png: cannot be read: No such file or directory")


# --- files ---


def test_a_npy_file(tmp_path: Path) -> None:
    """A sample a row."""
    found = read_samples(written(tmp_path / "d.npy", npy(PIXELS)), GREY)
    assert np.array_equal(found.raw["image"], PIXELS)
    assert (found.labels, found.source) == (None, "d.npy")


def test_a_csv_file(tmp_path: Path) -> None:
    """A sample a line; a path may be a string."""
    path = written(tmp_path / "d.csv", b"1,2,3,4,5,6\n6,5,4,3,2,1\n")
    assert read_samples(str(path), GREY).raw["image"].reshape(2, 6).tolist() == [[1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1]]


def test_an_npz_archive(tmp_path: Path) -> None:
    """An array for each input, and labels."""
    found = read_samples(written(tmp_path / "d.npz", npz(right=RIGHT, left=LEFT, labels=LABELS)), TWO)
    assert list(found.raw) == ["left", "right"]
    assert np.array_equal(found.raw["left"], LEFT)
    assert np.array_equal(found.raw["right"], RIGHT)
    assert found.labels is not None
    assert found.labels.tolist() == LABELS.tolist()


def test_the_array_of_a_sole_input_may_have_any_name(tmp_path: Path) -> None:
    """There is nothing to mix it up with."""
    assert np.array_equal(read_samples(written(tmp_path / "d.npz", npz(x=PIXELS)), GREY).raw["image"], PIXELS)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"left": LEFT, "wrong": RIGHT}, "holds arrays named left, wrong; this model's inputs are left, right"),
        ({"left": LEFT}, "holds arrays named left; this model's inputs are left, right"),
        ({"left": LEFT, "right": RIGHT[:9]}, "20 in left, 9 in right; every array needs the same number of samples"),
        ({"left": LEFT, "right": RIGHT, "labels": LABELS[:3]}, "20 in left, 20 in right, 3 in labels; every array"),
        ({"left": LEFT[:0], "right": RIGHT[:0]}, "0 in left, 0 in right; every array needs"),
        (
            {"left": LEFT, "right": RIGHT, "labels": np.eye(20)},
            "labels: float64 of shape (20, 20); give a class number",
        ),
        ({"left": LEFT, "right": RIGHT, "labels": LABELS - 1}, "labels: int64 of shape (20,); give a class number"),
        ({"left": LEFT * 2, "right": RIGHT}, "but this model takes raw values from 0 to 1"),
        ({"left": LEFT * np.nan, "right": RIGHT}, "left[0]: 4 values are NaN or infinite"),
        ({"left": LEFT[:, :3], "right": RIGHT}, "left[0]: shape 3, but this model takes 4"),
        ({"left": LEFT.astype(str), "right": RIGHT}, "not numbers"),
    ],
)
def test_an_archive_that_does_not_fit(arrays: dict[str, np.ndarray], said: str, tmp_path: Path) -> None:
    """Refused with what was found and what is wanted."""
    assert said in refused(written(tmp_path / "d.npz", npz(**arrays)), TWO)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (npy(PIXELS), "is not an .npz archive; save one with numpy.savez"),
        (npz(x=PIXELS)[:200], "is not a whole archive of arrays"),
        (npz(x=np.array([{}], dtype=object)), "holds object, not numbers"),
        (b"", "is not an .npz archive"),
    ],
)
def test_a_broken_archive(content: bytes, said: str, tmp_path: Path) -> None:
    """Nothing in it is unpickled."""
    assert said in refused(written(tmp_path / "d.npz", content))


def test_an_archive_that_unpacks_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own table of contents says so, before anything is unpacked."""
    monkeypatch.setattr("dlkit.calibration.sources.LARGEST_BYTES", 1000)
    stream = io.BytesIO()
    np.savez_compressed(stream, x=np.zeros((10_000, *SHAPE)))
    assert "unpacks to 480,128 bytes, more than the 1,000" in refused(written(tmp_path / "d.npz", stream.getvalue()))


@pytest.mark.parametrize("name", ["none.npz", "none.npy", "none"])
def test_a_missing_file(name: str, tmp_path: Path) -> None:
    """Is named."""
    assert refused(tmp_path / name).endswith(f"{name}: there is no such file")


# --- from Python ---


def test_an_array() -> None:
    """For a model with one input."""
    found = read_samples(PIXELS, GREY)
    assert np.array_equal(found.raw["image"], PIXELS)
    assert found.source == "array given"


def test_a_mapping_of_arrays() -> None:
    """By input; a list of lists is an array too."""
    found = read_samples({"left": LEFT.tolist(), "right": RIGHT, "labels": LABELS.tolist()}, TWO)
    assert np.array_equal(found.raw["left"], LEFT)
    assert found.labels is not None


def test_samples_one_by_one() -> None:
    """Arrays, or a mapping for each."""
    assert np.array_equal(read_samples((row for row in PIXELS), GREY).raw["image"], PIXELS)
    rows = [{"right": right, "left": left} for left, right in zip(LEFT, RIGHT, strict=True)]
    assert np.array_equal(read_samples(rows, TWO).raw["right"], RIGHT)


def test_samples_without_end() -> None:
    """No more are taken than are wanted."""
    assert len(read_samples(itertools.cycle(PIXELS), GREY, most=30)) == 30


@pytest.mark.parametrize(
    ("data", "preprocessing", "said"),
    [
        (PIXELS, TWO, "data: an array feeds one input, but this model has 2: left, right"),
        ([], GREY, "data: holds no samples"),
        (7, GREY, "data: is of type int; give a path, an array, a mapping of arrays or an iterable of samples"),
        ([{"left": LEFT[0]}], TWO, "data: sample 0: has left; this model's inputs are left, right"),
        ([(PIXELS[0], 3)], GREY, "data: sample 0: a tuple that is no array; give an array or a mapping of arrays"),
        ([PIXELS[0], PIXELS[0] * np.nan], GREY, "data: sample 1, image: 6 values are NaN or infinite"),
        ({"image": [[1], [2, 3]]}, GREY, "data, image: a list that is no array"),
    ],
)
def test_what_does_not_fit(data: Any, preprocessing: Any, said: str) -> None:
    """Refused with what was given and what is wanted."""
    assert said in refused(data, preprocessing)


# --- drawing ---


def test_what_is_drawn_is_spread_over_the_classes() -> None:
    """As evenly as they allow: the smallest has two."""
    found = read_samples({"image": PIXELS, "labels": LABELS}, GREY, most=9, seed=1)
    assert found.labels is not None
    assert np.bincount(found.labels).tolist() == [4, 3, 2]
    rows = [int(np.flatnonzero((row == PIXELS).all(axis=(1, 2, 3)))[0]) for row in found.raw["image"]]
    assert LABELS[rows].tolist() == found.labels.tolist()
    assert len(set(rows)) == 9


def test_only_what_is_drawn_is_looked_at() -> None:
    """A million rows need not be checked for a hundred; the row in an error is the row in the array."""
    values = LEFT.copy()
    values[5] = np.nan
    preprocessing = {"left": TWO["left"]}
    chosen = np.random.default_rng(0).permutation(20)
    place = int(np.flatnonzero(chosen == 5)[0])
    assert len(read_samples(values, preprocessing, most=place)) == place
    with pytest.raises(DataError, match=r"left\[5\]: 4 values are NaN"):
        read_samples(values, preprocessing, most=place + 1)


@pytest.mark.parametrize("labels", [None, LABELS])
def test_the_same_seed_draws_the_same(labels: np.ndarray | None) -> None:
    """And another one others."""
    samples = Samples({"image": PIXELS}, labels, "")
    one, two, three = (drawn(samples, 8, seed).raw["image"] for seed in (0, 0, 1))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, three)


@pytest.mark.parametrize("labels", [None, np.repeat([0, 1], 12)])
def test_nothing_is_in_both_parts(labels: np.ndarray | None) -> None:
    """Not even as a copy; nothing else is lost."""
    samples = Samples({"image": np.concatenate([PIXELS, PIXELS[:4]])}, labels, "")
    held_out, rest = held_out_apart(samples, 6, 0)
    assert len(held_out) == 6
    parts = set(identities(held_out.raw)), set(identities(rest.raw))
    assert not parts[0] & parts[1]
    assert parts[0] | parts[1] == set(identities(samples.raw))
    if held_out.labels is not None:
        assert np.bincount(held_out.labels).tolist() == [3, 3]
