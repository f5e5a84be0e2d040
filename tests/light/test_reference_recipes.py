"""Reference recipes, at the size and by the schedule of the papers: they read without their data."""

from __future__ import annotations

import re
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


def head_of(name: str) -> str:
    """The comments at the top, as one line."""
    lines = (FOLDER / name).read_text().partition("\nname =")[0].splitlines()
    return " ".join(line.lstrip("# ") for line in lines)


@pytest.mark.parametrize("name", NAMES)
def test_its_head_says_what_the_paper_found(name: str) -> None:
    """With the place where that stands, how the paper trained, what is otherwise here, and both commands."""
    head = head_of(name)
    expected, training = head.partition("Its training, section")[::2]
    assert "Expected by the paper" in expected
    assert "table" in expected or "figure" in expected
    assert "Here otherwise: " in training
    assert f"dlkit train recipes/imagenet/{name} --dry-run" in head
    assert max(map(len, (FOLDER / name).read_text().splitlines())) <= 118


@pytest.mark.parametrize("name", NAMES)
def test_it_trains_as_its_head_says(name: str) -> None:
    """Batch, rate, length and, ten times where it is decoupled, weight decay; none where the head has no number."""
    head, training = head_of(name).partition("Here otherwise: ")[0], read_recipe(FOLDER / name).training
    assert re.findall(r"batches of (\d+)", head) == [str(training.batch_size)]
    assert set(re.findall(r"\brate (\d[\d.]*\d)", head)) == {str(training.learning_rate)}
    assert re.findall(r" (\d+) epochs", head)[-1] == str(training.epochs)
    decays = re.findall(r"weight decay (\d[\d.]*\d)", head)
    assert 10 * float(decays[0] if decays else 0) == pytest.approx(training.weight_decay)


@pytest.mark.parametrize("name", NAMES)
def test_its_rate_falls_as_its_head_says(name: str) -> None:
    """By so many percent every so many epochs, or by ten at epochs or parts of the training that it names."""
    head, training = head_of(name), read_recipe(FOLDER / name).training
    if training.schedule == "exponential":
        percent, every = re.findall(r"(?:falling by|give) (\d+) % every ([\d.]+|two) epochs", head)[-1]
        assert training.factor == pytest.approx(1 - int(percent) / 100)
        assert training.every == (2 if every == "two" else float(every))
        return
    assert training.factor == 0.1
    edges = [milestone * training.epochs for milestone in training.milestones]
    said = {
        "at epochs 30 and 60": [30, 60],
        "every 30 epochs": [30, 60, 90],
        "falls by quarters": [training.epochs * part for part in (0.25, 0.5, 0.75)],
        "falls at a half and three quarters": [training.epochs * part for part in (0.5, 0.75)],
    }
    assert [edges == pytest.approx(at, abs=1e-3) for words, at in said.items() if words in head] == [True]


def test_every_family_of_image_networks_has_one() -> None:
    """Those that the papers trained on ImageNet."""
    families = {NETWORKS[read_recipe(FOLDER / name).network.name].family for name in NAMES}
    assert families == {"AlexNet", "DenseNet", "Inception", "ResNeXt", "ResNet", "VGG"}
