"""All variants of a model side by side: made, measured on the validation split, timed in turns."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlkit.conversion import starting
from dlkit.drawing.pareto import Marked, draw_pareto
from dlkit.errors import ExtraMissing
from dlkit.extras import check_installed
from dlkit.pipeline.candidates import Candidate, for_devices
from dlkit.pipeline.exporting import check_legal, check_name, ready_to_export, target_of
from dlkit.pipeline.finding import Model, found_model
from dlkit.pipeline.goals import Goals, Measured, best, misses
from dlkit.pipeline.on_ray import on_ray
from dlkit.pipeline.pareto import front
from dlkit.pipeline.plan import Plan
from dlkit.pipeline.searching import recipe_drop
from dlkit.pipeline.timing import Times, timed_in_turns
from dlkit.pipeline.trail import Tried
from dlkit.pipeline.trials import Trials, jobs_here
from dlkit.progress import SILENT, Progress
from dlkit.quantities import size
from dlkit.schemes import SCHEMES, Scheme
from dlkit.targets import TARGETS, Target
from dlkit.trained import Trained
from dlkit.writing import check_writable, new_file, temporary_folder

if TYPE_CHECKING:
    from dlkit.calibration.samples import Data

PICTURE = "pareto.png"
SLOWER = 1.02
"""Times as long as the float file from which on a file is called slower, if it was so in every round."""


@dataclasses.dataclass(frozen=True)
class Variant:
    """A scheme's file beside the others.

    Attributes:
        measured: None where there is no file.
        why_not: why; "" where there is one.
        slower: whether an inference took longer than with the float file in every round.
        smallest: whether nothing smaller is as good: it is on the Pareto front of size and quality.
        fastest: whether nothing faster is as good.
        targets: that run files of the scheme.
    """

    scheme: str
    measured: Measured | None
    why_not: str
    slower: bool
    smallest: bool
    fastest: bool
    targets: tuple[str, ...]

    @property
    def times_float(self) -> float | None:
        return self.measured.times_float if self.measured else None

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        table: dict[str, Any] = {
            "scheme": self.scheme,
            "why_not": self.why_not,
            "smallest": self.smallest,
            "fastest": self.fastest,
            "slower_than_float": self.slower,
            "targets": list(self.targets),
        }
        if (found := self.measured) is None:
            return table
        gate = found.gates[0]
        numbers = {
            "bytes": found.bytes, "gzip_bytes": found.gzip_bytes or None, "float": gate.float,
            "exported": gate.exported, "drop": found.drop, "agreement": gate.agreement, "sqnr_db": gate.sqnr_db,
            "latency_ms": found.latency_ms, "times_float": found.times_float, "arena_bytes": found.arena_bytes,
        }  # fmt: skip
        plain = {
            key: None if value is not None and not math.isfinite(value) else value for key, value in numbers.items()
        }
        return table | {"metric": gate.metric, "samples": gate.samples} | plain


@dataclasses.dataclass(frozen=True)
class Compared:
    """All variants of a model.

    Attributes:
        name, target: of the model, and the device whose schemes they are.
        variants: in the order of their size, those that could not be made last.
        recommendation: one sentence.
        notes: what was left out, and why.
        picture: the Pareto front as a picture; None where none was wanted.
    """

    name: str
    target: str
    variants: tuple[Variant, ...]
    recommendation: str
    notes: tuple[str, ...]
    picture: Path | None = None


def compare(
    model: Model,
    schemes: Sequence[str] = (),
    target: str | None = None,
    *,
    compressed: bool = False,
    data: Data | None = None,
    calibration: str | None = None,
    preprocessing: str | Mapping[str, str] | None = None,
    custom: str | Sequence[str] = (),
    out: str | Path = "exported",
    plot: bool = False,
    jobs: int | None = None,
    ray: bool = False,
    progress: Progress = SILENT,
) -> Compared:
    """Make the file of every scheme, measure it on the validation split and time it; no bundle is written.

    Args:
        model, target, data, calibration, preprocessing, custom, out, progress: as of `export`.
        schemes: the only ones; empty for all that the target accepts.
        compressed: whether those that fit the network again are among them too: they take a training each.
        plot: draw the Pareto front as `out`/name/pareto.png.
        jobs: files that are made at once; None for as many as there are cores, with `ray` those of the cluster. They
            are timed one at a time.
        ray: make and measure them by Ray, see `on_ray`; networks are fitted again and files are timed here.

    Returns:
        A variant for each scheme, in the order of their size, with quality, milliseconds and bytes; a recommendation.

    Raises:
        IllegalCombination: the target has no .tflite files, or cannot run one of `schemes`.
        Others as `export` does, for what concerns all.
    """
    if ray:
        check_installed("ray")
    starting.prepare()
    modules = (custom,) if isinstance(custom, str) else tuple(custom)
    if plot:
        check_installed("matplotlib")
    with contextlib.ExitStack() as stack:
        trained = stack.enter_context(found_model(model, Path(out), preprocessing, modules, progress=progress))
        device, folder = target_of(trained, target), Path(out) / trained.name
        chosen, left_out = _to_make(device, schemes, compressed)
        if plot:
            check_name(trained, folder)
            check_writable(folder)
        ready = stack.enter_context(ready_to_export(trained, chosen, device, data, calibration, (), False, progress))
        assert ready.preparing is not None  # all of them are .tflite files
        kept, no_arena = stack.enter_context(temporary_folder()), _why_no_arena()
        elsewhere = stack.enter_context(on_ray(ray, jobs))
        trials = Trials(
            ready.preparing,
            ready.folder,
            kept,
            jobs=jobs or (elsewhere.jobs if elsewhere else jobs_here()),
            arena=not no_arena,
            all_count=False,
            progress=progress,
            elsewhere=elsewhere,
        )
        tried = trials.run([_candidate(scheme, ready.plan) for scheme in chosen])
        times = _timed(trials, tried, progress)
        variants = variants_of(tried, times)
        said = recommendation(variants, _limits(trained, variants))
        picture = folder / PICTURE if plot else None
        if picture is not None:
            with progress.step("Drawing it"), new_file(picture) as new:
                draw_pareto(_marked(variants), _metric(variants), trained.name, new)
        return Compared(trained.name, device.name, variants, said, (*no_arena, *left_out), picture)


def _to_make(device: Target, schemes: Sequence[str], compressed: bool) -> tuple[list[Scheme], tuple[str, ...]]:
    """The schemes to compare, and a note of those that are left out. Raises as `compare` does."""
    for name in schemes:
        check_legal(SCHEMES[name], device)
    found = for_devices(device, tuple(dict.fromkeys(schemes)))
    left_out = [] if schemes or compressed else [scheme.name for scheme in found if scheme.preparation]
    note = f"without {', '.join(left_out)}, which take a training each: add --compressed"
    return [scheme for scheme in found if scheme.name not in left_out], (note,) if left_out else ()


def _why_no_arena() -> tuple[str, ...]:
    """A note where the memory of microcontrollers cannot be measured here; nothing where it can."""
    try:
        check_installed("tflite_micro")
    except ExtraMissing as error:
        return (f"no arena: {error}",)
    return ()


def _candidate(scheme: Scheme, plan: Plan) -> Candidate:
    """The file of a scheme as an export makes it."""
    method = plan.method if scheme.needs_calibration else ""
    return Candidate(scheme.name, method, () if scheme.quantizer == "none" else plan.keep_float)


def _timed(trials: Trials, tried: Sequence[Tried], progress: Progress) -> dict[str, Times]:
    files = {each.name: trials.file(each.candidate) for each in tried if each.measured}
    return timed_in_turns({"": trials.float_file} | files, progress)


def variants_of(tried: Sequence[Tried], times: Mapping[str, Times]) -> tuple[Variant, ...]:
    """Every file beside the others.

    Args:
        times: by the names of candidates, of those that could be timed.
    """
    found = [_with_time(each, times.get(each.name)) for each in tried]
    made = {each.candidate.scheme: each.measured for each in found if each.measured}
    by_size = front({name: (each.bytes, worth(each)) for name, each in made.items()})
    by_time = front({
        name: (each.latency_ms, worth(each)) for name, each in made.items() if each.latency_ms is not None
    })  # fmt: skip
    variants = [
        Variant(
            scheme=each.candidate.scheme,
            measured=each.measured,
            why_not=each.why_not,
            slower=_is_slower(times.get(each.name)),
            smallest=each.candidate.scheme in by_size,
            fastest=each.candidate.scheme in by_time,
            targets=tuple(t.name for t in TARGETS.values() if each.candidate.scheme in t.schemes),
        )
        for each in found
    ]
    return tuple(sorted(variants, key=lambda v: (v.measured is None, v.measured.bytes if v.measured else 0)))


def _with_time(tried: Tried, times: Times | None) -> Tried:
    if tried.measured is None or times is None:
        return tried
    measured = dataclasses.replace(tried.measured, latency_ms=times.latency_ms, times_float=times.times_first)
    return dataclasses.replace(tried, measured=measured)


def _is_slower(times: Times | None) -> bool:
    return times is not None and times.always_slower and times.times_first > SLOWER


def worth(found: Measured) -> float:
    """What the quality of a file is compared by: its metric, of noise no more than 100 dB."""
    return found.quality


def _limits(trained: Trained, variants: Sequence[Variant]) -> Goals:
    metric = _metric(variants)
    return Goals().settled(metric, recipe_drop(trained))


def _metric(variants: Sequence[Variant]) -> str:
    return next((each.measured.gates[0].metric for each in variants if each.measured), "quality")


def recommendation(variants: Sequence[Variant], goals: Goals) -> str:
    """One sentence: which is the smallest and which the fastest of those that lose no more than they may, and which are
    slower here than floats.
    """
    made = [each for each in variants if each.measured is not None]
    good = [each for each in made if not misses(goals, _of(each))]
    if not good:
        return "No file loses as little as it must; dlkit export MODEL --prefer size searches for one that does."
    smallest = best(good, _of, "size")
    timed = [each for each in good if _of(each).latency_ms is not None]
    fastest = best(timed, _of, "latency") if timed else None
    limit = "" if goals.max_drop is None else f" that loses at most {goals.max_drop:g} of {_metric(made)}"
    if fastest is smallest:
        told = [f"The smallest file{limit}, and the fastest here, is {_praise(smallest)}"]
    else:
        told = [f"The smallest file{limit} is {_praise(smallest)}"]
        told += [f"the fastest here is {_praise(fastest)}"] if fastest else []
    slower = [each for each in made if each.slower and SCHEMES[each.scheme].weights != "float32"]
    if slower:
        names = ", ".join(f"{each.scheme} ({_of(each).times_float:.2f} times as long)" for each in slower)
        told.append(f"slower than float32 here {'is' if len(slower) == 1 else 'are'} {names}")
    return "; ".join(told) + "."


def _praise(variant: Variant) -> str:
    """Its name with its size, its loss and its time."""
    found = _of(variant)
    facts = [size(found.bytes)]
    if found.drop is not None:
        facts.append(f"loses {found.drop:.4f}" if found.drop > 0 else "loses nothing")
    if found.latency_ms is not None and found.times_float is not None:
        facts.append(f"{found.latency_ms:.4g} ms, {found.times_float:.2f} of float32's time")
    return f"{variant.scheme} ({', '.join(facts)})"


def _of(variant: Variant) -> Measured:
    assert variant.measured is not None
    return variant.measured


def _marked(variants: Sequence[Variant]) -> list[Marked]:
    return [
        Marked(v.scheme, v.measured.bytes, v.measured.latency_ms, worth(v.measured), v.smallest, v.fastest)
        for v in variants
        if v.measured
    ]
