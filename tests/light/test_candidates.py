"""What a search tries, and in which order."""

from __future__ import annotations

import dataclasses

import pytest

from dlkit.errors import IllegalCombination
from dlkit.pipeline.candidates import (
    BITS,
    Candidate,
    plain,
    powers_below,
    schemes_of,
    standing_out,
    with_methods,
    with_more_bits,
    without,
)
from dlkit.report import LayerError
from dlkit.schemes import SCHEMES
from dlkit.targets import TARGETS

LAYERS = [
    LayerError("c", "CONV_2D", 20.0, 30.0, 1e-2, ("b", "a")),
    LayerError("b", "CONV_2D", 25.0, 30.0, 1e-3, ("a",)),
    LayerError("a", "CONV_2D", 30.0, 40.0, 1e-4, ()),
]


def test_shorter_weights_come_first() -> None:
    """And every scheme of the target that is not another with other ends."""
    schemes = schemes_of(TARGETS["cpu"])
    bits = [BITS[scheme.weights] for scheme in schemes]
    assert bits == sorted(bits)
    names = [scheme.name for scheme in schemes]
    assert names[0] == "weights_int4"
    assert names[-1] == "float32"
    assert "int8" in names
    assert not {"int8_float_io", "int8_uint8_io", "int16x8_float_io"} & set(names)


def test_schemes_that_are_named_are_tried_as_they_are() -> None:
    """Also those that differ in their ends alone."""
    named = ("int8_float_io", "int8_uint8_io")
    assert sorted(scheme.name for scheme in schemes_of(TARGETS["cpu"], named)) == sorted(named)


def test_every_scheme_has_known_bits() -> None:
    """Or it could not be put in order."""
    for scheme in SCHEMES.values():
        assert BITS[scheme.weights] <= 32
        assert BITS[scheme.activations] <= 32


def test_schemes_for_servers_are_none() -> None:
    """They are no .tflite files, and the error says so."""
    with pytest.raises(IllegalCombination, match=r"are for servers.*choose another --target"):
        schemes_of(TARGETS["server"])


def test_a_prepared_scheme_knows_the_plain_one() -> None:
    """That with the same number formats."""
    shelf = list(SCHEMES.values())
    assert plain(SCHEMES["int8_qat"], shelf) is SCHEMES["int8"]
    assert plain(SCHEMES["int8_qat"], [SCHEMES["float32"]]) is None


def test_ranges_are_chosen_in_each_way_that_a_scheme_can_have() -> None:
    """16 bits have no mse, and what needs no calibration has no way."""
    methods = ("minmax", "percentile", "mse")
    assert [each.method for each in with_methods(SCHEMES["int8"], methods, ())] == list(methods)
    assert [each.method for each in with_methods(SCHEMES["int16x8"], methods, ())] == ["minmax", "percentile"]
    assert [each.method for each in with_methods(SCHEMES["float16"], methods, ("a",))] == [""]


def test_more_bits_are_floats_with_what_feeds_them() -> None:
    """Of a scheme with integers between the layers; of 4-bit weights they are 8 bits of the layer alone."""
    assert with_more_bits(Candidate("int8", "minmax"), LAYERS, 1).keep_float == ("c", "b", "a")
    four = with_more_bits(Candidate("weights_int4"), LAYERS, 2)
    assert (four.keep_float, four.keep_int8) == ((), ("c", "b"))
    assert with_more_bits(Candidate("dynamic_int8", "", ("x",)), LAYERS, 1).keep_float == ("x", "c")


def test_what_stands_out_gets_more_bits_with_what_feeds_it() -> None:
    """And where nothing does there is no such candidate."""
    [candidate] = standing_out(Candidate("int8"), LAYERS)
    assert candidate.keep_float == ("c", "b", "a")
    assert standing_out(Candidate("int8"), LAYERS[1:]) == []


def test_a_layer_can_be_taken_out_again() -> None:
    """Whichever way it had more bits."""
    assert without(Candidate("int8", "", ("a", "b")), "a") == Candidate("int8", "", ("b",))
    assert without(Candidate("weights_int4", "", (), ("a",)), "a") == Candidate("weights_int4")


@pytest.mark.parametrize(("count", "powers"), [(0, []), (1, []), (2, [1]), (5, [1, 2, 4]), (8, [1, 2, 4])])
def test_sets_double(count: int, powers: list[int]) -> None:
    """And never hold all layers."""
    assert powers_below(count) == powers


def test_names_tell_candidates_apart() -> None:
    """For people; their keys do so for folders."""
    some = [
        Candidate("int8", "minmax"),
        Candidate("int8", "mse"),
        Candidate("int8", "minmax", ("a",)),
        Candidate("int8", "minmax", ("a", "b")),
        Candidate("int8", "minmax", ("a", "c")),
        Candidate("weights_int4", "", (), ("a",)),
    ]
    assert [each.name for each in some][:3] == ["int8", "int8 mse", "int8, a float"]
    assert some[5].name == "weights_int4, a in 8 bits"
    assert len({each.name for each in some}) == len({each.key for each in some}) == len(some)


def test_a_candidate_is_one_of_its_values() -> None:
    """Equal ones are one, also in a set."""
    assert dataclasses.replace(Candidate("int8"), method="mse") == Candidate("int8", "mse")
