"""What a training can be taken up from: its whole state after an epoch, in a folder of files that are whole or absent.

A file is an .npz: every variable of the model and its optimizers in their order, those of the best epoch where
they are kept, and `facts`, a JSON text with the recipe and the history so far.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit import leftovers
from dlkit.errors import DlkitError, OutputError
from dlkit.recipe import Recipe, otherwise_trained, recipe_from
from dlkit.runtime.arrays import read_npz
from dlkit.trained import is_history
from dlkit.writing import ELSEWHERE, explained, folder_for, new_file, settle

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Arrays = list[NDArray[Any]]


LARGEST_BYTES = 2**40


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """The state after an epoch.

    Attributes:
        history: one entry for each epoch that is done.
        state: every variable, in the order in which the training has them.
        best: the model's variables after its best epoch; [] if the recipe keeps the last ones.
    """

    history: list[dict[str, float]]
    state: Arrays
    best: Arrays

    @property
    def epochs(self) -> int:
        """Number that is done."""
        return len(self.history)


@dataclasses.dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of a recipe's training in `folder`."""

    folder: Path
    recipe: Recipe

    def write(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint, and of the older ones as many as the recipe says."""
        facts = {"recipe": self.recipe.as_dict(), "history": checkpoint.history, "best": len(checkpoint.best)}
        path = self.folder / f"epoch-{checkpoint.epochs:06d}.npz"
        arrays = {f"{number:06d}": values for number, values in enumerate([*checkpoint.best, *checkpoint.state])}
        with new_file(path) as new, explained(path), new.open("wb") as file:
            np.savez(file, facts=np.frombuffer(json.dumps(facts).encode(), np.uint8), **arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())  # or, where the power fails, the name could be there before the content
        for old in self._files()[self.recipe.training.checkpoints :]:
            with contextlib.suppress(OSError):
                old.unlink()

    def newest(self) -> Checkpoint | None:
        """The last one that is whole; None if there is none.

        Raises OutputError if it is of a training with other values.
        """
        for path in self._files():
            read = _read(path)
            if read is None:
                continue
            recipe, checkpoint = read
            if different := otherwise_trained(recipe, self.recipe):
                raise OutputError(
                    f"{path} is of a training with other values of {', '.join(different)}; go on with those, or start "
                    "over with --force"
                )
            return checkpoint
        return None

    def damaged(self) -> list[Path]:
        """Those that `newest` passes over because they are not whole, newest first."""
        return list(itertools.takewhile(lambda path: _read(path) is None, self._files()))

    def refuse(self) -> None:
        """Raise OutputError if a training could be taken up here."""
        if files := self._files():
            done = int(files[0].stem.removeprefix("epoch-"))
            raise OutputError(
                f"{self.folder} holds a training that was stopped after epoch {done}; go on with --resume, or "
                "start over with --force"
            )

    def clear(self) -> None:
        """Remove them all, and the folder unless it is held or somebody has put something else into it."""
        with contextlib.suppress(OSError):
            settle(self.folder)
            for path in self._files():
                path.unlink()
            self.folder.rmdir()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Be the only process that trains here while the block runs.

        Raises OutputError if another one does, or if the folder cannot be written.
        """
        with folder_for(self.folder), leftovers.held(self.folder) as is_ours:
            if not is_ours:
                raise OutputError(
                    f"another process trains {self.folder.parent}; wait until it is over, or choose another place with "
                    f"{ELSEWHERE}"
                )
            try:
                yield
            finally:
                if not self._files():
                    leftovers.let_go(self.folder)

    def _files(self) -> list[Path]:
        """Newest first."""
        found = self.folder.glob("epoch-*.npz")
        return sorted(
            (path for path in found if re.fullmatch(r"epoch-\d{6,}", path.stem) and path.is_file()), reverse=True
        )


def _read(path: Path) -> tuple[Recipe, Checkpoint] | None:
    """What is in a checkpoint; None if it is not whole."""
    try:
        found = read_npz(path, str(path), LARGEST_BYTES)
        facts = json.loads(found.pop("facts").tobytes())
        arrays = [found[name] for name in sorted(found)]
        recipe, best, history = recipe_from(facts["recipe"], str(path)), facts["best"], facts["history"]
        if not 0 <= best <= len(arrays) or not is_history(history) or not history:
            return None
        return recipe, Checkpoint(history, arrays[best:], arrays[:best])
    except (DlkitError, ValueError, KeyError, TypeError, RecursionError):
        return None
