"""Data sets from a user's own files: what holds for every source, and what each of them refuses."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import write_pictures

from dlkit.datasets import DATASETS, NO_RANGE, Dataset, Source, Split, Splits
from dlkit.errors import DataError, DlkitError, RecipeError
from dlkit.recipe import Recipe, opened, recipe_from
from dlkit.recipe_data import data_preprocessing, splits_of
from dlkit.runtime.preprocessing import ANY_NUMBER
from dlkit.runtime.rows import is_lazy

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (60, 8, 8)).astype(np.uint8)
SERIES = RNG.normal(3, 2, (60, 6, 2)).astype(np.float32)
CLASSES = np.arange(60) % 3


def write_folder(at: Path) -> dict[str, Any]:
    write_pictures(at / "photos", 20)
    return {"path": str(at / "photos"), "image_shape": [8, 8, 3]}


def write_npz(at: Path, **arrays: Any) -> dict[str, Any]:
    np.savez(at / "data.npz", **(arrays or {"x": IMAGES, "y": CLASSES}))
    return {"path": str(at / "data.npz")}


def write_npy(at: Path, samples: Any = IMAGES, labels: Any = CLASSES) -> dict[str, Any]:
    np.save(at / "samples.npy", samples)
    np.save(at / "labels.npy", labels)
    return {"samples": str(at / "samples.npy"), "labels": str(at / "labels.npy")}


def write_csv(at: Path) -> dict[str, Any]:
    lines = [",".join(["id", *(f"f{n}" for n in range(12)), "kind"])]
    for number, values in enumerate(SERIES):
        cells = (repr(float(value)) for value in values.ravel())
        lines.append(",".join([f"s{number}", *cells, ("low", "mid", "high")[CLASSES[number]]]))
    (at / "table.csv").write_text("\n".join(lines), encoding="utf-8-sig")
    return {"path": str(at / "table.csv"), "label": "kind", "ignore": ["id"], "shape": [6, 2]}


def write_ts(at: Path, series: Any = SERIES) -> dict[str, Any]:
    (at / "ucr").mkdir()
    for part, rows in (("TRAIN", range(40)), ("TEST", range(40, 60))):
        lines = ["# ours", "@problemName Ours", "@univariate false", "@classLabel true 1 2 10", "@data"]
        for row in rows:
            features = (",".join(map(repr, map(float, feature))) for feature in np.asarray(series[row]).T)
            lines.append(":".join([*features, ("1", "2", "10")[CLASSES[row]]]))
        (at / "ucr" / f"Ours_{part}.ts").write_text("\n".join(lines))
    return {"path": str(at / "ucr")}


def write_tsv(at: Path) -> dict[str, Any]:
    (at / "ucr").mkdir()
    for part, rows in (("TRAIN", range(40)), ("TEST", range(40, 60))):
        lines = ["\t".join([str(CLASSES[row] - 1), *map(repr, map(float, SERIES[row, :, 0]))]) for row in rows]
        (at / "ucr" / f"Ours_{part}.tsv").write_text("\n".join(lines))
    return {"path": str(at / "ucr")}


WRITERS: dict[str, tuple[str, str, Callable[[Path], dict[str, Any]]]] = {
    "folder": ("cnn", "unit", write_folder),
    "npz": ("cnn", "unit", write_npz),
    "npy": ("cnn", "unit", write_npy),
    "csv": ("lstm", "standard", write_csv),
    "ucr": ("lstm", "standard", write_ts),
    "ucr tsv": ("lstm", "standard", write_tsv),
    "synthetic": ("cnn", "unit", lambda at: {"samples": 60, "classes": 3, "shape": [8, 8, 1]}),
}
"""Case → a network for it, how it is prepared, and what writes 60 samples of three classes."""


def recipe_of(case: str, options: dict[str, Any], **data: Any) -> Recipe:
    network, preprocessing, _ = WRITERS[case]
    table = {
        "name": "x",
        "network": {"name": data.pop("network", network)},
        "data": {"name": case.split()[0], "preprocessing": preprocessing, "options": options, **data},
        "training": {"epochs": 1},
    }
    return recipe_from(table, "x.toml")


def parts(splits: Splits) -> tuple[Split, Split, Split]:
    return splits.train, splits.validation, splits.test


@pytest.fixture(params=WRITERS)
def case(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def recipe(case: str, tmp_path: Path) -> Recipe:
    return recipe_of(case, WRITERS[case][2](tmp_path))


def test_every_source_is_among_them() -> None:
    """A new one is tested by being on the shelf; tfds, series to forecast and sounds have files of their own."""
    sources = {name for name, entry in DATASETS.items() if isinstance(entry, Source)}
    elsewhere = {"tfds", "series", "mackey_glass", "el_nino", "audio", "chirps"}
    assert sources - elsewhere == {case.split()[0] for case in WRITERS}


def test_facts_are_those_of_the_data(recipe: Recipe) -> None:
    """Shape, classes and range, as they are known before samples are made."""
    dataset, splits = opened(recipe), parts(splits_of(recipe))
    assert (dataset.classes, dataset.kept) == (3, "yours")
    assert dataset.samples in (None, tuple(len(split) for split in splits))
    assert {split.samples.shape[1:] for split in splits} == {dataset.shape}
    low, high = dataset.raw_range
    for split in splits:
        values = np.asarray(split.samples)
        assert values.dtype == split.samples.dtype
        assert low <= values.min() <= values.max() <= high
        assert (split.labels.dtype, set(split.labels.tolist())) == (np.dtype(np.int64), {0, 1, 2})


def test_no_sample_is_in_two_splits_and_none_is_lost(recipe: Recipe) -> None:
    """60 different ones in all."""
    seen = [{sample.tobytes() for sample in split.samples} for split in parts(splits_of(recipe))]
    assert sum(len(part) for part in seen) == len(set.union(*seen)) == 60


def test_splits_are_stratified(case: str, recipe: Recipe) -> None:
    """As many of each class, to one; the archive's own TEST is as it is."""
    counts = [np.bincount(split.labels, minlength=3) for split in parts(splits_of(recipe))]
    assert all(np.ptp(count) <= 1 for count in counts)
    assert [int(count.sum()) for count in counts] == ([37, 3, 20] if case.startswith("ucr") else [42, 6, 12])


