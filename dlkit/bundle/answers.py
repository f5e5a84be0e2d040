"""What a model answers to one sample, as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from dlkit.bundle.loading import Bundle
from dlkit.errors import ModelFileError
from dlkit.runtime.streaming import Stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEW_NUMBERS = 16
"""As many are printed; of more, for instance a picture, the shape and the range."""


def answers_text(outputs: Mapping[str, NDArray[np.float32]], labels: tuple[str, ...], count: int) -> str:
    """One sample's outputs by name in a line, see `answer_text`; the names are said where there are several."""
    if len(outputs) == 1:
        return answer_text(next(iter(outputs.values())), labels, count)
    return "  ".join(f"{name}: {answer_text(values, (), count)}" for name, values in outputs.items())


def stream_texts(stream: Stream, sequence: NDArray[np.float32], bundle: Bundle, count: int) -> Iterator[str]:
    """A line for each step of a sequence of network inputs, (steps, features): what is known by then."""
    stream.reset()
    for number, x in enumerate(sequence, start=1):
        yield f"step {number}  {answers_text(bundle.told(stream.step(x)), bundle.labels, count)}"


def answer_text(outputs: NDArray[np.float32], labels: tuple[str, ...], count: int) -> str:
    """One sample's outputs in a line: the `count` best classes; where there are no labels, the numbers.

    Raises what `top_classes` does.
    """
    if labels:
        return "  ".join(f"{label} {value:.4f}" for label, value in top_classes(outputs, labels, count))
    check_numbers(outputs)
    if outputs.size <= FEW_NUMBERS:
        return "  ".join(f"{value:.4f}" for value in outputs.flat)
    shape = "×".join(str(n) for n in outputs.shape)
    return f"{shape} numbers from {outputs.min():.4f} to {outputs.max():.4f}"


def top_classes(outputs: NDArray[np.float32], labels: tuple[str, ...], count: int) -> list[tuple[str, float]]:
    """The `count` highest of one sample's outputs (classes,) with their labels, highest first.

    Raises ModelFileError unless there is a label for each output and each output is a number.
    """
    if outputs.shape != (len(labels),):
        raise ModelFileError(
            f"the model's output has the shape {outputs.shape}, but the bundle has {len(labels)} labels"
        )
    check_numbers(outputs)
    order = np.argsort(-outputs, kind="stable")[:count]
    return [(labels[i], float(outputs[i])) for i in order]


def check_numbers(outputs: NDArray[np.float32]) -> None:
    """Raise ModelFileError unless each output is a number."""
    if not np.isfinite(outputs).all():
        raise ModelFileError("the model's output holds NaN or infinity; its weights are broken: export it again")
