"""What a search tries, from cheap to dear: schemes, ways to choose ranges, layers kept float."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence

from dlkit.conversion.layer_errors import worth_keeping
from dlkit.errors import IllegalCombination
from dlkit.report import LayerError
from dlkit.schemes import SCHEMES, Scheme
from dlkit.targets import Target

METHODS = ("minmax", "percentile", "mse")
"""How ranges are chosen; see `calibration.observers`."""
BITS = {"int2": 2, "int4": 4, "int8": 8, "int16": 16, "float16": 16, "bfloat16": 16, "float32": 32}


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A file that can be made.

    Attributes:
        scheme: on the shelf.
        method: how ranges are chosen; "" where the scheme needs none.
        keep_float: names or patterns of layers that are not quantized.
        keep_int8: names of layers whose weights take 8 bits, of a scheme of 4.
    """

    scheme: str
    method: str = ""
    keep_float: tuple[str, ...] = ()
    keep_int8: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """For people: "int8 percentile, 2 layers float"."""
        method = f" {self.method}" if self.method not in ("", METHODS[0]) else ""
        return f"{self.scheme}{method}{_told(self.keep_float, 'float')}{_told(self.keep_int8, 'in 8 bits')}"

    @property
    def key(self) -> str:
        """A name for its folder, which no other candidate has."""
        return hashlib.sha256(json.dumps(dataclasses.astuple(self)).encode()).hexdigest()[:16]


def _told(layers: Sequence[str], how: str) -> str:
    """ ", conv1 float"; of several layers how many they are, with a mark that other sets of as many do not have."""
    if len(layers) < 2:
        return "".join(f", {layer} {how}" for layer in layers)
    return f", {len(layers)} layers {how} #{hashlib.sha256(json.dumps(layers).encode()).hexdigest()[:4]}"


def schemes_of(target: Target, named: Sequence[str] = ()) -> list[Scheme]:
    """The schemes to try, the shortest weights first.

    Of schemes that differ in what goes in and comes out alone, the one that the target likes best: all of them are as
    large, and who needs another one names it. Those of servers are left out.

    Args:
        named: the only ones to try, as they are; empty for all.

    Raises:
        IllegalCombination: they are for servers.
    """
    chosen = for_devices(target, named)
    if not named:
        inside = {_inside(scheme): scheme for scheme in reversed(chosen)}
        chosen = [scheme for scheme in chosen if inside[_inside(scheme)] is scheme]
    places = {scheme.name: number for number, scheme in enumerate(chosen)}
    return sorted(chosen, key=lambda s: (BITS[s.weights], BITS[s.activations], places[s.name]))


def for_devices(target: Target, named: Sequence[str] = ()) -> list[Scheme]:
    """Those of the schemes named, or of all that the target accepts, that become .tflite files.

    Raises IllegalCombination if there are none.
    """
    names = named or target.schemes
    chosen = [SCHEMES[name] for name in names if SCHEMES[name].format == "tflite"]
    if not chosen:
        raise IllegalCombination(
            f"{', '.join(names)} are for servers, and only .tflite files are searched and compared; export them one by "
            "one, or choose another --target"
        )
    return chosen


def _inside(scheme: Scheme) -> tuple[object, ...]:
    return scheme.weights, scheme.activations, scheme.quantizer, scheme.preparation


def plain(scheme: Scheme, schemes: Sequence[Scheme]) -> Scheme | None:
    """The one among `schemes` with the number formats of a prepared one and no preparation; None if there is none."""
    formats = (scheme.weights, scheme.activations, scheme.io, scheme.quantizer)
    for other in schemes:
        if not other.preparation and (other.weights, other.activations, other.io, other.quantizer) == formats:
            return other
    return None


def with_methods(scheme: Scheme, methods: Sequence[str], keep_float: tuple[str, ...]) -> list[Candidate]:
    """The candidates of a scheme, one for each way to choose ranges that it can have."""
    if not scheme.needs_calibration:
        return [Candidate(scheme.name, "", keep_float)]
    possible = [method for method in methods if method != "mse" or scheme.activations != "int16"]
    return [Candidate(scheme.name, method, keep_float) for method in possible]


def powers_below(count: int) -> list[int]:
    """1, 2, 4 … below `count`: how many layers stay float in the files that are made first."""
    return [2**power for power in range(count.bit_length()) if 2**power < count]


def with_more_bits(candidate: Candidate, layers: Sequence[LayerError], count: int) -> Candidate:
    """The same with more bits for the first `count` layers: weights of 4 bits get 8, others become floats.

    What a layer of integers loses is mostly lost in the steps of what it reads, so these stay float with it; weights
    that become floats again before they are used lose their own alone.

    Args:
        layers: in the order in which they are to get them.
    """
    with_feeders = SCHEMES[candidate.scheme].quantizer == "static"
    names = [name for error in layers[:count] for name in (error.layer, *(error.feeders if with_feeders else ()))]
    return _with(candidate, names)


def without(candidate: Candidate, layer: str) -> Candidate:
    """The same with no more bits for one layer than its scheme has."""
    keep_float, keep_int8 = (
        tuple(name for name in names if name != layer) for names in (candidate.keep_float, candidate.keep_int8)
    )
    return dataclasses.replace(candidate, keep_float=keep_float, keep_int8=keep_int8)


def _with(candidate: Candidate, names: Sequence[str]) -> Candidate:
    if SCHEMES[candidate.scheme].weights == "int4":
        return dataclasses.replace(candidate, keep_int8=tuple(dict.fromkeys((*candidate.keep_int8, *names))))
    return dataclasses.replace(candidate, keep_float=tuple(dict.fromkeys((*candidate.keep_float, *names))))


def standing_out(candidate: Candidate, layers: Sequence[LayerError]) -> list[Candidate]:
    """The same with more bits for the layers that stand out, and for what feeds them; [] if none do."""
    names = worth_keeping(layers)
    return [_with(candidate, names)] if names else []
