"""Ethos-U by the real compiler: what is placed where, what it takes, and what is refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from dlkit.devices import RUNTIMES, vela
from dlkit.devices.vela import compiled
from dlkit.errors import ConversionError, ExtraMissing, ModelFileError, RecipeError
from dlkit.progress import ignore
from dlkit.runtime.litert import Session
from dlkit.targets import TARGETS, EthosU

pytest.importorskip("ethosu", reason="ETHOS-U NOT TRIED: pip install 'dlkit[ethos-u]'")

TINY = Path(__file__).parents[2] / "exported" / "digits-tiny" / "cpu-int8" / "model.tflite"
U55 = TARGETS["ethos-u55"]
NPUS = ("ethos-u55", "ethos-u65", "ethos-u85")


def figures(target, file: Path = TINY) -> dict[str, float]:
    verdict = RUNTIMES["ethos_u"].examine(file, target, ignore)
    return {figure.name: figure.value for figure in verdict.figures}


@pytest.mark.parametrize("name", NPUS)
def test_an_int8_network_is_on_the_npu(name: str) -> None:
    """Every operation is, with cycles, memory and a row for each layer."""
    verdict = RUNTIMES["ethos_u"].examine(TINY, TARGETS[name], ignore)
    assert verdict.fits
    assert {placement.place for placement in verdict.placements} == {"NPU"}
    assert sum(placement.count for placement in verdict.placements) == 8
    assert all(budget.used_bytes > 0 for budget in verdict.budgets)
    assert any("conv1" in row["Name"] for row in verdict.layers)


def test_more_multipliers_take_fewer_cycles() -> None:
    """The configuration in the target's file is the one that is compiled for."""
    small, large = (
        figures(dataclasses.replace(U55, ethos_u=EthosU(name)))["NPU cycles"]
        for name in ("ethos-u55-32", "ethos-u55-256")
    )
    assert large < small


def test_the_system_and_the_memory_mode_are_used() -> None:
    """They are told in the verdict."""
    target = dataclasses.replace(U55, ethos_u=EthosU("ethos-u55-128", "Ethos_U55_Deep_Embedded", "Sram_Only"))
    assert "Ethos_U55_Deep_Embedded" in RUNTIMES["ethos_u"].examine(TINY, target, ignore).how


def test_the_same_file_compiles_to_the_same_bytes() -> None:
    """A bundle can be made again."""
    first, second = (compiled(TINY, EthosU("ethos-u55-128"), ignore) for _ in range(2))
    assert first.content == second.content


def test_it_stands_for_what_it_was_compiled_from() -> None:
    """The file computes the same in TensorFlow Lite Micro as by LiteRT's reference kernels, bit for bit."""
    pytest.importorskip("tflite_micro", reason="ETHOS-U NOT RUN: pip install 'dlkit[micro]'")
    x = {next(iter(Session(TINY).inputs)): np.random.default_rng(0).random((8, 8, 8, 1), np.float32)}
    answers = RUNTIMES["ethos_u"].answers
    assert answers is not None
    [found] = answers(TINY, x, U55, ignore).values()
    [wanted] = Session(TINY, reference=True).run_named(x).values()
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("accelerator", "message"), [("ethos-u99", "vela does not compile the file"), ("", "vela does not compile")]
)
def test_an_accelerator_that_there_is_not(accelerator: str, message: str) -> None:
    """vela's own words, in one line."""
    with pytest.raises(ConversionError, match=message) as caught:
        compiled(TINY, EthosU(accelerator), ignore)
    assert "\n" not in str(caught.value)


def test_a_target_without_its_table() -> None:
    """It is told what to write."""
    with pytest.raises(RecipeError, match=r"needs a table \[ethos_u\] with accelerator"):
        RUNTIMES["ethos_u"].examine(TINY, dataclasses.replace(U55, ethos_u=None), ignore)


def test_a_broken_file(tmp_path: Path) -> None:
    """It does not reach the compiler."""
    path = tmp_path / "m.tflite"
    path.write_bytes(TINY.read_bytes()[:3000])
    with pytest.raises(ModelFileError, match="cut short or corrupt"):
        RUNTIMES["ethos_u"].examine(path, U55, ignore)


def test_the_verdict_as_a_command(dlkit) -> None:
    """`dlkit check` tells where each operation runs, and with --layers what each layer costs."""
    said = dlkit("check", TINY, "--target", "ethos-u55", "--layers", "--quiet")
    assert said.code == 0
    assert "8 operations on the NPU" in said.out
    assert "Op Cycles" in said.out


def test_the_verdict_as_json(dlkit) -> None:
    """The same as data."""
    [verdict] = json.loads(dlkit("check", TINY, "--target", "ethos-u65", "--json").out)
    assert verdict["placements"][0]["place"] == "NPU"


def test_without_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line to type is told; nothing is guessed in its place."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ExtraMissing, match=r"pip install 'dlkit\[ethos-u\]'"):
        compiled(TINY, EthosU("ethos-u55-128"), ignore)


def test_a_compiler_that_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is stopped at its time limit, in one line."""
    monkeypatch.setattr(vela, "TIME_LIMIT_S", 0.01)
    with pytest.raises(ConversionError, match="it was stopped"):
        compiled(TINY, EthosU("ethos-u55-128"), ignore)
