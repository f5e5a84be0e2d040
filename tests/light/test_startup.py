"""What starting dlkit imports, each in a fresh interpreter."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dlkit.cli import COMMANDS
from dlkit.cli.list import KINDS

FRAMEWORKS = {"tensorflow", "keras", "tf_keras", "tensorflow_model_optimization"}
HEAVY = FRAMEWORKS | {"numpy", "ai_edge_litert", "litert_quantizer", "PIL", "matplotlib", "rich"}

PROGRAM = """
import json, sys
from dlkit.cli import main
code = main(json.loads(sys.argv[1]), prog_name="dlkit", standalone_mode=False)
assert not code, code
print("\\n" + json.dumps(sorted(name for name in sys.modules if "." not in name)))
"""

LIGHT = [
    ["--help"],
    ["--version"],
    *([command, "--help"] for command in COMMANDS),
    *(["list", kind] for kind in KINDS),
    *(["list", kind, "--json"] for kind in KINDS),
    ["list", "networks", "vgg"],
    ["help"],
    ["help", "recipe"],
    ["help", "export"],
    *(["completion", shell] for shell in ("bash", "zsh", "fish")),
]


def imported(fresh: Callable, *arguments: str | Path) -> set[str]:
    """The packages loaded when `dlkit ARGUMENTS` is done."""
    said = fresh("-c", PROGRAM, json.dumps([str(a) for a in arguments]))
    assert said.code == 0, said.err
    return set(json.loads(said.out.splitlines()[-1]))


@pytest.mark.parametrize("arguments", LIGHT, ids=" ".join)
def test_help_and_lists_import_nothing_heavy(fresh, arguments: list[str]) -> None:
    """Help and lists are there at once: no framework, not even numpy."""
    assert not imported(fresh, *arguments) & HEAVY


def test_doctor_imports_nothing_heavy(fresh) -> None:
    """What is installed is read from metadata, not by importing it."""
    assert not imported(fresh, "doctor") & HEAVY


def test_importing_dlkit_imports_nothing_heavy(fresh) -> None:
    """`import dlkit` costs nothing; its public names load on first use."""
    said = fresh("-c", "import json, sys, dlkit; print(json.dumps(sorted(sys.modules)))")
    assert not set(json.loads(said.out)) & (HEAVY | {"click"})


@pytest.mark.parametrize("command", ["predict", "check", "inspect", "bench", "evaluate", "folder"])
def test_running_a_bundle_needs_no_framework(fresh, tiny_bundle, digit_png, tmp_path, command: str) -> None:
    """What a device does, it does without TensorFlow and Keras."""
    picture = tmp_path / "2" / "digit.png"
    picture.parent.mkdir()
    picture.write_bytes(digit_png)
    arguments = {
        "predict": ["predict", tiny_bundle, picture],
        "check": ["predict", tiny_bundle, "--check"],
        "inspect": ["inspect", tiny_bundle],
        "bench": ["bench", tiny_bundle, "--runs", "1"],
        "evaluate": ["evaluate", tiny_bundle],
        "folder": ["evaluate", tiny_bundle, "--data", tmp_path],
    }[command]
    packages = imported(fresh, *arguments)
    assert "ai_edge_litert" in packages or command == "bench"  # bench runs it in a child
    assert not packages & FRAMEWORKS
