"""What is told about calibration samples before a file is made with them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from dlkit.calibration.linting import Calibration, Finding, findings, warnings_about
from dlkit.errors import DataError


def clean(count: int = 100, **changes: Any) -> Calibration:
    """Pixels 0…16 of ten classes, as the digits have them."""
    rng = np.random.default_rng(0)
    raw = {"image": rng.integers(0, 17, (count, 8, 8, 1)).astype(np.uint8)}
    held_out = {"image": rng.integers(0, 17, (50, 8, 8, 1)).astype(np.uint8)}
    labels = np.arange(count) % 10
    return with_raw(Calibration(raw, {}, {"image": (0.0, 16.0)}, [held_out], labels, 10), raw["image"], **changes)


def with_raw(calibration: Calibration, image: np.ndarray, **changes: Any) -> Calibration:
    inputs = {"image": image.astype(np.float32) / np.float32(16)}
    return dataclasses.replace(calibration, raw={"image": image}, inputs=inputs, **changes)


def found(calibration: Calibration) -> Finding:
    [finding] = findings(calibration)
    assert "\n" not in finding.text
    return finding


def warned(calibration: Calibration) -> str:
    finding = found(calibration)
    assert not finding.refused
    assert warnings_about(calibration) == [finding.text]
    return finding.text


def refused(calibration: Calibration) -> str:
    finding = found(calibration)
    assert finding.refused
    with pytest.raises(DataError) as caught:
        warnings_about(calibration)
    assert str(caught.value) == finding.text
    return finding.text


def test_clean_samples_have_no_findings() -> None:
    """Of all classes, different, in range, none of them held out."""
    assert findings(clean()) == []


def test_no_samples() -> None:
    """Refused with what to type."""
    assert refused(clean(0)) == "there are no calibration samples; give some with --data"


def test_too_few_samples() -> None:
    """Refused where no one asked for so few, a warning where someone did."""
    assert refused(clean(6, labels=None)) == "6 calibration samples are too few; give at least 7, 100 are better"
    assert warned(clean(6, labels=None, asked_for=True)).startswith("only 6 calibration samples")


def test_few_samples() -> None:
    """Below a hundred ranges still grow."""
    assert warned(clean(99)) == "only 99 calibration samples; from 100 on ranges hardly change any more"


def test_copies() -> None:
    """Counted."""
    image = clean().raw["image"]
    image[[3, 4, 5]] = image[2]
    assert warned(with_raw(clean(), image)) == "3 of 100 calibration samples are copies of others"


def test_one_sample_again_and_again() -> None:
    """There is nothing to measure a range from."""
    image = np.repeat(clean().raw["image"][:1], 100, axis=0)
    text = "all 100 calibration samples are the same; give different ones"
    assert refused(with_raw(clean(), image)) == text


def test_constant_samples() -> None:
    """A black image among others."""
    image = clean().raw["image"]
    image[7] = 3
    assert warned(with_raw(clean(), image)) == "1 of 100 calibration samples hold one value throughout"


def test_nothing_but_constant_samples() -> None:
    """However different they are from each other."""
    image = np.broadcast_to(np.linspace(0, 16, 100).reshape(-1, 1, 1, 1), (100, 8, 8, 1))
    text = "each of the 100 calibration samples holds one value throughout; give real ones"
    assert refused(with_raw(clean(), image)) == text


def test_samples_of_one_number_are_not_constant() -> None:
    """They cannot be anything else."""
    image = np.linspace(0, 16, 100).reshape(-1, 1)
    assert findings(with_raw(clean(held_out=[{"image": np.array([[0.5]])}]), image)) == []


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_no_numbers(value: float) -> None:
    """Refused with how many samples hold one, and which is the first."""
    image = clean().raw["image"].astype(np.float32)
    image[[9, 30], 2, 2] = value
    text = "2 of 100 calibration samples hold NaN or infinity, the first is sample 9; take them out or mend them"
    with np.errstate(all="ignore"):
        first, _ = findings(with_raw(clean(), image))
    assert first == Finding(True, text)


def test_no_numbers_after_preprocessing() -> None:
    """What overflows there is found there."""
    inputs = {"image": np.full((100, 8, 8, 1), np.float32(np.inf))}
    assert "hold NaN or infinity after preprocessing" in refused(dataclasses.replace(clean(), inputs=inputs))


def test_values_that_training_never_had() -> None:
    """Pixels 0…255 where 0…16 are known, for instance."""
    image = clean().raw["image"] * 15
    text = refused(with_raw(clean(), image))
    assert text.startswith("calibration samples from 0 to 240, but training had raw values from 0 to 16; give")


def test_values_scaled_already() -> None:
    """Fractions up to one where whole pixels up to sixteen are known."""
    assert "they look scaled already" in refused(with_raw(clean(), clean().raw["image"] / 16))


def test_values_that_may_be_scaled_already() -> None:
    """Zeros and ones could be meant, as pixels of a drawing."""
    image = clean().raw["image"] % 2
    assert warned(with_raw(clean(), image)).endswith("from 0 to 16: are they scaled already?")


def test_half_of_a_range_about_zero() -> None:
    """0…1 where -1…1 is known."""
    image = clean().raw["image"] / 16
    assert warned(with_raw(clean(), image, raw_ranges={"image": (-1.0, 1.0)})).endswith(
        "from -1 to 1: none is negative"
    )


def test_one_class_only() -> None:
    """Refused: the others' activations are not seen."""
    text = "all 100 calibration samples are of one class (number 4 of 10); take some of each"
    assert refused(clean(labels=np.full(100, 4))) == text


