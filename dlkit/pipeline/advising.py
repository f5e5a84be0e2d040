"""Which layers are worth keeping float: sets of them are made into files and measured, and the cheapest that mends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from dlkit.conversion.variants import Tried
from dlkit.layer_costs import KeptFloat, LayerSensitivity
from dlkit.pipeline.judging import Measured
from dlkit.verify import LABELLED

SOUND_DB = 20.0
"""Scores that are nearer to their noise are worth mending where that is cheap, though the export would pass."""
GAIN_DB = 6.0
"""By which, where `SOUND_DB` are out of reach: half of the noise's amplitude."""
SAME_DB = 0.5
"""A layer that brings less is not kept float for it."""
SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48)
"""Of the sets that are tried, up to half of all layers, which is one more."""

Sets = Callable[[Sequence[tuple[str, ...]]], Sequence[Tried[Measured]]]
"""Files in which these layers stay float, made and measured."""


def advised(
    whole: Tried[Measured], ends: Tried[Measured] | None, layers: Sequence[LayerSensitivity], try_sets: Sets
) -> tuple[KeptFloat | None, str]:
    """Layers to keep float, if that is worth it, and a sentence that says why or why not.

    Args:
        whole: the file with all layers quantized.
        ends: the same with inputs and outputs in float; None where they are.
        layers: the one that costs most first.
    """
    before = whole.measured
    assert before is not None  # there is nothing to advise about otherwise
    wrong = _wrong(before)
    if not wrong:
        return None, f"nothing needs to stay float: with all layers quantized {_told(before)}"
    found = _cheapest(before, layers, try_sets)
    wrong = f"with all layers quantized {wrong}"
    if ends is not None and ends.measured is not None and _mends(before, ends.measured):
        wrong += f"; inputs and outputs in float alone mend it, with {_told(ends.measured)}"
    if found is None:
        most = max((len(names) for names in _sets(layers)), default=0)
        return None, f"{wrong}; keeping up to {most} of the {len(layers)} layers float does not mend it"
    names, tried = found
    after = tried.measured
    assert after is not None  # it was chosen by that
    kept = KeptFloat(names, after.value, after.sqnr_db, tried.bytes - whole.bytes)
    count = f"{len(names)} of the {len(layers)} layers"
    return kept, f"{wrong}; with {count} float {_told(after)}, in a file {kept.bytes:,} bytes larger"


def _wrong(measured: Measured) -> str:
    """What is wrong with a file; "" if nothing is."""
    if measured.failed:
        return "; ".join(measured.failed)
    if not measured.sqnr_db >= SOUND_DB:
        return f"the scores are only {measured.sqnr_db:.1f} dB above their noise"
    return ""


def _told(measured: Measured) -> str:
    decibels = f"the scores are {measured.sqnr_db:.1f} dB above their noise"
    if measured.metric not in LABELLED:
        return decibels
    return f"{LABELLED[measured.metric]} is {measured.value:.4f} ({measured.original:.4f} float) and {decibels}"


def _mends(before: Measured, after: Measured | None) -> bool:
    """Whether what is wrong with the one is not with the other."""
    if after is None or after.failed or not after.is_sound:
        return False
    return bool(before.failed) or after.sqnr_db >= min(SOUND_DB, before.sqnr_db + GAIN_DB)


def _cheapest(
    before: Measured, layers: Sequence[LayerSensitivity], try_sets: Sets
) -> tuple[tuple[str, ...], Tried[Measured]] | None:
    """The smallest file that mends, without the layers that bring nothing to it."""
    sets = list(_sets(layers))
    mending = [
        (names, tried) for names, tried in zip(sets, try_sets(sets), strict=True) if _mends(before, tried.measured)
    ]
    if not mending:
        return None
    names, tried = min(mending, key=lambda pair: (pair[1].bytes, len(pair[0])))
    return _thinned(before, names, tried, try_sets)


def _sets(layers: Sequence[LayerSensitivity]) -> Iterator[tuple[str, ...]]:
    """Those that cost most alone, and those that bring most back alone: ever more of them."""
    by_cost = [entry.layer for entry in layers if entry.alone_sqnr_db is not None]
    known = [(entry.kept_sqnr_db, entry.layer) for entry in layers if entry.kept_sqnr_db is not None]
    by_gain = [layer for _, layer in sorted(known, key=lambda pair: -pair[0])]
    half = -(-len(layers) // 2)
    seen = {frozenset[str]()}
    for size in [*(size for size in SIZES if size < half), half]:
        for ranked in (by_cost, by_gain):
            names = tuple(ranked[:size])
            if frozenset(names) not in seen:
                seen.add(frozenset(names))
                yield names


def _thinned(
    before: Measured, names: tuple[str, ...], tried: Tried[Measured], try_sets: Sets
) -> tuple[tuple[str, ...], Tried[Measured]]:
    """Without the layers that can be quantized again at next to no loss, if they can be so together."""
    if len(names) == 1 or tried.measured is None:
        return names, tried
    least = tried.measured.sqnr_db - SAME_DB

    def as_good(one: Tried[Measured]) -> bool:
        return one.measured is not None and _mends(before, one.measured) and one.measured.sqnr_db >= least

    without = [tuple(name for name in names if name != left) for left in names]
    fewer = [(left, one) for left, one in zip(names, try_sets(without), strict=True) if as_good(one)]
    if not fewer:
        return names, tried
    removed = {left for left, _ in fewer}
    rest = tuple(name for name in names if name not in removed)
    if rest:
        [one] = try_sets([rest])
        if as_good(one):
            return rest, one
    left, one = min(fewer, key=lambda pair: pair[1].bytes)
    return tuple(name for name in names if name != left), one


def sorted_by_cost(layers: Sequence[LayerSensitivity]) -> tuple[LayerSensitivity, ...]:
    """The one that costs most when it is quantized alone first; those that could not be measured last."""

    def cost(entry: LayerSensitivity) -> tuple[bool, float, str]:
        return entry.alone_sqnr_db is None, entry.alone_sqnr_db or 0.0, entry.layer

    return tuple(sorted(layers, key=cost))


def layer_from(
    layer: str, operations: tuple[str, ...], alone: Tried[Measured], kept: Tried[Measured], whole: Tried[Measured]
) -> LayerSensitivity:
    """What was measured of one layer, as one row."""
    first, second = _figures(alone), _figures(kept)
    problems = [f"{what}: {problem}" for what, (_, _, problem) in (("alone", first), ("kept float", second)) if problem]
    return LayerSensitivity(
        layer=layer,
        operations=operations,
        alone_metric=first[0],
        alone_sqnr_db=first[1],
        kept_metric=second[0],
        kept_sqnr_db=second[1],
        kept_bytes=kept.bytes - whole.bytes if kept.bytes else None,
        problem="; ".join(problems),
    )


def _figures(tried: Tried[Measured]) -> tuple[float | None, float | None, str]:
    measured = tried.measured
    if measured is None:
        return None, None, tried.problem
    if not measured.is_sound:
        return None, None, "its answers are no numbers"
    return measured.value, measured.sqnr_db, ""
