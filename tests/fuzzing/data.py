"""Many thousands of spoiled files for the readers of data, recipes and Keras files: counts for each reader.

    PYTHONPATH=tests python -m fuzzing.data --count 5000 --seed 1 [--reader png --reader wav]

Each reader runs in a process of its own, which may take so much memory and each file so much time; one that crashes or
hangs is started again behind the file it did not stand. Exit code 1 if a reader was wrong; its files are kept.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fuzzing.readers import Reader

MEMORY_BYTES = 3 * 2**30
"""That a reader may take beyond what its process has when it starts."""
SECONDS = 20
"""For one file."""


def run_all(names: list[str], count: int, seed: int, kept: Path) -> int:
    """Print a line for each reader. Returns the number of files that a reader was wrong about."""
    print(
        f"{'reader':<18} {'files':>7} {'read':>7} {'refused':>8} {'wrong':>6} {'seconds':>8} {'peak MB':>8}  by",
        flush=True,
    )
    wrong = files = 0
    for name in names:
        told = _followed(name, count, seed, kept)
        wrong, files = wrong + len(told.wrong), files + told.done
        read = told.counts.pop("read", 0)
        by = ", ".join(f"{kind} {number}" for kind, number in told.counts.most_common())
        refused = sum(told.counts.values())
        print(
            f"{name:<18} {told.done:>7} {read:>7} {refused:>8} {len(told.wrong):>6} {told.seconds:>8.1f} "
            f"{told.peak_mb:>8.0f}  {by}",
            flush=True,
        )
        for number, what in told.wrong[:20]:
            print(f"    {number}: {what}", flush=True)
    print(f"{files} files, {wrong} wrong")
    return wrong


class _Told:
    """What the processes of one reader told."""

    def __init__(self) -> None:
        self.counts: collections.Counter[str] = collections.Counter()
        self.wrong: list[tuple[int, str]] = []
        self.done, self.seconds, self.peak_mb = 0, 0.0, 0.0


def _followed(name: str, count: int, seed: int, kept: Path) -> _Told:
    told, start, begun = _Told(), 0, time.monotonic()
    while start < count:
        command = [sys.executable, "-m", "fuzzing.data", "--child", name, str(start), str(count), str(seed), str(kept)]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
        ) as process:
            last = start - 1
            for line in _lines(process, 8 * SECONDS + 120):
                what = json.loads(line)
                if "begun" in what:
                    last = what["begun"]
                elif "peak_mb" in what:
                    told.peak_mb = max(told.peak_mb, what["peak_mb"])
                else:
                    told.done += 1
                    if what["kind"] == "wrong":
                        told.wrong.append((last, what["text"]))
                    else:
                        told.counts[what["kind"]] += 1
            ended = process.poll() is not None or process.wait(5) is not None
        if ended and process.returncode == 0:
            break
        noise = (
            process.stderr.read().decode(errors="replace")[-300:]
            if process.stderr and not process.stderr.closed
            else ""
        )
        told.done += 1
        told.wrong.append((last, f"the process ended with {process.returncode} {noise}"))
        start = last + 1
        if start == 0:
            break
    told.seconds = time.monotonic() - begun
    return told


def _lines(process: subprocess.Popen[bytes], limit_s: float) -> Iterator[bytes]:
    """What a process prints, line by line; it is killed when it says nothing for so long."""
    assert process.stdout is not None
    pending = b""
    while True:
        if not select.select([process.stdout], [], [], limit_s)[0]:
            process.kill()
        chunk = os.read(process.stdout.fileno(), 2**16)
        if not chunk:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            return
        *lines, pending = (pending + chunk).split(b"\n")
        yield from lines


def all_readers() -> dict[str, Reader]:
    """Those of data and recipes, then those of Keras files."""
    from fuzzing.keras_readers import KERAS_READERS
    from fuzzing.readers import READERS

    return READERS | KERAS_READERS


def read_one(name: str, number: int, seed: int) -> bytes:
    """The file that a reader gets as its `number`-th."""
    from fuzzing import readers

    reader = all_readers()[name]
    return readers.spoiled(reader, Random(f"{seed} {name} {number}"))


def child(name: str, start: int, count: int, seed: int, kept: Path) -> None:
    """Read files one after the other, and print what came of each."""
    from fuzzing import readers

    reader = all_readers()[name]
    out = os.fdopen(os.dup(1), "w", buffering=1)
    signal.signal(signal.SIGALRM, _too_long)
    with tempfile.TemporaryDirectory() as temporary:
        folder = readers.prepared(reader, Path(temporary, "d"))
        os.chdir(temporary)
        readers.seeds_of(reader)
        if not reader.apart:
            _limited()
        for number in range(start, count):
            print(json.dumps({"begun": number}), file=out)
            content = read_one(name, number, seed)
            signal.setitimer(signal.ITIMER_REAL, SECONDS * (6 if reader.apart else 1))
            try:
                said = {"kind": readers.outcome(reader, content, folder)}
            except BaseException as error:
                where = traceback.extract_tb(error.__traceback__)[-1]
                ours = [f for f in traceback.extract_tb(error.__traceback__) if "/dlkit/" in f.filename]
                at = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else ""
                text = (
                    f"{type(error).__name__}: {str(error)[:200]} at {at} ({Path(where.filename).name}:{where.lineno})"
                )
                said = {"kind": "wrong", "text": text}
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            if said["kind"] == "wrong":
                kept.mkdir(parents=True, exist_ok=True)
                (kept / f"{name.replace(' ', '-')}-{number}").write_bytes(content)
            print(json.dumps(said), file=out)
        if reader.apart:
            from dlkit.conversion import starting

            starting.end_all()
        peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024
        print(json.dumps({"peak_mb": peak}), file=out)


def _limited() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _too_long(number: int, frame: object) -> None:
    raise TimeoutError(f"more than {SECONDS} s")


def main() -> None:
    """Read the command line."""
    if sys.argv[1:2] == ["--child"]:
        name, start, count, seed, kept = sys.argv[2:]
        child(name, int(start), int(count), int(seed), Path(kept))
        return
    known = all_readers()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=1000, help="files for each reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reader", action="append", choices=[*known], help="these alone")
    parser.add_argument(
        "--kept", type=Path, default=Path("fuzzed"), help="where files are put that a reader was wrong about"
    )
    given = parser.parse_args()
    sys.exit(1 if run_all(given.reader or [*known], given.count, given.seed, given.kept.resolve()) else 0)


if __name__ == "__main__":
    main()
