"""A step of the scores may be several of the probabilities that a softmax makes of them.

Two runtimes that round a fully connected layer otherwise (TensorFlow Lite Micro twice, LiteRT once) may give scores a
step apart; of such a pair, 2 steps of the 8-bit probabilities behind them were measured, of 64 random samples one.
So an output beyond its limit that ends in a softmax is judged by what goes into that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dlkit.errors import ConversionError, ModelFileError
from dlkit.runtime.output_steps import steps_of
from dlkit.runtime.scores import with_scores_beside
from dlkit.writing import temporary_folder

if TYPE_CHECKING:
    from numpy.typing import NDArray

Batch = Mapping[str, "NDArray[np.float32]"]
Run = Callable[[Path, Batch], Batch]
"""(file, network inputs by name) → outputs by name, in the file's order."""
ROUNDING = 5e-4
"""Half of a thousandth of a step is the rounding of its multiples to float32."""


def allowed_by_scores(file: Path, inputs: Batch, run: Run, wanted_of: Run, steps: float) -> dict[int, float]:
    """Place of an output behind a softmax → how far it may be from what the file computes by definition.

    That is `steps` of its own, and what the softmax makes of `steps` of its scores: of scores that are up to s further
    apart or nearer than they should be, a probability changes by tanh(|β| s / 2) at most, for a softmax of β.

    Args:
        run: in the device's runtime.
        wanted_of: by the kernels that it is held against.
        steps: that scores may be from theirs.

    Returns:
        Nothing where the scores are beyond that, where they are no integers, or where the runtime does not give them.
    """
    with temporary_folder() as folder:
        content, places = with_scores_beside(file.read_bytes())
        (beside := folder / "scores.tflite").write_bytes(content)
        try:
            found, wanted = run(beside, inputs), wanted_of(beside, inputs)
        except (ModelFileError, ConversionError):
            return {}
    step_of, scores = steps_of(content), list(wanted)[len(wanted) - len(places) :]
    allowed = {}
    for number, ((place, beta), name) in enumerate(zip(places.items(), scores, strict=True)):
        step = step_of.get(len(wanted) - len(places) + number, 0.0)
        gap = float(np.max(np.abs(found[name] - wanted[name])))
        if step and place in step_of and gap <= (steps + ROUNDING) * step:
            allowed[place] = (steps + ROUNDING) * step_of[place] + math.tanh(abs(beta) * steps * step / 2)
    return allowed
