"""The error tree and what errors look like."""

from __future__ import annotations

import inspect

import pytest

import dlkit.errors
from dlkit.errors import LONGEST_LINE, DlkitError, ModelFileError, UnknownName, printable, suggestion, system_reason

CLASSES = {
    name: cls for name, cls in vars(dlkit.errors).items() if isinstance(cls, type) and issubclass(cls, Exception)
}


def drawn_tree() -> dict[str, str]:
    """Class → base, as the docstring draws them."""
    assert dlkit.errors.__doc__ is not None
    tree, above = {}, ["Exception"]
    for line in dlkit.errors.__doc__.splitlines()[2:]:
        name = line.lstrip("│├└─ ").partition(" ")[0]
        if name:
            depth = line.index(name) // 4
            tree[name] = above[depth]
            above[depth + 1 :] = [name]
    return tree


def test_the_drawn_tree_is_the_real_one() -> None:
    """The text at the top of errors.py names every class and its place."""
    assert drawn_tree() == {name: cls.__bases__[0].__name__ for name, cls in CLASSES.items()}


@pytest.mark.parametrize("name", CLASSES)
def test_exit_codes(name: str) -> None:
    """3 for a refused file, 1 for everything else that the user can mend."""
    assert CLASSES[name].exit_code == (3 if name == "VerificationRefused" else 1)


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_says_when(name: str) -> None:
    """Each has a docstring of its own."""
    assert inspect.getdoc(CLASSES[name]) != inspect.getdoc(Exception)
    assert CLASSES[name].__doc__


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb", "a\\nb"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("broken \udcff name", "broken \\udcff name"),
        ("\u202ereversed", "\\u202ereversed"),
        ("Käse × 数字 …", "Käse × 数字 …"),
    ],
)
def test_an_error_is_one_printable_line(text: str, shown: str) -> None:
    """A file called anything cannot break the line, the terminal or the encoding."""
    assert str(ModelFileError(text)) == printable(text) == shown


def test_suggestion_names_what_is_near() -> None:
    """Up to three, whatever the case."""
    assert suggestion("VGG61", ["vgg16", "lstm"]) == "did you mean 'vgg16'?"


def test_suggestion_without_a_near_name_lists_all() -> None:
    """Or says that there are none."""
    assert suggestion("zzz", ["b", "a"]) == "known: a, b"
    assert suggestion("zzz", []) == "there are none"


def test_unknown_name_says_where() -> None:
    """The place comes first, then the name and the nearest."""
    error = UnknownName("network", "vgg61", ["vgg16"], "my.toml")
    assert str(error) == "my.toml: unknown network 'vgg61'; did you mean 'vgg16'?"


def test_what_the_system_refuses_is_named_with_its_file() -> None:
    """As one clause, with the file if there is one."""
    assert system_reason(PermissionError(13, "Permission denied", "a.png")) == "a.png: Permission denied"
    assert system_reason(OSError(28, "No space left on device")) == "No space left on device"
    assert system_reason(OSError("odd")) == "odd"


def test_all_are_dlkit_errors() -> None:
    """`except DlkitError` catches all that dlkit raises on purpose."""
    assert all(issubclass(cls, DlkitError) for cls in CLASSES.values())


def test_a_line_stays_a_line_however_long_a_name_is() -> None:
    """Of a file with a million letters in a key, or a million keys, the ends are told."""
    assert len(str(DlkitError("a" * 10**6))) <= LONGEST_LINE
    said = str(UnknownName("column", "x" * 10**6, (f"column {n}" for n in range(10**5))))
    assert said.startswith("unknown column 'xxx")
    assert len(said) <= LONGEST_LINE
