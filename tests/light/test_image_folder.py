"""A user's folder of images as a dataset."""

from __future__ import annotations

import re
import shutil
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import COLOURS, write_pictures
from PIL import Image

from dlkit.datasets import Split, Splits
from dlkit.errors import DataError, DlkitError, RecipeError
from dlkit.recipe import Recipe, opened, recipe_from
from dlkit.recipe_data import preprocessing_of, splits_of
from dlkit.runtime.inputs import read_inputs
from dlkit.runtime.lazy_images import LazyImages, examined

PARTS = ("train", "validation", "test")


def recipe_of(path: Path, /, network: str = "cnn", data: dict[str, Any] | None = None, **options: Any) -> Recipe:
    network_options = options.pop("network_options", {"input_shape": [12, 12, 3]})
    table = {
        "name": "x",
        "network": {"name": network, "options": network_options},
        "data": {"name": "folder", "options": {"path": str(path), **options}, **(data or {})},
        "training": {"epochs": 1},
    }
    return recipe_from(table, "x.toml")


def parts(splits: Splits) -> list[Split]:
    return [getattr(splits, part) for part in PARTS]


def files(split: Split) -> list[Path]:
    assert isinstance(split.samples, LazyImages)
    return list(split.samples.paths)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "photos")


def test_classes_are_the_folders(folder: Path) -> None:
    """In alphabetical order; the network's options follow from them."""
    recipe = recipe_of(folder)
    assert recipe.network.options == {"input_shape": [12, 12, 3], "classes": 3}
    assert opened(recipe).labels == ("blue", "green", "red")


@pytest.mark.parametrize(
    ("network", "options", "shape"),
    [
        ("cnn", {}, (28, 28, 1)),
        ("resnet8", {}, (32, 32, 3)),
        ("cnn", {"network_options": {"input_shape": [9, 7, 3]}}, (9, 7, 3)),
        ("cnn", {"image_shape": [10, 8, 3]}, (10, 8, 3)),
        ("lstm", {}, (28, 28, 1)),
        ("lstm", {"image_shape": [10, 8, 3]}, (10, 8, 3)),
    ],
)
def test_images_have_the_size_that_the_network_reads(
    folder: Path, network: str, options: dict[str, Any], shape: tuple[int, ...]
) -> None:
    """Its own, unless the recipe says another."""
    recipe = recipe_of(folder, network, **({"network_options": {}} | options))
    splits = splits_of(recipe)
    assert {split.samples.shape[1:] for split in parts(splits)} == {shape}
    assert preprocessing_of(recipe).apply(splits.test.samples[:2]).shape == (2, *recipe.network.options["input_shape"])


def test_splits_are_disjoint_whole_and_stratified(folder: Path) -> None:
    """7, 1 and 2 of the ten of each class; the seed decides which."""
    splits = parts(splits_of(recipe_of(folder)))
    assert [np.bincount(split.labels).tolist() for split in splits] == [[7] * 3, [1] * 3, [2] * 3]
    paths = [path for split in splits for path in files(split)]
    assert sorted(paths) == sorted(folder.glob("*/*.png"))
    for split in splits:
        assert [path.parent.name for path in files(split)] == [sorted(COLOURS)[label] for label in split.labels]
    again, other = (parts(splits_of(recipe_of(folder, split_seed=seed))) for seed in (0, 1))
    assert [split.fingerprint for split in again] == [split.fingerprint for split in splits]
    assert files(other[2]) != files(splits[2])


def test_fractions_are_the_users(folder: Path) -> None:
    """Of each class."""
    splits = parts(splits_of(recipe_of(folder, validation=0.3, test=0.3)))
    assert [len(split) for split in splits] == [12, 9, 9]


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Training", "valid", "testing"), ("train", "test")])
def test_folders_of_splits_are_the_splits(tmp_path: Path, names: tuple[str, ...]) -> None:
    """Whatever they are called; one that is missing is drawn from what is there to train on."""
    for seed, name in enumerate(names):
        write_pictures(tmp_path / name, 10, seed=seed)
    splits = splits_of(recipe_of(tmp_path))
    assert len(files(splits.test)) == 30
    assert {path.parts[-3] for path in files(splits.test)} == {names[-1]}
    assert [len(splits.train), len(splits.validation)] == ([30, 30] if len(names) == 3 else [27, 3])
    assert {path.parts[-3] for path in files(splits.train)} == {names[0]}


