"""A loaded model in a process that is forked for it: what a file does to native code there, it does not do to us.

A .tflite file can make the runtime crash, hang or want any amount of memory, when it is loaded or at the thousandth
sample. Forking takes some milliseconds, as nothing is imported anew.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import gc
import json
import os
import signal
import socket
import struct
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from dlkit.errors import DataError, DlkitError, ExtraMissing, ModelFileError
from dlkit.runtime.dtypes import TensorFormat
from dlkit.runtime.limits import LONGEST_INFERENCE_S, at_most, ended_by, limit_memory
from dlkit.runtime.named_ends import NamedEnds

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAMPLES_AT_ONCE = 32
AT_ONCE_BYTES = 2**22
"""A question holds so many samples, or fewer large ones."""
SHORT_S = 0.05
"""A question that is answered sooner is followed by one of twice as many samples; progress is told after each."""
LARGEST_HEAD_BYTES = 2**26
TOLD = {kind.__name__: kind for kind in (DataError, ExtraMissing, ModelFileError)}
"""Errors that a child raises on purpose."""
_Arrays = Mapping[str, "NDArray[Any]"]


class Forked(NamedEnds):
    """What a `NamedEnds` is, whose calls are answered by one in a process of its own.

    Several threads may use it. The process ends with the object, and with the process that made it.

    Attributes:
        backend: what computes there, as who opened it says.
    """

    def __init__(self, name: str, started: Callable[[], tuple[socket.socket, int]], samples_at_once: int = 1) -> None:
        """`started` gives the connection to a new process that answers, and its id: `forked` or `spawned`.

        Args:
            name: of the model, for messages.
            samples_at_once: in the first question.

        Raises:
            ModelFileError: it crashes, does not end or is out of memory; and what loading the model raises on purpose.
            EndedBySystem: the process is killed.
        """
        self._name, self._samples_at_once = name, samples_at_once
        self._lock, self._ended = threading.Lock(), ""
        self._kind: type[DlkitError] = ModelFileError
        self._connection, self._child = started()
        self._owner = os.getpid()
        self._end = weakref.finalize(self, _end, self._connection, self._child, self._owner)
        told = self._asked({"ask": "ends"}, {})
        self.backend = str(told["backend"])
        self.inputs, self.outputs = _formats(told["inputs"]), _formats(told["outputs"])

    def run_named(
        self, batch: Mapping[str, NDArray[Any]], advance: Callable[[int, int], None] | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """Network inputs by name, (N, *shape) each → outputs by name, (N, *shape) float32.

        Raises DataError for another name, shape or number of samples, for NaN, infinity, or a fraction where the file
        takes whole numbers; ModelFileError if the runtime fails on the file, crashes, does not end or is out of memory;
        EndedBySystem if its process is killed.
        """
        count = self._checked(batch)
        outputs = {name: np.empty((count, *end.shape[1:]), np.float32) for name, end in self.outputs.items()}
        largest = max(values[:1].nbytes for values in (*batch.values(), *outputs.values()))
        most = max(1, min(SAMPLES_AT_ONCE, AT_ONCE_BYTES // max(1, largest)))
        start, step = 0, min(self._samples_at_once, most)
        while start < count:
            began, rows = time.monotonic(), slice(start, min(start + step, count))
            given = {name: np.asarray(values)[rows] for name, values in batch.items()}
            self._asked({"ask": "run"}, given, {name: values[rows] for name, values in outputs.items()})
            start = rows.stop
            if advance:
                advance(start, count)
            if time.monotonic() - began < SHORT_S:
                step = min(2 * step, most)
        return outputs

    def set_inputs(self, sample: Mapping[str, NDArray[Any]]) -> None:
        """Put one sample, (*shape) for each input, into the model's inputs."""
        self._asked({"ask": "set"}, sample)

    def invoke(self) -> None:
        """One inference on whatever the input holds."""
        self._asked({"ask": "invoke"}, {})

    def close(self) -> None:
        """End the process; what is asked later is refused."""
        self._ended = self._ended or "was closed"
        self._end()

    def _asked(self, question: dict[str, Any], given: _Arrays, into: _Arrays | None = None) -> dict[str, Any]:
        """The child's answer, but for arrays, which are read `into` those."""
        if self._owner != os.getpid():
            raise DataError(f"{self._name}: was loaded by another process; load it in each process that runs it")
        with self._lock:
            if not self._ended:
                try:
                    send(self._connection, question, given)
                    answer, _ = received(self._connection, into or {})
                except (OSError, EOFError):
                    self._kind, self._ended = self._why_it_ended()
                except (ValueError, KeyError, TypeError, RecursionError, MemoryError):
                    self._ended = "wrote over its own memory on this file and was stopped"
                    self._end()
                except BaseException:  # Ctrl-C: the answer that is yet to come would be taken for the next one's
                    self._ended = "was stopped"
                    self._end()
                    raise
            if self._ended:
                raise self._kind(f"{self._name}: the runtime {self._ended}")
        if "error" in answer:
            raise TOLD.get(str(answer["kind"]), ModelFileError)(str(answer["error"]))
        return answer

    def _why_it_ended(self) -> tuple[type[DlkitError], str]:
        self._end.detach()
        self._connection.close()
        code = _waited(self._child)
        return ended_by(-code) if code < 0 else (ModelFileError, f"ended on this file (code {code})")