def test_the_same_recipe_gives_the_same_splits(recipe: Recipe) -> None:
    """By their fingerprints, from the stored recipe too."""
    again = recipe_from(json.loads(json.dumps(recipe.as_dict())), "stored")
    assert again == recipe
    for one, other in zip(parts(splits_of(recipe)), parts(splits_of(again)), strict=True):
        assert one.fingerprint == other.fingerprint
        assert np.array_equal(one.samples, other.samples)


def test_the_seed_decides_what_is_held_out(case: str, recipe: Recipe) -> None:
    """Another seed, other validation samples; made-up data have a seed of their own."""
    key = "data_seed" if case == "synthetic" else "split_seed"
    other = recipe_of(case, dict(recipe.data.options) | {key: 7})
    assert splits_of(other).validation.fingerprint != splits_of(recipe).validation.fingerprint


def test_a_stored_recipe_is_read_without_the_data(case: str, recipe: Recipe, tmp_path: Path) -> None:
    """Whoever has the bundle need not have them; who asks for them is told where they were."""
    for path in tmp_path.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    stored = recipe_from(recipe.as_dict(), "bundle")
    assert stored == recipe
    if case != "synthetic":
        with pytest.raises(DataError, match=r"there is no such (file|folder)"):
            splits_of(stored)


def test_an_unknown_option_is_refused_with_its_near_miss(case: str, recipe: Recipe) -> None:
    """By file and key."""
    name = next(iter(recipe.data.options))
    with pytest.raises(RecipeError, match=rf"x\.toml: unknown key 'data\.options\.{name}x'; did you mean '{name}'"):
        recipe_of(case, dict(recipe.data.options) | {f"{name}x": 1})


@pytest.mark.parametrize("name", [name for name, entry in DATASETS.items() if isinstance(entry, Dataset)])
def test_fixed_data_take_no_options(name: str) -> None:
    """They are what they are."""
    network = "lstm" if name == "japanese_vowels" else "cnn"
    table = {"name": "x", "network": {"name": network}, "data": {"name": name}, "training": {"epochs": 1}}
    assert "options" not in recipe_from(table, "x.toml").as_dict()["data"]
    with pytest.raises(RecipeError, match=rf"unknown key 'data\.options\.path'; {name} takes none"):
        recipe_from(table | {"data": {"name": name, "options": {"path": "x"}}}, "x.toml")


def test_the_missing_range_is_the_runtimes() -> None:
    """Said twice, as a list must not import numpy."""
    assert NO_RANGE == ANY_NUMBER


