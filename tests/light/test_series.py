"""Series to forecast: windows with what comes after, divided in time, and what is refused."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlkit.datasets import Split, Splits
from dlkit.errors import DataError, DlkitError, RecipeError
from dlkit.recipe import Recipe, opened, recipe_from
from dlkit.recipe_data import data_preprocessing, naive_of, splits_of

VALUES = np.stack([np.arange(100), 1000 - 2 * np.arange(100)], axis=1)
"""Each value says when it was."""
WINDOWS = {"steps": 5, "horizon": 2, "validation": 0.2, "test": 0.3}


def write_series(at: Path, values: Any = VALUES) -> dict[str, Any]:
    lines = ["day,load,price", *(f"day {n},{a},{b}" for n, (a, b) in enumerate(values))]
    (at / "series.csv").write_text("\n".join(lines))
    return {"path": str(at / "series.csv"), **WINDOWS}


def recipe_of(options: dict[str, Any], name: str = "series", network: Any = "lstm_forecaster", **rest: Any) -> Recipe:
    table = {
        "name": "x",
        "network": {"name": network} if isinstance(network, str) else network,
        "data": {"name": name, "preprocessing": rest.pop("preprocessing", "standard"), "options": options},
        "training": {"epochs": 1},
    }
    return recipe_from(table | rest, "x.toml")


def parts(splits: Splits) -> tuple[Split, Split, Split]:
    return splits.train, splits.validation, splits.test


def test_windows_are_followed_by_what_came_after(tmp_path: Path) -> None:
    """Step by step, of every feature; a column of words is none of them."""
    splits = splits_of(recipe_of(write_series(tmp_path)))
    for split in parts(splits):
        assert split.targets is not None
        both = np.concatenate([split.samples, split.targets], axis=1)
        assert both.shape[1:] == (7, 2)
        assert (np.diff(both[..., 0], axis=1) == 1).all()
        assert np.array_equal(both[..., 1], 1000 - 2 * both[..., 0])


def test_nothing_of_a_later_part_is_seen(tmp_path: Path) -> None:
    """50 steps to train, then 20 to validate, then 30 to test; no window reaches over a border, none is left out."""
    seen = []
    for split in parts(splits_of(recipe_of(write_series(tmp_path)))):
        assert split.targets is not None
        times = np.concatenate([split.samples, split.targets], axis=1)[..., 0]
        seen.append((len(split), int(times.min()), int(times.max())))
    assert seen == [(44, 0, 49), (14, 50, 69), (24, 70, 99)]


def test_statistics_are_those_of_the_training_part(tmp_path: Path) -> None:
    """Of every step once, though windows overlap."""
    mean, deviation = opened(recipe_of(write_series(tmp_path))).statistics
    np.testing.assert_allclose(mean, VALUES[:50].mean(axis=0))
    np.testing.assert_allclose(deviation, VALUES[:50].std(axis=0))


def test_stride_is_between_two_windows(tmp_path: Path) -> None:
    """The first begins with its part."""
    train = splits_of(recipe_of(write_series(tmp_path) | {"stride": 10})).train
    assert train.samples[:, 0, 0].tolist() == [0, 10, 20, 30, 40]


def test_columns_are_those_that_are_named(tmp_path: Path) -> None:
    """In that order."""
    options = write_series(tmp_path)
    assert opened(recipe_of(options | {"columns": ["price"]})).shape == (5, 1)
    turned = splits_of(recipe_of(options | {"columns": ["price", "load"]})).train
    assert turned.samples[0, 0].tolist() == [1000, 0]


def test_the_data_decide_the_networks_ends(tmp_path: Path) -> None:
    """Stored, the recipe is read without them; it may not say otherwise."""
    options = write_series(tmp_path)
    recipe = recipe_of(options)
    assert recipe.network.options == {"input_shape": [5, 2], "horizon": 2}
    for key, value, told in (("horizon", 3, "2"), ("input_shape", [5, 1], "[5, 2]")):
        with pytest.raises(RecipeError, match=re.escape(f"network.options.{key} = {value}, but series has {told}")):
            recipe_of(options, network={"name": "lstm_forecaster", "options": {key: value}})
    (tmp_path / "series.csv").unlink()
    assert recipe_from(json.loads(json.dumps(recipe.as_dict())), "bundle") == recipe
    with pytest.raises(DataError, match="there is no such file"):
        splits_of(recipe)


def test_what_comes_after_is_in_the_fingerprint() -> None:
    """And comes along with the rows that are chosen."""
    samples, labels = np.zeros((3, 2, 1), np.float32), np.zeros(3, np.int64)
    one = Split(samples, labels, targets=np.arange(3, dtype=np.float32).reshape(3, 1, 1))
    other = Split(samples, labels, targets=np.ones((3, 1, 1), np.float32))
    assert len({one.fingerprint, other.fingerprint, Split(samples, labels).fingerprint}) == 3
    chosen = one.rows(np.array([2, 0])).targets
    assert chosen is not None
    assert chosen.ravel().tolist() == [2, 0]


def test_a_forecast_is_turned_back(tmp_path: Path) -> None:
    """Of each feature by its own statistics, whatever the number of steps."""
    recipe = recipe_of(write_series(tmp_path))
    after = data_preprocessing(recipe).of_shape((2, 2))
    targets = splits_of(recipe).test.targets
    assert targets is not None
    np.testing.assert_allclose(after.raw_of(after.apply(targets)), targets, rtol=1e-5, atol=1e-3)


def test_the_series_of_mackey_and_glass() -> None:
    """Follows its equation, stays between 0.2 and 1.4, and never repeats itself."""
    splits = splits_of(recipe_of({"length": 1200, "steps": 3, "horizon": 1, "features": 2}, "mackey_glass"))
    values = splits.train.samples[:, 0]
    assert values.dtype == np.float32
    assert 0.2 < values.min() < 0.5 < 1.2 < values.max() < 1.4
    assert len(np.unique(values[:, 0])) > 0.99 * len(values)
    assert np.abs(values[:, 0] - values[:, 1]).max() > 0.1
    slope = (values[18:, 0] - values[16:-2, 0]) / 2  # at 17 and later
    past, now = values[: len(slope), 0], values[17:-1, 0]
    np.testing.assert_allclose(slope, 0.2 * past / (1 + past**10) - 0.1 * now, atol=0.004)
    assert splits.test.fingerprint.startswith("50fbd93597978039")  # the same on every machine


def test_the_temperatures_of_the_sea_are_the_published_ones() -> None:
    """Of January and February 1950 and December 2010; 732 months, warmest in March and coldest in September."""
    splits = splits_of(recipe_of({}, "el_nino"))
    assert splits.train.samples[0, :2, 0].tolist() == [np.float32(23.11), np.float32(24.2)]
    last = splits.test.targets
    assert last is not None
    assert last[-1, -1, 0] == np.float32(22.07)
    year = splits.train.samples[::12, :12, 0].mean(axis=0)
    assert (year.argmax(), year.argmin()) == (2, 8)
    assert opened(recipe_of({}, "el_nino")).samples == (429, 63, 99)


def test_the_licence_of_the_temperatures_is_shipped() -> None:
    """Beside the data: that they need none, and whose they are."""
    text = files("dlkit.datasets").joinpath("LICENSE-el-nino.md").read_text()
    assert opened(recipe_of({}, "el_nino")).licence == "public domain"
    assert "public domain" in text
    assert "National Oceanic" in text


def test_naive_errors_are_those_of_the_training_part(tmp_path: Path) -> None:
    """Of a step, or of a season where there is one; each feature has its own."""
    options = write_series(tmp_path)
    assert opened(recipe_of(options)).naive_errors == (1.0, 2.0)
    assert opened(recipe_of(options | {"season": 4})).naive_errors == (4.0, 8.0)
    months = opened(recipe_of({"season": 0}, "el_nino")), opened(recipe_of({}, "el_nino"))
    values = splits_of(recipe_of({"steps": 1, "horizon": 1, "season": 0}, "el_nino")).train.samples.ravel()
    for dataset, lag in zip(months, (1, 12), strict=True):
        assert dataset.naive_errors == pytest.approx([np.abs(values[lag:] - values[:-lag]).mean()], rel=0.01)


def test_naive_errors_are_told_in_the_range_of_forecasts(tmp_path: Path) -> None:
    """As the network reads them: in deviations of each feature."""
    recipe = recipe_of(write_series(tmp_path) | {"season": 4})
    naive = naive_of(recipe, data_preprocessing(recipe))
    assert naive.season == 4
    np.testing.assert_allclose(naive.errors, [4 / VALUES[:50, 0].std(), 8 / VALUES[:50, 1].std()])


SPOILT: list[tuple[dict[str, Any], str]] = [
    ({"horizon": 0}, "data.options.horizon = 0 must be at least 1"),
    ({"steps": 19}, "of which validation has 20; a window takes 21, data.options.steps = 19 and data.options.horizon"),
    ({"season": 6}, "data.options.season = 6 must be 0, for none, or from 2 to data.options.steps = 5"),
    ({"season": 1}, "data.options.season = 1 must be 0, for none, or from 2 to"),
    ({"columns": ["lod"]}, "data.options.columns: no column is called 'lod'; did you mean 'load'?"),
    (
        {"columns": ["day"]},
        "line 2: 'day 0' in column 'day' is no number; if none of it is meant to be, leave 'day' out",
    ),
    ({"columns": ["load", "load"]}, "data.options.columns = ['load', 'load'] names one twice"),
    ({"raw_range": [0, 10]}, "values from 0 to 1000, but data.options.raw_range = [0, 10]"),
    ({"test": 0.9}, "data.options.validation + data.options.test = 1.1 must be below 1"),
    ({"step": 5}, "unknown key 'data.options.step'; did you mean 'steps' or 'stride'?"),
]


@pytest.mark.parametrize(("options", "message"), SPOILT, ids=[message[:40] for _, message in SPOILT])
def test_what_cannot_be_windows_is_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    """In one line: where, what was found, what to do."""
    with pytest.raises(DlkitError, match=re.escape(message)):
        recipe_of(write_series(tmp_path) | options)


def test_a_hole_in_a_series_is_refused(tmp_path: Path) -> None:
    """It is not silently another column, or another step."""
    values = VALUES.astype(object)
    values[40, 0] = ""
    with pytest.raises(DataError, match="line 42: '' in column 'load' is no number"):
        recipe_of(write_series(tmp_path, values))


def test_a_series_is_for_forecasters(tmp_path: Path) -> None:
    """And has no noise whose size is not known, nor a range that is guessed."""
    options = write_series(tmp_path)
    with pytest.raises(RecipeError, match="series is a series to forecast, and lstm forecasts nothing; choose a fore"):
        recipe_of(options, network="lstm")
    with pytest.raises(RecipeError, match="'unit' needs the smallest and largest raw value, which series does not"):
        recipe_of(options, preprocessing="unit")
    with pytest.raises(RecipeError, match=r"augmentation\.noise is a fraction of the range of raw values; give data"):
        recipe_of(options, augmentation={"noise": 0.1})
    with pytest.raises(RecipeError, match="binary_crossentropy' is for auto-encoders, and lstm_forecaster is none"):
        recipe_of(options, training={"epochs": 1, "loss": "binary_crossentropy"})
    assert recipe_of(options, training={"epochs": 1, "loss": "mae"}).training.loss == "mae"
