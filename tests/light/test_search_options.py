"""What is typed to search and to compare, and what is refused."""

from __future__ import annotations

import importlib.util
from types import SimpleNamespace

import pytest

from dlkit.cli.export import is_slow_lstm


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--max-size", "lots"], "'lots' is no size; give a number with B, kB"),
        (["--max-latency", "5"], "'5' is no time; give a number with us, ms or s"),
        (["--max-drop", "nan"], "--max-drop must be a number from 0 on"),
        (["--max-drop", "-1"], "--max-drop must be a number from 0 on"),
        (["--prefer", "beauty"], "'beauty' is not one of"),
        (["--resume"], "--resume is of a search; give it a limit or --prefer"),
        (["--jobs", "2"], "--jobs is of a search; give it a limit or --prefer"),
        (["--ray"], "--ray is of a search; give it a limit or --prefer"),
        (["--max-size", "1kB", "--streaming"], "--streaming does not go with --max-size"),
        (["--max-size", "1kB", "--unroll"], "--unroll does not go with --max-size; a search does what the recipe"),
        (["--prefer", "size", "--decoder"], "--decoder does not go with --prefer"),
    ],
)
def test_wrong_options_are_refused(dlkit, words: list[str], text: str) -> None:
    """Before anything is done, with exit code 2."""
    said = dlkit("export", "anything", *words)
    assert said.code == 2
    assert text in said.err
    assert said.err.count("\n") == 1


def test_an_unknown_target_cannot_be_compared(dlkit, tmp_path) -> None:
    """The nearest name is told."""
    said = dlkit("compare", "anything", "--target", "cpuu", "--out", tmp_path)
    assert (said.code, said.err) == (1, "error: unknown target 'cpuu'; did you mean 'cpu'?\n")


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="ray is installed")
@pytest.mark.parametrize("words", [["export", "digits", "--prefer", "size"], ["compare", "digits"]])
def test_without_ray_there_is_a_line_to_type(dlkit, words: list[str]) -> None:
    """It is told before anything else is looked at, such as the model."""
    said = dlkit(*words, "--ray")
    assert (said.code, said.out) == (1, "")
    assert said.err == "error: starting workers on a Ray cluster needs ray[train]: pip install 'ray[train]'\n"


@pytest.mark.parametrize(
    ("scheme", "operation", "runtime", "slow"),
    [
        ("int8", "UNIDIRECTIONAL_SEQUENCE_LSTM", "litert", True),
        ("int8", "FULLY_CONNECTED", "litert", False),
        ("float32", "UNIDIRECTIONAL_SEQUENCE_LSTM", "litert", False),
        ("int8", "UNIDIRECTIONAL_SEQUENCE_LSTM", "tflm", False),
    ],
)
def test_unroll_is_named_where_it_helps(scheme: str, operation: str, runtime: str, slow: bool) -> None:
    """An int8 LSTM in one operation, run by LiteRT on a processor."""
    report = SimpleNamespace(scheme=scheme, ops={operation: 1})
    assert is_slow_lstm(report, runtime) == slow
