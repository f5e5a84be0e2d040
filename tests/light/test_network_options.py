"""Options of a network: each has a range, and what is built gives one score a class."""

from __future__ import annotations

import types
from typing import Any

import pytest
from click.testing import CliRunner

from dlkit.cli import LazyGroup
from dlkit.errors import DataError, RecipeError
from dlkit.networks import NETWORKS, Network

NUMBERS = [
    (name, option, default)
    for name, network in NETWORKS.items()
    for option, default in network.options.items()
    if isinstance(default, (int, float)) and not isinstance(default, bool)
]


def outside(network: Network, option: str, default: float) -> list[float]:
    """Values that make no sense for the option."""
    return [-1, 0] if isinstance(default, int) else [-0.1, network.ranges.get(option, (0, 1))[1] + 0.1, float("nan")]


@pytest.mark.parametrize(("name", "option", "default"), NUMBERS)
def test_a_number_out_of_its_range_is_refused(name: str, option: str, default: float) -> None:
    """Every numeric option of every network; the line names the option, the value and the range."""
    for value in outside(NETWORKS[name], option, default):
        with pytest.raises(RecipeError, match=rf"^my\.toml: network\.options\.{option} = {value} must be (at|from) "):
            NETWORKS[name].build({option: value}, "my.toml")


@pytest.mark.parametrize(("name", "option", "default"), NUMBERS)
def test_a_default_is_in_its_range(name: str, option: str, default: float) -> None:
    """What a builder does unasked is allowed."""
    assert NETWORKS[name].read_options({option: default}, "my.toml") == {option: default}


def odd(
    input_shape: tuple[int, int] = (8, 8), classes: int = 3, scale: float = 1.0, flat: bool = True
) -> types.SimpleNamespace:
    """A builder whose model gives scores for each step unless it is flat."""
    return types.SimpleNamespace(output_shape=(None, classes) if flat else (None, 8, classes))


def network(**facts: Any) -> Network:
    return Network(
        name="odd", family="", builder=odd, input=(8, 8), classes=3, parameters=0, trainable=0, multiply_adds=0,
        paper="", reference="", small={}, **facts,
    )  # fmt: skip


def test_a_range_of_its_own() -> None:
    """What is no fraction says so beside the builder."""
    network(ranges={"scale": (0.5, 4)}).build({"scale": 2.0})
    with pytest.raises(RecipeError, match=r"options.scale = 5.0 must be from 0.5 to 4"):
        network(ranges={"scale": (0.5, 4)}).build({"scale": 5.0})
    with pytest.raises(RecipeError, match=r"options.scale = 2.0 must be from 0 to 1"):
        network().build({"scale": 2.0})


def test_every_size_is_at_least_one() -> None:
    """Of an input as well."""
    with pytest.raises(RecipeError, match=r"options.input_shape = 0 must be at least 1"):
        network().build({"input_shape": [8, 0]})


def test_what_gives_no_score_a_class_is_refused() -> None:
    """Training it would end in a traceback."""
    assert network().build({"classes": 5}).output_shape == (None, 5)
    with pytest.raises(DataError, match=r"odd with these options computes \(None, 8, 3\), not one score a class"):
        network().build({"flat": False}, "my.toml")


def test_exhausted_memory_is_one_line() -> None:
    """TensorFlow's own error, known by its name; any other keeps its traceback."""

    def ended(error: Exception) -> Any:
        def command() -> None:
            raise error

        group = LazyGroup("dlkit", invoke_without_command=True, callback=command)
        return CliRunner().invoke(group, [])

    exhausted = type("ResourceExhaustedError", (Exception,), {})("OOM when allocating tensor")
    result = ended(exhausted)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: not enough memory; close other programs")
    assert isinstance(ended(ZeroDivisionError()).exception, ZeroDivisionError)
