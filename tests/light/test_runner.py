"""predict.py of a bundle: one file, without dlkit, with the same answers."""

from __future__ import annotations

import ast
import io
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from as_files import npy

from dlkit.bundle.flatten import MODULES, flattened_runner

# Runs a script as `python SCRIPT ARGUMENTS` would, where there is no dlkit.
WITHOUT_DLKIT = """
import runpy, sys
sys.modules["dlkit"] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def runner(bundle: Path, vouch: Callable, fresh: Callable) -> Callable:
    """`python predict.py ARGUMENTS` in a copy of the bundle, with the runner as it is made today."""
    (bundle / "predict.py").write_text(flattened_runner())
    vouch(bundle)

    def run(*arguments: str | Path, stdin: bytes = b""):
        return fresh("-c", WITHOUT_DLKIT, bundle / "predict.py", *arguments, stdin=stdin)

    return run


def defined(module: str) -> set[str]:
    """Names a module defines for itself at its top level."""
    names = set()
    for node in ast.parse(files("dlkit").joinpath(f"{module}.py").read_text()).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    return names


def test_it_compiles_and_imports_no_dlkit() -> None:
    """At no place, not even inside a function."""
    imported = set()
    for node in ast.walk(ast.parse(flattened_runner())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").split(".")[0])
    assert "numpy" in imported
    assert not imported & {"dlkit", "tensorflow", "keras", "click", "rich"}


def test_its_modules_do_not_share_names() -> None:
    """In one file, the second of two functions of one name would silently replace the first."""
    seen: dict[str, str] = {}
    for module in MODULES:
        for name in defined(module):
            assert seen.setdefault(name, module) == module, f"{name} is in {seen[name]} and in {module}"
    assert len(seen) > 50


def test_everything_it_uses_is_in_it() -> None:
    """Every name a module takes from another of ours comes from one that is in the file, and before it."""
    for position, module in enumerate(MODULES):
        for node in ast.walk(ast.parse(files("dlkit").joinpath(f"{module}.py").read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dlkit"):
                source = str(node.module).removeprefix("dlkit.").replace(".", "/")
                assert source in MODULES[:position], f"{module} needs {source}"
                assert {alias.name for alias in node.names} <= defined(source)
                assert all(alias.asname is None for alias in node.names)


@pytest.mark.parametrize("kind", ["png", "npy", "csv", "folder", "-"])
def test_its_answers_are_those_of_dlkit_predict(runner, dlkit, bundle, tmp_path, digit, digit_png, kind: str) -> None:
    """For every kind of input, letter for letter."""
    contents = {"png": digit_png, "npy": npy(np.stack([digit] * 2)), "csv": (",".join(["3"] * 64)).encode()}
    for suffix, content in contents.items():
        (tmp_path / f"a.{suffix}").write_bytes(content)
    name = {"folder": tmp_path, "-": "-"}.get(kind, tmp_path / f"a.{kind}")
    wanted = dlkit("predict", bundle, name, "--top", "3", stdin=digit_png)
    said = runner(name, "--top", "3", stdin=digit_png)
    assert (said.code, said.out, said.err) == (0, wanted.out, "")
    assert wanted.out


@pytest.mark.parametrize(
    ("name", "content"), [("a.png", b"hello"), ("a.npy", npy(np.zeros((9, 9)))), ("a.csv", b"1,2"), ("a\nb.png", b"x")]
)
def test_its_errors_are_those_of_dlkit_predict(runner, dlkit, bundle, tmp_path, name: str, content: bytes) -> None:
    """The same line, the same exit code."""
    (tmp_path / name).write_bytes(content)
    wanted = dlkit("predict", bundle, tmp_path / name)
    said = runner(tmp_path / name)
    assert (said.code, said.out, said.err) == (1, "", wanted.err)


def test_its_answers_without_labels_are_those_of_dlkit_predict(runner, dlkit, bundle, vouch, digit_png) -> None:
    """The numbers themselves."""
    (bundle / "labels.txt").write_text("")
    vouch(bundle)
    wanted = dlkit("predict", bundle, "-", stdin=digit_png)
    said = runner("-", stdin=digit_png)
    assert (said.code, said.out) == (0, wanted.out)


def test_check(runner, dlkit, bundle, digit_png, tmp_path) -> None:
    """The same proof; an input named beside it is labelled too."""
    wanted = dlkit("predict", bundle, "--check").out
    assert runner("--check").out == wanted
    (tmp_path / "a.png").write_bytes(digit_png)
    assert runner("--check", tmp_path / "a.png").out.startswith(f"{wanted}{tmp_path}/a.png  2 ")


def test_a_changed_model_is_refused(runner, bundle) -> None:
    """On the device as on the host."""
    content = bytearray((bundle / "model.tflite").read_bytes())
    content[5000] ^= 1
    (bundle / "model.tflite").write_bytes(content)
    said = runner("--check")
    assert said.code == 1
    assert said.err.startswith(f"error: {bundle}/model.tflite: is not the file that was exported")


def test_a_failed_check_is_refused(runner, bundle, vouch: Callable) -> None:
    """Exit code 3."""
    stream = io.BytesIO()
    np.savez(stream, **{"raw image": np.zeros((1, 8, 8, 1)), "output output": np.full((1, 10), 9.0)})
    (bundle / "samples.npz").write_bytes(stream.getvalue())
    vouch(bundle)
    said = runner("--check")
    assert said.code == 3
    assert said.out.startswith("check FAILED: 1 samples, largest gap ")


@pytest.mark.parametrize(
    "arguments", [[], ["--top", "0", "x"], ["--top", "-1", "x"], ["--threads", "0", "x"], ["--tops"]]
)
def test_usage(runner, arguments: list[str]) -> None:
    """Exit code 2; a number that makes no sense is not taken for another."""
    said = runner(*arguments)
    assert (said.code, said.out) == (2, "")
    assert "Traceback" not in said.err
    assert "_positive" not in said.err


@pytest.mark.parametrize("number", ["0", "-1", "many"])
def test_a_number_that_makes_no_sense_is_told_what_is_wanted(runner, number: str) -> None:
    """Not the name of a function."""
    said = runner("--top", number, "x")
    assert said.err.splitlines()[-1].endswith(f"argument --top: {number!r} is not a whole number from 1")


def test_more_threads_than_there_can_be(runner) -> None:
    """One line in place of a crash."""
    said = runner("--check", "--threads", "100000")
    assert (said.code, said.err) == (1, "error: 100000 threads; the runtime takes 1 to 256\n")


def test_the_bundle_of_the_repository_carries_todays_runner(tiny_bundle: Path) -> None:
    """It is proven with the code of today; if this fails: dlkit run recipes/digits-tiny.toml --force"""
    assert (tiny_bundle / "predict.py").read_text(encoding="utf-8") == flattened_runner()
