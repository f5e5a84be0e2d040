"""A model on its way: `exported/NAME/model.keras`, with what is known about it in `model.json`."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dlkit.archive import contents_sha256, damaged_part
from dlkit.errors import DataError, ModelFileError, RecipeError, suggestion
from dlkit.filing import read_file
from dlkit.recipe import Recipe, recipe_from
from dlkit.runtime.preprocessing import Preprocessing, preprocessing_from
from dlkit.writing import new_files, settle

LARGEST_BYTES = 2**26
"""No model.json is longer."""
FACTS = {"name", "network", "trained", "labels", "inputs", "recipe", "contents", "history"}
"""The keys of model.json."""


@dataclasses.dataclass(frozen=True)
class Trained:
    """A Keras model that can be exported.

    Attributes:
        name: of its folder in exported/.
        model: the .keras file; of a model from elsewhere its file or folder.
        network: name of its builder; "" for a model from elsewhere.
        recipe: what it was built or trained with; None for a bare network or a model from elsewhere.
        inputs: input name → from raw values to network input.
        labels: class names in the order of the output.
        trained: False for random weights.
        custom: modules of the user's own code that a model from elsewhere is made of.
        makes: of a decoder, from raw values to the range of what it makes; None of other models.
        conditions: names of the classes that a generator is told, in the order of the last numbers of its input.
        history: one entry for each epoch of its training; () where there was none, or where it is not known.
    """

    name: str
    model: Path
    network: str
    recipe: Recipe | None
    inputs: dict[str, Preprocessing]
    labels: tuple[str, ...]
    trained: bool
    custom: tuple[str, ...] = ()
    makes: Preprocessing | None = None
    conditions: tuple[str, ...] = ()
    history: tuple[dict[str, float], ...] = ()

    @contextlib.contextmanager
    def new_model(
        self, history: list[dict[str, float]], besides: Mapping[str, bytes] = MappingProxyType({})
    ) -> Iterator[Path]:
        """A path to write the model to; when the block ends it is moved into place, with its facts and `besides`.

        Args:
            besides: further files, by their names.
        """
        with new_files(self.model.parent) as new:
            model = new / self.model.name
            yield model
            facts = json.dumps(self._facts(contents_sha256(model), history), indent=1) + "\n"
            for name, content in {**besides, "model.json": facts.encode()}.items():
                (new / name).write_bytes(content)

    def _facts(self, contents: str, history: list[dict[str, float]]) -> dict[str, Any]:
        return {
            "name": self.name,
            "network": self.network,
            "trained": self.trained,
            "labels": self.labels,
            "inputs": {name: preprocessing.as_dict() for name, preprocessing in self.inputs.items()},
            "recipe": self.recipe.as_dict() if self.recipe else None,
            "contents": contents,
            "history": history,
            "conditions": self.conditions,
        }


def load_trained(folder: str | Path) -> Trained:
    """The model in `folder`, for instance exported/digits.

    Raises:
        ModelFileError: it is missing or damaged, or its two files do not belong together.
    """
    folder = Path(folder)
    settle(folder)
    path, model = folder / "model.json", folder / "model.keras"
    if not path.is_file() or not model.is_file():
        raise ModelFileError(f"{folder} holds no model.keras with its model.json; make them: dlkit train RECIPE")
    try:
        facts = json.loads(read_file(path, LARGEST_BYTES))
        _check(facts)
        if not facts["contents"] or contents_sha256(model) != facts["contents"]:
            raise ModelFileError(f"{model} is not the file {path} speaks of; build or train it again with --force")
        if part := damaged_part(model):
            raise ModelFileError(f"{model} is damaged ({part}); build or train it again with --force")
        return Trained(
            name=facts["name"],
            model=model,
            network=facts["network"],
            recipe=recipe_from(facts["recipe"], str(path)) if facts["recipe"] else None,
            inputs={name: preprocessing_from(table) for name, table in facts["inputs"].items()},
            labels=tuple(facts["labels"]),
            trained=facts["trained"],
            conditions=tuple(facts.get("conditions", ())),
            history=tuple(facts.get("history", ())),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, RecipeError, DataError):
        raise ModelFileError(f"{path} is corrupt; build or train the model again with --force") from None


def _check(facts: Any) -> None:
    """Raise ValueError unless names are names, and that of the model one of a folder."""
    name, inputs = facts["name"], facts["inputs"]
    names = [name, facts["network"], facts["contents"], *facts["labels"], *facts.get("conditions", ()), *inputs]
    if not all(isinstance(each, str) for each in names) or not isinstance(facts["trained"], bool):
        raise ValueError
    if not inputs or name in ("", ".", "..") or Path(name).name != name or not name.isprintable():
        raise ValueError  # its bundles would be written elsewhere


def is_ours(folder: Path) -> bool:
    """Whether the model.json in `folder` is one that dlkit wrote; other programs write files of that name too."""
    return _facts_in(folder).keys() >= FACTS


def is_whole(folder: Path) -> bool:
    """Whether `folder` holds a model of ours that belongs to its facts."""
    settle(folder)
    contents = contents_sha256(folder / "model.keras")
    return is_ours(folder) and contents != "" and contents == _facts_in(folder)["contents"]


def is_unfinished(folder: Path) -> bool:
    """Whether a model of ours has no facts, or those of another: its writer was killed and could not be settled."""
    settle(folder)
    return not (folder / "model.json").exists() or (is_ours(folder) and not is_whole(folder))


def _facts_in(folder: Path) -> dict[str, Any]:
    """What model.json says; nothing if it is missing, cannot be read or says something else than a table."""
    settle(folder)
    try:
        facts = json.loads(read_file(folder / "model.json", LARGEST_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}


def history_of(folder: Path) -> list[dict[str, float]]:
    """One entry for each epoch of the training that made the model in `folder`; [] if there is none."""
    history: list[dict[str, float]] = _facts_in(folder).get("history", [])
    return history if is_history(history) else []


def is_history(value: Any) -> bool:
    """Whether it is a list of what was measured after each epoch, of which the loss is one thing."""
    return isinstance(value, list) and all(
        isinstance(entry, dict)
        and "loss" in entry
        and all(isinstance(number, int | float) and not isinstance(number, bool) for number in entry.values())
        for entry in value
    )


def only_built(folder: Path) -> bool:
    """Whether `folder` holds a model of ours with random weights, whole or not: half of one is worth no more."""
    return is_ours(folder) and _facts_in(folder)["trained"] is False


def newest_model(root: Path) -> Path:
    """The folder below `root` whose model was built or trained last. Raises ModelFileError if there is none."""
    for folder in root.glob("*"):
        settle(folder)
    found = sorted(root.glob("*/model.json"), key=lambda path: path.stat().st_mtime_ns)
    if not found:
        raise ModelFileError(f"there is no model in {root}; make one: dlkit build vgg16, or dlkit train RECIPE")
    return found[-1].parent


def find_model(name: str, root: Path) -> Path:
    """The folder of the model called `name`: a folder itself, or one below `root`."""
    for folder in (Path(name), root / name):
        settle(folder)
        if (folder / "model.json").is_file():
            return folder
    known = [path.parent.name for path in root.glob("*/model.json")]
    raise ModelFileError(f"there is no model, recipe or .keras file {name!r}; {suggestion(name, known)}")
