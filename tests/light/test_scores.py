"""What a softmax reads, found in a .tflite file: for the proof, for calibration and for the errors of layers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edited import edited, operators_of

from dlkit.runtime.scores import gives_probabilities, scores_of
from dlkit.verify import judged


@pytest.fixture
def with_softmax(tiny_bundle: Path, tmp_path: Path) -> Callable[[Callable[[Any, Any], None]], Path]:
    """The tiny bundle's file after a change of its graph and its softmax."""

    def made(change: Callable[[Any, Any], None]) -> Path:
        file = tmp_path / "changed.tflite"
        content = (tiny_bundle / "model.tflite").read_bytes()
        file.write_bytes(edited(content, lambda model: change(model.subgraphs[0], operators_of(model, "SOFTMAX")[0])))
        return file

    return made


def beta_of(value: float) -> Callable[[Any, Any], None]:
    def change(graph: Any, softmax: Any) -> None:
        softmax.builtinOptions.beta = value

    return change


def unsaid(graph: Any, softmax: Any) -> None:
    softmax.builtinOptions, softmax.builtinOptionsType = None, 0


def test_the_scores_of_a_file_have_their_beta(with_softmax: Callable[..., Path]) -> None:
    """One tensor, that of the last layer before the softmax; a file that does not say β multiplies by 0."""
    [(name, beta)] = scores_of(with_softmax(beta_of(1.0))).items()
    assert "predictions" in name
    assert beta == 1.0
    assert scores_of(with_softmax(beta_of(0.25))) == {name: 0.25}
    assert scores_of(with_softmax(unsaid)) == {name: 0.0}


def test_what_an_output_or_another_operation_reads_too_is_no_scores(with_softmax: Callable[..., Path]) -> None:
    """It counts as it is."""

    def as_output(graph: Any, softmax: Any) -> None:
        graph.outputs = [*graph.outputs, softmax.inputs[0]]

    def of_two_betas(graph: Any, softmax: Any) -> None:
        import copy

        graph.operators.append(other := copy.deepcopy(softmax))
        graph.tensors.append(copy.deepcopy(graph.tensors[softmax.outputs[0]]))
        other.outputs, other.builtinOptions.beta = [len(graph.tensors) - 1], 0.5

    assert scores_of(with_softmax(as_output)) == {}
    assert scores_of(with_softmax(of_two_betas)) == {}


@pytest.mark.parametrize("beta", [1.0, 0.25, -1.0])
def test_scores_are_the_exponents_of_the_softmax(beta: float, with_softmax: Callable[..., Path]) -> None:
    """Times its β: what a softmax of them gives is the output, to a step of 1 / 256."""
    content = with_softmax(beta_of(beta)).read_bytes()
    found = judged(content, {"image": np.random.default_rng(0).random((5, 8, 8, 1), dtype=np.float32)})
    [(name, exponents)] = found.scores.items()
    powers = np.exp(exponents)
    assert np.abs(powers / powers.sum(axis=-1, keepdims=True) - found.outputs[name]).max() < 1 / 128
    assert found.end_in_softmax == {name}
    assert gives_probabilities(content)
