"""Reference recipes, at the size and by the schedule of the papers: they read without their data."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlkit.networks import NETWORKS
from dlkit.recipe import find_recipes, read_recipe

FOLDER = Path(__file__).parents[2] / "recipes" / "imagenet"
NAMES = find_recipes(FOLDER)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_of_the_network_at_full_size(name: str) -> None:
    """A thousand classes, the input of the paper, its preprocessing; nothing is expected that was not run."""
    recipe = read_recipe(FOLDER / name)
    network = NETWORKS[recipe.network.name]
    assert recipe.network.options["classes"] == network.classes == 1000
    assert tuple(recipe.network.options["input_shape"]) == network.input
    assert recipe.data.preprocessing == network.preprocessing
    assert recipe.data.options == {"path": "imagenet"}
    assert recipe.name == f"imagenet-{name.removesuffix('.toml')}"
    assert recipe.expect is None


@pytest.mark.parametrize("name", NAMES)
def test_its_head_says_what_the_paper_found(name: str) -> None:
    """With the place where that stands, and both commands."""
    text = (FOLDER / name).read_text()
    head = " ".join(line.lstrip("# ") for line in text.splitlines() if line.startswith("#"))
    assert "Expected by the paper" in head
    assert "table" in head or "figure" in head
    assert f"dlkit train recipes/imagenet/{name} --dry-run" in head
    assert max(map(len, text.splitlines())) <= 118


def test_every_family_of_image_networks_has_one() -> None:
    """Those that the papers trained on ImageNet."""
    families = {NETWORKS[read_recipe(FOLDER / name).network.name].family for name in NAMES}
    assert families == {"AlexNet", "DenseNet", "Inception", "ResNeXt", "ResNet", "VGG"}