def test_given_splits_are_kept(tmp_path: Path) -> None:
    """Validation under any of its names; what is missing is drawn from the training samples."""
    given = {"x_train": IMAGES[:40], "y_train": CLASSES[:40], "x_test": IMAGES[40:], "y_test": CLASSES[40:]}
    splits = splits_of(recipe_of("npz", write_npz(tmp_path, **given)))
    assert np.array_equal(splits.test.samples[..., 0], IMAGES[40:])
    assert (len(splits.train), len(splits.validation)) == (37, 3)
    given |= {"x_val": IMAGES[30:40], "y_val": CLASSES[30:40], "x_train": IMAGES[:30], "y_train": CLASSES[:30]}
    splits = splits_of(recipe_of("npz", write_npz(tmp_path, **given)))
    assert np.array_equal(splits.validation.samples[..., 0], IMAGES[30:40])
    assert np.array_equal(splits.train.samples[..., 0], IMAGES[:30])


def in_two_splits(samples: Any = IMAGES) -> dict[str, Any]:
    """Sample 5 of training validates, as sample 1; and 0 and 7 of training test, as 2 and 0."""
    held_out = {"val": samples[[40, 5, 41]], "test": samples[[7, 42, 0, 43, 7]]}
    given = {"x_train": samples[:40], "y_train": CLASSES[:40]}
    for part, x in held_out.items():
        given |= {f"x_{part}": x, f"y_{part}": np.arange(len(x)) % 3}
    return given


def test_equal_samples_in_two_given_splits_are_refused(tmp_path: Path) -> None:
    """How many, and where; each held-out one counts."""
    options = write_npz(tmp_path, **in_two_splits())
    told = (
        "data.npz: 4 samples are in two splits: train[5] is validation[1] too, train[7] is test[0] too, train[0] is "
        "test[2] too, train[7] is test[4] too; what is tested on must not be trained on: take them out of one of the "
        "two, or leave them out of training with data.options.copies = 'skip'"
    )
    with pytest.raises(DataError, match=re.escape(told)):
        recipe_of("npz", options)


def test_equal_samples_can_be_left_out_of_training(tmp_path: Path) -> None:
    """What is held out stays whole."""
    options = write_npz(tmp_path, **in_two_splits())
    splits = splits_of(recipe_of("npz", options | {"copies": "skip"}))
    assert np.array_equal(splits.train.samples[..., 0], np.delete(IMAGES[:40], [0, 5, 7], axis=0))
    assert np.array_equal(splits.train.labels, np.delete(CLASSES[:40], [0, 5, 7]))
    assert np.array_equal(splits.validation.samples[..., 0], IMAGES[[40, 5, 41]])
    assert np.array_equal(splits.test.samples[..., 0], IMAGES[[7, 42, 0, 43, 7]])


def test_a_split_of_nothing_but_copies_is_refused(tmp_path: Path) -> None:
    """There is nothing left to train on."""
    given = {"x_train": IMAGES[:9], "y_train": CLASSES[:9], "x_test": IMAGES[:12], "y_test": CLASSES[:12]}
    with pytest.raises(DataError, match="each sample of train is in a later split too; nothing of it is left"):
        recipe_of("npz", write_npz(tmp_path, **given) | {"copies": "skip"})


def test_equal_numbers_are_equal_samples(tmp_path: Path) -> None:
    """Whatever type they are of, and 0 and -0 alike."""
    rows = np.arange(120.0).reshape(60, 2)
    given = {"x_train": rows[:40], "y_train": CLASSES[:40], "y_test": CLASSES[:2]}
    for same in (rows[3:5].astype(np.int16), rows[3:5].astype(">f4"), np.float64([[-0.0, 1.0], [500, 500]])):
        with pytest.raises(DataError, match=r"in two splits: train\[[03]\] is test\[0\] too"):
            recipe_of("npz", write_npz(tmp_path, **given, x_test=same), network="lstm", preprocessing="standard")


@pytest.mark.parametrize("write", [write_ts, write_tsv])
def test_a_series_in_both_files_of_an_archive_is_refused(tmp_path: Path, write: Callable[..., dict[str, Any]]) -> None:
    """By its number in its file, from 0 on; the test file stays whole where it is left out of the other."""
    options = write(tmp_path)
    [train, test] = (next((tmp_path / "ucr").glob(f"*_{part}.*")) for part in ("TRAIN", "TEST"))
    test.write_text(test.read_text() + "\n" + train.read_text().splitlines()[-2])
    with pytest.raises(DataError, match=r"1 sample is in two splits: train\[38\] is test\[20\] too"):
        recipe_of("ucr", options)
    splits = splits_of(recipe_of("ucr", options | {"copies": "skip"}))
    assert [len(split) for split in parts(splits)] == [36, 3, 21]


