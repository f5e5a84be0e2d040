"""A bundle of every scheme that needs no training passes its own check on emulated Arm processors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from emulated import CORES, emulated

from dlkit.schemes import SCHEMES
from dlkit.targets import TARGETS

pytestmark = [pytest.mark.tf, pytest.mark.slow]

WITHOUT_TRAINING = [name for name in TARGETS["cpu"].schemes if not SCHEMES[name].preparation]
CHECKS = """
import contextlib, io, json, runpy, sys

said = {}
for runner in sys.argv[1:]:
    sys.argv = [runner, "--check"]
    with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO(), write_through=True)) as out:
        try:
            runpy.run_path(runner, run_name="__main__")
        except SystemExit as end:
            said[runner] = end.code, out.buffer.getvalue().decode()
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def bundles(models: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Scheme → a bundle of the small trained model."""
    from dlkit.pipeline import export
    from dlkit.trained import load_trained

    out = tmp_path_factory.mktemp("exported")
    trained = load_trained(models / "short")
    return {scheme: export(trained, target="cpu", scheme=scheme, out=out)[0].folder for scheme in WITHOUT_TRAINING}


@pytest.fixture(
    scope="module", params=[pytest.param(core, marks=pytest.mark.full if core != CORES[-1] else ()) for core in CORES]
)
def checked(request: pytest.FixtureRequest, bundles: dict[str, Path]) -> dict[str, tuple[int, str]]:
    """Scheme → exit code and output of `python predict.py --check`, on a core; all in one process there."""
    runners = {scheme: str(folder / "predict.py") for scheme, folder in bundles.items()}
    code, out, err = emulated(request.param, "-c", CHECKS, *runners.values(), with_dlkit=False)
    assert (code, err) == (0, "")
    said = json.loads(out)
    return {scheme: tuple(said[runner]) for scheme, runner in runners.items()}


@pytest.mark.parametrize("scheme", WITHOUT_TRAINING)
def test_the_check_of_a_bundle(checked: dict[str, tuple[int, str]], scheme: str) -> None:
    """Its own samples give what they gave where it was exported, within what it allows itself."""
    code, out = checked[scheme]
    assert code == 0, out
    assert out.startswith("check passed: ")
