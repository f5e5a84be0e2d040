"""Writing a Keras model as a .keras file whose bytes depend on the model and the version of Keras alone.

`model.save` writes the time of day and addresses of memory into it.
"""

from __future__ import annotations

import json
import math
import shutil
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from dlkit.filing import CHUNK_BYTES
from dlkit.writing import check_room

if TYPE_CHECKING:
    import keras

DATE = "1980-01-01@00:00:00"
"""Instead of the time of day: the first date of a zip archive. `keras.saving.KerasFileEditor` wants one."""


def write_keras(model: keras.Model, path: Path) -> None:
    """Write `model`, with the state of its optimizer if it is compiled, to `path`; its folder must be the writer's own.

    The format is that of Keras 3: metadata.json, config.json and model.weights.h5, not compressed.

    Raises:
        OSError: it does not fit, twice: the archive, and beside it the weights that go into it.
    """
    import keras

    weights = path.with_suffix(".weights.h5")
    check_room(path.parent, 2 * [_size_of_weights(model)])  # on a full disk HDF5 ends the process
    model.save_weights(weights)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {
            "metadata.json": {"keras_version": keras.__version__, "date_saved": DATE},
            "config.json": keras.saving.serialize_keras_object(model),
        }.items():
            archive.writestr(zipfile.ZipInfo(name), json.dumps(content))
        with (
            weights.open("rb") as source,
            archive.open(zipfile.ZipInfo("model.weights.h5"), "w", force_zip64=True) as part,
        ):
            shutil.copyfileobj(source, part, CHUNK_BYTES)
    weights.unlink()


def _size_of_weights(model: keras.Model) -> int:
    """Bytes of the variables of `model` and its optimizer, with a page for the name and the place of each."""
    optimizer = getattr(model, "optimizer", None)  # Keras gives it to a model that is compiled
    variables = [*model.variables, *(optimizer.variables if optimizer else ())]
    return sum(math.prod(variable.shape) * 4 + 4096 for variable in variables)
