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
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from dlkit.errors import DataError, RecipeError
from dlkit.reading import read_arguments
from dlkit.shelf import Shelf, entries_of_modules

if TYPE_CHECKING:
    import keras

COUNT, FRACTION = (1, math.inf), (0, 1)
"""What a whole number and what any other number among a builder's options can be, if nothing else is said."""
PIXELS = (0.0, 255.0)
"""Smallest and largest value of a pixel in an image file."""
WIDTH = {"width": (0.05, 4.0)}
"""The range of a `width` that multiplies the filters of a network."""

Task = Literal["classification", "forecasting", "reconstruction", "generation", "discrimination"]
"""What the outputs are: a score a class; the values to come; the input again; a sample; real or made."""


@dataclasses.dataclass(frozen=True)
class Network:
    """A builder and what is known about the model it builds by default.

    Attributes:
        name: the builder's function name.
        family: the family it is listed under, for instance "VGG".
        builder: the function; its keyword arguments are the network's options.
        input: canonical input shape without the batch, for instance (224, 224, 3).
        classes: canonical number of classes; 0 where there are none.
        parameters: all weights, trained and not (what Keras calls `count_params`).
        trainable: those that training changes; the others are statistics of batch normalisation.
        multiply_adds: of convolution, dense and recurrent kernels for one input (bias,
            normalisation, activation and pooling excluded).
        paper: authors, year and identifier, with the table that is followed.
        reference: the implementation that is followed where the paper leaves a choice.
        task: what the outputs are.
        variant: where several networks go by this name, which of them this is, and why.
        small: options that make it small enough to be trained, converted and run in a test.
        applications: its name in `keras.applications`, whose weights fit; "" if it is not there.
        applications_options: what makes that the same network.
        preprocessing: how the published weights want their input (see `recipe.DataPart`); what is for
            colour alone becomes "unit" where the input is not.
        raw_range: smallest and largest raw value of an input; pixels unless stated.
        smallest: smallest height and width the architecture allows; 1 if there is no limit.
        ranges: lowest and highest value of options that are neither a count (whole, from 1) nor a
            fraction (from 0 to 1).
    """

    name: str
    family: str
    builder: Callable[..., keras.Model]
    input: tuple[int, ...]
    parameters: int
    trainable: int
    multiply_adds: int
    paper: str
    reference: str
    small: Mapping[str, Any]
    classes: int = 0
    task: Task = "classification"
    variant: str = ""
    applications: str = ""
    applications_options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    preprocessing: str = "unit"
    raw_range: tuple[float, float] = PIXELS
    smallest: int = 1
    ranges: Mapping[str, tuple[float, float]] = dataclasses.field(default_factory=dict)

    @property
    def options(self) -> dict[str, Any]:
        """The builder's options with their defaults, `input_shape` and `classes` among them."""
        parameters = inspect.signature(self.builder).parameters.values()
        return {parameter.name: parameter.default for parameter in parameters}

    @property
    def is_conditional(self) -> bool:
        """Whether it makes samples of a class that it is told, one-hot, by the last numbers of its input."""
        return self.task == "generation" and "classes" in self.options

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
        if self.gives_scores(arguments):
            self._check_scores(model, arguments.get("classes", self.classes), where)
        return model

    def gives_scores(self, options: Mapping[str, Any]) -> bool:
        """Whether the model built with these options gives one score a class."""
        return self.task == "classification" and bool(options.get("include_top", True))

    def _check_scores(self, model: keras.Model, classes: int, where: str) -> None:
        """Raise DataError unless the first output is one score a class; auxiliary heads come after it."""
        shape = model.output_shape[0] if isinstance(model.output_shape, list) else model.output_shape
        if shape != (None, classes):
            raise DataError(
                f"{where}: {self.name} with these options computes {shape}, not one score a class {(None, classes)}"
            )

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


def network(like: Callable[..., Any] | None = None, **facts: Any) -> Callable[[Builder], Builder]:
    """Put a builder on the shelf; `facts` are the attributes of `Network` but for name and builder.

    Args:
        like: the function of the builder's family, to which it passes its `**options`; the builder
            then has the signature of that function's keyword-only arguments.
    """

    def put(builder: Builder) -> Builder:
        if like is not None:
            _take_options(builder, like)
        builder.entry = Network(name=builder.__name__, builder=builder, **facts)  # type: ignore[attr-defined]
        return builder

    return put


def _take_options(builder: Callable[..., Any], like: Callable[..., Any]) -> None:
    signature = inspect.signature(like)
    options = [p for p in signature.parameters.values() if p.kind is inspect.Parameter.KEYWORD_ONLY]
    builder.__signature__ = signature.replace(parameters=options)  # type: ignore[attr-defined]
    builder.__annotations__ = {p.name: p.annotation for p in options} | {"return": signature.return_annotation}


NETWORKS: Shelf[Network] = Shelf(
    "network", lambda: entries_of_modules("dlkit.networks", Network, lambda network: network.name)
)
