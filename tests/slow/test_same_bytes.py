"""Same recipe, seed and versions: the same bytes, of every file of every scheme, whatever else is different."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from injected import ROOT, ended, ended_program, tree

from dlkit.schemes import SCHEMES

RECIPE = ROOT / "recipes" / "digits-tiny.toml"
MEASURED = ("report.html", "latency.json")
"""Files of a bundle that hold times measured when it was made; they are no part of what the manifest vouches for."""
FITTED = tuple(sorted(name for name, scheme in SCHEMES.items() if scheme.preparation))
SERVED = tuple(sorted(name for name, scheme in SCHEMES.items() if scheme.format != "tflite"))
PLAIN = tuple(sorted(set(SCHEMES) - {*FITTED, *SERVED}))
TWO_WORLDS = (
    {"PYTHONHASHSEED": "1", "TZ": "UTC", "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"},
    {"PYTHONHASHSEED": "4711", "TZ": "Asia/Tokyo", "LC_ALL": "C", "DLKIT_ELSE": "x"},
)
LATER = """
import sys, time
real = time.time
time.time = lambda: real() + 4e8
from dlkit.cli import main
sys.argv[0] = "dlkit"
main()
"""
"""`dlkit` by a clock that goes twelve years ahead."""


def made(folder: Path, number: int, model: Path, *arguments: str) -> dict[str, str]:
    """Path → sha256 of all that `dlkit ARGUMENTS` writes to a new folder in world `number`, from a copy of `model`."""
    import shutil

    (folder / "tmp").mkdir(parents=True)
    out = folder / ("out" if number else "another name")
    shutil.copytree(model, out / model.name, ignore=shutil.ignore_patterns("*-*"))
    before = set(tree(out))
    environment = TWO_WORLDS[number] | {"TMPDIR": str(folder / "tmp")}
    program = (sys.executable, "-P", "-m", "dlkit") if number else (sys.executable, "-P", "-c", LATER)
    how = ended_program(*program, *arguments, "--out", out, "-q", cwd=folder, environment=environment)
    # A file that loses too much is refused, in both worlds alike.
    assert how.code in (0, 3), how.err
    assert "Traceback" not in how.err
    found = {name: sha256 for name, sha256 in tree(out).items() if name not in before}
    return {name: sha256 for name, sha256 in found.items() if Path(name).name not in MEASURED}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same short training, in two worlds."""
    found = []
    for number, world in enumerate(TWO_WORLDS):
        folder = tmp_path_factory.mktemp(f"world{number}")
        how = ended(
            "train", str(RECIPE), "--out", "out", "-q", "--set", "training.epochs=6", "--set", "export.max_drop=1",
            cwd=folder, environment=world,
        )  # fmt: skip
        assert how.code == 0, how.err
        found.append(folder / "out" / "digits-tiny")
    return found[0], found[1]


@pytest.mark.tf
@pytest.mark.slow
@pytest.mark.full
def test_a_training(models: tuple[Path, Path]) -> None:
    """Model, facts and tables."""
    one, two = map(tree, models)
    assert one == two
    assert {"model.keras", "model.json", "history.csv"} <= one.keys()


@pytest.mark.tf
@pytest.mark.slow
@pytest.mark.full
@pytest.mark.parametrize(
    ("target", "schemes"),
    [("cpu", PLAIN), ("server", SERVED), ("cpu", FITTED), ("cortex-m4", ()), ("gpu-server", ())],
    ids=["plain", "served", "fitted", "cortex-m4", "gpu-server"],
)
def test_the_files_of_every_scheme(
    models: tuple[Path, Path], tmp_path: Path, target: str, schemes: tuple[str, ...]
) -> None:
    """All files of all bundles, from two processes that have nothing in common but the model."""
    options = [word for name in schemes for word in ("--scheme", name)]
    one, two = (
        made(tmp_path / name, number, models[0], "export", "digits-tiny", "--target", target, *options)
        for number, name in enumerate(("a", "b c"))
    )
    assert sorted(one) == sorted(two)
    assert [name for name in one if one[name] != two[name]] == []
    for name in schemes:
        assert f"digits-tiny/{target}-{name}/manifest.json" in one


@pytest.mark.tf
@pytest.mark.slow
def test_the_files_of_some_schemes(tmp_path: Path) -> None:
    """Of a network of random weights, which takes no training: what a change of any of them would break first."""
    how = ended("build", str(RECIPE), "--out", "out", "-q", "--set", "export.max_drop=1", cwd=tmp_path)
    assert how.code == 0, how.err
    options = [word for name in ("float32", "int8", "dynamic_int8") for word in ("--scheme", name)]
    one, two = (
        made(tmp_path / name, number, tmp_path / "out" / "digits-tiny", "export", "digits-tiny", *options)
        for number, name in enumerate(("a", "b c"))
    )
    assert one == two
    assert any(name.endswith("manifest.json") for name in one)


def test_every_scheme_is_among_them() -> None:
    """A new one is made twice, too."""
    assert {*PLAIN, *SERVED, *FITTED} == {*SCHEMES}