def forked(opened: Callable[[], tuple[NamedEnds, str]], file_bytes: int, threads: int) -> tuple[socket.socket, int]:
    """A process forked from this one, in which `opened` loads the model and says what computes it.

    Args:
        file_bytes, threads: what decides how much memory it may take, see `limits.limit_memory`.
    """
    ours, theirs = socket.socketpair()
    main = os.getpid() if threading.current_thread() is threading.main_thread() else None
    with theirs, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of other threads: the child waits for none of their locks
        try:
            child = os.fork()
        except OSError:
            ours.close()
            raise
        if not child:
            _be_the_child(theirs, opened, file_bytes, threads, main)
    return ours, child


def spawned(program: str, *arguments: str) -> tuple[socket.socket, int]:
    """A new Python that runs `program`, which calls `serve` with the connection, descriptor 3.

    For libraries that have started threads here already, and do not work in what is forked then.
    """
    ours, theirs = socket.socketpair()
    root = str(Path(__file__).parents[2])
    paths = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    ends = [(os.POSIX_SPAWN_OPEN, standard, os.devnull, os.O_RDWR, 0) for standard in range(3)]
    command = [sys.executable, "-P", "-c", program, *arguments]
    with theirs:
        child = os.posix_spawn(sys.executable, command, {**os.environ, "PYTHONPATH": paths},
                               file_actions=[*ends, (os.POSIX_SPAWN_DUP2, theirs.fileno(), 3)])  # fmt: skip
    return ours, child


def _formats(table: Mapping[str, Any]) -> dict[str, TensorFormat]:
    return {name: TensorFormat(**{**told, "shape": tuple(told["shape"])}) for name, told in table.items()}


def _end(connection: socket.socket, child: int, owner: int) -> None:
    """End a child, whatever it is at; not that of another process, of which this is a copy."""
    connection.close()
    if owner == os.getpid():
        with contextlib.suppress(OSError):
            os.kill(child, signal.SIGKILL)
        _waited(child)


def _waited(child: int) -> int:
    """The child's exit code, negative if a signal ended it; 0 where somebody else was told."""
    try:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    except ChildProcessError:
        return 0


# --- in the child ---


def _be_the_child(
    connection: socket.socket,
    opened: Callable[[], tuple[NamedEnds, str]],
    file_bytes: int,
    threads: int,
    parent: int | None,
) -> NoReturn:
    """Answer until the parent has ended.

    Args:
        parent: its id, where its main thread forked.
    """
    code = 1
    with contextlib.suppress(BaseException):  # nothing of it may go up into what the parent was at
        _leave_the_parents(connection.fileno(), parent)
        limit_memory(file_bytes, threads)
        serve(connection, opened)
        code = 0
    os._exit(code)


