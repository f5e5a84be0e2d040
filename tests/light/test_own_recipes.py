"""Recipes for data of one's own: they read beside such data, say what to do without, and propose what reads."""

from __future__ import annotations

import itertools
import re
import shlex
from pathlib import Path

import pytest
from pictures import COLOURS, write_pictures

from dlkit.errors import DataError
from dlkit.recipe import find_recipes, read_recipe, read_unopened

FOLDER = Path(__file__).parents[2] / "recipes" / "own"
NAMES = find_recipes(FOLDER)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where photos/ is."""
    write_pictures(tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("name", NAMES)
def test_it_reads(name: str) -> None:
    """Its classes are those of the folder; nothing is expected of what nobody has measured."""
    recipe = read_recipe(FOLDER / name)
    assert recipe.network.options["classes"] == len(COLOURS)
    assert recipe.name == name.removesuffix(".toml")
    assert recipe.expect is None
    assert recipe.export.scheme == read_unopened(FOLDER / name).export.scheme == "int8"


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("name", NAMES)
def test_what_its_head_proposes_reads(name: str) -> None:
    """Every line of its head with --set, typed into a shell."""
    head = [line for line in (FOLDER / name).read_text().splitlines() if line.startswith("#")]
    proposed: list[str] = []
    for line in head:
        words = shlex.split(re.sub(r"\([^)]*\)$", "", line.lstrip("# "))) if "  --set" in line else []
        proposed += [value for flag, value in itertools.pairwise(words) if flag == "--set"]
    larger, imagenet = proposed[:2], proposed[2:]
    assert read_recipe(FOLDER / name, larger).network.options["input_shape"] == [96, 96, 3]
    other = read_recipe(FOLDER / name, imagenet)
    assert (other.network.name, other.transfer.weights, other.training.epochs) == ("mobilenet_v2", "imagenet", 20)


@pytest.mark.parametrize("name", NAMES)
def test_without_the_data(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What to type is said; it is listed all the same."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"name yours: --set data\.options\.path=FOLDER"):
        read_recipe(FOLDER / name)
    assert read_unopened(FOLDER / name).data.options["path"] == name.removesuffix(".toml")


@pytest.mark.parametrize("name", NAMES)
def test_it_is_listed(name: str, dlkit, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its stem, without its data."""
    monkeypatch.chdir(FOLDER.parents[1])
    said = dlkit("list", "recipes", name.removesuffix(".toml"))
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[1].startswith(f"recipes/own/{name}")


def test_a_home_folder(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a shell leaves of ~ is the user's home."""
    monkeypatch.setenv("HOME", str(place))
    assert read_recipe(FOLDER / NAMES[0], ["data.options.path=~/photos"]).network.options["classes"] == len(COLOURS)


def test_a_photo_of_a_telephone(place: Path) -> None:
    """HEIC is named, and not passed over."""
    (place / "photos" / "red" / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40))
    from dlkit.recipe_data import splits_of

    with pytest.raises(
        DataError, match=r"1 of 31 images cannot be read: red/IMG_1\.HEIC: is a HEIC photo, which is not"
    ):
        splits_of(read_recipe(FOLDER / "photos.toml"))
    left = splits_of(read_recipe(FOLDER / "photos.toml", ["data.options.broken=skip"]))
    assert sum(len(split) for split in (left.train, left.validation, left.test)) == 30