def test_the_same_file_in_two_given_splits_is_refused(tmp_path: Path) -> None:
    """By its contents, whatever it is called."""
    for seed, name in enumerate(("train", "test")):
        write_pictures(tmp_path / name, 4, seed=seed)
    shutil.copy(tmp_path / "train" / "red" / "001.png", tmp_path / "test" / "red" / "other.png")
    with pytest.raises(DataError, match=r"1 sample is in two splits: train/red/001\.png is test/red/other\.png too"):
        splits_of(recipe_of(tmp_path))
    splits = splits_of(recipe_of(tmp_path, copies="skip"))
    assert tmp_path / "train" / "red" / "001.png" not in files(splits.train) + files(splits.validation)
    assert len(splits.train) + len(splits.validation) == 11
    assert tmp_path / "test" / "red" / "other.png" in files(splits.test)


def test_copies_stay_in_one_of_our_splits(folder: Path) -> None:
    """However many there are."""
    for number in range(6):
        shutil.copy(folder / "red" / "000.png", folder / "red" / f"copy{number}.png")
    for seed in range(5):
        splits = parts(splits_of(recipe_of(folder, split_seed=seed)))
        holding = [{path.read_bytes() for path in files(split)} for split in splits]
        assert sum((folder / "red" / "000.png").read_bytes() in held for held in holding) == 1


