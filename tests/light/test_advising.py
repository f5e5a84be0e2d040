"""Which layers are advised to stay float, of made-up figures: each layer adds its noise to that of the rest."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from dlkit.conversion.variants import Tried
from dlkit.layer_costs import LayerSensitivity, noise_of
from dlkit.pipeline.advising import advised, layer_from, sorted_by_cost
from dlkit.pipeline.judging import Measured

BYTES = {"a": 100, "b": 10, "c": 20, "d": 5, "e": 1}
WHOLE_BYTES = 1000


def db(noise: float) -> float:
    return -10 * math.log10(noise)


def measured(noise: float, limit: float | None) -> Measured:
    """Refused if the noise is above the limit."""
    failed = ("accuracy fell",) if limit is not None and noise > limit else ()
    return Measured("accuracy", 0.95, 0.95 - noise, db(noise), failed)


class Network:
    """Layers with noise of their own; `together` are noisy unless all of them stay float."""

    def __init__(self, noise: dict[str, float], limit: float | None, together: Sequence[str] = ()) -> None:
        self.noise, self.limit, self.together, self.tried = noise, limit, together, []

    def file(self, kept: Sequence[str]) -> Tried[Measured]:
        left = {name: noise for name, noise in self.noise.items() if name not in kept}
        whole = set(self.together) <= set(kept)
        total = sum(noise for name, noise in left.items() if name not in self.together)
        total += 0.0 if whole else max((self.noise[name] for name in self.together), default=0.0)
        size = WHOLE_BYTES + sum(BYTES[name] for name in kept)
        return Tried(size, True, measured(max(total, 1e-9), self.limit))

    def sets(self, sets: Sequence[tuple[str, ...]]) -> list[Tried[Measured]]:
        self.tried += sets
        return [self.file(kept) for kept in sets]

    def layers(self) -> tuple[LayerSensitivity, ...]:
        rows = []
        for name, noise in self.noise.items():
            alone = Tried(0, True, measured(noise, self.limit))
            rows.append(layer_from(name, ("CONV_2D",), alone, self.file([name]), self.file([])))
        return sorted_by_cost(rows)

    def advised(self, ends: Tried[Measured] | None = None):
        return advised(self.file([]), ends, self.layers(), self.sets)


SOUND = {"a": 1e-4, "b": 2e-4, "c": 1e-4, "d": 3e-4, "e": 1e-5}


def test_a_sound_network_needs_nothing() -> None:
    """So no file is made to see what would help."""
    network = Network(SOUND, limit=0.01)
    advice, reason = network.advised()
    assert advice is None
    assert reason.startswith("nothing needs to stay float")
    assert network.tried == []


def test_the_one_layer_that_spoils_it_is_kept() -> None:
    """With the figures of the file that was made with it."""
    network = Network(SOUND | {"b": 0.3}, limit=0.01)
    advice, reason = network.advised()
    assert (advice.layers, advice.bytes) == (("b",), BYTES["b"])
    assert advice.sqnr_db == network.file(["b"]).measured.sqnr_db
    assert reason.startswith("with all layers quantized accuracy fell; with 1 of the 5 layers float accuracy is 0.94")
    assert ("b",) in network.tried


def test_layers_that_only_mend_together_are_found_together() -> None:
    """And one between them that brings nothing is left out."""
    network = Network(SOUND | {"a": 0.3, "b": 0.25, "d": 0.2}, limit=0.1, together=("a", "d"))
    advice, _ = network.advised()
    assert set(advice.layers) == {"a", "d", "b"}
    assert Network(SOUND | {"a": 0.3, "b": 5e-3, "d": 0.2}, 0.1, ("a", "d")).advised()[0].layers == ("a", "d")


def test_noise_is_mended_where_the_export_would_pass() -> None:
    """No label is wrong yet; scores that are 20 dB above their noise are sound."""
    network = Network(SOUND | {"c": 0.05}, limit=None)
    advice, reason = network.advised()
    assert advice.layers == ("c",)
    assert "the scores are only 13.0 dB above their noise" in reason


def test_where_half_of_the_layers_do_not_mend_it_none_is_advised() -> None:
    """Their number is said."""
    network = Network(dict.fromkeys(BYTES, 0.2), limit=0.1)
    advice, reason = network.advised()
    assert advice is None
    assert reason.endswith("keeping up to 3 of the 5 layers float does not mend it")


def test_ends_that_mend_it_are_named() -> None:
    """They cost fewer bytes than any layer."""
    network = Network(SOUND | {"b": 0.3}, limit=0.01)
    _, reason = network.advised(Tried(1, True, measured(1e-3, 0.01)))
    assert "inputs and outputs in float alone mend it" in reason


def test_what_was_not_measured_comes_last_with_its_reason() -> None:
    """Its figures are None, and its file may have a size nevertheless."""
    bad = layer_from(
        "x", (), Tried(0, False, None, "crashed"), Tried(5, True, measured(1e-3, None)), Tried(3, True, None)
    )
    nan = layer_from(
        "y", (), Tried(9, True, Measured("auc", 1.0, math.nan, 3.0)), Tried(0, False, None, "no"), bad_file()
    )
    good = layer_from("z", (), *[Tried(9, True, measured(1e-3, None))] * 2, bad_file())
    assert [row.layer for row in sorted_by_cost([bad, nan, good])] == ["z", "x", "y"]
    assert (bad.problem, bad.alone_metric, bad.kept_bytes) == ("alone: crashed", None, 2)
    assert nan.problem == "alone: its answers are no numbers; kept float: no"
    assert nan.kept_bytes is None


def bad_file() -> Tried[Measured]:
    return Tried(3, True, None)


@pytest.mark.parametrize(("decibels", "noise"), [(0.0, 1.0), (20.0, 0.01)])
def test_noise_is_the_energy_that_decibels_tell(decibels: float, noise: float) -> None:
    """Over that of the signal."""
    assert noise_of(decibels) == pytest.approx(noise)
