"""README, help pages and help texts say what there is, and nothing that is not."""

from __future__ import annotations

import importlib
import itertools
import re
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
import pytest
from pictures import write_pictures
from sounds import write_sounds

from dlkit.cli import COMMANDS
from dlkit.help import PAGES
from dlkit.networks import NETWORKS
from dlkit.recipe import find_recipes, read_recipe

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "dlkit" / "help").glob("*.md"))]
SHELL = "\n".join(block for path in DOCUMENTS for block in re.findall(r"```sh\n(.*?)```", path.read_text(), re.S))


def command(name: str) -> click.Command:
    found: click.Command = importlib.import_module(f"dlkit.cli.{name}").command
    return found


def options(name: str) -> set[str]:
    return {flag for p in command(name).params if isinstance(p, click.Option) for flag in p.opts}


def typed_in(text: str) -> list[list[str]]:
    """The words after each `dlkit` of some lines of shell, without comments."""
    whole = text.replace("\\\n", " ")
    return [part.split() for part in re.findall(r"\bdlkit ([a-z][^&|>#`\n]*)", whole)]


def check(words: Sequence[str]) -> None:
    """A typed command names a command, options, recipes and --set values that exist."""
    name, *arguments = words
    assert name in COMMANDS
    assert {word for word in arguments if word.startswith("-") and word != "-"} <= options(name)
    assert name != "help" or all(word in PAGES or word in COMMANDS for word in arguments)
    recipes = [word for word in arguments if word.startswith("recipes/") and word.endswith(".toml")]
    overrides = [value for flag, value in itertools.pairwise(arguments) if flag == "--set"]
    for recipe in recipes:
        read_recipe(ROOT / recipe, overrides)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example_and_every_option(dlkit, name: str) -> None:
    """Each option with a line of its own that says what it does."""
    said = dlkit(name, "--help")
    assert said.code == 0
    assert re.search(rf"Example:\n.*dlkit {name}\b", said.out)
    for parameter in command(name).params:
        if isinstance(parameter, click.Option):
            assert re.search(rf"^  .*{parameter.opts[0]}\b", said.out, flags=re.M)
            assert parameter.help
            assert parameter.help.endswith((".", "]", ")"))
        else:
            assert str(parameter.metavar or parameter.name) in said.out or isinstance(parameter.type, click.Choice)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_examples_of_help_are_right(name: str) -> None:
    """They use commands, options and recipes that exist."""
    examples = typed_in((command(name).help or "").partition("Example:")[2])
    assert examples
    for words in examples:
        check(words)


def test_the_help_of_dlkit_names_every_command(dlkit) -> None:
    """In the order in which a new user meets them."""
    out = dlkit("--help").out
    found = re.findall(r"^  (\w+)  ", out, flags=re.M)
    assert found == list(COMMANDS)
    assert "..." not in out.partition("Commands:")[2]  # each fits on its line of 80 columns


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_leads_to_pages(name: str) -> None:
    """That there are."""
    more = re.fullmatch(r"More: dlkit help (.*)", command(name).epilog or "")
    assert name == "help" or more
    assert not more or set(more[1].split(" · ")) <= set(PAGES)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_readme_names_every_command(name: str) -> None:
    """As it is typed."""
    assert f"dlkit {name}" in README


@pytest.fixture(scope="module")
def own_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place that holds what the examples call a user's own."""
    place = tmp_path_factory.mktemp("own")
    rng = np.random.default_rng(0)
    series, images = rng.normal(size=(30, 6, 2)), rng.integers(0, 256, (30, 8, 8)).astype(np.uint8)
    write_pictures(place / "photos")
    write_sounds(place / "sounds")
    np.savez(place / "data.npz", x=images, y=np.arange(30) % 10)
    lines = [",".join([*(f"f{n}" for n in range(12)), "kind"])]
    lines += [",".join([*map(str, values.ravel()), f"kind{n % 3}"]) for n, values in enumerate(series)]
    (place / "table.csv").write_text("\n".join(lines))
    hours = [f"{n % 24},{np.sin(n / 4)}" for n in range(700)]
    (place / "hourly.csv").write_text("\n".join(["hour,load", *hours]))
    (place / "series").mkdir()
    lines = [f"{n % 3}\t" + "\t".join(map(str, values[:, 0])) for n, values in enumerate(series)]
    for part, rows in (("TRAIN", lines[:20]), ("TEST", lines[20:])):
        (place / "series" / f"Mine_{part}.tsv").write_text("\n".join(rows))
    [board] = re.findall(r"```toml\n(name.*?)```", PAGES["own-target"].source, re.S)
    (place / "board.toml").write_text(board)
    return place


@pytest.mark.parametrize("words", dict.fromkeys(map(tuple, typed_in(SHELL))), ids=" ".join)
def test_the_commands_of_the_documents_are_right(
    own_data: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """Commands, options, recipes and --set values that exist, where there are such data."""
    monkeypatch.chdir(own_data)
    check(words)


@pytest.mark.parametrize("name", find_recipes(ROOT / "recipes"))
def test_a_recipe_says_how_it_is_run(name: str) -> None:
    """Its head holds the command."""
    head = (ROOT / "recipes" / name).read_text().partition("\nname =")[0]
    assert f"dlkit run recipes/{name}" in head


def test_the_version_is_printed(dlkit) -> None:
    """One line, name and number."""
    import dlkit as package

    assert dlkit("--version").out == f"dlkit, version {package.__version__}\n"


def test_every_network_is_listed(dlkit) -> None:
    """With its parameters, grouped by thousands."""
    out = dlkit("list", "networks").out
    for network in NETWORKS.values():
        assert re.search(rf"^{network.name} .* {network.parameters:,} ", out, flags=re.M)
