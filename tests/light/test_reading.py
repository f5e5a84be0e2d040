"""TOML → dataclass, strictly: every refusal names the file and the key."""

from __future__ import annotations

import dataclasses
from typing import Literal

import pytest

from dlkit.errors import RecipeError
from dlkit.reading import parse_override, parse_toml, read_arguments, read_dataclass, with_overrides


@dataclasses.dataclass(frozen=True)
class Wheel:
    size: int
    spokes: float = 32.0

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"wheel.size = {self.size} must be at least 1")


@dataclasses.dataclass(frozen=True)
class Bicycle:
    name: str
    wheel: Wheel
    gears: tuple[int, ...] = ()
    frame: tuple[float, float] = (0.0, 0.0)
    kind: Literal["city", "race"] = "city"
    bell: bool = False
    light: Wheel | None = None
    owners: tuple[int | str, ...] | int | str = ()
    extras: dict[str, object] = dataclasses.field(default_factory=dict)


GOOD = 'name = "x"\nwheel = { size = 28 }\n'


def read(text: str) -> Bicycle:
    return read_dataclass(Bicycle, parse_toml(text, "b.toml"), "b.toml")


def refused(text: str) -> str:
    with pytest.raises(RecipeError) as caught:
        read(text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "read_as"), [("3", 3), ('"me"', "me"), ('["me", 3]', ("me", 3)), ("[]", ())], ids=str
)
def test_a_value_may_be_of_several_types(value: str, read_as: object) -> None:
    """The first that it is; as TOML has it, nothing is converted."""
    assert read(f"{GOOD}owners = {value}").owners == read_as


def test_a_value_of_none_of_several_types_is_refused() -> None:
    """By the last of them."""
    assert refused(f"{GOOD}owners = true").endswith("owners = True is true or false; it takes a string")


def test_defaults_are_filled_in() -> None:
    """What the file does not say is the dataclass's default."""
    assert read(GOOD) == Bicycle("x", Wheel(28, 32.0))


def test_everything_has_its_type() -> None:
    """A list becomes a tuple, a whole number a float where one is asked for, a table a dataclass."""
    text = (
        GOOD
        + 'gears = [1, 2]\nframe = [1, 2.5]\nkind = "race"\nbell = true\nlight = { size = 1 }\nextras = { a = 1 }\n'
    )
    bicycle = read(text)
    assert bicycle == Bicycle("x", Wheel(28), (1, 2), (1.0, 2.5), "race", True, Wheel(1), (), {"a": 1})
    assert [type(n) for n in bicycle.frame] == [float, float]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nmae = 1", "b.toml: unknown key 'nmae'; did you mean 'name'?"),
        (GOOD + "[wheel.x]", "b.toml: not valid TOML"),
        ('name = "x"\nwheel = { sise = 1 }', "b.toml: unknown key 'wheel.sise'; did you mean 'size'?"),
        ('name = "x"', "b.toml: missing key 'wheel'"),
        ('name = "x"\nwheel = {}', "b.toml: missing key 'wheel.size'"),
        ("name = 3\nwheel = { size = 1 }", "b.toml: name = 3 is a whole number; it takes a string"),
        ('name = "x"\nwheel = 3', "b.toml: wheel = 3 is a whole number; it takes a table"),
        ('name = "x"\nwheel = { size = 1.5 }', "b.toml: wheel.size = 1.5 is a number; it takes a whole number"),
        ('name = "x"\nwheel = { size = true }', "b.toml: wheel.size = True is true or false; it takes a whole number"),
        ('name = "x"\nwheel = { size = [1] }', "b.toml: wheel.size = [1] is a list; it takes a whole number"),
        ('name = "x"\nwheel = { size = 1979-05-27 }', "is a date; it takes a whole number"),
        ('name = "x"\nwheel = { size = "1" }', "b.toml: wheel.size = '1' is a string; it takes a whole number"),
        ('name = "x"\nwheel = { size = 1, spokes = true }', "wheel.spokes = True is true or false; it takes a number"),
        ('name = "x"\nwheel = { size = 0 }', "b.toml: wheel.size = 0 must be at least 1"),
        (GOOD + "gears = 3", "b.toml: gears = 3 is a whole number; it takes a list"),
        (GOOD + 'gears = [1, "2"]', "b.toml: gears[1] = '2' is a string; it takes a whole number"),
        (GOOD + "frame = [1.0]", "b.toml: frame = [1.0] has 1 values; it takes 2"),
        (GOOD + 'kind = "rase"', "b.toml: kind = 'rase' is not one of them; did you mean 'race'?"),
        (GOOD + "kind = 7", "b.toml: kind = 7 is a whole number; it takes a string"),
        (GOOD + "extras = []", "b.toml: extras = [] is a list; it takes a table"),
        (GOOD + "light = 1", "b.toml: light = 1 is a whole number; it takes a table"),
    ],
)
def test_refusals_name_file_key_and_what_was_found(text: str, message: str) -> None:
    """Nothing is converted, nothing is ignored."""
    assert message in refused(text)


