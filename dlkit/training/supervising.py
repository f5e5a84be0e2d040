"""Workers that watch each other, so that none waits for one that is gone.

The command that a user starts is a supervisor without TensorFlow: it runs the same command again in a
process of its own, which trains. Supervisors meet on the workers' own addresses before TensorFlow listens there,
keep one connection between every two, and say each other how their process ends. TensorFlow 2.21 alone notices
most of this (a closed connection at once, a silent worker by its heartbeat in about 10 s), but waits without end
for a worker that never starts, and can end a process with SIGABRT.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import IO

from dlkit import children
from dlkit.errors import TrainingError
from dlkit.training.distribution import Distribution, worker_name
from dlkit.training.meeting import Links, close, meet, speaking, tell
from dlkit.training.reporting import AGAIN, CHANNEL

START_LIMIT_S = 120.0
"""How long a worker waits for the others to be started."""
SILENCE_LIMIT_S = 20.0
"""How long a supervisor may say nothing before it is taken for gone: its machine is off, or out of reach."""
BEAT_S = 2.0
REASON_LIMIT_S = 5.0
"""How long one waits to hear from the others why the process that trains has lost one of them."""
CONNECT_LIMIT_S = 180.0
"""How long the processes that train may take to connect to each other; TensorFlow would wait an hour."""
END_LIMIT_S = 60.0
"""How long a process may take to end when its work is done."""


def supervise(
    command: Sequence[str],
    distribution: Distribution,
    start_limit_s: float = START_LIMIT_S,
    *,
    is_over: bool = False,
) -> int | None:
    """Run a command as one of several workers.

    Args:
        command: `children.command("dlkit", *sys.argv[1:])`; it asks `reporting.supervised` and calls `reporting.enter`.
        start_limit_s: how long to wait for the others to be started.
        is_over: of the chief, that nothing is left to train.

    Returns:
        Its exit code, which it has explained itself; None where the chief says that it is over: it was not run then.

    Raises:
        TrainingError: a worker never started or is gone; no process of ours is left then.
    """
    links = meet(distribution, start_limit_s, is_over=is_over)
    if is_over or (0 in links and links[0].is_over):
        close(links)
        return None
    try:
        with _trainer(command) as (process, channel, noise):
            return _watch(distribution, links, process, channel, noise)
    except BaseException as error:
        reason = str(error) if isinstance(error, TrainingError) else f"{distribution.name} was stopped; {AGAIN}"
        tell(links, f"gone {reason}")
        raise
    finally:
        close(links)


@contextlib.contextmanager
def _trainer(command: Sequence[str]) -> Iterator[tuple[subprocess.Popen[bytes], int, IO[bytes]]]:
    """The process that trains, what it reports through, and the noise it makes; it does not outlive the block."""
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb", buffering=0), tempfile.TemporaryFile() as noise:
        environment = children.environment() | {CHANNEL: f"{write_end},{noise.fileno()},{os.getpid()}"}
        process = subprocess.Popen(command, pass_fds=[write_end, noise.fileno()], env=environment)
        try:
            os.close(write_end)
            yield process, read_end, noise
        finally:
            process.kill()
            process.wait()


def _watch(
    distribution: Distribution, links: Links, process: subprocess.Popen[bytes], channel: int, noise: IO[bytes]
) -> int:
    """The exit code of the process when it has ended by itself. Raises TrainingError if it cannot go on."""
    lost_at = done_at = None
    lost, connect_by = "another worker", time.monotonic() + CONNECT_LIMIT_S
    beat_at, open_channel = time.monotonic(), [channel]
    while (code := process.poll()) is None:
        for index in speaking(links, open_channel):
            _listen(distribution, links, index, is_done=done_at is not None)
        for word in _reports(open_channel):
            if word == "connected":
                connect_by = math.inf
            elif word == "done":
                done_at = time.monotonic()
            elif word.startswith("lost"):
                lost_at = time.monotonic()
                lost = worker_name(distribution, int(word[5:])) if word[5:] else lost
        now = time.monotonic()
        if done_at is not None and now > done_at + END_LIMIT_S:
            code = 0
            break
        if now > connect_by:
            raise TrainingError(f"the workers could not connect within {CONNECT_LIMIT_S:.0f} s; {AGAIN}")
        if lost_at is not None and now > lost_at + REASON_LIMIT_S:
            raise TrainingError(f"{lost} does not answer; {AGAIN}")
        if now > beat_at + BEAT_S:
            beat_at = now
            tell(links, "beat")
            _check_silence(distribution, links, now, is_done=done_at is not None)
    if code == 0 or done_at is not None:
        tell(links, "done")
        return 0
    if code < 0:
        raise TrainingError(f"{distribution.name} crashed ({signal.Signals(-code).name}){_last_line(noise)}; {AGAIN}")
    tell(links, f"gone {distribution.name} failed; what it says stands there. Then {AGAIN}")
    return code


def _listen(distribution: Distribution, links: Links, index: int, *, is_done: bool) -> None:
    """Hear what another supervisor says. Raises TrainingError if its worker is gone while there is work to do."""
    link = links[index]
    try:
        lines = link.hear()
    except ConnectionError:
        if not (link.is_done or is_done):
            raise TrainingError(f"{worker_name(distribution, index)} is gone; {AGAIN}") from None
        links.pop(index).connection.close()
        return
    for line in lines:
        if line == "done":
            link.is_done = True
        elif line.startswith("gone ") and not is_done:
            raise TrainingError(line.removeprefix("gone "))


def _check_silence(distribution: Distribution, links: Links, now: float, *, is_done: bool) -> None:
    for index, link in links.items():
        if now > link.heard_at + SILENCE_LIMIT_S and not (link.is_done or is_done):
            name = worker_name(distribution, index)
            raise TrainingError(f"{name} has been silent for {SILENCE_LIMIT_S:.0f} s; {AGAIN}")


def _reports(channels: list[int]) -> list[str]:
    """What the process that trains has reported; the channel is taken from the list when it is closed."""
    if not channels or not select.select(channels, [], [], 0)[0]:
        return []
    received = os.read(channels[0], 4096)
    if not received:
        channels.clear()
    return received.decode(errors="replace").split()


def _last_line(noise: IO[bytes]) -> str:
    noise.seek(0)
    lines = [line.strip() for line in noise.read().decode(errors="replace").splitlines() if line.strip()]
    return f"; it said: {lines[-1][:200]}" if lines else ""