def test_a_sample_is_what_a_runner_makes_of_its_file(folder: Path) -> None:
    """Of every mode, turned upright."""
    red = folder / "red"
    picture = Image.open(red / "000.png")
    picture.convert("L").save(red / "grey.png")
    picture.convert("P").save(red / "palette.png")
    picture.convert("RGBA").save(red / "alpha.png")
    picture.convert("CMYK").save(red / "cmyk.jpg")
    Image.fromarray(np.arange(320, dtype=np.uint16).reshape(16, 20) * 200).save(red / "deep.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.crop((0, 0, 20, 6)).save(red / "turned.jpg", exif=exif)
    for resize in ("crop", "pad", "stretch"):
        recipe = recipe_of(folder, data={"resize": resize})
        preprocessing = preprocessing_of(recipe)
        seen: dict[str, np.ndarray] = {}
        for split in parts(splits_of(recipe)):
            seen |= {str(path): sample for path, sample in zip(files(split), split.samples, strict=True)}
        assert len(seen) == 36
        for path, sample in seen.items():
            [read] = read_inputs([path], preprocessing)
            assert np.array_equal(read.raw, sample), path


def test_a_turned_photo_is_upright(tmp_path: Path) -> None:
    """Its EXIF orientation counts in training too."""
    write_pictures(tmp_path, 4)
    half = np.zeros((12, 12, 3), np.uint8)
    half[:, 6:] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn to the right
    Image.fromarray(half).save(tmp_path / "red" / "turned.png", exif=exif)
    for split in parts(splits_of(recipe_of(tmp_path))):
        for path, sample in zip(files(split), split.samples, strict=True):
            if path.name == "turned.png":
                assert (sample[:6].max(), sample[6:].min()) == (0, 255)
                return
    raise AssertionError


def test_lazy_is_eager(folder: Path) -> None:
    """By integer, slice, array and mask, and all at once; alike in every order."""
    samples = splits_of(recipe_of(folder)).train.samples
    whole = np.asarray(samples)
    assert whole.shape == samples.shape == (21, 12, 12, 3)
    assert (whole.dtype, samples.ndim, len(samples)) == (samples.dtype, 4, 21)
    assert np.array_equal(samples[5], whole[5])
    assert np.array_equal(samples[-1], whole[-1])
    assert np.array_equal(samples[3:17:2], whole[3:17:2])
    assert np.array_equal(samples[np.array([7, 0, 7])], whole[[7, 0, 7]])
    mask = np.arange(21) % 4 == 0
    assert np.array_equal(samples[mask], whole[mask])
    assert np.array_equal(np.stack(list(samples)), whole)
    assert samples[:0].shape == (0, 12, 12, 3)
    with pytest.raises(IndexError):
        samples[21]


def test_noise_over_lazy_samples_is_the_same_in_any_batch(folder: Path) -> None:
    """It is drawn by a sample's place; what is clean stays."""
    network_options = {"input_shape": [12, 12, 3]}
    recipe = recipe_of(folder, "denoising_autoencoder", {"noise": 0.2}, network_options=network_options)
    test = splits_of(recipe).test
    whole = np.asarray(test.samples)
    assert np.array_equal(test.samples[np.array([4, 1])], whole[[4, 1]])
    assert not np.array_equal(whole, np.asarray(test.clean))
    assert np.array_equal(np.asarray(test.wanted), np.asarray(splits_of(recipe_of(folder)).test.samples))
    assert 0 <= whole.min() <= whole.max() <= 255
    assert test.fingerprint == splits_of(recipe_of(folder)).test.fingerprint


def test_a_fingerprint_is_of_the_files(folder: Path) -> None:
    """Not of the size they are read in; another file or another class is another split."""
    first = splits_of(recipe_of(folder)).test
    smaller = splits_of(recipe_of(folder, network_options={"input_shape": [8, 8, 1]})).test
    assert first.fingerprint == smaller.fingerprint
    with Image.open(files(first)[0]) as picture:
        picture.rotate(180).save(files(first)[0])
    assert splits_of(recipe_of(folder)).test.fingerprint != first.fingerprint


def test_broken_files_are_named(folder: Path) -> None:
    """The first of them, how many, and what can be done."""
    for number in range(6):
        (folder / "blue" / f"bad{number}.png").write_bytes(b"no image")
    whole = (folder / "red" / "000.png").read_bytes()
    (folder / "red" / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError) as caught:
        splits_of(recipe_of(folder))
    said = str(caught.value)
    assert said.startswith(f"{folder}: 7 of 37 images cannot be read: blue/bad0.png: is not an image")
    assert "blue/bad4.png: is not an image" in said
    assert "bad5" not in said
    assert said.endswith("; …; mend them or take them away, or leave them out: --set data.options.broken=skip")


def test_broken_files_are_skipped_only_if_asked(folder: Path) -> None:
    """The others are all there."""
    (folder / "red" / "bad.png").touch()
    assert sum(len(split) for split in parts(splits_of(recipe_of(folder, broken="skip")))) == 30


@pytest.mark.parametrize("stored", [True, False])
def test_a_stored_recipe_is_read_without_its_folder(folder: Path, stored: bool) -> None:
    """It says all that the data decide; they are missed when they are wanted."""
    recipe = recipe_of(folder)
    table = recipe.as_dict()
    if not stored:
        del table["network"]["options"]["classes"]
    shutil.rmtree(folder)
    if stored:
        again = recipe_from(table, "bundle")
        assert again == recipe
        with pytest.raises(DataError, match=r"data\.options\.path = '.*photos': there is no such folder"):
            splits_of(again)
    else:
        with pytest.raises(DataError, match="there is no such folder"):
            recipe_from(table, "bundle")


def test_a_stored_recipe_is_held_against_the_data_when_they_are_loaded(folder: Path) -> None:
    """A folder more is a class more."""
    stored = recipe_of(folder).as_dict()
    shutil.copytree(folder / "red", folder / "rust")
    with pytest.raises(RecipeError, match=r"recipe x: network\.options\.classes = 3, but folder has 4; leave it out, "
                       r"or train again with these data"):  # fmt: skip
        splits_of(recipe_from(stored, "bundle"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pth": "x"}, "x.toml: unknown key 'data.options.pth'; did you mean 'path'?"),
        ({"broken": "ignore"}, "x.toml: data.options.broken = 'ignore' is not one of them; known: refuse, skip"),
        ({"test": 0}, "x.toml: data.options.test = 0.0 must be above 0 and below 1"),
        ({"validation": 0.5, "test": 0.5}, "x.toml: data.options.validation + data.options.test = 1 must be below 1"),
        ({"split_seed": "a"}, "x.toml: data.options.split_seed = 'a' is a string; it takes a whole number"),
        ({"image_shape": [8, 8, 2]}, "data.options.image_shape = [8, 8, 2] must be [HEIGHT, WIDTH, CHANNELS]"),
        ({"image_shape": [8, 8, 3]}, "network.options.input_shape = [12, 12, 3], but data.options.image_shape"),
        ({"path": "no/where"}, "data.options.path = 'no/where': there is no such folder (looked for /"),
    ],
)
def test_options_are_read_strictly(folder: Path, options: dict[str, Any], message: str) -> None:
    """One line with file and key."""
    with pytest.raises(DlkitError, match=re.escape(message)) as caught:
        recipe_of(folder, **options)
    assert "\n" not in str(caught.value)


def test_a_path_has_to_be_said() -> None:
    """There is no folder by default."""
    table = {"name": "x", "network": {"name": "cnn"}, "data": {"name": "folder"}, "training": {"epochs": 1}}
    with pytest.raises(RecipeError, match=r"x\.toml: missing key 'data\.options\.path'"):
        recipe_from(table, "x.toml")


def test_a_dataset_without_options_takes_none() -> None:
    """Said, not overlooked."""
    data = {"name": "digits", "options": {"path": "x"}}
    table = {"name": "x", "network": {"name": "cnn"}, "data": data, "training": {"epochs": 1}}
    with pytest.raises(RecipeError, match=r"x\.toml: unknown key 'data\.options\.path'; digits takes none"):
        recipe_from(table, "x.toml")


def spoil(folder: Path, how: str) -> None:
    """One thing wrong with the folder."""
    if how == "stray":
        shutil.copy(folder / "red" / "000.png", folder / "stray.png")
    elif how == "empty":
        (folder / "yellow").mkdir()
    elif how == "few":
        for number in range(2, 10):
            (folder / "red" / f"{number:03}.png").unlink()
    elif how == "mixed":
        write_pictures(folder / "train")
        write_pictures(folder / "test")
    elif how == "one":
        shutil.rmtree(folder / "red")
        shutil.rmtree(folder / "blue")
    else:
        for name in ("train", "test"):
            write_pictures(folder.parent / "given" / name)
        (folder.parent / "given" / "test" / "red").rename(folder.parent / "given" / "test" / "read")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("stray", "stray.png: is in no class; put each image into the folder of its class"),
        ("empty", "yellow: no images in this folder"),
        ("few", "class 'red' has 2 different samples; at least 3 are needed, one for each of train, validation and"),
        ("mixed", "holds blue/ beside test/; keep folders of classes alone, or of splits alone"),
        ("one", "cnn tells classes apart, and folder has 1; give data of two classes at least"),
        ("unknown", "given/test/read: is a class that train/ does not have; its classes are blue, green, red"),
    ],
)
def test_a_folder_that_cannot_be_meant_is_refused(folder: Path, how: str, message: str) -> None:
    """With what was found, and where."""
    spoil(folder, how)
    with pytest.raises(DlkitError, match=re.escape(message)):
        splits_of(recipe_of(folder if how != "unknown" else folder.parent / "given"))