def test_classes_are_called_as_the_user_says(tmp_path: Path) -> None:
    """Or as they are numbered, in the order of the numbers."""
    options = write_npz(tmp_path, x=IMAGES, y=CLASSES + 9)
    assert opened(recipe_of("npz", options)).labels == ("9", "10", "11")
    options = write_npz(tmp_path) | {"classes": ["a", "b", "c"]}
    assert opened(recipe_of("npz", options)).labels == ("a", "b", "c")
    with pytest.raises(DataError, match="label 2 is none of the classes a, b"):
        recipe_of("npz", options | {"classes": ["a", "b"]})


def test_classes_of_a_table_are_sorted(tmp_path: Path) -> None:
    """Words as words; numbers, though they are text, as numbers."""
    assert opened(recipe_of("csv", write_csv(tmp_path))).labels == ("high", "low", "mid")
    assert opened(recipe_of("ucr", write_ts(tmp_path))).labels == ("1", "2", "10")


def test_series_are_as_they_are_written(tmp_path: Path) -> None:
    """Steps, then features, in the order of the file."""
    splits = splits_of(recipe_of("ucr", write_ts(tmp_path)))
    assert np.array_equal(splits.test.samples, SERIES[40:])
    table = splits_of(recipe_of("csv", write_csv(tmp_path)))
    assert {s.tobytes() for part in parts(table) for s in part.samples} == {s.tobytes() for s in SERIES}


def test_short_series_are_padded_only_if_asked(tmp_path: Path) -> None:
    """Zeros come first, so that a recurrent network ends with the series."""
    series = [values[: 4 + row % 3] for row, values in enumerate(SERIES)]
    options = write_ts(tmp_path, series)
    with pytest.raises(DataError, match=r"series of 4 to 6 steps; data\.options\.pad = true puts zeros before"):
        recipe_of("ucr", options)
    test = splits_of(recipe_of("ucr", options | {"pad": True})).test
    assert test.samples.shape == (20, 6, 2)
    assert not test.samples[2, :2].any()
    assert np.array_equal(test.samples[2, 2:], series[42])


def test_statistics_are_those_of_the_training_split(tmp_path: Path) -> None:
    """Of each feature, the last axis; one that never varies is left as wide as it is."""
    samples = SERIES.copy()
    samples[..., 1] = 4.0
    recipe = recipe_of("npz", write_npz(tmp_path, x=samples, y=CLASSES), network="lstm", preprocessing="standard")
    train = splits_of(recipe).train.samples
    inputs = data_preprocessing(recipe).apply(train).astype(np.float64)
    np.testing.assert_allclose(inputs.mean(axis=(0, 1)), 0, atol=1e-5)
    np.testing.assert_allclose(inputs[..., 0].std(), 1, atol=1e-5)
    assert not inputs[..., 1].any()


def test_scaling_needs_a_range_that_is_known(tmp_path: Path) -> None:
    """It is not guessed from the samples that happen to be there."""
    options = write_npz(tmp_path, x=SERIES, y=CLASSES)
    needs = r"data\.preprocessing = 'unit' needs the smallest and largest raw value, which npz does not know; give "
    with pytest.raises(RecipeError, match=needs + r"data\.options\.raw_range = \[LOWEST, HIGHEST\], or use 'standard'"):
        recipe_of("npz", options, network="lstm")
    recipe = recipe_of("npz", options | {"raw_range": [-50, 50]}, network="lstm")
    assert data_preprocessing(recipe).raw_range == (-50.0, 50.0)
    with pytest.raises(DataError, match=r"values from -\d.* to \d.*, but data\.options\.raw_range = \[0, 1\]"):
        recipe_of("npz", options | {"raw_range": [0, 1]}, network="lstm")
    with pytest.raises(
        DataError, match=r"images of float32; say the values of black and white: data\.options\.raw_range"
    ):
        recipe_of("npz", write_npz(tmp_path, x=SERIES.reshape(60, 2, 2, 3), y=CLASSES))


