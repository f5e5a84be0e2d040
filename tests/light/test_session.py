"""Running a .tflite file: real numbers in, real numbers out."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dlkit.datasets import DATASETS
from dlkit.errors import DataError, ModelFileError
from dlkit.runtime.clock import time_file
from dlkit.runtime.litert import Session

BATCH = np.zeros((1, 8, 8, 1), np.float32)


@pytest.fixture(scope="module")
def model(tiny_bundle: Path) -> Path:
    return tiny_bundle / "model.tflite"


@pytest.fixture(scope="module")
def session(model: Path) -> Session:
    return Session(model, 1)


def test_a_session_says_what_it_takes(session: Session) -> None:
    """Shapes with the batch, the file's own type and scale."""
    assert (session.input.shape, session.output.shape) == ((1, 8, 8, 1), (1, 10))
    assert (session.input.dtype, session.output.dtype) == ("int8", "int8")
    assert session.output.scale == 1 / 256


def test_probabilities_come_out(session: Session) -> None:
    """Dequantized: between 0 and 1, in steps of the output's scale, adding up to 1."""
    test = DATASETS["digits"].load().test
    outputs = session.run(test.samples[:20].astype(np.float32) / 16)
    assert outputs.shape == (20, 10)
    assert outputs.dtype == np.float32
    np.testing.assert_array_equal(outputs * 256, np.round(outputs * 256))
    np.testing.assert_allclose(outputs.sum(axis=1), 1, atol=10 / 512)


def test_it_knows_digits(session: Session) -> None:
    """The proven accuracy, measured again."""
    test = DATASETS["digits"].load().test
    outputs = session.run(test.samples.astype(np.float32) / 16)
    assert np.mean(outputs.argmax(axis=1) == test.labels) > 0.97


def test_a_sample_does_not_depend_on_its_neighbours(session: Session) -> None:
    """Alone or in a batch, the same numbers."""
    batch = np.random.default_rng(0).random((5, 8, 8, 1), dtype=np.float32)
    together = session.run(batch)
    alone = np.concatenate([session.run(batch[i : i + 1]) for i in reversed(range(5))])[::-1]
    np.testing.assert_array_equal(together, alone)


def test_bytes_and_file_are_the_same(model: Path, session: Session) -> None:
    """A model may come from memory."""
    np.testing.assert_array_equal(Session(model.read_bytes()).run(BATCH), session.run(BATCH))


def test_a_folder_whose_name_is_no_unicode(tmp_path: Path, model: Path, session: Session) -> None:
    """An old disk's name in another encoding is a name like any other."""
    folder = tmp_path / "caf\udce9"
    folder.mkdir()
    (folder / "a.tflite").write_bytes(model.read_bytes())
    np.testing.assert_array_equal(Session(folder / "a.tflite").run(BATCH), session.run(BATCH))


def test_an_empty_batch_gives_an_empty_answer(session: Session) -> None:
    """No samples, no outputs."""
    assert session.run(BATCH[:0]).shape == (0, 10)


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 8, 8, 3), (1, 7, 8, 1), (64,), (8, 8, 1)])
def test_another_shape_is_refused(session: Session, shape: tuple[int, ...]) -> None:
    """Both shapes are said."""
    with pytest.raises(DataError, match=r"input of shape .*, but the model takes \(8, 8, 1\)"):
        session.run(np.zeros(shape, np.float32))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_refused(session: Session, value: float) -> None:
    """It would become an integer like any other."""
    with pytest.raises(DataError, match="NaN or infinite"):
        session.run(np.full_like(BATCH, value))


@pytest.mark.parametrize("threads", [0, -1, 257, 10**9])
def test_threads_have_limits(model: Path, threads: int) -> None:
    """More than the system gives would end the process."""
    with pytest.raises(DataError, match="threads; the runtime takes 1 to 256"):
        Session(model, threads)


@pytest.mark.parametrize("content", [b"", b"hello, this is no model", b"\0" * 1000])
def test_a_text_file_called_tflite(tmp_path: Path, content: bytes) -> None:
    """Refused before native code sees it."""
    path = tmp_path / "a.tflite"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"a\.tflite: is not a \.tflite file"):
        Session(path)


@pytest.mark.parametrize("name", ["nothing.tflite", "", "x" * 300])
def test_a_file_that_is_not_there(tmp_path: Path, name: str) -> None:
    """Missing, a folder, a name no system takes."""
    with pytest.raises(ModelFileError, match="cannot be read: "):
        Session(tmp_path / name)


def test_a_truncated_file_is_refused(tmp_path: Path, model: Path) -> None:
    """At any length that lacks some of the model; from a file and from memory."""
    content = model.read_bytes()
    path = tmp_path / "a.tflite"
    for length in range(1, content.index(b"PK\x03\x04") - 16, 199):
        path.write_bytes(content[:length])
        for source in (path, content[:length]):
            with pytest.raises(ModelFileError):
                Session(source)


FLIPS = """
import contextlib, sys
import numpy as np
from dlkit.errors import DlkitError
from dlkit.runtime.litert import Session
content = np.frombuffer(open(sys.argv[1], "rb").read(), np.uint8)
rng = np.random.default_rng(0)
for _ in range(150):
    spoiled = content.copy()
    spoiled[rng.integers(0, len(content), 2)] ^= rng.integers(1, 256, 2).astype(np.uint8)
    with contextlib.suppress(DlkitError):
        session = Session(spoiled.tobytes(), 1)
        session.run(np.zeros((1, *session.input.shape[1:]), np.float32))
"""


def test_a_corrupt_file_runs_or_is_refused(model: Path) -> None:
    """Whatever the runtime says of a file with two wrong bytes, it is said as an error of ours."""
    done = subprocess.run([sys.executable, "-c", FLIPS, str(model)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_clock_times_a_file(model: Path) -> None:
    """Milliseconds in order, memory of a process."""
    timing = time_file(model, 1, 5)
    assert (timing.threads, timing.runs) == (1, 5)
    assert 0 < timing.min_ms <= timing.median_ms <= timing.p95_ms
    assert timing.min_ms < 1000
    assert 1e7 < timing.peak_bytes < 1e9


def test_the_clock_refuses_what_cannot_run(tmp_path: Path) -> None:
    """The reason of the child process, in one line."""
    (tmp_path / "a.tflite").write_text("hello")
    with pytest.raises(ModelFileError, match=r"a\.tflite: is not a \.tflite file"):
        time_file(tmp_path / "a.tflite", 1, 5)


def test_the_runtime_announces_nothing(model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Its greeting does not reach the user."""
    with contextlib.suppress(ModelFileError):
        Session(model).run(BATCH)
    assert capfd.readouterr() == ("", "")
