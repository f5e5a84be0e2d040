"""TAB offers what the shelves hold."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _offered(words: str, cwd: Path = ROOT) -> list[str]:
    """What bash would offer after `dlkit WORDS`, the last word being typed."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "_DLKIT_COMPLETE": "bash_complete",
        "COMP_WORDS": f"dlkit {words}",
        "COMP_CWORD": str(len(f"dlkit {words}".split(" ")) - 1),
    }
    command = [sys.executable, "-c", "from dlkit.cli import main; main(prog_name='dlkit')"]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.stderr == ""
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("ev", "evaluate"),
        ("build vg", "vgg16"),
        ("build recipes/digits-l", "recipes/digits-lstm.toml"),
        ("run recipes/digits-t", "recipes/digits-tiny.toml"),
        ("export --scheme in", "int8"),
        ("export --target c", "cpu"),
        ("list net", "networks"),
        ("predict exported/digits-t", "exported/digits-tiny/cpu-int8"),
    ],
)
def test_the_one_that_begins_like_it_is_offered(words: str, expected: str) -> None:
    """Commands, networks, recipes, schemes, targets and bundles complete."""
    assert _offered(words) == [expected]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(shell: str) -> None:
    """The script calls back into dlkit."""
    command = [sys.executable, "-m", "dlkit", "completion", shell]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 0
    assert f"_DLKIT_COMPLETE={shell}_complete" in done.stdout
