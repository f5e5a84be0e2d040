"""What a model from elsewhere takes and gives, so that its samples can be prepared before it is converted."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from dlkit.conversion.custom_code import as_argument
from dlkit.conversion.given_tflite import check_float
from dlkit.conversion.kinds import kind_of
from dlkit.errors import ConversionError
from dlkit.runtime.litert import Session


@dataclasses.dataclass(frozen=True)
class Ends:
    """The inputs and outputs of a model, without their batch.

    Attributes:
        inputs: name → shape.
        outputs: name → shape.
    """

    inputs: dict[str, tuple[int, ...]]
    outputs: dict[str, tuple[int, ...]]

    @property
    def classes(self) -> int:
        """Of the one output; 0 if there are several, or if it is no row of numbers."""
        shapes = list(self.outputs.values())
        return shapes[0][0] if len(shapes) == 1 and len(shapes[0]) == 1 and shapes[0][0] > 1 else 0


def described(path: Path, custom: Sequence[str] = ()) -> Ends:
    """The ends of the model at `path`; TensorFlow is imported unless that is a .tflite file.

    Args:
        custom: modules of the user's own code, imported for a Keras file.

    Raises:
        ModelFileError, ConversionError: as `tflite.load_model`, `saved_models.ends_of` and
            `given_tflite.check_float` do.
    """
    kind = kind_of(path)
    if kind == "tflite":
        check_float(path)
        session = Session(path)
        return Ends(
            {name: end.shape[1:] for name, end in session.inputs.items()},
            {name: end.shape[1:] for name, end in session.outputs.items()},
        )
    if kind == "saved_model":
        from dlkit.conversion.saved_models import ends_of

        inputs, outputs = ends_of(path)
        return Ends(
            {name: end.shape for name, end in inputs.items()}, {name: end.shape for name, end in outputs.items()}
        )
    from dlkit.conversion.named_ends import input_names, output_names
    from dlkit.conversion.tflite import load_model

    model = load_model(path, as_argument(custom))
    for name, tensor in zip(output_names(model), model.outputs, strict=True):
        if None in tensor.shape[1:]:
            raise ConversionError(
                f"{path}: the shape of the output {name!r} {tensor.shape} depends on the data; a file for a device has "
                "fixed shapes: leave that last step to the program around it"
            )
    return Ends(
        {name: tuple(t.shape[1:]) for name, t in zip(input_names(model), model.inputs, strict=True)},
        {name: tuple(t.shape[1:]) for name, t in zip(output_names(model), model.outputs, strict=True)},
    )
