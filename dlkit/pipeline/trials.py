"""Candidates made and measured, several at once in child processes, and kept so that a later run need not do it again.

A folder for each candidate appears whole or not at all; a run that is killed leaves those that were finished.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from dlkit.archive import gzip_bytes
from dlkit.conversion import starting
from dlkit.conversion.arena import arena_bytes
from dlkit.conversion.layer_errors import MOST_SAMPLES, layer_errors
from dlkit.conversion.layer_names import layer_of
from dlkit.conversion.making import Made
from dlkit.errors import ConversionError, DlkitError, EndedBySystem, IllegalCombination
from dlkit.pipeline.bundling import labelled_file
from dlkit.pipeline.candidates import Candidate
from dlkit.pipeline.goals import Measured
from dlkit.pipeline.preparing import Prepared, Preparing
from dlkit.pipeline.proving import measure_gate
from dlkit.pipeline.trail import Tried, plain_json, tried_from
from dlkit.progress import SILENT, Progress, ignore
from dlkit.report import LayerError
from dlkit.runtime.stored_weights import stored_weights
from dlkit.schemes import SCHEMES, Scheme
from dlkit.verify import failed_gates
from dlkit.writing import new_folder

if TYPE_CHECKING:
    from dlkit.pipeline.on_ray import OnRay

T = TypeVar("T")
MODEL, RESULT = "model.tflite", "tried.json"
RANGES = "ranges.json"
SHARED = ("calibration.npz", RANGES)
"""What the first file of a scheme with measured ranges leaves for the others with the same ranges."""


class Trials:
    """Makes candidates of one model and measures them on the samples that decide.

    Attributes:
        jobs: how many are made at once.
        tried: all of them, in the order in which they were asked for.
    """

    def __init__(
        self,
        preparing: Preparing,
        folder: Path,
        kept: Path,
        *,
        jobs: int,
        arena: bool,
        all_count: bool,
        progress: Progress,
        elsewhere: OnRay | None = None,
    ) -> None:
        """
        Args:
            folder: for what is made on the way.
            kept: of finished candidates, each in a folder called by its key.
            jobs: how many are made at once.
            arena: whether to ask for the memory of microcontrollers.
            all_count: whether one whose process the system ended ends it all, or is one that could not be made.
            elsewhere: makes and measures them; None is child processes here. Networks are fitted again here.
        """
        self._preparing, self._folder, self._kept, self._arena = preparing, folder, kept, arena
        self._all_count = all_count
        self.jobs, self._progress, self._elsewhere = jobs, progress, elsewhere
        self._fitting = threading.Semaphore(jobs_here() if elsewhere else jobs)
        self._locks: dict[Path, threading.Lock] = {}
        self._lock, self._stopping = threading.Lock(), False
        self._made: dict[Candidate, Tried] = {}

    @property
    def float_file(self) -> Path:
        """The .tflite file of the model as it was trained."""
        return self._preparing.original.answers.converted.file

    @property
    def tried(self) -> tuple[Tried, ...]:
        return tuple(self._made.values())

    def run(self, candidates: Sequence[Candidate]) -> list[Tried]:
        """Try those that were not; all of them, in order.

        Raises:
            OutputError: results cannot be kept.
            EndedBySystem: a process was killed, and all candidates count.
        """
        missing = [each for each in dict.fromkeys(candidates) if each not in self._made]
        if missing:
            # Asked once, before threads would ask for it together.
            self._answers_to_gate()
            files = f"{len(missing)} files" if len(missing) > 1 else missing[0].name
            with self._progress.step(f"Trying {files}") as advance:
                found: dict[Candidate, Tried] = {}
                pool = concurrent.futures.ThreadPoolExecutor(self.jobs)
                try:
                    waiting = {pool.submit(self._try, each): each for each in missing}
                    for done in concurrent.futures.as_completed(waiting):
                        found[waiting[done]] = done.result()
                        advance(len(found), len(missing))
                except BaseException:
                    self._stopping = True
                    starting.end_all()  # or the threads would wait for children that nobody wants any more
                    if self._elsewhere:
                        self._elsewhere.stop()
                    raise
                finally:
                    pool.shutdown(cancel_futures=True)
            self._made |= {each: found[each] for each in missing}
        return [self._made[each] for each in candidates]

    def file(self, candidate: Candidate) -> Path:
        """The kept .tflite file of one that was made."""
        return self._kept / candidate.key / MODEL

    def prepared(self, candidate: Candidate) -> Prepared:
        """What its file is made from, with a plan that says how."""
        with self._fitting:
            prepared = self._preparing.prepared(SCHEMES[candidate.scheme], SILENT)
        return for_candidate(prepared, candidate)

    def made(self, candidate: Candidate) -> Made:
        """The kept file as `make_file` gave it."""
        told = json.loads((self._kept / candidate.key / RESULT).read_text(encoding="utf-8"))
        converted = self.prepared(candidate).answers.converted
        return Made(
            self.file(candidate),
            converted.file,
            told["quantizer"],
            converted.layer_names,
            candidate.keep_float,
            candidate.keep_int8,
            told["can_keep_float"],
        )

    def layers(self, candidate: Candidate) -> tuple[LayerError, ...]:
        """What each layer adds to the error of its file, the worst first; () if none can be kept float."""
        made, prepared = self.made(candidate), self.prepared(candidate)
        if not made.can_keep_float:
            return ()
        inputs = prepared.answers.inputs(prepared.plan.samples.gate)
        few = {name: values[:MOST_SAMPLES] for name, values in inputs.items()}
        try:
            return layer_errors(made.float_file, made.file, few, made.layer_names, ignore).layers
        except ConversionError:
            return ()

    def weights(self, candidate: Candidate) -> dict[str, int]:
        """Layer → how many weights it has, of those with any."""
        converted = self.prepared(candidate).answers.converted
        found: dict[str, int] = {}
        for each in stored_weights(converted.file.read_bytes(), converted.file.name):
            layer = next(filter(None, (layer_of(scope, converted.layer_names) for scope in each.scopes)), "")
            found[layer] = found.get(layer, 0) + each.values.size
        return found

    def timed(self, candidate: Candidate, latency_ms: float, times_float: float) -> None:
        """Remember how long an inference of its file takes."""
        tried = self._made[candidate]
        assert tried.measured is not None
        measured = dataclasses.replace(tried.measured, latency_ms=latency_ms, times_float=times_float)
        self._made[candidate] = dataclasses.replace(tried, measured=measured)

    def _answers_to_gate(self) -> None:
        original = self._preparing.original
        original.answers.on(original.plan.samples.gate, ignore)

    def _try(self, candidate: Candidate) -> Tried:
        known = self._known(candidate)
        if known is not None:
            return known
        began = time.monotonic()
        workplace = self._folder / candidate.key
        workplace.mkdir()
        try:
            made, measured = self._measured(candidate, workplace)
        except DlkitError as error:
            if isinstance(error, EndedBySystem) and self._all_count:
                raise EndedBySystem(f"{candidate.name}: {error}; then go on: add --resume --jobs 1") from None
            return Tried(candidate, None, _said(error), time.monotonic() - began)
        tried = Tried(candidate, measured, "", time.monotonic() - began)
        if not self._stopping:
            self._keep(tried, made)
        shutil.rmtree(workplace)
        return tried

    def _known(self, candidate: Candidate) -> Tried | None:
        """What a run before found; None if that is not there or cannot be read."""
        try:
            told = json.loads((self._kept / candidate.key / RESULT).read_text(encoding="utf-8"))
            tried = tried_from(told["tried"])
            asked = tried.measured is not None and (tried.measured.arena_bytes is not None or not self._arena)
            return tried if tried.candidate == candidate and asked and self.file(candidate).is_file() else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None

    def _keep(self, tried: Tried, made: Made) -> None:
        told = {"tried": plain_json(tried), "quantizer": made.quantizer, "can_keep_float": made.can_keep_float}
        with new_folder(self._kept / tried.candidate.key, replace=True) as new:
            shutil.copyfile(made.file, new / MODEL)
            (new / RESULT).write_text(json.dumps(told) + "\n", encoding="utf-8")

    def _measured(self, candidate: Candidate, workplace: Path) -> tuple[Made, Measured]:
        """Make the file in `workplace` and measure it. Raises what `exported` raises, but not for a drop."""
        scheme, prepared = SCHEMES[candidate.scheme], self.prepared(candidate)
        converted, elsewhere = prepared.answers.converted, self._elsewhere
        if elsewhere:
            return self._with_ranges(
                candidate,
                converted.folder,
                workplace,
                lambda shared: elsewhere.measured(prepared, candidate, workplace, shared, arena=self._arena),
            )
        made = self._with_ranges(
            candidate,
            converted.folder,
            workplace,
            lambda shared: labelled_file(prepared.plan, converted.linked(workplace, shared), scheme, SILENT),
        )
        return made, measured_file(prepared, made, scheme, arena=self._arena)

    def _with_ranges(self, candidate: Candidate, folder: Path, workplace: Path, make: Callable[[Path], T]) -> T:
        """What `make` gives of the folder of shared ranges.

        The first with ranges that are measured leaves them to others; these wait for it.
        """
        shared = folder / f"shared by {candidate.method}"
        with self._lock:
            lock = self._locks.setdefault(shared, threading.Lock())
        with lock if candidate.method and not shared.exists() else contextlib.nullcontext():
            if candidate.method and not shared.exists():
                made = make(shared)
                with new_folder(shared, replace=False) as new:
                    for name in SHARED:
                        if (workplace / name).exists():
                            shutil.copyfile(workplace / name, new / name)
                return made
        return make(shared)


def for_candidate(prepared: Prepared, candidate: Candidate) -> Prepared:
    """The same with a plan that says how the candidate's file is made."""
    plan = dataclasses.replace(
        prepared.plan,
        method=candidate.method or prepared.plan.method,
        keep_float=candidate.keep_float,
        keep_int8=candidate.keep_int8,
    )
    return dataclasses.replace(prepared, plan=plan)


def measured_file(prepared: Prepared, made: Made, scheme: Scheme, *, arena: bool) -> Measured:
    """Measure a file on the samples that decide. Raises what `measure_gate` raises, but not for a drop."""
    plan = prepared.plan
    gated = measure_gate(prepared.answers, made, plan.trained, plan.samples, scheme, plan.target, ignore)
    wrong = [text for gate in gated.gates for text in failed_gates(gate, gated.promised, float("inf"))]
    return Measured(
        bytes=gated.inspection.size,
        gzip_bytes=gzip_bytes(made.file),
        gates=gated.gates,
        wrong=tuple(wrong),
        arena_bytes=_arena_bytes(made.file) if arena else None,
    )


def _arena_bytes(file: Path) -> int | None:
    """None where the runtime for microcontrollers cannot take the file. Raises ExtraMissing without it."""
    try:
        return arena_bytes(file)
    except (IllegalCombination, ConversionError):
        return None


def jobs_here() -> int:
    """As many as this process may use cores."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _said(error: DlkitError) -> str:
    """Why there is no file, without what an export alone says."""
    return str(error).replace(" and no bundle was written", "")
