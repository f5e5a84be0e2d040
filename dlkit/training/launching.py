"""Ray starts the workers: one `dlkit train` on each, which finds the others by the TF_CONFIG that Ray Train sets.

Ray 2.60 chooses machines and ports; everything else is as where a user starts the workers by hand. What Ray runs is
a process that starts the command and waits.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from dlkit import children
from dlkit.errors import TrainingError, printable
from dlkit.extras import require

_LONGEST_TEXT = 2000


def launch(command: Sequence[str], workers: int, *, gpus: int = 0) -> None:
    """Run a command on each of `workers` workers of the Ray cluster here, or of one on this machine.

    Args:
        command: what each runs, such as `children.command("dlkit", "train", ...)`; its paths are absolute, and every
            machine of the cluster sees them.
        gpus: of each worker.

    Raises:
        ExtraMissing: Ray is not installed.
        TrainingError: a worker failed; the line is what it said.
    """
    require("ray")
    train, tensorflow = require("ray.train"), require("ray.train.tensorflow")
    loop: dict[str, Any] = {"command": list(command), "environment": children.environment()["PYTHONPATH"]}
    needed: dict[str, float] = {"CPU": 1, "GPU": gpus} if gpus else {"CPU": 1}
    scaling = train.ScalingConfig(num_workers=workers, use_gpu=gpus > 0, resources_per_worker=needed)
    with cluster(workers), tempfile.TemporaryDirectory() as storage:
        trainer = tensorflow.TensorflowTrainer(
            run_worker,
            train_loop_config=loop,
            scaling_config=scaling,
            run_config=train.RunConfig(storage_path=storage),
        )
        try:
            trainer.fit()
        except Exception as error:  # Ray wraps what a worker raised, in one of several ways
            raise TrainingError(_said(error)) from None


def run_worker(config: dict[str, Any]) -> None:
    """Run by Ray on each worker, where TF_CONFIG is set. Raises RuntimeError with what the command said."""
    environment = {**os.environ, "PYTHONPATH": config["environment"]}
    done = subprocess.run(config["command"], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        said = lines[-1] if lines else f"exit code {done.returncode}"
        raise RuntimeError(f"{_MARK}{said[:_LONGEST_TEXT]}{_MARK}")


_MARK = "\u241e"
"""Around what a worker said, in the text that Ray makes of it."""


def _said(error: Exception) -> str:
    """What the first worker said that failed."""
    parts = str(error).split(_MARK)
    if len(parts) > 1:
        return printable(parts[1])
    lines = str(error).strip().splitlines()
    return f"Ray could not run the workers: {printable(lines[-1]) if lines else type(error).__name__}"


@contextlib.contextmanager
def cluster(processors: int) -> Iterator[None]:
    """The user's cluster (RAY_ADDRESS), or one on this machine for as long as the block lasts.

    Args:
        processors: of the one on this machine.

    Raises:
        ExtraMissing: Ray is not installed.
        TrainingError: there is no cluster where RAY_ADDRESS says.
    """
    ray = require("ray")
    own = not ray.is_initialized()
    if own:
        address = os.environ.get("RAY_ADDRESS")
        here = {} if address else {"address": "local", "num_cpus": processors, "include_dashboard": False}
        try:
            with _signals_kept():
                ray.init(log_to_driver=False, logging_level="ERROR", **here)
        except (ConnectionError, RuntimeError, ValueError) as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            where = f"RAY_ADDRESS={address}" if address else "Ray on this machine"
            raise TrainingError(f"{where}: {printable(lines[0])}") from None
    try:
        yield
    finally:
        if own:
            ray.shutdown()


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """What is to happen on a signal is as before the block: Ray puts its own way of ending in place of ours."""
    in_main_thread = threading.current_thread() is threading.main_thread()  # signals can only be caught there
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for each, handler in before.items() if in_main_thread else ():
            signal.signal(each, handler)
