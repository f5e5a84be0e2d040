"""What a model from elsewhere takes and gives, so that its samples can be prepared before it is converted."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from dlkit.conversion.child import run_task
from dlkit.conversion.contents import bounded_memory
from dlkit.conversion.custom_code import as_argument
from dlkit.conversion.given_tflite import check_float
from dlkit.conversion.kinds import kind_of
from dlkit.errors import ConversionError, DlkitError, EndedBySystem, ModelFileError
from dlkit.progress import Advance, ignore
from dlkit.runtime.litert import Session
from dlkit.writing import temporary_folder

TIME_LIMIT_S = 600.0
"""Loading takes seconds."""


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
    """The ends of the model at `path`, which a child process reads unless it is a .tflite file.

    Args:
        custom: modules of the user's own code, imported for a Keras file.

    Raises:
        ModelFileError, ConversionError: as `tflite.load_model`, `saved_models.ends_of` and
            `given_tflite.check_float` do; or native code crashed on it.
    """
    if kind_of(path) == "tflite":
        check_float(path)
        session = Session(path)
        return Ends(
            {name: end.shape[1:] for name, end in session.inputs.items()},
            {name: end.shape[1:] for name, end in session.outputs.items()},
        )
    with temporary_folder() as folder:
        told = folder / "ends.json"
        try:
            run_task(
                f"{__name__}:read", ignore, TIME_LIMIT_S, model=str(path), ends=str(told), custom=as_argument(custom)
            )
        except (ConversionError, EndedBySystem) as error:
            if str(error).startswith("describing read "):  # it did not say it itself
                raise ModelFileError(f"{path}: cannot be read: {error}") from None
            raise
        table = json.loads(told.read_text(encoding="utf-8"))
    return Ends(*({name: tuple(shape) for name, shape in table[end].items()} for end in ("inputs", "outputs")))


def read(model: str, ends: str, custom: str, advance: Advance) -> None:
    """The child's side: the ends of a model that is no .tflite file, as JSON."""
    path = Path(model)
    try:
        with bounded_memory(path):
            found = _of_saved_model(path) if kind_of(path) == "saved_model" else _of_keras(path, custom)
    except DlkitError:
        raise
    except Exception as error:  # protobuf, Keras and TensorFlow raise what they raise; each is about the file
        reason = next(iter(str(error).strip().splitlines()), "")[:300] or type(error).__name__
        raise ModelFileError(f"{path}: cannot be read: {reason}") from None
    Path(ends).write_text(json.dumps(dataclasses.asdict(found)), encoding="utf-8")


def _of_saved_model(path: Path) -> Ends:
    from dlkit.conversion.saved_models import ends_of

    inputs, outputs = ends_of(path)
    return Ends({name: end.shape for name, end in inputs.items()}, {name: end.shape for name, end in outputs.items()})


def _of_keras(path: Path, custom: str) -> Ends:
    from dlkit.conversion.named_ends import input_names, output_names
    from dlkit.conversion.tflite import load_model

    model = load_model(path, custom)
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
