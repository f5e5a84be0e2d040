"""TAB offers what the shelves hold."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from dlkit.cli._completing import models

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
        ("build xc", "xception"),
        ("build recipes/digits-l", "recipes/digits-lstm.toml"),
        ("run recipes/digits-t", "recipes/digits-tiny.toml"),
        ("export --scheme dyn", "dynamic_int8"),
        ("export --target cp", "cpu"),
        ("list net", "networks"),
        ("list networks resnet8", "resnet8"),
        ("help mic", "microcontroller"),
        ("help doc", "doctor"),
        ("list schemes dyn", "dynamic_int8"),
        ("list recipes digits-l", "digits-lstm"),
        ("predict exported/digits-t", "exported/digits-tiny/cpu-int8"),
    ],
)
def test_the_one_that_begins_like_it_is_offered(words: str, expected: str) -> None:
    """Commands, networks, recipes, schemes, targets and bundles complete."""
    assert _offered(words) == [expected]


def test_a_bundle_below_a_path_is_offered(tmp_path: Path) -> None:
    """Absolute or with a dot, up to two folders below; one that is still being written is not."""
    place = tmp_path / "exported" / "digits"
    for name in ("cpu-int8", ".dlkit-writing-x"):
        (place / name).mkdir(parents=True)
        (place / name / "manifest.json").touch()
    for typed in (f"{tmp_path}/exported/", f"{tmp_path}/exported/di", f"{place}/", "./exported/d"):
        start = f"{tmp_path}/" if typed.startswith("/") else "./"
        assert _offered(f"predict {typed}", tmp_path) == [f"{start}exported/digits/cpu-int8"]
    assert _offered("predict ex", tmp_path) == ["exported/digits/cpu-int8"]
    assert _offered(f"predict {tmp_path}/ex", tmp_path) == [f"{tmp_path}/ex"]  # the shell goes on with files


def test_models_are_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the folder of models, recipes, and .keras files; else the shell offers files."""
    monkeypatch.chdir(tmp_path)
    for name in ("exported/digits/model.json", "elsewhere/other/model.json", "recipes/d.toml", "mine.keras"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    def offered(typed: str, **params: str) -> list[str]:
        ctx = click.Context(click.Command("export"))
        ctx.params.update(params)
        return [str(getattr(item, "value", item)) for item in models(ctx, click.Argument(["model"]), typed)]

    assert offered("") == ["digits", "recipes/d.toml", "mine.keras"]
    assert offered("di") == ["digits"]
    assert offered("o", out="elsewhere") == ["other"]
    assert offered(f"{tmp_path}/mi") == [f"{tmp_path}/mine.keras"]
    [left_to_the_shell] = models(click.Context(click.Command("export")), click.Argument(["model"]), "zz")
    assert getattr(left_to_the_shell, "type", "") == "file"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(shell: str) -> None:
    """The script calls back into dlkit."""
    command = [sys.executable, "-m", "dlkit", "completion", shell]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 0
    assert f"_DLKIT_COMPLETE={shell}_complete" in done.stdout
