"""A conversion runs in a process of its own: its crash is one line, its chatter is not heard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dlkit.conversion.child import run_task
from dlkit.conversion.without_loops import MOST_STEPS
from dlkit.errors import ConversionError, IllegalCombination, ModelFileError
from dlkit.progress import ignore

pytestmark = pytest.mark.tf


SHAPE = (MOST_STEPS + 1, 4)


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GRU as a .keras file, of more steps than are unrolled: it converts to a loop."""
    import keras

    path = tmp_path_factory.mktemp("gru") / "gru.keras"
    x = keras.Input(SHAPE, name="x")
    keras.Model(x, keras.layers.Dense(10, activation="softmax", name="y")(keras.layers.GRU(8, name="g")(x))).save(path)
    return path


def _inputs() -> np.ndarray:
    return np.random.default_rng(0).random((4, *SHAPE), dtype=np.float32)


def _convert(model: Path, folder: Path) -> None:
    np.save(folder / "inputs.npy", np.zeros((1, *SHAPE), np.float32))
    names = {"inputs": "inputs.npy", "saved_model": "saved", "tflite": "f.tflite", "reference": "r.npy"}
    names["weights_sha256"] = "weights.sha256"
    run_task("convert", ignore, model=str(model), **{key: str(folder / name) for key, name in names.items()})


def test_a_segmentation_fault_becomes_an_error(loop: Path, tmp_path: Path) -> None:
    """Quantizing a loop kills the converter's process (tensorflow 2.21); this one lives on to say so."""
    _convert(loop, tmp_path)
    np.save(tmp_path / "calibration.npy", _inputs())
    with pytest.raises(ConversionError, match=r"crashed \(SIG(SEGV|ABRT)\)"):
        run_task(
            "quantize_saved_model",
            ignore,
            model=str(loop),
            saved_model=str(tmp_path / "saved"),
            calibration=str(tmp_path / "calibration.npy"),
            tflite=str(tmp_path / "q.tflite"),
        )
    assert not (tmp_path / "q.tflite").exists()


def test_int8_of_a_loop_is_refused_before_it_can_crash(loop: Path, tmp_path: Path) -> None:
    """The message says why and what to do."""
    from dlkit.conversion.making import make_file
    from dlkit.progress import SILENT
    from dlkit.schemes import SCHEMES

    x = _inputs()
    with pytest.raises(IllegalCombination, match=r"cannot quantize a loop.*more than 128 steps.*--scheme float32"):
        make_file(loop, SCHEMES["int8"], x, x, tmp_path, SILENT)


def test_a_loop_converts_to_float(loop: Path, tmp_path: Path) -> None:
    """And gives the Keras model's numbers."""
    from dlkit.conversion.making import make_file
    from dlkit.progress import SILENT
    from dlkit.runtime.litert import Session
    from dlkit.schemes import SCHEMES

    x = _inputs()
    made = make_file(loop, SCHEMES["float32"], x, x, tmp_path, SILENT)
    assert np.allclose(Session(made.file).run(x), made.reference, atol=1e-6)


def test_a_child_that_hangs_is_stopped(tmp_path: Path, loop: Path) -> None:
    """The time limit holds, and the error names it."""
    files = dict.fromkeys(("inputs", "saved_model", "tflite", "reference", "weights_sha256"), "")
    with pytest.raises(ConversionError, match="no result after 1 s"):
        run_task("convert", ignore, 1.0, model=str(loop), **files)


def test_an_error_of_ours_comes_back_as_itself(tmp_path: Path) -> None:
    """What the task raised on purpose keeps its type and its text."""
    bad = tmp_path / "bad.keras"
    bad.write_text("no archive")
    with pytest.raises(ModelFileError, match=r"bad\.keras: is not a \.keras file"):
        _convert(bad, tmp_path)


def test_nothing_is_printed(loop: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The converter's pages of notices stay in the child."""
    _convert(loop, tmp_path)
    assert capfd.readouterr() == ("", "")
