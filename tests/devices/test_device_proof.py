"""The proof on a device: outputs are held against what the file computes by definition."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from dlkit.devices import RUNTIMES
from dlkit.devices.proving import Beyond, _gaps
from dlkit.devices.reference import reference_answers
from dlkit.errors import ConversionError, ModelFileError
from dlkit.progress import ignore
from dlkit.runtime.litert import Session
from dlkit.runtime.output_steps import steps_of

TINY = Path(__file__).parents[2] / "exported" / "digits-tiny" / "cpu-int8" / "model.tflite"
WANTED = {"output": np.array([[0.0, 0.5], [0.25, 1.0]], np.float32)}
STEP = 1 / 256


def gaps(found: np.ndarray, steps: dict[int, float]) -> tuple[float, float, float | None]:
    return _gaps(RUNTIMES["litert"], WANTED, {"output": found}, steps)


def test_an_equal_answer() -> None:
    """No gap, and what was allowed of one."""
    gap, allowed, steps = gaps(WANTED["output"], {0: STEP})
    assert (gap, steps) == (0.0, 0.0)
    assert allowed == pytest.approx(STEP, rel=1e-3)


def test_one_step() -> None:
    """An 8-bit output may be a step away."""
    assert gaps(WANTED["output"] + np.float32(STEP), {0: STEP})[2] == pytest.approx(1)


@pytest.mark.parametrize(
    ("found", "steps", "message"),
    [
        (WANTED["output"] + np.float32(2 * STEP), {0: STEP}, "up to 2.0 steps of its 8-bit output"),
        (WANTED["output"] + np.float32(1e-3), {}, "up to 0.001 from what the file computes (limit 1e-05)"),
        (np.full((2, 2), math.nan, np.float32), {0: STEP}, "nan steps"),
        (np.zeros((2, 3), np.float32), {}, "gives (2, 3) as output 'output' in place of (2, 2)"),
    ],
    ids=["steps", "float", "nan", "shape"],
)
def test_another_answer(found: np.ndarray, steps: dict[int, float], message: str) -> None:
    """It is refused, with how far it is and how far it may be."""
    with pytest.raises(Beyond) as caught:
        gaps(found, steps)
    assert message in str(caught.value)


def test_the_steps_of_an_integer_file() -> None:
    """They are the scale of its output."""
    assert steps_of(TINY.read_bytes()) == {0: Session(TINY).output.scale}


def test_reference_kernels_and_the_fast_ones() -> None:
    """Both answer alike, within the steps that the fast ones may take."""
    x = np.random.default_rng(0).random((16, 8, 8, 1), np.float32)
    session = Session(TINY)
    [reference] = reference_answers(TINY, {next(iter(session.inputs)): x}, ignore).values()
    assert np.abs(reference - session.run(x)).max() <= 2.5 * session.output.scale


def test_no_file_for_the_reference(tmp_path: Path) -> None:
    """A broken file is one error, from a child that may crash on it."""
    path = tmp_path / "m.tflite"
    path.write_bytes(TINY.read_bytes()[:3000])
    with pytest.raises((ModelFileError, ConversionError)):
        reference_answers(path, {"x": np.zeros((1, 8, 8, 1), np.float32)}, ignore)
