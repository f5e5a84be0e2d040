"""The search of an export: the best file within limits, from cheap candidates to dear ones.

First every scheme that the target accepts, with every way to choose ranges where that may help; then files in which
the layers that lose most stay float; then networks that are fitted again. A step is taken only if what it makes can be
better than what is found, by the rule that `Trail.notes` tells.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import math
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dlkit.bundle.loading import Bundle
from dlkit.bundle.writing import package_versions
from dlkit.conversion import starting
from dlkit.digest import sha256_of, sha256_of_arrays
from dlkit.errors import DataError, OutputError
from dlkit.extras import check_installed
from dlkit.leftovers import held
from dlkit.pipeline.bundling import bundled, proven_file
from dlkit.pipeline.candidates import (
    METHODS,
    Candidate,
    plain,
    powers_below,
    schemes_of,
    standing_out,
    with_methods,
    with_more_bits,
    without,
)
from dlkit.pipeline.exporting import Ready, bundle_folder, check_legal, check_name, ready_to_export, target_of
from dlkit.pipeline.finding import Model, found_model
from dlkit.pipeline.goals import SAME_SIZE, Goals, Measured, best, misses
from dlkit.pipeline.on_ray import on_ray
from dlkit.pipeline.proving import MAX_DROP
from dlkit.pipeline.timing import timed_in_turns
from dlkit.pipeline.trail import TRAIL, Trail, Tried
from dlkit.pipeline.trials import Trials, jobs_here
from dlkit.progress import SILENT, Progress
from dlkit.report import LayerError, Report
from dlkit.schemes import SCHEMES, Scheme
from dlkit.trained import Trained
from dlkit.writing import check_writable, explained, refuse_existing

if TYPE_CHECKING:
    from dlkit.calibration.samples import Data

BEST = "best"
"""What stands in the place of a scheme in the name of the bundle that a search writes."""

_PLACE_LETTERS = 16
"""Of the hash in the name of a place."""
MOST_ROUNDS, MOST_LEFT_OUT = 4, 8
"""Of taking a layer out of a set: how often, and how many layers are tried."""


@dataclasses.dataclass(frozen=True)
class Found:
    """What a search came to.

    Attributes:
        trail: the whole of it.
        bundle, report: of the best file; None where none is within the limits, and then nothing was written.
    """

    trail: Trail
    bundle: Bundle | None
    report: Report | None


def search(
    model: Model,
    goals: Goals,
    schemes: Sequence[str] = (),
    target: str | None = None,
    *,
    data: Data | None = None,
    calibration: str | None = None,
    keep_float: Sequence[str] = (),
    preprocessing: str | Mapping[str, str] | None = None,
    custom: str | Sequence[str] = (),
    out: str | Path = "exported",
    force: bool = False,
    resume: bool = False,
    jobs: int | None = None,
    ray: bool = False,
    progress: Progress = SILENT,
) -> Found:
    """Find the best file of a model within limits and write its bundle as `out`/name/target-best/.

    >>> found = dlkit.search("digits", dlkit.Goals(max_drop=0.005, max_bytes=100_000))    # doctest: +SKIP
    >>> found.bundle.folder                                                               # doctest: +SKIP
    PosixPath('exported/digits/cpu-best')

    Args:
        model, target, data, preprocessing, custom, out, progress: as of `export`.
        goals: the limits, and what counts among files that keep them.
        schemes: the only ones to try; empty for all that the target accepts.
        calibration: the only way to choose ranges; None for all of them.
        keep_float: layers that stay float in every candidate.
        force: replace the bundle that is there, and begin a search anew that was stopped.
        resume: go on with a search that was stopped.
        jobs: candidates that are made at once; None for as many as there are cores, with `ray` those of the cluster.
        ray: make and measure them by Ray, see `on_ray`; networks are fitted again and files are timed here.

    Returns:
        The best file's bundle and report, None where no file is within the limits, and the trail of all that was tried.

    Raises:
        OutputError: the bundle exists already, or there is a search that was stopped, and neither `force` nor `resume`.
        IllegalCombination: the target has no .tflite files, or cannot run one of `schemes`.
        EndedBySystem: the system ended a process that made or measured a candidate; `resume` goes on.
        Others as `export` does, for what concerns all candidates.
    """
    if ray:
        check_installed("ray")
    starting.prepare()
    modules = (custom,) if isinstance(custom, str) else tuple(custom)
    with found_model(model, Path(out), preprocessing, modules, progress=progress) as trained:
        device = target_of(trained, target)
        for name in schemes:
            check_legal(SCHEMES[name], device)
        chosen = schemes_of(device, tuple(dict.fromkeys(schemes)))
        if goals.max_arena_bytes is not None:
            check_installed("tflite_micro")
        folder = Path(out) / trained.name
        destination = bundle_folder(Path(out), trained.name, device.name, BEST)
        check_name(trained, folder)
        refuse_existing(destination, replace=force)
        check_writable(folder)
        _refuse_stopped(folder, resume=resume, force=force)
        with (
            ready_to_export(trained, chosen, device, data, calibration, keep_float, False, progress) as ready,
            on_ray(ray, jobs) as elsewhere,
            contextlib.ExitStack() as stack,
        ):
            assert ready.preparing is not None  # all of them are .tflite files
            kept = stack.enter_context(_place(ready, folder))
            ready.preparing.keep_in(kept)
            trials = Trials(
                ready.preparing,
                ready.folder,
                kept,
                jobs=jobs or (elsewhere.jobs if elsewhere else jobs_here()),
                arena=goals.max_arena_bytes is not None,
                all_count=True,
                progress=progress,
                elsewhere=elsewhere,
            )
            methods, most = (calibration,) if calibration else METHODS, recipe_drop(trained)
            trail = Search(trials, chosen, goals, methods, ready.plan.keep_float, most, progress).run()
            found = _written(trail, trials, most, destination, force, progress)
            shutil.rmtree(kept, ignore_errors=True)
        return found


def _written(
    trail: Trail, trials: Trials, recipe_drop: float, destination: Path, force: bool, progress: Progress
) -> Found:
    """The bundle of the best file, proven, with the trail in it; none where no file is within the limits."""
    if trail.chosen is None:
        return Found(trail, None, None)
    prepared, made = trials.prepared(trail.chosen), trials.made(trail.chosen)
    most = recipe_drop if trail.goals.max_drop is None else trail.goals.max_drop
    proven = proven_file(prepared, made, SCHEMES[trail.chosen.scheme], progress, most)
    return Found(trail, *bundled(prepared.plan, proven, destination, force, {TRAIL: trail.as_json()}, progress))


def _stopped(folder: Path) -> list[Path]:
    """Where searches keep what they have tried."""
    return sorted(folder.glob(f".search-{'[0-9a-f]' * _PLACE_LETTERS}"))


def _refuse_stopped(folder: Path, *, resume: bool, force: bool) -> None:
    """Raise OutputError if there is a search that was stopped and it is not said what to do with it."""
    left = _stopped(folder)
    if force and not resume:
        for place in left:
            with held(place) as is_ours:
                if not is_ours:
                    raise _still_runs(place)
                shutil.rmtree(place, ignore_errors=True)
    elif left and not resume:
        raise OutputError(
            f"{left[0]} is of a search that was stopped, or still runs; go on with it: add --resume; or begin anew: "
            "add --force"
        )


def _still_runs(place: Path) -> OutputError:
    return OutputError(f"{place} is of a search that still runs; wait until it is over, or stop it")


@contextlib.contextmanager
def _place(ready: Ready, folder: Path) -> Iterator[Path]:
    """The folder for what is tried of this model, with these data, by these versions; those of others go.

    It is ours alone during the block. Raises OutputError if another process searches there.
    """
    assert ready.preparing is not None
    original, samples = ready.preparing.original, ready.plan.samples
    held_out = samples.gate.fingerprint or sha256_of_arrays(np.asarray(raw) for raw in samples.gate.raw.values())
    decides = {
        "model": sha256_of(original.answers.converted.file),
        "recipe": ready.plan.trained.recipe.as_dict() if ready.plan.trained.recipe else None,
        "target": dataclasses.asdict(ready.plan.target),
        "calibration": sha256_of_arrays(np.asarray(raw) for raw in samples.calibration.raw.values()),
        "held out": held_out,
        "versions": package_versions(),
    }
    place = (
        folder / f".search-{hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:_PLACE_LETTERS]}"
    )
    for other in _stopped(folder):
        with held(other) as is_ours:
            if is_ours and other != place:
                shutil.rmtree(other, ignore_errors=True)
    with contextlib.ExitStack() as stack:
        with explained(place):
            place.mkdir(parents=True, exist_ok=True)
            is_ours = stack.enter_context(held(place))
        if not is_ours:
            raise _still_runs(place)
        yield place


def recipe_drop(trained: Trained) -> float:
    """The largest loss of a file that nothing else is said of."""
    return trained.recipe.export.max_drop if trained.recipe else MAX_DROP


class Search:
    """The rule: what is tried when, and what is chosen."""

    def __init__(
        self,
        trials: Trials,
        schemes: Sequence[Scheme],
        goals: Goals,
        methods: Sequence[str],
        keep_float: tuple[str, ...],
        recipe_drop: float,
        progress: Progress,
    ) -> None:
        """
        Args:
            schemes: to try, see `schemes_of`.
            methods: ways to choose ranges; the first is tried of every scheme.
            keep_float: layers that stay float in every candidate.
            recipe_drop: largest drop where the goals say none.
        """
        self._trials, self._schemes, self._methods, self._keep = trials, schemes, methods, keep_float
        self.goals, self._recipe_drop, self._progress = goals, recipe_drop, progress
        self._notes: list[str] = []

    def run(self) -> Trail:
        """Search to the end. Raises DataError if a drop is asked of a model that has nothing to drop."""
        direct = [scheme for scheme in self._schemes if not scheme.preparation]
        self._direct(direct)
        self._mixed([scheme for scheme in direct if scheme.quantizer not in ("none", "cast")])
        self._fitted_again(direct, [scheme for scheme in self._schemes if scheme.preparation])
        leader = self._best()
        return Trail(self.goals, self._trials.tried, leader.candidate if leader else None, tuple(self._notes))

    def _direct(self, schemes: Sequence[Scheme]) -> None:
        """Every scheme with the first way to choose ranges; then with the others, where such a file may win."""
        tried = self._try([each for scheme in schemes for each in self._candidates(scheme, self._methods[:1])])
        self._settle(tried)
        self._otherwise(tried)
        self._time()

    def _otherwise(self, tried: Sequence[Tried]) -> None:
        """The same with the other ways to choose ranges, where such a file may win."""
        leader = self._best()
        again = [each for each in tried if each.candidate.method and self._may_win(each, leader)]
        methods = self._methods[1:]
        self._try([new for each in again for new in self._candidates(SCHEMES[each.candidate.scheme], methods)])

    def _mixed(self, schemes: Sequence[Scheme]) -> None:
        """The layers that lose most stay float, in files that lose too much and are smaller than the best."""
        left_out = []
        for scheme in schemes:
            plain_ones = self._plain_ones(scheme)
            if not plain_ones:
                continue
            start, leader = best(plain_ones, _of, "quality"), self._best()
            if not self._only_loses(start) or not (leader is None or self._is_before(start, leader)):
                left_out.append(scheme.name)
                continue
            self._grow(start.candidate)
        self._time()
        if left_out:
            self._notes.append(
                f"no layers got more bits in {', '.join(left_out)}: where a file loses no more than it may, or is not "
                "smaller than the best as it is, they only make it larger"
            )

    def _grow(self, start: Candidate) -> None:
        """More bits for 1, 2, 4 … layers, those that add most to the error and those that add most for their size.

        Then for numbers between the largest that loses too much and the smallest that does not, in three rounds of as
        many files as are made at once; and then for all of the best set but one, as long as that still passes.
        """
        layers, weights = self._trials.layers(start), self._trials.weights(start)
        is_static = SCHEMES[start.scheme].quantizer == "static"
        adding = [error for error in layers if error.added > 0 and (is_static or error.layer in weights)]
        for_their_size = sorted(adding, key=lambda error: -error.added / max(1, weights.get(error.layer, 0)))
        orders = (adding, for_their_size)
        counts = [powers_below(len(adding))] * len(orders)
        first = [with_more_bits(start, order, count) for order in orders for count in counts[0]]
        self._try([*standing_out(start, layers), *first])
        for _ in range(3):
            more = [self._between(start, order, known) for order, known in zip(orders, counts, strict=True)]
            if not any(more):
                break
            self._try([with_more_bits(start, order, n) for order, new in zip(orders, more, strict=True) for n in new])
            counts = [sorted({*known, *new}) for known, new in zip(counts, more, strict=True)]
        self._thin_out(start, weights)

    def _between(self, start: Candidate, order: Sequence[LayerError], known: Sequence[int]) -> list[int]:
        """Counts to try between the largest that loses too much and the smallest that does not."""
        good = [count for count in known if self._passes(with_more_bits(start, order, count))]
        if not good:
            return []
        low = max((count for count in known if count < good[0]), default=0)
        between = range(low + 1, good[0])
        return [*between[:: max(1, len(between) // self._trials.jobs)]][: self._trials.jobs]

    def _thin_out(self, start: Candidate, weights: Mapping[str, int]) -> None:
        """Take a layer out of the best set, the largest first, while what is left passes."""
        for _ in range(MOST_ROUNDS):
            grown = [e for e in self._within(self._of_scheme(SCHEMES[start.scheme])) if _of_more(e.candidate, start)]
            if not grown:
                return
            leader = best(grown, _of, "size").candidate
            kept = sorted(_of_more(leader, start), key=lambda name: -weights.get(name, 0))[:MOST_LEFT_OUT]
            less = [without(leader, name) for name in kept if len(kept) > 1]
            if not any(self._within(self._try(less))):
                return

    def _fitted_again(self, direct: Sequence[Scheme], schemes: Sequence[Scheme]) -> None:
        """Schemes that train: first for integers alone, and the others if that was not enough."""
        wanted = [scheme for scheme in schemes if self._is_worth_fitting(scheme, direct)]
        if left_out := [scheme.name for scheme in schemes if scheme not in wanted]:
            self._notes.append(
                f"not fitted again: {', '.join(left_out)}; such a file is as large as the plain one before gzip, and "
                "is tried where that fits and loses too much, or where --prefer or a limit is of gzip or quality"
            )
        first = [scheme for scheme in wanted if scheme.preparation == ("quantization_aware",)]
        for some in (first, [scheme for scheme in wanted if scheme not in first]):
            still = [scheme for scheme in some if self._is_worth_fitting(scheme, direct)]
            if len(still) < len(some):
                names = ", ".join(scheme.name for scheme in some if scheme not in still)
                self._notes.append(f"not fitted again: {names}; a file as large is within the limits already")
            self._otherwise(self._try([new for scheme in still for new in self._candidates(scheme, self._methods[:1])]))
            self._time()

    def _is_worth_fitting(self, scheme: Scheme, direct: Sequence[Scheme]) -> bool:
        """Whether a network that is fitted again may lead to a better file than the best, as far as can be told."""
        base, leader = plain(scheme, direct), self._best()
        made = self._plain_ones(base) if base else []
        if made and all(_is_too_large(self.goals, _of(each)) for each in made):
            return False
        if base is None or leader is None or leader.measured is None:
            return True
        if self.goals.prefer == "gzip":
            return scheme.preparation != ("quantization_aware",) or not self._within(self._of_scheme(base))
        if self.goals.prefer == "quality":
            return leader.measured.drop is None or leader.measured.drop > 0
        return any(self._only_loses(each, "gzip") and self._is_before(each, leader) for each in made)

    def _candidates(self, scheme: Scheme, methods: Sequence[str]) -> list[Candidate]:
        return with_methods(scheme, methods, () if scheme.quantizer == "none" else self._keep)

    def _try(self, candidates: Sequence[Candidate]) -> list[Tried]:
        return self._trials.run(candidates) if candidates else []

    def _settle(self, tried: Sequence[Tried]) -> None:
        gates = [gate for each in tried if each.measured for gate in each.measured.gates]
        if not gates:
            return
        if self.goals.max_drop is not None and all(gate.metric == "sqnr_db" for gate in gates):
            raise DataError(
                "--max-drop: there are no right answers, classes or inputs to give again that a metric could be of; "
                "files of this model are held to their noise, so leave it out"
            )
        self.goals = self.goals.settled(gates[0].metric, self._recipe_drop)

    def _within(self, tried: Iterable[Tried]) -> list[Tried]:
        return [each for each in tried if each.measured is not None and not misses(self.goals, each.measured)]

    def _passes(self, candidate: Candidate) -> bool:
        return bool(self._within(each for each in self._trials.tried if each.candidate == candidate))

    def _best(self) -> Tried | None:
        within = self._within(self._trials.tried)
        return best(within, _of, self.goals.prefer) if within else None

    def _of_scheme(self, scheme: Scheme) -> list[Tried]:
        return [e for e in self._trials.tried if e.candidate.scheme == scheme.name and e.measured is not None]

    def _plain_ones(self, scheme: Scheme) -> list[Tried]:
        """Those in which no layer has more bits than the scheme or the user says."""
        found = [(each, each.candidate) for each in self._of_scheme(scheme)]
        return [each for each, candidate in found if candidate.keep_float == self._keep and not candidate.keep_int8]

    def _only_loses(self, tried: Tried, *besides: str) -> bool:
        """Whether it loses too much, and is beyond no other limit but `besides`."""
        missed = misses(self.goals, _of(tried))
        return bool(missed) and all(miss.limit in ("drop", "file", *besides) for miss in missed)

    def _may_win(self, tried: Tried, leader: Tried | None) -> bool:
        """Whether a file as large, that loses less, could be better than the best."""
        if tried.measured is None or _is_too_large(self.goals, tried.measured):
            return False
        return leader is None or leader is tried or self._is_before(tried, leader, SAME_SIZE)

    def _is_before(self, tried: Tried, leader: Tried, tolerance: float = 0.0) -> bool:
        """Whether it is smaller than the best, where size is preferred; of time and loss a size tells nothing."""
        mine, best_yet = _of(tried), _of(leader)
        if self.goals.prefer == "gzip":
            return mine.gzip_bytes <= best_yet.gzip_bytes * (1 + tolerance)
        return self.goals.prefer != "size" or mine.bytes <= best_yet.bytes * (1 + tolerance)

    def _time(self) -> None:
        """Time those within the other limits that were not yet, in turns with the float file, nothing else running."""
        if not self.goals.needs_latency:
            return
        new = [each for each in self._within(self._trials.tried) if _of(each).latency_ms is None]
        if not new:
            return
        files = {"": self._trials.float_file} | {each.name: self._trials.file(each.candidate) for each in new}
        found = timed_in_turns(files, self._progress)
        for each in new:
            times = found.get(each.name)
            latency, ratio = (times.latency_ms, times.times_first) if times else (math.inf, math.inf)
            self._trials.timed(each.candidate, latency, ratio)


def _is_too_large(goals: Goals, found: Measured) -> bool:
    """Whether a file is too large in a way that other numbers in it would not change."""
    return any(miss.limit in ("size", "arena") for miss in misses(goals, found))


def _of_more(candidate: Candidate, start: Candidate) -> tuple[str, ...]:
    """The layers that have more bits than in the file it was grown from."""
    given = {*start.keep_float, *start.keep_int8}
    return tuple(name for name in (*candidate.keep_float, *candidate.keep_int8) if name not in given)


def _of(tried: Tried) -> Measured:
    assert tried.measured is not None
    return tried.measured