def test_missing_classes() -> None:
    """Counted, where there are samples enough for all."""
    assert warned(clean(labels=np.arange(100) % 7)) == "calibration samples of 7 of 10 classes"


def test_fewer_samples_than_classes_miss_none_that_they_could_have() -> None:
    """A hundred images for a thousand classes."""
    assert findings(clean(labels=np.arange(100), classes=1000)) == []


def test_samples_that_are_held_out_too() -> None:
    """Refused with how many and the first, whatever type they are stored in."""
    calibration = clean()
    held_out = calibration.held_out[0]["image"].astype(np.float32)
    held_out[[5, 8]] = calibration.raw["image"][[70, 40]]
    assert refused(dataclasses.replace(calibration, held_out=[{"image": held_out}])) == (
        "2 of 100 calibration samples are also among those that are to prove the file, the first is sample 40; "
        "take them out of one of the two"
    )


def test_blank_samples_may_be_in_both_sets() -> None:
    """They are alike without being the same."""
    image, held_out = clean().raw["image"], clean().held_out[0]["image"]
    image[0] = held_out[0] = 0
    assert "hold one value throughout" in warned(with_raw(clean(), image, held_out=[{"image": held_out}]))


def two_inputs(left: np.ndarray, right: np.ndarray) -> Calibration:
    raw = {"left": left, "right": right}
    return Calibration(raw, raw, {"left": (0.0, 1.0), "right": (0.0, 1.0)}, [])


def test_inputs_with_different_numbers_of_samples() -> None:
    """They belong together row by row."""
    values = np.random.default_rng(0).random((100, 4))
    text = "calibration samples: 100 for left, 99 for right; each input needs as many"
    assert refused(two_inputs(values, values[:99])) == text


def test_an_input_that_never_changes() -> None:
    """While another does; the one that is meant is named."""
    values = np.random.default_rng(0).random((100, 4))
    text = "input 'right' is the same in all 100 calibration samples"
    assert warned(two_inputs(values, np.repeat(values[:1], 100, axis=0))) == text


def test_a_finding_names_its_input_where_there_are_several() -> None:
    """Else it would have to be searched for."""
    values = np.random.default_rng(0).random((100, 4))
    assert refused(two_inputs(values, values * 2)).startswith("input 'right': calibration samples from")


def test_an_input_of_masks() -> None:
    """Each holds ones only: a warning, as the samples are in the other input."""
    values, mask = np.random.default_rng(0).random((100, 4)), np.ones((100, 4))
    calibration = dataclasses.replace(two_inputs(values, mask), raw_ranges={"left": (0.0, 1.0), "right": (0.0, 2.0)})
    texts = warnings_about(calibration)
    assert "input 'right': 100 of 100 calibration samples hold one value throughout" in texts


def test_samples_differ_where_one_input_does() -> None:
    """Rows of all inputs are compared, not those of each."""
    values = np.random.default_rng(0).random((100, 4))
    assert findings(two_inputs(values, np.tile(values[:50], (2, 1)))) == []


def test_what_is_refused_comes_first() -> None:
    """Before warnings."""
    image = clean().raw["image"] * 15
    image[1] = image[0]
    assert [finding.refused for finding in findings(with_raw(clean(), image))] == [True, False]
