"""A recurrent network on a stream: fed step by step, it keeps its state from one step to the next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.errors import ModelFileError
from dlkit.runtime.litert import Session

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Stream:
    """A step's file and the states that go with it.

    >>> stream = dlkit.load("exported/words/cpu-int8").stream()  # doctest: +SKIP
    >>> for row in rows:                                         # doctest: +SKIP
    ...     answer = stream.step(row)["output"]

    Attributes:
        shape: of one step, without the batch.

    Raises:
        ModelFileError: the file has other names than is said of it.
    """

    def __init__(self, session: Session, described: Mapping[str, Any]) -> None:
        """`described`: names of the file's "input", "states" and "outputs", as in a manifest's "streaming"."""
        self._session = session
        self._input: str = described["input"]
        self._next: dict[str, str] = {name: state["next"] for name, state in described["states"].items()}
        self._outputs: dict[str, str] = dict(described["outputs"])
        self._sequences = frozenset(described["sequences"])
        given, found = {self._input, *self._next}, {*self._outputs, *self._next.values()}
        if session.inputs.keys() != given or session.outputs.keys() != found:
            raise ModelFileError(
                f"the file of one step takes {', '.join(session.inputs)} and gives {', '.join(session.outputs)}, "
                "not what its bundle says; export the bundle again"
            )
        self.shape = session.inputs[self._input].shape[1:]
        self._states: dict[str, NDArray[np.float32]] = {}
        self.reset()

    def reset(self) -> None:
        """Forget what was seen: the next step is the first of another sequence."""
        self._states = {name: np.zeros(self._session.inputs[name].shape[1:], np.float32) for name in self._next}

    def step(self, x: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
        """One step's network input, (features,) → output name → (...) float32, what is known by now.

        Raises DataError for another shape, NaN or infinity.
        """
        given = {self._input: np.asarray(x), **self._states}
        found = self._session.run_named({name: values[np.newaxis] for name, values in given.items()})
        self._states = {name: found[following][0] for name, following in self._next.items()}
        return {name: found[key][0] for key, name in self._outputs.items()}

    def run(
        self, sequence: NDArray[Any], seen: dict[str, list[NDArray[Any]]] | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """A sequence from its start, (steps, features) → output name → (...) after the last step.

        Outputs that have a step axis are (steps, ...). What goes into the file at each step is added to `seen`.
        """
        self.reset()
        every: list[dict[str, NDArray[np.float32]]] = []
        for x in sequence:
            if seen is not None:
                for name, values in {self._input: x, **self._states}.items():
                    seen.setdefault(name, []).append(values)
            every.append(self.step(x))
        return {
            name: np.stack([found[name] for found in every]) if name in self._sequences else values
            for name, values in every[-1].items()
        }
