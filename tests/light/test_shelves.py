"""Shelves: one new file is a new entry."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dlkit.datasets import DATASETS
from dlkit.errors import DlkitError, UnknownName
from dlkit.networks import NETWORKS, Network
from dlkit.schemes import SCHEMES, Scheme
from dlkit.shelf import Shelf, entries_of_modules
from dlkit.targets import TARGETS

SHELVES = {"network": NETWORKS, "dataset": DATASETS, "scheme": SCHEMES, "target": TARGETS}

ENTRY = """
from dlkit.schemes import Scheme
{name} = Scheme("{name}", "", "int4", "int8", "int8", "static", frozenset())
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An empty package `new_shelf` that can be imported; its folder."""
    folder = tmp_path / "new_shelf"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "new_shelf"]:
        del sys.modules[name]


def read() -> dict[str, Scheme]:
    return entries_of_modules("new_shelf", Scheme, lambda scheme: scheme.name)


@pytest.mark.parametrize("kind", SHELVES)
def test_every_entry_is_found_under_its_own_name(kind: str) -> None:
    """A key is the name its entry carries, and no shelf is empty."""
    assert SHELVES[kind]
    assert all(entry.name == name for name, entry in SHELVES[kind].items())


@pytest.mark.parametrize("kind", SHELVES)
def test_entries_are_sorted(kind: str) -> None:
    """`dlkit list` is in alphabetical order."""
    assert list(SHELVES[kind]) == sorted(SHELVES[kind])


@pytest.mark.parametrize("kind", SHELVES)
def test_a_near_miss_is_named_and_not_taken(kind: str) -> None:
    """An unknown name is an error that suggests the nearest."""
    name = next(iter(SHELVES[kind]))
    with pytest.raises(UnknownName, match=rf"unknown {kind} '{name}x'; did you mean '{name}'"):
        SHELVES[kind][name + "x"]
    assert name + "x" not in SHELVES[kind]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_its_function(name: str) -> None:
    """The registry key is the builder's name, and its defaults are the stated facts."""
    network = NETWORKS[name]
    assert network.builder.__name__ == name
    assert network.options["input_shape"] == network.input
    assert network.options.get("classes", 0) == network.classes
    assert network.paper


def odd(input_shape: tuple[int, int, int] = (8, 8, 1), width: int = 1) -> None:
    """A builder that speaks as Keras does of a value it cannot take."""
    raise ValueError(f"\nInvalid value for argument `filters`. Received: filters={width}\nmore lines")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 2}, "my.toml: odd cannot be built with these options: Invalid value for argument `filters`"),
        ({"width": -1}, "my.toml: network.options.width = -1 must be at least 1"),
        ({"wdith": 1}, "my.toml: unknown key 'network.options.wdith'; did you mean 'width'"),
        ({"input_shape": [2, 2, 1]}, "my.toml: odd needs inputs of at least 4×4, not 2×2"),
        ({"input_shape": [8, 8]}, r"my.toml: network.options.input_shape = \[8, 8\] has 2 values; it takes 3"),
    ],
)
def test_options_that_cannot_be_built_are_refused_in_one_line(options: dict, message: str) -> None:
    """Whoever finds out, the recipe or Keras."""
    network = Network(
        name="odd", family="", builder=odd, input=(8, 8, 1), classes=1, parameters=0, trainable=0, multiply_adds=0,
        paper="", reference="", small={}, smallest=4,
    )  # fmt: skip
    with pytest.raises(DlkitError, match=message) as caught:
        network.build(options, "my.toml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_runs_schemes_that_exist(name: str) -> None:
    """What a device is said to run is on the shelf of schemes, and the facts have a source."""
    assert TARGETS[name].schemes
    assert set(TARGETS[name].schemes) <= set(SCHEMES)
    assert TARGETS[name].source


@pytest.mark.parametrize("name", SCHEMES)
def test_a_scheme_allows_what_it_promises(name: str) -> None:
    """Its weights and activations are among the tensors it allows in the file."""
    scheme = SCHEMES[name]
    assert {scheme.weights, scheme.activations} <= scheme.tensors


@pytest.mark.parametrize("name", SCHEMES)
def test_the_scheme_to_use_instead_is_nearer_to_the_float_model(name: str) -> None:
    """It is on the shelf, and so is what to use instead of that; the last of them is float32."""
    names = [name]
    while names[-1] != "float32":
        names.append(SCHEMES[names[-1]].instead)
        assert len(set(names)) == len(names)


def test_a_new_file_is_a_new_entry(package: Path) -> None:
    """Nothing else has to be edited."""
    (package / "int4.py").write_text(ENTRY.format(name="int4"))
    assert list(read()) == ["int4"]


def test_a_module_with_an_underscore_is_machinery(package: Path) -> None:
    """What two entries share can stand beside them."""
    (package / "_shared.py").write_text(ENTRY.format(name="int4"))
    assert read() == {}


def test_two_entries_of_one_name_are_refused(package: Path) -> None:
    """The second does not silently replace the first."""
    (package / "a.py").write_text(ENTRY.format(name="int4"))
    (package / "b.py").write_text(ENTRY.format(name="int4"))
    with pytest.raises(ValueError, match="two entries are called 'int4'"):
        read()


def test_a_shelf_is_read_when_it_is_looked_at() -> None:
    """Importing the package that holds it costs nothing; looking twice reads once."""
    reads = []

    def fill() -> dict[str, int]:
        reads.append(1)
        return {"b": 2, "a": 1}

    shelf = Shelf("thing", fill)
    assert not reads
    assert (list(shelf), len(shelf), shelf["b"], "c" in shelf) == (["a", "b"], 2, 2, False)
    assert len(reads) == 1
