"""A process that has imported the frameworks and forks a child for each task: what takes seconds is done once.

It runs nothing itself, so that it has no threads but those of numpy, which stand being forked. A child that crashes,
leaks or hangs is the child's own affair. The server ends when the process that it serves does, and they with it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import selectors
import signal
import socket
import sys
import warnings
from typing import Any

from dlkit import children
from dlkit.conversion import worker

LARGEST_BYTES = 2**18
"""No request is longer, of names of files and of layers; Linux sends none above 212,992 bytes unless told to."""
DESCRIPTORS = 4
"""That come with a request: for what the child prints, for its progress, the folder it works in, and to answer by."""


@dataclasses.dataclass
class _Child:
    """One that runs.

    Attributes:
        process: readable when it has ended.
        answer: where its exit code is awaited; readable when nobody awaits it any more.
    """

    pid: int
    process: int
    answer: socket.socket
    is_over: bool = False

    def look(self, at: Any, watched: selectors.BaseSelector) -> None:
        """Kill it if `at` is the answer that nobody awaits; answer if it has ended."""
        if self.is_over:
            return
        if at is self.answer:
            os.kill(self.pid, signal.SIGKILL)
            return
        self.is_over = True
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        for each in (self.process, self.answer):
            watched.unregister(each)
        os.close(self.process)
        with self.answer, contextlib.suppress(OSError):  # nobody awaits it
            self.answer.send(str(code).encode())


def main(control: socket.socket) -> None:
    """Serve until the other end of `control` is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of the group; who asked for a child decides
    with contextlib.suppress(Exception):  # a child meets it again, and says so
        worker.prepare()
    watched = selectors.DefaultSelector()
    watched.register(control, selectors.EVENT_READ)
    while True:
        for key, _ in watched.select():
            if key.data:
                key.data.look(key.fileobj, watched)
                continue
            message, descriptors, _, _ = socket.recv_fds(control, LARGEST_BYTES, DESCRIPTORS)
            if not message:
                return
            child = _forked(json.loads(message), descriptors, control)
            for each in (child.process, child.answer):
                watched.register(each, selectors.EVENT_READ, child)


def _forked(request: dict[str, Any], descriptors: list[int], control: socket.socket) -> _Child:
    """A child that runs the request."""
    *own, answer = descriptors
    server = os.getpid()
    with warnings.catch_warnings():  # Python 3.12 and later warn of the threads of numpy
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        control.close()
        os.close(answer)
        _become(server, own, request)
    for descriptor in own:
        os.close(descriptor)
    return _Child(pid, os.pidfd_open(pid), socket.socket(fileno=answer))


def _become(server: int, own: list[int], request: dict[str, Any]) -> None:
    """Be the child of one request; this does not return."""
    log, progress, folder = own
    code = 1
    try:
        children.end_with_parent(server)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number in (1, 2):
            os.dup2(log, number)
        os.fchdir(folder)
        code = worker.main({**request, "progress": progress})
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    if sys.argv[2] == "main thread":
        children.end_with_parent()
    main(socket.socket(fileno=int(sys.argv[1])))
