"""Who trains: one device, several devices of one machine, or the workers that TF_CONFIG names.

Each replica (a device of a worker) takes its slice of every global batch. The slices of all replicas
are the batch, whole and in order, so that two workers train as one does.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from dlkit.errors import TrainingError
from dlkit.frameworks import tensorflow as tf
from dlkit.training import reporting

TF_CONFIG = "TF_CONFIG"
EXAMPLE = '{"cluster": {"worker": ["host:port", "host:port"]}, "task": {"type": "worker", "index": 0}}'


@dataclasses.dataclass(frozen=True)
class Distribution:
    """The replicas of a training, and which of them are here.

    Attributes:
        addresses: "host:port" of every worker, the chief first; empty where there is one worker.
        index: of this worker among them.
        devices: of each worker.
    """

    addresses: tuple[str, ...] = ()
    index: int = 0
    devices: int = 1

    @property
    def workers(self) -> int:
        return max(1, len(self.addresses))

    @property
    def is_chief(self) -> bool:
        """Whether this worker writes the checkpoints and the model."""
        return self.index == 0

    @property
    def replicas(self) -> int:
        return self.workers * self.devices

    @property
    def is_single(self) -> bool:
        """One worker with one device: nothing is distributed."""
        return self.replicas == 1

    def own_rows(self, rows: Any) -> tuple[Any, Any]:
        """First row of this worker in a global batch of `rows`, and the one after its last.

        At least one row, even where there are fewer rows than workers: no network is defined for none.

        >>> Distribution(("a:1", "b:1"), index=1).own_rows(5)
        (2, 5)
        """
        first, stop = slice_of(self.index, self.workers, rows)
        if isinstance(rows, int):
            return min(first, rows - 1), max(stop, min(first, rows - 1) + 1)
        first = tf.minimum(first, rows - 1)
        return first, tf.maximum(stop, first + 1)

    @property
    def name(self) -> str:
        """This worker in a message."""
        return worker_name(self, self.index)


def slice_of(part: int, parts: int, rows: Any) -> tuple[Any, Any]:
    """First row of a part of `rows`, and the one after its last; all parts differ by a row at most."""
    return part * rows // parts, (part + 1) * rows // parts


def worker_name(distribution: Distribution, index: int) -> str:
    """A worker in a message: "worker 1 (10.0.0.2:2222)"."""
    return f"worker {index} ({distribution.addresses[index]})"


def read_distribution(environment: Mapping[str, str], devices: int = 1) -> Distribution:
    """What TF_CONFIG says, in the form TensorFlow documents; one worker where it is not set.

    The chief, or worker 0 where there is none, comes first. Other keys than "cluster" and "task" are those of
    other programs.

    Raises:
        TrainingError: TF_CONFIG cannot be read as that.
    """
    if not environment.get(TF_CONFIG):
        return Distribution(devices=devices)
    try:
        config = json.loads(environment[TF_CONFIG])
    except ValueError as error:
        raise _malformed(f"is not JSON ({error})") from None
    cluster = config.get("cluster") if isinstance(config, dict) else None
    if not isinstance(cluster, dict) or not cluster:
        raise _malformed('has no "cluster"')
    if strange := sorted(set(cluster) - {"chief", "worker"}):
        raise _malformed(f'has {strange[0]!r} in its cluster, where only "chief" and "worker" train')
    jobs = [(job, address) for job in ("chief", "worker") for address in _addresses(cluster, job)]
    addresses = tuple(address for _, address in jobs)
    if len(set(addresses)) < len(addresses):
        raise _malformed("names an address twice")
    if len(cluster.get("chief", ())) > 1:
        raise _malformed("has more than one chief")
    index = _index(config.get("task"), [job for job, _ in jobs])
    return Distribution(addresses if len(addresses) > 1 else (), index, devices)


def _addresses(cluster: dict[str, Any], job: str) -> list[str]:
    addresses = cluster.get(job, [])
    if not isinstance(addresses, list) or not all(isinstance(address, str) for address in addresses):
        raise _malformed(f'must give a list of "host:port" as {job!r}')
    for address in addresses:
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
            raise _malformed(f'has {address!r}, which is not "host:port"')
    return addresses


def _index(task: Any, jobs: list[str]) -> int:
    """Place of the task among all workers."""
    if not isinstance(task, dict) or "type" not in task or "index" not in task:
        raise _malformed('has no "task" with "type" and "index"')
    job, index = task["type"], task["index"]
    if job not in jobs:
        raise _malformed(f"says this is a {job!r}, which its cluster does not have")
    if type(index) is not int or not 0 <= index < jobs.count(job):
        raise _malformed(f"says this is {job} {index!r}, but its cluster has 0 to {jobs.count(job) - 1}")
    return jobs.index(job) + index


def _malformed(found: str) -> TrainingError:
    return TrainingError(f"TF_CONFIG {found}; it should read {EXAMPLE}")


def strategy_of(distribution: Distribution) -> Any:
    """The tf.distribute strategy in whose scope model and optimizer are made; to be asked for before anything else.

    Workers find each other here; `supervising` sees to it that all are there.

    Raises:
        TrainingError: this machine has not so many devices.
    """
    if distribution.is_single:
        return tf.distribute.get_strategy()
    accelerators = tf.config.list_physical_devices("GPU")
    if accelerators:
        if distribution.devices > len(accelerators):
            raise TrainingError(f"--devices {distribution.devices}: this machine has {len(accelerators)} GPUs")
        tf.config.set_visible_devices(accelerators[: distribution.devices], "GPU")
    if distribution.workers > 1:
        if not accelerators and distribution.devices > 1:
            raise TrainingError("--devices: a worker without GPUs has one device, its processor")
        cluster = tf.train.ClusterSpec({"worker": list(distribution.addresses)})
        resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
            cluster, task_type="worker", task_id=distribution.index, rpc_layer="grpc"
        )
        strategy = tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
        reporting.report_connected()
        return strategy
    kind = "GPU" if accelerators else "CPU"
    if not accelerators:
        _divide_processor(distribution.devices)
    return tf.distribute.MirroredStrategy([f"{kind}:{i}" for i in range(distribution.devices)])


def _divide_processor(devices: int) -> None:
    """Make one processor look like several devices."""
    processor = tf.config.list_physical_devices("CPU")[0]
    parts = [tf.config.LogicalDeviceConfiguration() for _ in range(devices)]
    try:
        tf.config.set_logical_device_configuration(processor, parts)
    except RuntimeError:  # TensorFlow has been used in this process
        if len(tf.config.list_logical_devices("CPU")) < devices:
            raise
