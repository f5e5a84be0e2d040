"""A model file or SavedModel from elsewhere → a model that can be exported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from dlkit.conversion.describing import described
from dlkit.conversion.kinds import kind_of
from dlkit.errors import DataError, suggestion
from dlkit.networks import PIXELS
from dlkit.runtime.preprocessing import ANY_NUMBER, Preprocessing, image_behind, preprocessing_for
from dlkit.trained import Trained


def adopt(path: Path, preprocessing: str | Mapping[str, str] | None, custom: Sequence[str] = ()) -> Trained:
    """The model in a .keras, .h5 or .tflite file or a SavedModel folder; nothing in a file is executed.

    Args:
        preprocessing: how its inputs are prepared (see `recipe.DataPart`), for all inputs alike or by the input's
            name; there is no default, because a wrong guess gives wrong answers silently.
        custom: modules with the layers and functions of the user's own that a Keras model is made of; they are
            imported.

    Raises:
        ModelFileError: the file is missing, corrupt, of no kind that can be exported, or needs code of its own.
        DataError: `preprocessing` is not said, or does not fit an input.
        ConversionError: the shape of an input is open, or it is no number.
    """
    kind = kind_of(path)
    if custom and kind not in ("keras", "h5"):
        raise DataError(f"{path}: --custom is for .keras and .h5 files; what is in this one needs no code of yours")
    if preprocessing is None:
        raise DataError(
            f"{path}: say how its inputs are prepared: add --preprocessing unit (0…1), signed (-1…1), "
            "lite, caffe, torch or none (0…255)"
        )
    ends = described(path, custom)
    modes = _modes(preprocessing, ends.inputs, path)
    return Trained(
        name=path.resolve().name if kind == "saved_model" else path.stem,
        model=path,
        network="",
        recipe=None,
        inputs={name: _preprocessing(path, name, shape, modes[name]) for name, shape in ends.inputs.items()},
        labels=tuple(str(number) for number in range(ends.classes)),
        trained=True,
        custom=tuple(custom),
    )


def _modes(given: str | Mapping[str, str], shapes: Mapping[str, object], path: Path) -> dict[str, str]:
    """Input name → mode. Raises DataError for a name that no input has, or an input without a mode."""
    if isinstance(given, str):
        return dict.fromkeys(shapes, given)
    for name in given:
        if name not in shapes:
            raise DataError(f"{path}: has no input {name!r}; {suggestion(name, shapes)}")
    for name in shapes:
        if name not in given:
            raise DataError(f"{path}: say how the input {name!r} is prepared too: add --preprocessing {name}=MODE")
    return dict(given)


def _preprocessing(path: Path, name: str, shape: tuple[int, ...], mode: str) -> Preprocessing:
    """Images have pixels; other inputs are taken as they are, for what scales pixels would mean nothing there.

    An input of two dimensions is a grey image or a series, as `mode` says.
    """
    image = image_behind(shape)
    if image is not None and (len(shape) == 3 or mode != "none"):
        return preprocessing_for(mode, shape, image, PIXELS, "crop")
    if mode != "none":
        found = "×".join(str(n) for n in shape) or "a single number"
        raise DataError(
            f"{path}: the input {name!r} is no image (its shape is {found}), so there are no pixels to prepare: "
            f"add --preprocessing {name}=none and give it what it was trained on"
        )
    return preprocessing_for(mode, shape, None, ANY_NUMBER, "crop")
