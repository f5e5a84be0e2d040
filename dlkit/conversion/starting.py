"""Starting the process of one task: forked from one that has imported the frameworks, or new where there is no fork."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import threading
import weakref
from typing import Any, Protocol

from dlkit import children
from dlkit.frameworks import quieten


def _can_fork() -> bool:
    """Whether a process that has imported the frameworks can safely be forked, and be told when its child has ended.

    The former only on Linux; the latter from 5.3 on, and not where a container forbids it.
    """
    if sys.platform != "linux":
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True


FORKS = _can_fork()
OF_THE_MOMENT = frozenset({"COLUMNS", "LINES", "OLDPWD", "PWD", "PYTEST_CURRENT_TEST", "SHLVL", "_"})
"""Variables that change while a program runs, and that decide nothing of how the frameworks are imported."""


TO_BE_KILLED_S = 1.0
"""How long a server that is not busy may take to end a child."""


class Process(Protocol):
    """A process that has been started."""

    def wait(self, timeout: float | None) -> int:
        """Its exit code; negative is the signal that ended it. Raises subprocess.TimeoutExpired; None has no end."""

    def kill(self) -> None:
        """End it, if it runs yet."""


def prepare() -> None:
    """Have the frameworks imported beside what the caller does until it first calls `start`."""
    if FORKS:
        _server()


def start(request: dict[str, Any], log: int, progress: int, *, frameworks: bool = True) -> Process:
    """Start the worker of `request`, which prints to `log` and reports to `progress`; both stay the caller's to close.

    Args:
        frameworks: whether it needs them; a new process without is started sooner than the one that forks.

    Raises:
        OSError: no process can be started.
    """
    return _Forked(request, log, progress) if FORKS and frameworks else _new(request, log, progress)


def _new(request: dict[str, Any], log: int, progress: int) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        children.command("dlkit.conversion.worker", json.dumps({**request, "progress": progress})),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        pass_fds=[progress],
        env=children.environment(),
    )
    _new_ones.add(process)
    return process


class _Server:
    """The process that forks, as its client sees it."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment, self.owner = environment, os.getpid()
        self.children = 0  # that are waited for
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        by = "main thread" if threading.current_thread() is threading.main_thread() else "another thread"
        with theirs:
            self.process = subprocess.Popen(
                children.command("dlkit.conversion.fork_server", str(theirs.fileno()), by),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=environment,
            )

    def serves(self, environment: dict[str, str]) -> bool:
        """Whether it is this process's own, is alive, and imported what would be imported now."""
        if self.owner != os.getpid() or self.process.poll() is not None:
            return False
        different = {key for key, _ in self.environment.items() ^ environment.items()}
        return different <= OF_THE_MOMENT

    def close(self) -> None:
        """End it, and its children with it."""
        self.control.close()
        if self.owner == os.getpid():
            self.process.kill()
            self.process.wait()


_one: list[_Server] = []
_before: list[_Server] = []
"""Servers of an earlier environment whose children are still waited for, by other threads."""
_new_ones: weakref.WeakSet[subprocess.Popen[bytes]] = weakref.WeakSet()
_lock = threading.Lock()


def _server(children_more: int = 0) -> _Server:
    """The one that serves this process; another one when the environment has changed.

    Args:
        children_more: as many will be waited for; that a server is not ended before they have ended.
    """
    quieten()  # what is set by that is no change
    environment = children.environment()
    with _lock:
        if not (_one and _one[0].serves(environment)):
            _retire()
            _one.append(_Server(environment))
        _one[0].children += children_more
        return _one[0]


def _retire() -> None:
    """Have no server; one whose children are waited for ends after the last of them."""
    while _one:
        server = _one.pop()
        if server.owner == os.getpid() and server.children:
            _before.append(server)
        else:
            server.close()


def _done_with(server: _Server) -> None:
    """A child of `server` has ended."""
    with _lock:
        server.children -= 1
        if not server.children and server in _before:
            _before.remove(server)
            server.close()


def end_all() -> None:
    """End every child that runs, whichever thread waits for it; that is told that it was killed."""
    with _lock:
        _close()
    for process in list(_new_ones):
        process.kill()


def _close() -> None:
    while _one or _before:
        (_one or _before).pop().close()


atexit.register(_close)


class _Forked:
    """A child of the server."""

    def __init__(self, request: dict[str, Any], log: int, progress: int) -> None:
        self.server = _server(children_more=1)
        self.code: int | None = None
        self.answer, theirs = socket.socketpair()
        folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
        try:
            with theirs, contextlib.suppress(BrokenPipeError, ConnectionResetError):  # told by `wait`
                message = json.dumps(request).encode()
                socket.send_fds(self.server.control, [message], [log, progress, folder, theirs.fileno()])
        finally:
            os.close(folder)

    def wait(self, timeout: float | None) -> int:
        if self.code is None:
            if timeout is not None and not select.select([self.answer], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("worker", timeout)
            answer = self.answer.recv(64)
            self.code = int(answer) if answer else self.server.process.wait()
            self.answer.close()
            _done_with(self.server)
        return self.code

    def kill(self) -> None:
        if self.code is not None:
            return
        self.answer.shutdown(socket.SHUT_WR)
        try:
            self.wait(TO_BE_KILLED_S)
        except subprocess.TimeoutExpired:  # the server still imports, and there is no child yet
            self.server.process.kill()
            self.wait(None)