def test_a_mapped_array_stays_in_its_file(tmp_path: Path) -> None:
    """Rows are read as they are asked for, in the size of the network; the fingerprint is that of the array."""
    options = write_npy(tmp_path)
    splits = splits_of(recipe_of("npy", options))
    eager = splits_of(recipe_of("npz", write_npz(tmp_path)))
    assert all(is_lazy(split.samples) for split in parts(splits))
    assert [s.fingerprint for s in parts(splits)] == [s.fingerprint for s in parts(eager)]
    table = recipe_of("npy", options).as_dict()
    table["network"]["options"] = {"input_shape": [12, 12, 3]}
    lazy = splits_of(recipe_from(table, "x")).test
    table["data"] |= {"name": "npz", "options": write_npz(tmp_path)}
    assert is_lazy(lazy.samples)
    assert lazy.fingerprint == eager.test.fingerprint
    assert np.array_equal(lazy.samples[3:5], splits_of(recipe_from(table, "x")).test.samples[3:5])


def test_made_up_samples_can_be_told_apart(tmp_path: Path) -> None:
    """Each is nearest to the mean of its own class, at the network's own size."""
    recipe = recipe_of("synthetic", {"samples": 100})
    splits = splits_of(recipe)
    assert (recipe.network.options["input_shape"], len(splits.train)) == ([28, 28, 1], 70)
    train, test = (np.asarray(part.samples, np.float64).reshape(len(part), -1) for part in (splits.train, splits.test))
    means = np.stack([train[splits.train.labels == label].mean(axis=0) for label in range(10)])
    nearest = ((test[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    assert np.array_equal(nearest, splits.test.labels)


def spoilt_csv(text: str) -> Callable[[Path], tuple[str, dict[str, Any]]]:
    def write(at: Path) -> tuple[str, dict[str, Any]]:
        (at / "t.csv").write_text(text)
        return "csv", {"path": str(at / "t.csv"), "label": "kind"}

    return write


def spoilt_npz(**arrays: Any) -> Callable[[Path], tuple[str, dict[str, Any]]]:
    return lambda at: ("npz", write_npz(at, **arrays))


def spoilt_ts(old: str, new: str) -> Callable[[Path], tuple[str, dict[str, Any]]]:
    def write(at: Path) -> tuple[str, dict[str, Any]]:
        options = write_ts(at)
        path = at / "ucr" / "Ours_TRAIN.ts"
        path.write_text(path.read_text().replace(old, new, 1))
        return "ucr", options

    return write


def without_test(at: Path) -> tuple[str, dict[str, Any]]:
    options = write_ts(at)
    (at / "ucr" / "Ours_TEST.ts").unlink()
    return "ucr", options


def two_forms(at: Path) -> tuple[str, dict[str, Any]]:
    options = write_ts(at)
    shutil.copy(at / "ucr" / "Ours_TRAIN.ts", at / "ucr" / "Theirs_TRAIN.ts")
    return "ucr", options


NAN = SERIES.copy()
NAN[7, 0, 0] = np.nan
HALF = f"@data\n{float(SERIES[0, 0, 0])!r}"
SPOILT: list[tuple[Callable[[Path], tuple[str, dict[str, Any]]], str]] = [
    (spoilt_npz(x=IMAGES), "data.npz': has x; each x needs its y, once for each split"),
    (spoilt_npz(images=IMAGES, y=CLASSES), "has images, y; each x needs its y"),
    (spoilt_npz(x=IMAGES, y=CLASSES, z=CLASSES), "has x, y, z; it takes x and y, or x_train and y_train"),
    (spoilt_npz(x_test=IMAGES, y_test=CLASSES), "has x_test, y_test; it takes x and y, or x_train"),
    (spoilt_npz(x=IMAGES, y=CLASSES[:50]), "x and y: 60 samples and labels of shape (50,); give one label for each"),
    (spoilt_npz(x=IMAGES, y=CLASSES / 2), "labels of float64; give class numbers as integers"),
    (spoilt_npz(x=NAN, y=CLASSES), "x and y: sample 7 holds NaN or infinity; take it out or mend it"),
    (spoilt_npz(x=IMAGES[:, 0, 0], y=CLASSES), "has the shape (60,); give samples as rows, (N, …)"),
    (spoilt_npz(x=IMAGES, y=np.minimum(np.arange(60), 1)), "class '0' has 1 different samples; at least 3 are needed"),
    (lambda at: ("npy", write_npy(at) | {"samples": str(at / "none.npy")}), "none.npy': there is no such file"),
    (lambda at: ("npy", write_npy(at) | {"samples": str(at / "labels.npy")}), "has the shape (60,)"),
    (lambda at: ("npy", write_npy(at, np.asarray([{}] * 60))), "samples.npy': holds object, not numbers"),
    (spoilt_csv(""), "t.csv': is empty; its first line names the columns"),
    (spoilt_csv("a,b,kid\n1,2,x\n"), "data.options.label: no column is called 'kind'; did you mean 'kid'?"),
    (spoilt_csv("a,a,kind\n1,2,x\n"), "two columns are called 'a'"),
    (spoilt_csv("a,b,kind\n1,2,x\n1,x\n"), "t.csv', line 3: 2 columns, but the first line names 3"),
    (spoilt_csv("a,b,kind\n1,two,x\n"), "line 2: 'two' in column 'b' is no number; if none of it is meant to be, "
     "data.options.ignore = ['b']"),
    (spoilt_csv("a,b,kind\n1,nan,x\n"), "line 2: 'nan' in column 'b'; take the line out or mend it"),
    (spoilt_csv("a,b,kind\n"), "has 0 lines of 2 columns of numbers; there is nothing to learn"),
    (lambda at: ("csv", write_csv(at) | {"shape": [5, 2]}), "12 columns of numbers, but data.options.shape = [5, 2]"),
    (spoilt_ts(HALF, "@data\n?"), "Ours_TRAIN.ts, line 6: a value is missing (?); mend the line or take it out"),
    (spoilt_ts(HALF, "@data\nabc"), "line 6: 'abc,"),
    (spoilt_ts(HALF, "@data\n1.5," + HALF.partition("\n")[2]), "line 6: 2 features of different lengths"),
    (spoilt_ts("@classLabel true 1 2 10", "@classLabel false"), "line 4: its series have no classes"),
    (without_test, "Ours_TEST.ts: there is no such file beside Ours_TRAIN.ts"),
    (two_forms, "needs one NAME_TRAIN.ts or .tsv, and holds Ours_TRAIN.ts, Theirs_TRAIN.ts; say which with"),
    (lambda at: ("synthetic", {"samples": 20}), "data.options.samples = 20 must be at least 100, ten of each class"),
]  # fmt: skip


@pytest.mark.parametrize(("write", "message"), SPOILT, ids=[message[:50] for _, message in SPOILT])
def test_data_that_cannot_be_used_are_refused(
    tmp_path: Path, write: Callable[[Path], tuple[str, dict[str, Any]]], message: str
) -> None:
    """In one line: where, what was found, what to do."""
    case, options = write(tmp_path)
    with pytest.raises(DlkitError, match=re.escape(message)) as caught:
        recipe_of(case, options)
    assert "\n" not in str(caught.value)


def opened_of(source: str, options: dict[str, Any], network: str = "lstm") -> Dataset:
    return opened(recipe_of(source, options, network=network))


def test_a_negative_seed_of_the_split_is_refused(tmp_path: Path) -> None:
    """Before numpy meets it."""
    with pytest.raises(RecipeError, match=re.escape("data.options.split_seed = -1 must be at least 0")):
        opened_of("npz", write_npz(tmp_path) | {"split_seed": -1})


def test_a_table_of_many_columns_is_read_in_time(tmp_path: Path) -> None:
    """A name that is there twice is found without comparing each with each."""
    names = [f"n{number}" for number in range(50_000)]
    (tmp_path / "wide.csv").write_text(",".join([*names, names[0]]) + "\n")
    with pytest.raises(DataError, match="two columns are called 'n0'"):
        opened_of("csv", {"path": str(tmp_path / "wide.csv"), "label": "n0"})


def test_padding_that_is_nearly_all_there_would_be_is_refused(tmp_path: Path) -> None:
    """A long series among many short ones."""
    lines = [f"{number % 2}\t1.0" for number in range(3000)] + ["0\t" + "\t".join(["1.0"] * 50_000)]
    for part in ("TRAIN", "TEST"):
        (tmp_path / f"Ours_{part}.tsv").write_text("\n".join(lines))
    with pytest.raises(DataError, match="nearly all of them zeros"):
        opened_of("ucr", {"path": str(tmp_path), "pad": True})


def test_a_link_to_a_pipe_is_no_image_of_a_folder(tmp_path: Path) -> None:
    """It would be waited for."""
    options = write_folder(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "photos" / "red" / "z.png").symlink_to(tmp_path / "pipe")
    found = opened_of("folder", options, "cnn").load()
    assert sum(len(split) for split in (found.train, found.validation, found.test)) == 60
