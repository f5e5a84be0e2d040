"""A model in a process of its own: what happens to that does not happen to the one that asks."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from edited import edited, rename

from dlkit.errors import DataError, EndedBySystem, ModelFileError
from dlkit.runtime import forked as forking
from dlkit.runtime.dtypes import TensorFormat
from dlkit.runtime.forked import Forked, forked
from dlkit.runtime.litert import Session, formats_of
from dlkit.runtime.local import LocalSession
from dlkit.runtime.named_ends import NamedEnds

END = TensorFormat("x", (1, 2), "float32", 0.0, 0)
ONES = np.ones((1, 2), np.float32)


class Doing(NamedEnds):
    """A model that does `deed` with what it is given, and answers the same."""

    backend = "deed"

    def __init__(self, deed: Callable[[], object]) -> None:
        self._name, self._deed = "the model", deed
        self.inputs, self.outputs = {"x": END}, {"y": END}

    def run_named(self, batch, advance=None):
        self._deed()
        return {"y": np.array(batch["x"], np.float32)}

    def set_inputs(self, sample) -> None:
        self._deed()

    def invoke(self) -> None:
        self._deed()


def doing(deed: Callable[[], object], *, at_once: bool = False) -> Forked:
    """A model that does it when it is run; or as it is loaded."""

    def opened() -> tuple[NamedEnds, str]:
        if at_once:
            deed()
        return Doing(deed), "deed"

    return Forked("the model", lambda: forked(opened, 0, 1))


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def test_answers_are_the_childs() -> None:
    """In one piece and in order, whatever their number."""
    session, x = doing(lambda: None), np.arange(200, dtype=np.float32).reshape(100, 2)
    seen: list[tuple[int, int]] = []
    np.testing.assert_array_equal(session.run_named({"x": x}, lambda *at: seen.append(at))["y"], x)
    assert seen[0] == (1, 100)
    assert seen[-1] == (100, 100)
    assert session.run_named({"x": x[:0]})["y"].shape == (0, 2)
    assert session.backend == "deed"


@pytest.mark.parametrize("at_once", [True, False])
def test_a_crash_is_an_error(at_once: bool) -> None:
    """With the signal that ended it; and once more when it is asked again."""
    with pytest.raises(ModelFileError, match=r"^the model: the runtime crashed on this file \(signal SIGSEGV\)$"):
        doing(crash, at_once=at_once).run_named({"x": ONES})
    session = doing(crash)
    for _ in range(2):
        with pytest.raises(ModelFileError, match="SIGSEGV"):
            session.invoke()


def test_a_process_that_is_killed_says_nothing_of_the_file() -> None:
    """The system ends one for want of memory."""
    session = doing(lambda: os.kill(os.getpid(), signal.SIGKILL))
    for _ in range(2):
        with pytest.raises(EndedBySystem, match=r"^the model: the runtime was ended by the system, most likely for"):
            session.invoke()


@pytest.mark.parametrize("at_once", [True, False])
def test_what_never_ends_is_stopped(at_once: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the system: native code does not look at the clock."""
    monkeypatch.setattr(forking, "LONGEST_INFERENCE_S", 0.2)
    with pytest.raises(ModelFileError, match="the runtime did not end in"):
        doing(lambda: threading.Event().wait(60), at_once=at_once).invoke()


def test_memory_has_a_limit() -> None:
    """Of 4 GiB for a small file; 10 are refused."""
    with pytest.raises(ModelFileError, match="needs more memory than a file of its size may take"):
        doing(lambda: np.ones(10 * 2**27), at_once=True)


def test_nonsense_is_an_error() -> None:
    """As of a process whose memory was written over."""

    def write() -> None:
        for descriptor in range(3, 10_000):  # a process that has done much before has a high one
            with contextlib.suppress(OSError):
                os.write(descriptor, b"\x05\0\0\0nonsense")

    with pytest.raises(ModelFileError, match="wrote over its own memory"):
        doing(write).invoke()


