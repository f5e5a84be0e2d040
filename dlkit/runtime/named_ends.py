"""What a loaded model of any format has in common: inputs and outputs by name, and what it refuses to take."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.errors import DataError
from dlkit.runtime.dtypes import TensorFormat

if TYPE_CHECKING:
    from numpy.typing import NDArray


class NamedEnds(abc.ABC):
    """A model that takes samples by input name and answers by output name; a subclass runs it.

    Attributes:
        inputs, outputs: name → format, in the file's order; shapes are of one sample, with a batch of 1.
        backend: what computes it, as people call it.
    """

    backend: str

    inputs: dict[str, TensorFormat]
    outputs: dict[str, TensorFormat]
    _name: str

    @property
    def input(self) -> TensorFormat:
        """The one input. Raises DataError if there are several."""
        return self.inputs[_only_name(self.inputs, self._name, "inputs")]

    @property
    def output(self) -> TensorFormat:
        """The one output. Raises DataError if there are several."""
        return self.outputs[_only_name(self.outputs, self._name, "outputs")]

    def run(self, batch: NDArray[Any], advance: Callable[[int, int], None] | None = None) -> NDArray[np.float32]:
        """`run_named` for a file of one input and one output: (N, *shape) → (N, *shape) float32."""
        _only_name(self.outputs, self._name, "outputs")
        [outputs] = self.run_named({_only_name(self.inputs, self._name, "inputs"): batch}, advance).values()
        return outputs

    @abc.abstractmethod
    def run_named(
        self, batch: Mapping[str, NDArray[Any]], advance: Callable[[int, int], None] | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """Network inputs by name, (N, *shape) each → outputs by name, (N, *shape) float32.

        Raises DataError for another name, shape or number of samples, for NaN, infinity, or a fraction where the
        file takes whole numbers; ModelFileError if the runtime fails on the file.
        """

    @abc.abstractmethod
    def set_inputs(self, sample: Mapping[str, NDArray[Any]]) -> None:
        """Put one sample, (*shape) for each input, into the model's inputs."""

    @abc.abstractmethod
    def invoke(self) -> None:
        """One inference on whatever the input holds; for timing."""

    def _checked(self, batch: Mapping[str, NDArray[Any]]) -> int:
        """The number of samples in `batch`; raises as `run_named` does."""
        if batch.keys() != self.inputs.keys():
            raise DataError(f"inputs called {', '.join(batch)}, but the model takes {', '.join(self.inputs)}")
        for name, samples in batch.items():
            which, wanted = f" {name!r}" if len(batch) > 1 else "", self.inputs[name].shape[1:]
            if samples.shape[1:] != wanted:
                raise DataError(f"input{which} of shape {samples.shape[1:]}, but the model takes {wanted}")
            if not np.isfinite(samples).all():
                raise DataError(f"input{which} with NaN or infinite values")
            if self.inputs[name].counts and not np.array_equal(samples, np.round(samples)):
                raise DataError(f"input{which} with fractions, but the model takes whole numbers")
        counts = {len(samples) for samples in batch.values()}
        if len(counts) > 1:
            raise DataError(f"inputs of {' and '.join(map(str, sorted(counts)))} samples; each needs as many")
        return counts.pop()


def _only_name(ends: Mapping[str, TensorFormat], where: str, kind: str) -> str:
    if len(ends) != 1:
        raise DataError(f"{where}: has {len(ends)} {kind} ({', '.join(ends)}); give or take them by name")
    return next(iter(ends))
