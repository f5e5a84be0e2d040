"""Candidates made and measured by tasks of Ray, on all machines of a cluster; what a task needs travels to it as bytes.

No folder need be shared. Every machine needs this dlkit and what it stands on, in the same versions.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import pickle
import platform
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from dlkit.bundle.writing import package_versions
from dlkit.calibration.samples import ExportSamples, HeldOut
from dlkit.conversion import starting
from dlkit.conversion.batches import count_of_samples
from dlkit.conversion.making import Made
from dlkit.conversion.quantizer import can_quantize
from dlkit.errors import ConversionError, DlkitError, EndedBySystem
from dlkit.extras import require
from dlkit.pipeline.bundling import labelled_file
from dlkit.pipeline.candidates import Candidate
from dlkit.pipeline.goals import Measured
from dlkit.pipeline.preparing import Prepared
from dlkit.pipeline.rebuilding import wanted_of
from dlkit.pipeline.trials import RANGES, for_candidate, jobs_here, measured_file
from dlkit.progress import SILENT
from dlkit.runtime.inspection import inspect_file
from dlkit.schemes import SCHEMES, Scheme
from dlkit.training.launching import cluster
from dlkit.writing import temporary_folder

T = TypeVar("T")
MODEL = "model"
"""The folder of a parcel that holds the Keras model or SavedModel."""


@dataclasses.dataclass(frozen=True)
class Parcel:
    """What candidates of one preparation are made from.

    Attributes:
        prepared: a `Prepared`, pickled; read only where the versions are the same.
        files: a tar archive of its float file, and of the models where the TensorFlow converter is to read them.
        versions: of the packages that decide what a file is.
    """

    prepared: bytes
    files: bytes
    versions: dict[str, str]


@dataclasses.dataclass(frozen=True)
class Done:
    """What a task has made and measured.

    Attributes:
        content: of the .tflite file.
        ranges: of activations as they were measured; None where that was not needed.
        quantizer, can_keep_float: as of `Made`.
    """

    content: bytes
    ranges: bytes | None
    quantizer: str
    can_keep_float: bool
    measured: Measured


class OnRay:
    """A cluster as `Trials` asks it. Its methods may be called in threads.

    Attributes:
        jobs: processors of the cluster: candidates that are made at once.
    """

    def __init__(self) -> None:
        self._ray = require("ray")
        self.jobs = max(1, int(self._ray.cluster_resources().get("CPU", 1)))
        self._parcels: dict[tuple[tuple[str, ...], bool], Any] = {}
        self._waiting: set[Any] = set()
        self._lock, self._packing, self._stopped = threading.Lock(), threading.Lock(), False

    def measured(
        self, prepared: Prepared, candidate: Candidate, workplace: Path, shared: Path, *, arena: bool
    ) -> tuple[Made, Measured]:
        """Have the file of a candidate made and measured by a task, and put it into `workplace`.

        Args:
            prepared: see `Trials.prepared`.
            shared: folder of measured ranges, if another candidate has left some.

        Raises:
            ConversionError: there is no file, as the task says, or the worker died.
            EndedBySystem: a process of the task was killed.
        """
        scheme, ranges = SCHEMES[candidate.scheme], shared / RANGES
        known = ranges.read_bytes() if ranges.exists() else None
        done = self.result(measured_there, self._parcel(prepared, scheme), known, candidate, arena)
        if isinstance(done, DlkitError):
            raise done
        file = workplace / f"{scheme.name}.tflite"
        file.write_bytes(done.content)
        if done.ranges is not None:
            (workplace / RANGES).write_bytes(done.ranges)
        converted = prepared.answers.converted
        made = Made(
            file,
            converted.file,
            done.quantizer,
            converted.layer_names,
            candidate.keep_float,
            candidate.keep_int8,
            done.can_keep_float,
        )
        return made, done.measured

    def result(self, function: Callable[..., T], *arguments: Any) -> T:
        """What a function gives in a task on one processor. Raises ConversionError if it fails or the worker dies."""
        task = self._ray.remote(num_cpus=1, max_retries=0)(function)
        with self._lock:
            if self._stopped:
                raise ConversionError("Ray: it was stopped")
            waiting = task.remote(*arguments)
            self._waiting.add(waiting)
        try:
            found: T = self._ray.get(waiting)
            return found
        except self._ray.exceptions.RayError as error:
            raise ConversionError(_said(error)) from None
        finally:
            with self._lock:
                self._waiting.discard(waiting)

    def stop(self) -> None:
        """End every task; those who wait for one are told that it failed."""
        with self._lock:
            self._stopped = True
            for waiting in self._waiting:
                self._ray.cancel(waiting, force=True)

    def _parcel(self, prepared: Prepared, scheme: Scheme) -> Any:
        """Ray's reference to what is sent once for all candidates of a preparation."""
        converted = prepared.answers.converted
        by_tensorflow = scheme.quantizer != "none" and not can_quantize(inspect_file(converted.file).ops, scheme)
        key = (scheme.preparation, by_tensorflow)
        with self._packing:
            if key not in self._parcels:
                self._parcels[key] = self._ray.put(packed(prepared, with_models=by_tensorflow))
            return self._parcels[key]