def _leave_the_parents(connection: int, parent: int | None) -> None:
    """Its open files, its handlers of signals and its objects, so that nothing of it is touched, now or at the end."""
    gc.disable()  # what is collected may end things that are the parent's
    signal.set_wakeup_fd(-1)
    for handled in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE):
        signal.signal(handled, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(nowhere, standard)
    for descriptor in Path("/proc/self/fd" if sys.platform == "linux" else "/dev/fd").glob("[0-9]*"):
        if (number := int(descriptor.name)) > 2 and number != connection:
            with contextlib.suppress(OSError):
                os.close(number)
    if parent is not None and sys.platform == "linux":  # of another thread it would end with that thread
        set_parent_death_signal = 1  # PR_SET_PDEATHSIG
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


def serve(connection: socket.socket, opened: Callable[[], tuple[NamedEnds, str]]) -> None:
    """Answer what a `Forked` asks, until it asks no more."""
    with contextlib.suppress(EOFError, OSError):
        received(connection, {})
        try:
            with at_most(LONGEST_INFERENCE_S):
                model, backend = opened()
        except Exception as error:
            send(connection, _told(error), {})
            return
        ends = ({name: dataclasses.asdict(end) for name, end in side.items()} for side in (model.inputs, model.outputs))
        send(connection, dict(zip(("inputs", "outputs"), ends, strict=True)) | {"backend": backend}, {})
        while True:
            question, given = received(connection, {})
            try:
                answer = _answered(model, question["ask"], given)
            except Exception as error:
                send(connection, _told(error), {})
            else:
                send(connection, {}, answer)


def _answered(model: NamedEnds, asked: str, given: _Arrays) -> _Arrays:
    count = max((len(values) for values in given.values()), default=0) if asked == "run" else 1
    with at_most(LONGEST_INFERENCE_S * count):
        if asked == "run":
            return model.run_named(given)
        if asked == "set":
            model.set_inputs(given)
        else:
            model.invoke()
    return {}


def _told(error: Exception) -> dict[str, Any]:
    if isinstance(error, DlkitError):
        return {"kind": type(error).__name__, "error": str(error)}
    if isinstance(error, MemoryError):
        return {"kind": "", "error": "the model needs more memory than a file of its size may take"}
    return {"kind": "", "error": f"the runtime fails on this file: {type(error).__name__}: {str(error)[:200]}"}


# --- a question or an answer: the length of its head, the head in JSON, and the numbers of its arrays ---


def send(connection: socket.socket, head: dict[str, Any], arrays: _Arrays) -> None:
    """A question or an answer."""
    given = {name: np.ascontiguousarray(values) for name, values in arrays.items()}
    listed = [[name, values.dtype.str, [*np.shape(arrays[name])]] for name, values in given.items()]
    text = json.dumps({**head, "arrays": listed}).encode()
    connection.sendall(struct.pack("<I", len(text)) + text)
    for values in given.values():
        connection.sendall(values.reshape(-1).view(np.uint8).data)


def received(connection: socket.socket, into: _Arrays) -> tuple[dict[str, Any], _Arrays]:
    """What was sent. Raises EOFError at the end, and ValueError for what does not go `into` the arrays it is for."""
    [length] = struct.unpack("<I", _read(connection, np.empty(4, np.uint8)).tobytes())
    if length > LARGEST_HEAD_BYTES:
        raise ValueError
    head = json.loads(_read(connection, np.empty(length, np.uint8)).tobytes())
    arrays = {}
    for name, dtype, shape in head.pop("arrays"):
        values = into[name] if into else np.empty(shape, np.dtype(dtype))
        if (values.dtype.str, [*values.shape]) != (dtype, shape):
            raise ValueError
        _read(connection, values.reshape(-1).view(np.uint8))
        arrays[name] = values
    return head, arrays


def _read(connection: socket.socket, into: NDArray[np.uint8]) -> NDArray[np.uint8]:
    left = memoryview(into.data)
    while len(left):
        count = connection.recv_into(left)
        if not count:
            raise EOFError
        left = left[count:]
    return into
