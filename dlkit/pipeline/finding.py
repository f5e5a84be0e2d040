"""Which model is meant: by its name, its file or folder, a recipe, or a Keras model in memory."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from dlkit.conversion.kinds import looks_like_model
from dlkit.errors import DataError, ModelFileError
from dlkit.progress import SILENT, Progress
from dlkit.recipe import Recipe, different_keys, read_recipe
from dlkit.trained import Trained, find_model, is_ours, load_trained, newest_model
from dlkit.writing import temporary_folder

if TYPE_CHECKING:
    import keras

Model: TypeAlias = "Trained | str | Path | keras.Model | None"
"""What may be said to be the model, see `found_model`."""


def is_foreign(path: Path) -> bool:
    """Whether `path` is a model file or folder that dlkit did not write."""
    return looks_like_model(path) and not (path.name == "model.keras" and is_ours(path.parent))


@contextlib.contextmanager
def found_model(
    model: Model,
    out: Path,
    preprocessing: str | Mapping[str, str] | None = None,
    custom: Sequence[str] = (),
    overrides: Sequence[str] = (),
    progress: Progress = SILENT,
) -> Iterator[Trained]:
    """The model that is meant, while the block runs.

    Args:
        model: a model of ours; the name of one in the folder of models `out`, or its folder; a .toml recipe that was
            trained; a .keras, .h5 or .tflite file or a SavedModel folder from elsewhere; a Keras model, which
            is saved to a temporary file; None for the model of `out` that was built or trained last.
        preprocessing: how the inputs of a model from elsewhere are prepared, see `foreign.adopt`.
        custom: modules with the layers and functions of the user's own that such a model is made of.
        overrides: "key=value" for a recipe.

    Raises:
        DataError: `preprocessing` or `custom` for a model that has its own; or none where it is needed.
        ModelFileError, ConversionError: there is no such model, or it cannot be read.
    """
    if model is not None and not isinstance(model, Trained | str | Path):
        with _in_a_file(model) as path:
            yield _adopted(path, preprocessing, custom, progress)
        return
    if isinstance(model, str | Path) and is_foreign(Path(model)):
        yield _adopted(Path(model), preprocessing, custom, progress)
        return
    for option, given in (("preprocessing", preprocessing), ("custom", custom)):
        if given:
            raise DataError(f"{option} is for a model from elsewhere; a model made here has its own")
    yield _of_ours(model, out, overrides)


def _of_ours(model: Trained | str | Path | None, out: Path, overrides: Sequence[str]) -> Trained:
    if isinstance(model, Trained):
        return model
    if model is None:
        return load_trained(newest_model(out))
    path = Path(model)
    if path.suffix == ".toml":
        recipe = read_recipe(str(model), tuple(overrides))
        return as_recipe_says(load_trained(out / recipe.name), recipe)
    if path.suffix == ".keras":
        return load_trained(path.parent)
    return load_trained(find_model(str(model), out))


def _adopted(
    path: Path, preprocessing: str | Mapping[str, str] | None, custom: Sequence[str], progress: Progress
) -> Trained:
    from dlkit.pipeline.foreign import adopt

    with progress.step(f"Reading {path}"):
        return adopt(path, preprocessing, custom)


@contextlib.contextmanager
def _in_a_file(model: keras.Model) -> Iterator[Path]:
    """A .keras file of a model in memory, called like the model."""
    from dlkit.frameworks import keras

    if not isinstance(model, keras.Model):
        raise DataError(
            f"model is of type {type(model).__name__}; give a Keras 3 model, the name or path of one, or a Trained"
        )
    with temporary_folder() as folder:
        path = folder / f"{re.sub(r'[^A-Za-z0-9_.-]', '_', model.name)}.keras"
        model.save(path)
        yield path


def as_recipe_says(trained: Trained, recipe: Recipe) -> Trained:
    """`trained` with those tables of `recipe` that no training depends on: [export], [expect], [measure].

    Raises ModelFileError if the rest is not what trained it.
    """
    without_effect = ("export", "expect", "measure")
    different = different_keys(trained.recipe, recipe, without_effect) if trained.recipe else ["recipe"]
    if different:
        raise ModelFileError(
            f"{trained.model} was made with other values of {', '.join(different)}; train it again with --force, "
            f"or export it as it is: dlkit export {trained.name}"
        )
    return dataclasses.replace(trained, recipe=recipe)
