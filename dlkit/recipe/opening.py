"""From the [data] of a recipe to its dataset: that of the shelf, or what a source finds at its options."""

from __future__ import annotations

import math
from typing import Any

from dlkit.datasets import DATASETS, Dataset, Source, Wanted
from dlkit.errors import RecipeError
from dlkit.networks import NETWORKS
from dlkit.reading import read_dataclass
from dlkit.recipe.parts import DataPart, Recipe

MOST_NUMBERS = 2**26
"""Of an image, as `runtime.preprocessing` has it, which needs numpy."""


def opened(recipe: Recipe, where: str = "") -> Dataset:
    """The recipe's dataset; its samples are not loaded, but what it is known by may have to be.

    Args:
        where: the recipe's file, for messages; without it the recipe's name.

    Raises:
        RecipeError: an option is unknown, missing or of the wrong type.
        DataError: there is nothing at these options, or it is not good.
    """
    where = where or f"recipe {recipe.name}"
    entry, options = DATASETS[recipe.data.name], read_data_options(recipe.data, where)
    if isinstance(entry, Dataset):
        return entry
    part = recipe.data
    return entry.open(options, Wanted(_image(recipe, where), part.resize, part.preprocessing == "standard"))


def read_data_options(part: DataPart, where: str) -> Any:
    """The options as the source's dataclass, None for a dataset that has none. Raises RecipeError."""
    entry = DATASETS[part.name]
    if isinstance(entry, Source):
        return read_dataclass(entry.options, part.options, where, "data.options")
    if part.options:
        raise RecipeError(f"{where}: unknown key 'data.options.{next(iter(part.options))}'; {part.name} takes none")
    return None


def shape_for(wanted: tuple[int, ...], sample: tuple[int, ...], *, of_sounds: bool = False) -> tuple[int, ...]:
    """The shape of a sample as a network of inputs like `wanted` takes it.

    An image is a sequence of its rows, and the features of a sound are a picture of one channel.
    """
    if of_sounds and len(wanted) == 3:
        return (*sample, 1)
    if len(wanted) == 2 and len(sample) == 3:
        height, width, channels = sample
        return height, width * channels
    return sample


def _image(recipe: Recipe, where: str) -> tuple[int, int, int] | None:
    """(height, width, channels) of the images that are wanted, None if there are none.

    What data.options.image_shape says, else the network's options, else its own input.
    """
    network, key = NETWORKS[recipe.network.name], "input_shape"
    if network.task == "generation":
        key = "image_shape"
    canonical = network.options[key]
    stated = recipe.network.options.get(key)
    given = recipe.data.options.get("image_shape")
    if given is not None:
        image = _image_of(tuple(given))
        if image is None:
            raise RecipeError(
                f"{where}: data.options.image_shape = {list(given)} must be "
                f"[HEIGHT, WIDTH, CHANNELS], of 1 or 3 channels and at most {MOST_NUMBERS:,} numbers"
            )
        if stated is not None and tuple(stated) != shape_for(canonical, image):
            raise RecipeError(
                f"{where}: network.options.{key} = {list(stated)}, but data.options.image_shape = {list(given)}; "
                "leave one of them out"
            )
        return image
    shape = tuple(stated) if isinstance(stated, (list, tuple)) else canonical
    return _image_of((*shape, 1) if len(shape) == 2 else shape)


def _image_of(shape: tuple[Any, ...]) -> tuple[int, int, int] | None:
    whole = len(shape) == 3 and all(type(n) is int and n > 0 for n in shape)
    if whole and shape[2] in (1, 3) and math.prod(shape) <= MOST_NUMBERS:
        return shape[0], shape[1], shape[2]
    return None