def test_images_without_classes_are_for_an_autoencoder(tmp_path: Path) -> None:
    """The folder itself is the only class."""
    write_pictures(tmp_path / "all")
    recipe = recipe_of(tmp_path / "all" / "red", "convolutional_autoencoder", network_options={})
    assert recipe.network.options == {"input_shape": [28, 28, 1]}
    assert [len(split) for split in parts(splits_of(recipe))] == [7, 1, 2]


def test_files_are_read_once_as_long_as_they_do_not_change(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run trains on them and then exports; a file that has changed is looked at again."""
    from dlkit.datasets import _image_folder

    read: list[Path] = []

    def counted(path: Path, *others: Any) -> tuple[str, str]:
        read.append(path)
        return examined(path, *others)

    monkeypatch.setattr(_image_folder, "examined", counted)
    first = splits_of(recipe_of(folder)).test
    assert splits_of(recipe_of(folder)).test.fingerprint == first.fingerprint
    assert len(read) == 30
    (folder / "red" / "000.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="1 of 30 images cannot be read"):
        splits_of(recipe_of(folder))


def test_several_threads_may_read_at_once(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """As an input pipeline does; standard error and the filters of warnings are afterwards what they were."""
    import os
    import warnings
    from concurrent.futures import ThreadPoolExecutor

    samples = splits_of(recipe_of(folder)).train.samples
    whole, filters = np.asarray(samples), list(warnings.filters)
    rows = [np.random.default_rng(seed).integers(0, len(samples), 8) for seed in range(64)]
    with ThreadPoolExecutor(8) as pool:
        batches = list(pool.map(lambda positions: samples[positions], rows))
    assert all(np.array_equal(batch, whole[positions]) for batch, positions in zip(batches, rows, strict=True))
    os.write(2, b"still here")
    assert capfd.readouterr().err == "still here"
    assert warnings.filters == filters


def test_memory_does_not_grow_with_the_folder(tmp_path: Path) -> None:
    """A pass over ten times the images takes less memory than two of them all would."""

    def peak(count: int) -> tuple[int, int]:
        folder = write_pictures(tmp_path / str(count), count, (64, 64))
        recipe = recipe_of(folder, network_options={"input_shape": [64, 64, 3]})
        tracemalloc.start()
        try:
            samples = splits_of(recipe).train.samples
            for start in range(0, len(samples), 16):
                samples[start : start + 16]
            return tracemalloc.get_traced_memory()[1], len(samples) * 64 * 64 * 3 * 4
        finally:
            tracemalloc.stop()

    peak(5)  # what is imported once
    few, _ = peak(20)
    many, whole = peak(200)
    assert many < whole / 4
    assert many < few + 2 * 2**20
