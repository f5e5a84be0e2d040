"""Workers that meet: one connection between every two, before any of them starts what is heavy.

They meet on their own addresses from TF_CONFIG, which TensorFlow takes over afterwards: the connections stay.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import select
import socket
import time
from collections.abc import Iterator, Sequence

from dlkit.errors import TrainingError, system_reason
from dlkit.training.distribution import Distribution, worker_name

_LONGEST_LINE = 500


@dataclasses.dataclass
class Link:
    """The connection to another worker's supervisor.

    Attributes:
        is_done: its process has ended well.
        is_over: it has said on meeting that nothing is left to train.
    """

    connection: socket.socket
    heard_at: float
    pending: bytes = b""
    unread: list[str] = dataclasses.field(default_factory=list)
    is_done: bool = False
    is_over: bool = False

    def say(self, line: str) -> None:
        """Say one line; if nobody is there any more, that is found when listening."""
        with contextlib.suppress(OSError):
            self.connection.sendall(f"{line}\n".encode()[:_LONGEST_LINE])

    def hear(self) -> list[str]:
        """The lines that have come. Raises ConnectionError if there will be no more."""
        if self.unread:
            lines, self.unread = self.unread, []
            return lines
        try:
            received = self.connection.recv(4096)
        except (BlockingIOError, TimeoutError):
            return []
        except OSError as error:
            raise ConnectionError(system_reason(error)) from None
        if not received or len(self.pending) > _LONGEST_LINE:
            raise ConnectionError("connection closed")
        self.heard_at = time.monotonic()
        *whole, self.pending = (self.pending + received).split(b"\n")
        return [line.decode(errors="replace") for line in whole]


Links = dict[int, Link]


def meet(distribution: Distribution, limit_s: float, *, is_over: bool = False) -> Links:
    """One connection to every other worker, when all are there.

    Args:
        is_over: what this worker says of itself, see `Link`.

    Raises:
        TrainingError: one does not come within the limit, or this one's port is taken.
    """
    deadline = time.monotonic() + limit_s
    links: Links = {}
    try:
        with _listening(distribution) as listener:
            while missing := [i for i in range(distribution.workers) if i not in links and i != distribution.index]:
                if time.monotonic() > deadline:
                    raise TrainingError(
                        f"{worker_name(distribution, missing[0])} has not started within {limit_s:.0f} s; start the "
                        "same command there, with the same cluster in TF_CONFIG, then this one again"
                    )
                links |= _newly_met(distribution, listener, missing)
        _wait_until_all_are_ready(distribution, links, deadline, "over" if is_over else "ready")
    except BaseException:
        close(links)
        raise
    return links


def close(links: Links) -> None:
    """End all connections."""
    for link in links.values():
        link.connection.close()


def _newly_met(distribution: Distribution, listener: socket.socket, missing: Sequence[int]) -> Links:
    """Each worker calls those before it, and is called by those after it."""
    found: Links = {}
    for index in missing:
        if index < distribution.index and (link := _call(distribution, index)) is not None:
            found[index] = link
    if select.select([listener], [], [], 0.3)[0]:
        found |= _answer(distribution, listener)
    return found


@contextlib.contextmanager
def _listening(distribution: Distribution) -> Iterator[socket.socket]:
    """A socket on this worker's port; it is TensorFlow's afterwards."""
    host, _, port = distribution.addresses[distribution.index].rpartition(":")
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    try:
        listener = socket.create_server(("", int(port)), family=family, backlog=distribution.workers)
    except OSError as error:
        raise TrainingError(
            f"{distribution.name} cannot listen there: {system_reason(error)}; another program has this port, or "
            "another worker has the same index in TF_CONFIG"
        ) from None
    with listener:
        yield listener


def _greeting(distribution: Distribution) -> str:
    cluster = hashlib.sha256(" ".join(distribution.addresses).encode()).hexdigest()
    return f"dlkit {cluster} {distribution.index}"


def _call(distribution: Distribution, index: int) -> Link | None:
    """A connection to a worker that is there already, or None."""
    host, _, port = distribution.addresses[index].rpartition(":")
    with contextlib.suppress(OSError):
        connection = socket.create_connection((host.strip("[]"), int(port)), timeout=2.0)
        link = Link(connection, time.monotonic())
        link.say(_greeting(distribution))
        if _heard_greeting(distribution, link) == index:
            return link
        connection.close()
    return None


def _answer(distribution: Distribution, listener: socket.socket) -> Links:
    """The worker that calls; nobody if it is none of ours."""
    connection, _ = listener.accept()
    connection.settimeout(2.0)
    link = Link(connection, time.monotonic())
    index = _heard_greeting(distribution, link)
    if index is None or index <= distribution.index:
        connection.close()
        return {}
    link.say(_greeting(distribution))
    return {index: link}


def _heard_greeting(distribution: Distribution, link: Link) -> int | None:
    """Index of the worker at the other end; None if no worker of dlkit is there.

    Raises:
        TrainingError: its cluster is another.
    """
    try:
        said, *link.unread = link.hear() or [""]
    except ConnectionError:
        return None
    words = said.split()
    if len(words) != 3 or words[0] != "dlkit" or not words[2].isdecimal():
        return None
    if words[1] != _greeting(distribution).split()[1]:
        link.connection.close()
        raise TrainingError(f"worker {words[2]} has another cluster in its TF_CONFIG; give all workers the same")
    index = int(words[2])
    return index if index < distribution.workers and index != distribution.index else None


def _wait_until_all_are_ready(distribution: Distribution, links: Links, deadline: float, word: str) -> None:
    """No process that trains is started before all workers have met each other."""
    for link in links.values():
        link.connection.setblocking(False)
    tell(links, word)
    waiting = set(links)
    while waiting:
        if time.monotonic() > deadline + 2.0:
            raise TrainingError(f"{worker_name(distribution, min(waiting))} waits for a worker that has not started")
        for index in list(waiting):
            try:
                lines = links[index].hear()
            except ConnectionError:
                raise TrainingError(
                    f"{worker_name(distribution, index)} has stopped again; start all workers"
                ) from None
            if "ready" in lines or "over" in lines:
                links[index].is_over = "over" in lines
                waiting.discard(index)
        time.sleep(0.05)


def speaking(links: Links, channels: Sequence[int] = ()) -> list[int]:
    """Workers that say something; after a moment at the most, or as soon as there is something in a channel."""
    of: dict[socket.socket | int, int] = {link.connection: index for index, link in links.items()}
    readable = select.select([*of, *channels], [], [], 0.2)[0]
    return [of[connection] for connection in readable if connection in of]


def tell(links: Links, line: str) -> None:
    """Say one line to all others."""
    for link in links.values():
        link.say(line)