@pytest.mark.parametrize(
    "number", ["9" * 25, "-" + "9" * 25, "9" * 400, "9" * 5000, "0x" + "f" * 6000], ids=lambda n: f"{n[:3]}{len(n)}"
)
def test_a_number_beyond_64_bits_is_refused(number: str) -> None:
    """As a whole number and where a float is asked for; Python itself stumbles over some of them."""
    for text in (
        f'name = "x"\nwheel = {{ size = {number} }}',
        f'name = "x"\nwheel = {{ size = 1, spokes = {number} }}',
    ):
        said = refused(text)
        assert said.startswith("b.toml: ")
        assert len(said) < 200


@pytest.mark.parametrize("text", ["", "a = ", "= 1", "a = 1\na = 2", "\x00", "[" * 5000, "a = " + "[" * 5000])
def test_what_is_not_toml_is_refused(text: str) -> None:
    """With the file and, from the parser, line and column; however deep it nests."""
    assert refused(text).startswith(("b.toml: not valid TOML", "b.toml: missing key 'name'"))


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("training.epochs=3", ["training", "epochs"], 3),
        ("name=digits", ["name"], "digits"),
        ('name="3"', ["name"], "3"),
        (" a . b = 1.5 ", ["a", "b"], 1.5),
        ("a=[1, 2]", ["a"], [1, 2]),
        ("a=true", ["a"], True),
        ("a=b=c", ["a"], "b=c"),
        ("a=", ["a"], ""),
    ],
)
def test_override(text: str, path: list[str], value: object) -> None:
    """KEY=VALUE with VALUE as TOML, or as a word."""
    assert parse_override(text) == (path, value)


@pytest.mark.parametrize("text", ["epochs", "=3", "a..b=1", ".a=1", "", "a=1\nb=2", "a=" + "[" * 5000])
def test_a_bad_override_is_refused(text: str) -> None:
    """It is quoted with how to write it; a second value in it is not dropped."""
    with pytest.raises(RecipeError, match=r"^--set "):
        parse_override(text)


def test_overrides_go_into_a_copy() -> None:
    """Tables are made on the way; what was given is left as it was."""
    table = {"a": {"b": 1}}
    assert with_overrides(table, ["a.b=2", "c.d=3"]) == {"a": {"b": 2}, "c": {"d": 3}}
    assert table == {"a": {"b": 1}}


def test_an_override_below_a_value_is_refused() -> None:
    """`training.epochs.x=3` is no silent replacement of `epochs`."""
    with pytest.raises(RecipeError, match=r"--set a\.b\.c=1: 'b' is a value, not a table"):
        with_overrides({"a": {"b": 1}}, ["a.b.c=1"])


def test_arguments_are_held_against_the_functions_annotations() -> None:
    """Unknown options and wrong types are refused by their dotted key."""

    def build(units: int, rate: float = 0.0) -> Missing:  # type: ignore[name-defined]  # noqa: F821
        raise AssertionError

    assert read_arguments(build, {"units": 3, "rate": 1}, "r.toml", "network.options") == {"units": 3, "rate": 1.0}
    with pytest.raises(RecipeError, match=r"r\.toml: unknown key 'network.options.unit'; did you mean 'units'"):
        read_arguments(build, {"unit": 3}, "r.toml", "network.options")
    with pytest.raises(RecipeError, match=r"r\.toml: network.options.units = 'a' is a string; it takes a whole number"):
        read_arguments(build, {"units": "a"}, "r.toml", "network.options")


@pytest.mark.parametrize(
    "text",
    [
        ".".join(["a"] * 40_000) + " = 1",
        f"[{'.'.join(['a'] * 40_000)}]",
        ".".join(['"\\""'] * 40_000) + " = 1",
        f"x = {{{'.'.join(['a'] * 1000)} = 1}}",
        "x = " + "[" * 100 + "]" * 100,
        "x = " + "[" * 5000,
    ],
    ids=["key", "header", "quoted", "inline", "list", "unclosed"],
)
def test_toml_that_goes_too_deep_is_refused_at_once(text: str) -> None:
    """Python's parser takes hours for a key of many parts, and what it gives cannot be walked through."""
    with pytest.raises(RecipeError, match=r"board\.toml: not valid TOML: nested too deeply"):
        parse_toml(text, "board.toml")


def test_an_override_that_goes_too_deep_is_refused() -> None:
    """As the file is."""
    for text in (".".join(["a"] * 40_000) + "=1", "a={" + ".".join(["a"] * 1000) + "=1}"):
        with pytest.raises(RecipeError, match="nested too deeply"):
            with_overrides({}, [text])
