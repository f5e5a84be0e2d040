"""Several replicas train as one process does, and none waits for a worker that is gone."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import replica

from dlkit.errors import TrainingError
from dlkit.training.distribution import Distribution, read_distribution, strategy_of
from dlkit.training.supervising import supervise

ROOT = Path(__file__).parents[2]


def _addresses(count: int) -> tuple[str, ...]:
    """Of ports that are free."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return tuple(f"127.0.0.1:{port}" for port in ports)


def _config(addresses: tuple[str, ...], index: int) -> str:
    return json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}})


def _two_workers(folder: Path, **environment: str) -> list[tuple[int, str]]:
    """Exit code and stderr of each, the chief's first."""
    addresses = _addresses(2)
    started = [
        subprocess.Popen(
            [sys.executable, replica.__file__, str(folder)],
            env={**os.environ, "PYTHONPATH": str(ROOT), "TF_CONFIG": _config(addresses, index), **environment},
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(2)
    ]
    try:
        said = [worker.communicate(timeout=100)[1] for worker in started]
    finally:
        for worker in started:
            worker.kill()
    return [(worker.returncode, err) for worker, err in zip(started, said, strict=True)]


def _arrays(file: Path) -> list[np.ndarray]:
    with np.load(file) as archive:
        return list(archive.values())


def _gap(some: list[np.ndarray], others: list[np.ndarray]) -> float:
    return max(float(np.abs(a - b).max()) for a, b in zip(some, others, strict=True))


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two-workers")
    assert _two_workers(folder) == [(0, ""), (0, "")]
    return folder


@pytest.mark.tf
@pytest.mark.slow
def test_two_workers_train_as_one_process(two_workers: Path) -> None:
    """Losses, accuracies and weights: smoothing, decay, clipping by the global norm, a last batch of one sample."""
    one = Distribution()
    model = replica.network(normalised=False)
    history = replica.train(model, one, strategy_of(one))
    losses, *weights = _arrays(two_workers / "plain-0.npz")
    assert np.allclose([list(measured.values()) for measured in history], losses, atol=1e-4)
    assert _gap(model.get_weights(), weights) < 1e-4
    assert losses[-1, 0] < losses[0, 0] - 0.1


@pytest.mark.tf
@pytest.mark.slow
@pytest.mark.parametrize("name", ["plain", "normalised"])
def test_all_workers_end_with_the_same_network(two_workers: Path, name: str) -> None:
    """Statistics of normalisation too, which Keras leaves to each worker."""
    assert _gap(_arrays(two_workers / f"{name}-0.npz"), _arrays(two_workers / f"{name}-1.npz")) == 0


@pytest.mark.tf
@pytest.mark.slow
def test_two_devices_train_as_two_workers(two_workers: Path, tmp_path: Path) -> None:
    """With normalisation and dropout: what is drawn follows from the replica, wherever it runs."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, replica.__file__, str(tmp_path), "2"], env=environment, check=True, timeout=100)
    assert _gap(_arrays(tmp_path / "normalised-0.npz"), _arrays(two_workers / "normalised-0.npz")) < 1e-4


@pytest.mark.tf
@pytest.mark.slow
def test_a_killed_worker_stops_the_others_and_a_restart_ends_the_same(two_workers: Path, tmp_path: Path) -> None:
    """One line on each, soon; only the chief has kept anything, and that is enough."""
    (chief, said), (other, echoed) = _two_workers(tmp_path, DIE_IN="2")
    assert (chief, other) == (1, 1)
    assert said.startswith("worker 1 (127.0.0.1:")
    assert said.endswith(") crashed (SIGKILL); start all workers again with --resume\n")
    assert echoed == said
    assert _two_workers(tmp_path) == [(0, ""), (0, "")]
    for name in ("plain", "normalised"):
        assert _gap(_arrays(tmp_path / f"{name}-0.npz")[1:], _arrays(two_workers / f"{name}-0.npz")[1:]) < 1e-6


def test_a_worker_that_never_starts_is_named() -> None:
    """Before TensorFlow is started, which would wait for it without end."""
    with pytest.raises(TrainingError, match=r"worker 1 \(127.0.0.1:\d+\) has not started within 1 s; start the same"):
        supervise(["false"], Distribution(_addresses(2)), start_limit_s=1.0)


def test_workers_of_different_clusters_do_not_meet() -> None:
    """Each would wait for a worker that the other does not know."""
    chief, other, third = _addresses(3)
    thread = threading.Thread(target=lambda: _ends(["true"], Distribution((chief, other, third), 1)))
    thread.start()
    with pytest.raises(TrainingError, match="worker 1 has another cluster in its TF_CONFIG"):
        supervise(["true"], Distribution((chief, other), 0), start_limit_s=5.0)
    thread.join()


@pytest.mark.parametrize(
    ("end", "line"),
    [
        ("kill -9 $$", r"worker 1 \(127.0.0.1:\d+\) crashed \(SIGKILL\); start all workers again with --resume"),
        ("echo no kernel >&2; kill -6 $$", r"worker 1 .* crashed \(SIGABRT\); start all workers again"),
        ("exit 1", r"worker 1 \(127.0.0.1:\d+\) failed; what it says stands there"),
    ],
)
def test_how_a_worker_ends_is_told_to_the_others(end: str, line: str) -> None:
    """At once, and their own process is stopped."""
    addresses = _addresses(2)
    thread = threading.Thread(target=lambda: _ends(["sh", "-c", f"sleep 0.5; {end}"], Distribution(addresses, 1)))
    thread.start()
    with pytest.raises(TrainingError, match=line):
        supervise(["sleep", "3600"], Distribution(addresses, 0), start_limit_s=10.0)
    thread.join()


def _ends(command: list[str], distribution: Distribution) -> None:
    """A worker in another thread; what it raises is not looked at."""
    try:
        supervise(command, distribution, start_limit_s=3.0)
    except TrainingError:
        return


def test_workers_that_end_well_end_with_their_exit_code() -> None:
    """Though one ends before the other."""
    addresses = _addresses(2)
    thread = threading.Thread(target=lambda: _ends(["true"], Distribution(addresses, 1)))
    thread.start()
    assert supervise(["sleep", "1"], Distribution(addresses, 0), start_limit_s=10.0) == 0
    thread.join()


def test_what_the_chief_has_trained_already_keeps_nobody_waiting(tmp_path: Path) -> None:
    """All workers agree on meeting, and none starts a process."""
    addresses, codes = _addresses(3), {}
    command = ["touch", str(tmp_path / "started")]

    def run(index: int) -> None:
        codes[index] = supervise(command, Distribution(addresses, index), start_limit_s=10.0, is_over=index == 0)

    threads = [threading.Thread(target=run, args=[index]) for index in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert codes == {0: None, 1: None, 2: None}
    assert not (tmp_path / "started").exists()


@pytest.mark.tf
@pytest.mark.slow
def test_workers_that_go_on_with_what_is_trained_end_at_once(tmp_path: Path) -> None:
    """The chief measures it again; the other says where it is. TensorFlow alone would wait for the chief."""
    train = [sys.executable, "-m", "dlkit", "train", str(ROOT / "recipes" / "digits-tiny.toml"), "-q"]
    train += ["--set", "training.epochs=1", "--out", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(train, env=environment, check=True, capture_output=True)
    addresses = _addresses(2)
    workers = [
        subprocess.Popen(
            [*train, "--resume"],
            env={**environment, "TF_CONFIG": _config(addresses, index)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for index in range(2)
    ]
    chief, other = (worker.communicate(timeout=100)[0] for worker in workers)
    assert [worker.returncode for worker in workers] == [0, 0]
    assert chief.startswith("trained digits-tiny: 1 epochs")
    assert other == f"worker 1 ({addresses[1]}) has nothing to do; the model is where {addresses[0]} wrote it\n"


GOOD = {"cluster": {"chief": ["a:1"], "worker": ["b:1", "c:1"]}, "task": {"type": "worker", "index": 1}}


def test_the_chief_comes_first() -> None:
    """As TensorFlow counts; keys of other programs are left to them."""
    found = read_distribution({"TF_CONFIG": json.dumps(GOOD | {"environment": "cloud"})})
    assert found == Distribution(("a:1", "b:1", "c:1"), index=2)
    assert not found.is_chief
    assert read_distribution({}).is_single


@pytest.mark.parametrize(
    ("config", "line"),
    [
        ("{", "TF_CONFIG is not JSON"),
        ("[]", 'TF_CONFIG has no "cluster"; it should read'),
        (json.dumps(GOOD | {"cluster": {"ps": ["a:1"]}}), "has 'ps' in its cluster"),
        (json.dumps(GOOD | {"cluster": {"worker": "a:1"}}), 'must give a list of "host:port"'),
        (json.dumps(GOOD | {"cluster": {"worker": ["a", "b:1"]}}), "has 'a', which is not"),
        (json.dumps(GOOD | {"cluster": {"worker": ["a:1", "a:1"]}}), "names an address twice"),
        (json.dumps(GOOD | {"task": {"type": "worker"}}), 'has no "task" with "type" and "index"'),
        (json.dumps(GOOD | {"task": {"type": "evaluator", "index": 0}}), "says this is a 'evaluator'"),
        (json.dumps(GOOD | {"task": {"type": "worker", "index": 2}}), "worker 2, but its cluster has 0 to 1"),
        (json.dumps(GOOD | {"task": {"type": "worker", "index": True}}), "worker True, but"),
    ],
)
def test_a_malformed_tf_config_is_one_line(config: str, line: str) -> None:
    """With what was found, and what it should read."""
    with pytest.raises(TrainingError) as raised:
        read_distribution({"TF_CONFIG": config})
    assert line in str(raised.value)


@pytest.mark.parametrize("rows", range(2, 9))
def test_slices_are_the_batch(rows: int) -> None:
    """Whole and in order, of any size."""
    slices = [Distribution(("a:1", "b:1"), index).own_rows(rows) for index in range(2)]
    assert [row for first, stop in slices for row in range(first, stop)] == list(range(rows))
