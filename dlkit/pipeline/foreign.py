"""A .keras file from elsewhere → a model that can be exported."""

from __future__ import annotations

from pathlib import Path

from dlkit.errors import DataError, ModelFileError
from dlkit.runtime.preprocessing import image_behind, preprocessing_for
from dlkit.trained import Trained


def adopt(path: Path, preprocessing: str | None) -> Trained:
    """The model in a .keras file; nothing in the file is executed.

    Args:
        preprocessing: how its inputs are prepared (see `recipe.DataPart`); there is no default,
            because a wrong guess gives wrong answers silently.

    Raises:
        ModelFileError: the file is missing, corrupt or needs code of its own.
        DataError: `preprocessing` is not said, or does not fit the input, or the input is no image.
    """
    if not path.is_file():
        raise ModelFileError(f"there is no file {path}")
    if preprocessing is None:
        raise DataError(
            f"{path}: say how its inputs are prepared: add --preprocessing unit (0…1), signed (-1…1), "
            "lite, caffe, torch or none (0…255)"
        )
    from dlkit.conversion.tflite import load_model

    model = load_model(path)
    shape = tuple(int(n) for n in model.inputs[0].shape[1:])
    if image_behind(shape) is None:
        found = "×".join(str(n) for n in shape)
        raise DataError(f"{path}: takes inputs of shape {found}; a model from elsewhere is exported if it reads images")
    output = model.outputs[0].shape
    classes = output[1] if len(output) == 2 and output[1] > 1 else 0
    return Trained(
        name=path.stem,
        model=path,
        network="",
        recipe=None,
        preprocessing=preprocessing_for(preprocessing, shape, image_behind(shape), (0.0, 255.0), "crop"),
        labels=tuple(str(number) for number in range(classes)),
        trained=True,
    )