@contextlib.contextmanager
def on_ray(wanted: bool, jobs: int | None = None) -> Iterator[OnRay | None]:
    """The user's cluster, or one on this machine for as long as the block lasts; None where none is wanted.

    Args:
        jobs: processors of the one on this machine; None for as many as there are.

    Raises:
        ExtraMissing: Ray is not installed.
        TrainingError: there is no cluster at RAY_ADDRESS.
    """
    if not wanted:
        yield None
        return
    with cluster(jobs or jobs_here()):
        yield OnRay()


def packed(prepared: Prepared, *, with_models: bool) -> Parcel:
    """What a task needs of `prepared`: the samples that calibrate and those that decide, as plain arrays.

    Args:
        with_models: whether the model and its SavedModel go along, as the TensorFlow converter needs them.
    """
    plan, converted = prepared.plan, prepared.answers.converted
    gate = _plain(plan.samples.gate, needs_raw=wanted_of(plan.trained, plan.samples.gate) is not None)
    samples = ExportSamples(plan.samples.calibration, gate, None, plan.samples.asked_for)
    sent = Prepared(dataclasses.replace(plan, samples=samples), prepared.answers.of_gate(gate), None)
    files = io.BytesIO()
    with tarfile.open(fileobj=files, mode="w") as archive:
        archive.add(converted.file, converted.file.name)
        if with_models:
            archive.add(converted.model, f"{MODEL}/{converted.model.name}")
            if converted.saved_model.exists():
                archive.add(converted.saved_model, converted.saved_model.name)
    return Parcel(pickle.dumps(sent), files.getvalue(), package_versions())


def _plain(gate: HeldOut, *, needs_raw: bool) -> HeldOut:
    """The same in memory; of raw values that nothing is measured by the number alone."""
    if needs_raw:
        return dataclasses.replace(gate.rows(np.arange(count_of_samples(gate.raw))), fingerprint=gate.fingerprint)
    rows = {name: np.empty((len(values), 0), np.float32) for name, values in gate.raw.items()}
    return dataclasses.replace(gate, raw=rows, clean=None)


def opened(parcel: Parcel, folder: Path) -> Prepared:
    """What `packed` took, with its files in `folder`."""
    prepared: Prepared = pickle.loads(parcel.prepared)
    with tarfile.open(fileobj=io.BytesIO(parcel.files)) as archive:
        archive.extractall(folder, filter="data")
    answers = prepared.answers
    model = folder / MODEL / answers.converted.model.name
    answers.converted = dataclasses.replace(answers.converted, folder=folder, model=model)
    return prepared


def measured_there(parcel: Parcel, ranges: bytes | None, candidate: Candidate, arena: bool) -> Done | DlkitError:
    """Run by Ray: make the file of a candidate and measure it. An error says why there is none."""
    found = package_versions()
    for name, version in parcel.versions.items():
        if found[name] != version:
            return ConversionError(
                f"{platform.node()} of the Ray cluster has {name} {found[name]}, and here it is {version}; "
                "install the same on all machines"
            )
    starting.prepare()
    scheme = SCHEMES[candidate.scheme]
    with temporary_folder() as folder:
        kept = folder / RANGES
        try:
            prepared = for_candidate(opened(parcel, folder), candidate)
            if ranges is not None:
                kept.write_bytes(ranges)
            made = labelled_file(prepared.plan, prepared.answers.converted, scheme, SILENT)
            measured = measured_file(prepared, made, scheme, arena=arena)
        except EndedBySystem as error:
            return error
        except DlkitError as error:
            return ConversionError(str(error))
        left = kept.read_bytes() if kept.exists() else None
        return Done(made.file.read_bytes(), left, made.quantizer, made.can_keep_float, measured)


def _said(error: Exception) -> str:
    """One line of what Ray raises: what the task raised, or what became of its worker."""
    cause = getattr(error, "cause", None) or error
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return f"Ray: {type(cause).__name__}{f': {lines[0]}' if lines else ''}"