def test_errors_keep_their_kind() -> None:
    """What the child raises on purpose is raised here; what it did not expect is about the file."""

    def refuse() -> None:
        raise DataError("no such thing")

    with pytest.raises(DataError, match=r"^no such thing$"):
        doing(refuse).invoke()
    with pytest.raises(ModelFileError, match="ZeroDivisionError"):
        doing(lambda: 1 / 0).invoke()


def test_the_process_ends_with_the_object() -> None:
    """And leaves nothing behind; so does `close`."""
    session = doing(lambda: None)
    child = session._child
    del session
    gc.collect()
    assert not Path(f"/proc/{child}").exists()
    session = doing(lambda: None)
    session.close()
    with pytest.raises(ModelFileError, match="was closed"):
        session.invoke()


def test_the_process_ends_with_its_parent() -> None:
    """Also one that is in the middle of something when its parent is killed."""
    script = (
        "import os, sys, threading; import test_forked as t\n"
        "session = t.doing(lambda: threading.Event().wait(60))\n"
        "print(session._child, flush=True)\n"
        "session.invoke()\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        time.sleep(0.1)
        parent.kill()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{child}").exists() and "Z" not in Path(f"/proc/{child}/stat").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_threads_may_share_it() -> None:
    """Each gets the answer to its own question."""
    session, wrong = doing(lambda: None), []

    def ask(number: int) -> None:
        for _ in range(50):
            x = np.full((3, 2), number, np.float32)
            if not np.array_equal(session.run_named({"x": x})["y"], x):
                wrong.append(number)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_thread_that_ends_leaves_it_running() -> None:
    """It is the process's, not the thread's that made it."""
    made: list[Forked] = []
    thread = threading.Thread(target=lambda: made.append(doing(lambda: None)))
    thread.start()
    thread.join()
    np.testing.assert_array_equal(made[0].run_named({"x": ONES})["y"], ONES)


def test_a_copy_of_the_process_does_not_ask() -> None:
    """Two that read the same answers would each get half of them."""
    session = doing(lambda: None)
    child = os.fork()
    if not child:
        code = 1
        with contextlib.suppress(DataError):
            session.invoke()
            code = 2
        if code == 1:
            code = 0
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    np.testing.assert_array_equal(session.run_named({"x": ONES})["y"], ONES)


def test_an_answer_that_was_not_waited_for_is_not_the_next_ones() -> None:
    """After Ctrl-C it is not asked again."""
    session = doing(lambda: threading.Event().wait(1.0))
    main = threading.main_thread().ident
    assert main
    threading.Timer(0.2, signal.pthread_kill, (main, signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        session.invoke()
    with pytest.raises(ModelFileError, match="was stopped"):
        session.invoke()


def to_nowhere(model) -> None:
    model.signatureDefs[0].subgraphIndex = 1000


def to_a_slice(model) -> None:
    rename(model, "RESHAPE", "SLICE")


@pytest.mark.parametrize("change", [to_nowhere, to_a_slice])
def test_files_on_which_the_runtime_crashes(tiny_bundle: Path, change: Callable) -> None:
    """Real ones: LiteRT 2.3 follows a signature to a subgraph that is not there, and slices without being told what."""
    spoiled = edited((tiny_bundle / "model.tflite").read_bytes(), change)
    with pytest.raises(ModelFileError, match="the model: the runtime"):
        Session(spoiled, 1).run(np.zeros((1, 8, 8, 1), np.float32))


def test_it_computes_what_the_same_file_does_here(tiny_bundle: Path) -> None:
    """To the last bit; and tells the same of itself."""
    apart, here = Session(tiny_bundle / "model.tflite", 1), LocalSession(tiny_bundle / "model.tflite", 1)
    x = np.random.default_rng(0).random((70, 8, 8, 1), np.float32)
    np.testing.assert_array_equal(apart.run(x), here.run(x))
    assert (apart.inputs, apart.outputs, apart.backend) == (here.inputs, here.outputs, here.backend)
    assert formats_of(tiny_bundle / "model.tflite") == (here.inputs, here.outputs)
