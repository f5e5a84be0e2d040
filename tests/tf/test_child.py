"""A conversion runs in a process of its own: its crash is one line, its chatter is not heard."""

from __future__ import annotations

import concurrent.futures
import os
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlkit.conversion import starting
from dlkit.conversion.child import run_task
from dlkit.conversion.making import Float, convert_model, make_file
from dlkit.conversion.without_loops import MOST_STEPS
from dlkit.errors import ConversionError, EndedBySystem, IllegalCombination, ModelFileError
from dlkit.progress import SILENT, ignore
from dlkit.runtime.arrays import write_npz
from dlkit.runtime.litert import Session
from dlkit.schemes import SCHEMES

pytestmark = pytest.mark.tf


SHAPE = (MOST_STEPS + 1, 4)


@pytest.fixture(params=[pytest.param(True, id="forked"), pytest.param(False, id="new", marks=pytest.mark.slow)])
def however_started(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forked from a process that has imported the frameworks, and new, as where there is no fork."""
    if request.param and not starting.FORKS:
        pytest.skip("processes are not forked here")
    monkeypatch.setattr(starting, "FORKS", request.param)


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
    write_npz(folder / "inputs.npz", {"x": np.zeros((1, *SHAPE), np.float32)})
    names = {"inputs": "inputs.npz", "saved_model": "saved", "tflite": "f.tflite", "reference": "r.npz"}
    names["weights_sha256"] = "weights.sha256"
    run_task("convert", ignore, model=str(model), **{key: str(folder / name) for key, name in names.items()})


@pytest.mark.usefixtures("however_started")
def test_a_segmentation_fault_becomes_an_error(loop: Path, tmp_path: Path) -> None:
    """Quantizing a loop kills the converter's process (tensorflow 2.21); this one lives on to say so."""
    _convert(loop, tmp_path)
    write_npz(tmp_path / "calibration.npz", {"x": _inputs()})
    with pytest.raises(ConversionError, match=r"crashed \(SIG(SEGV|ABRT)\)"):
        run_task(
            "quantize_saved_model",
            ignore,
            model=str(loop),
            saved_model=str(tmp_path / "saved"),
            scheme="int8",
            calibration=str(tmp_path / "calibration.npz"),
            tflite=str(tmp_path / "q.tflite"),
        )
    assert not (tmp_path / "q.tflite").exists()


@pytest.fixture(scope="module")
def loop_in_float(loop: Path, tmp_path_factory: pytest.TempPathFactory) -> Float:
    return convert_model(loop, {"x": _inputs()}, tmp_path_factory.mktemp("float"), SILENT)


def test_int8_of_a_loop_is_refused_before_it_can_crash(loop_in_float: Float) -> None:
    """The message says why and what to do."""
    with pytest.raises(IllegalCombination, match=r"cannot quantize a loop.*more than 128 steps.*--scheme dynamic_int8"):
        make_file(loop_in_float, SCHEMES["int8"], {"x": _inputs()}, SILENT)


@pytest.mark.parametrize(("scheme", "gap"), [("float32", 1e-6), ("float16", 1e-3), ("dynamic_int8", 1e-2)])
def test_a_loop_has_every_scheme_without_ranges(loop_in_float: Float, scheme: str, gap: float) -> None:
    """And gives the Keras model's numbers."""
    made = make_file(loop_in_float, SCHEMES[scheme], {"x": _inputs()}, SILENT)
    assert np.allclose(Session(made.file).run(_inputs()), loop_in_float.reference["output"], atol=gap)


@pytest.mark.usefixtures("however_started")
def test_a_child_that_hangs_is_stopped(tmp_path: Path, loop: Path) -> None:
    """The time limit holds, and the error names it."""
    os.mkfifo(tmp_path / "inputs")  # nobody writes into it
    files = {name: str(tmp_path / name) for name in ("inputs", "saved_model", "tflite", "reference", "weights_sha256")}
    with pytest.raises(ConversionError, match="no result after 1 s"):
        run_task("convert", ignore, 1.0, model=str(loop), **files)


@pytest.mark.usefixtures("however_started")
def test_an_error_of_ours_comes_back_as_itself(tmp_path: Path) -> None:
    """What the task raised on purpose keeps its type and its text."""
    bad = tmp_path / "bad.keras"
    bad.write_text("no archive")
    with pytest.raises(ModelFileError, match=r"bad\.keras: is not a \.keras file"):
        _convert(bad, tmp_path)


@pytest.mark.usefixtures("however_started")
def test_nothing_is_printed(loop: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The converter's pages of notices stay in the child."""
    _convert(loop, tmp_path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("however_started")
def test_nothing_is_left_behind(loop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the folder for temporary files: what TensorFlow puts there would stay when its process is killed."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    _convert(loop, tmp_path)
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.slow
@pytest.mark.usefixtures("however_started")
def test_a_child_works_in_the_callers_folder_and_environment(
    loop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As they are when it is started, not as they were for the one before."""
    _convert(loop, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "modules"))
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "ai_edge_litert.py").write_text("raise RuntimeError('the users own')")
    write_npz(tmp_path / "calibration.npz", {"x": _inputs()})
    with pytest.raises(ConversionError, match="the users own"):
        run_task(
            "calibrate",
            ignore,
            float_tflite="f.tflite",
            calibration="calibration.npz",
            method="minmax",
            ranges="r.json",
        )


@pytest.mark.slow
@pytest.mark.skipif(not starting.FORKS, reason="processes are not forked here")
def test_a_server_that_was_killed_is_followed_by_another(loop: Path, tmp_path: Path) -> None:
    """By the system, short of memory, between two tasks."""
    _convert(loop, tmp_path)
    starting._one[0].process.kill()
    starting._one[0].process.wait()
    _convert(loop, tmp_path)


@pytest.mark.skipif(not starting.FORKS, reason="processes are not forked here")
def test_a_server_that_is_killed_over_its_work_is_told_of(loop: Path, tmp_path: Path) -> None:
    """Its child ends with it; the error says what happened."""
    os.mkfifo(tmp_path / "inputs")
    files = {name: str(tmp_path / name) for name in ("inputs", "saved_model", "tflite", "reference", "weights_sha256")}
    starting.prepare()
    killing = threading.Timer(1.0, starting._one[0].process.kill)
    killing.start()
    with pytest.raises(EndedBySystem, match=r"convert crashed \(SIGKILL\)"):
        run_task("convert", ignore, 60.0, model=str(loop), **files)


@pytest.mark.skipif(not starting.FORKS, reason="processes are not forked here")
def test_several_children_at_once_are_told_apart(loop: Path, tmp_path: Path) -> None:
    """Each caller gets its own child's end."""
    folders = [tmp_path / str(number) for number in range(3)]
    for folder in folders:
        folder.mkdir()
    (folders[1] / "bad.keras").write_text("no archive")
    models = [loop, folders[1] / "bad.keras", loop]
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(_convert, *each) for each in zip(models, folders, strict=True)]
        ends = [each.exception() for each in waiting]
    assert [type(end) for end in ends] == [type(None), ModelFileError, type(None)]
    assert (folders[0] / "f.tflite").read_bytes() == (folders[2] / "f.tflite").read_bytes()


@pytest.mark.skipif(not starting.FORKS, reason="processes are not forked here")
def test_a_new_environment_leaves_the_children_of_other_threads_alone(
    loop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server that forked them stays until they have ended, and then goes too."""
    for name in ("waits", "new"):
        (tmp_path / name).mkdir()
    os.mkfifo(tmp_path / "waits" / "inputs")  # its child waits until somebody writes into it
    names = ("inputs", "saved_model", "tflite", "reference", "weights_sha256")
    files = {name: str(tmp_path / "waits" / name) for name in names}
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(run_task, "convert", ignore, 60.0, model=str(loop), **files)
        while not (starting._one and starting._one[0].children):
            time.sleep(0.01)
        old = starting._one[0]
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
        _convert(loop, tmp_path / "new")
        assert starting._one[0] is not old
        assert not waiting.done()
        (tmp_path / "waits" / "inputs").open("wb").close()  # it reads, and finds no archive
        error = waiting.exception()
    assert "SIGKILL" not in str(error)
    assert old.process.poll() is not None


@pytest.mark.usefixtures("however_started")
def test_all_children_can_be_ended_at_once(loop: Path, tmp_path: Path) -> None:
    """Whichever thread waits for one is told that it was killed; the next task runs."""
    os.mkfifo(tmp_path / "inputs")
    files = {name: str(tmp_path / name) for name in ("inputs", "saved_model", "tflite", "reference", "weights_sha256")}
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(run_task, "convert", ignore, 60.0, model=str(loop), **files)
        with (tmp_path / "inputs").open("wb"):
            starting.end_all()
            assert "SIGKILL" in str(waiting.exception())
    (tmp_path / "inputs").unlink()
    _convert(loop, tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(not starting.FORKS, reason="processes are not forked here")
def test_time_may_be_up_before_there_is_a_child(loop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a server, here one of a new environment, still imports; the next task has another."""
    _convert(loop, tmp_path)
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    with pytest.raises(ConversionError, match="no result after 0 s; it was stopped"):
        run_task("convert", ignore, 0.1, model=str(loop))
    _convert(loop, tmp_path)


def test_a_killed_answer_is_no_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system ends a process for want of memory: that says nothing of the file, so the code is 1 and not 3."""
    from dlkit.conversion import answering

    def killed(*args: Any, **files: str) -> None:
        raise EndedBySystem.at("answer")

    monkeypatch.setattr(answering, "run_task", killed)
    with pytest.raises(EndedBySystem):
        answering.judged_export(tmp_path / "m.tflite", {"x": np.zeros((1, 2), np.float32)}, ignore)
