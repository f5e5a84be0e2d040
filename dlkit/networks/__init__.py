"""The shelf of networks: plain Keras 3 builders with their facts beside them.

A builder is a function named like the paper's network that returns a `keras.Model` and holds the
network and nothing else. `@network(...)` puts it on the shelf under the function's own name; the
tests hold the stated facts against the built model.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from dlkit.errors import DataError, RecipeError
from dlkit.reading import read_arguments
from dlkit.shelf import Shelf, entries_of_modules

if TYPE_CHECKING:
    import keras

COUNT, FRACTION = (1, math.inf), (0, 1)
"""What a whole number and what any other number among a builder's options can be, if nothing else is said."""


@dataclasses.dataclass(frozen=True)
class Network:
    """A builder and what is known about the model it builds by default.

    Attributes:
        name: the builder's function name.
        family: the family it is listed under, for instance "VGG".
        builder: the function; its keyword arguments are the network's options.
        input: canonical input shape without the batch, for instance (224, 224, 3).
        classes: canonical number of classes.
        parameters: all weights, trained and not (what Keras calls `count_params`).
        multiply_adds: of convolution, dense and recurrent kernels for one input (bias,
            normalisation, activation and pooling excluded).
        paper: authors, year and identifier, with the table that is followed.
        preprocessing: how the published weights want their input (see `runtime.preprocessing`).
        smallest: smallest height and width the architecture allows; 1 if there is no limit.
        ranges: lowest and highest value of options that are neither a count (whole, from 1) nor a
            fraction (from 0 to 1).
    """

    name: str
    family: str
    builder: Callable[..., keras.Model]
    input: tuple[int, ...]
    classes: int
    parameters: int
    multiply_adds: int
    paper: str
    preprocessing: str = "unit"
    smallest: int = 1
    ranges: Mapping[str, tuple[float, float]] = dataclasses.field(default_factory=dict)

    @property
    def options(self) -> dict[str, Any]:
        """The builder's options with their defaults, `input_shape` and `classes` among them."""
        parameters = inspect.signature(self.builder).parameters.values()
        return {parameter.name: parameter.default for parameter in parameters}

    def build(self, options: dict[str, Any], where: str = "network options") -> keras.Model:
        """The model. Raises what `read_options` does, and DataError for options that cannot be together."""
        arguments = self.read_options(options, where)
        shape = arguments.get("input_shape", self.input)
        if len(shape) != len(self.input):
            raise DataError(f"{where}: {self.name} takes inputs like {self.input}, not {shape}")
        if len(shape) == 3 and min(shape[:2]) < self.smallest:
            least = f"{self.smallest}×{self.smallest}"
            raise DataError(f"{where}: {self.name} needs inputs of at least {least}, not {shape[0]}×{shape[1]}")
        try:
            model = self.builder(**arguments)
        except ValueError as error:  # Keras says what is wrong with the value of an option, over several lines
            reason = next(iter(str(error).strip().splitlines()), "")
            raise DataError(f"{where}: {self.name} cannot be built with these options: {reason}") from None
        scores = (None, arguments.get("classes", self.classes))
        if model.output_shape != scores:
            raise DataError(
                f"{where}: {self.name} with these options computes {model.output_shape}, not one score a class {scores}"
            )
        return model

    def read_options(self, options: dict[str, Any], where: str) -> dict[str, Any]:
        """`options` as the builder's arguments. Raises RecipeError for one unknown, mistyped or out of its range."""
        arguments = read_arguments(self.builder, options, where, "network.options")
        for name, value in arguments.items():
            for number in value if isinstance(value, tuple) else (value,):
                self._check_range(name, number, where)
        return arguments

    def _check_range(self, name: str, value: Any, where: str) -> None:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return
        low, high = self.ranges.get(name, COUNT if isinstance(value, int) else FRACTION)
        if not low <= value <= high:
            wanted = f"at least {low}" if high == math.inf else f"from {low} to {high}"
            raise RecipeError(f"{where}: network.options.{name} = {value!r} must be {wanted}")


Builder = TypeVar("Builder", bound=Callable[..., Any])


def network(**facts: Any) -> Callable[[Builder], Builder]:
    """Put a builder on the shelf; `facts` are the attributes of `Network` but for name and builder."""

    def put(builder: Builder) -> Builder:
        builder.entry = Network(name=builder.__name__, builder=builder, **facts)  # type: ignore[attr-defined]
        return builder

    return put


NETWORKS: Shelf[Network] = Shelf(
    "network", lambda: entries_of_modules("dlkit.networks", Network, lambda network: network.name)
)
