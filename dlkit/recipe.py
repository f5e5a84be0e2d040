"""A recipe: everything that decides a run, read from one TOML file.

A recipe is strict (an unknown key is refused) and complete (no inheritance): what is in the file,
plus the defaults below, is what runs. It is stored in full in the bundle it leads to.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from dlkit.datasets import DATASETS
from dlkit.errors import RecipeError, suggestion
from dlkit.filing import read_file
from dlkit.networks import NETWORKS, Network
from dlkit.reading import parse_toml, read_arguments, read_dataclass, with_overrides
from dlkit.schemes import SCHEMES
from dlkit.targets import TARGETS

LARGEST_BYTES = 2**20
"""No recipe is longer; a device or a wrong file may be."""

Preprocess = Literal["unit", "signed", "lite", "caffe", "torch", "none"]
Loss = Literal["mse", "binary_crossentropy"]
Resize = Literal["crop", "pad", "stretch"]


def _require(holds: bool, key: str, part: Any, wanted: str) -> None:
    if not holds:
        value = getattr(part, key.rpartition(".")[2])
        raise ValueError(f"{key} = {value!r} must be {wanted}")


@dataclasses.dataclass(frozen=True)
class NetworkPart:
    """[network] which builder, with which of its options."""

    name: str
    options: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class DataPart:
    """[data] which dataset, and how its raw values become the network's input.

    Attributes:
        name: on the shelf of datasets.
        preprocessing: "unit" 0…1, "signed" -1…1, "lite" (pixel - 127) / 128, "caffe" BGR less the
            ImageNet mean, "torch" ImageNet mean and deviation, "none" raw values.
        resize: how an image of another shape is fitted: "crop" fills and cuts the middle, "pad"
            keeps all of it on a ground of the lowest value, "stretch" ignores its proportions.
        noise: what a denoiser is to take away: standard deviation of Gaussian noise, as a fraction of the raw
            range, at whose ends it is cut off. Drawn anew for each training batch, once for the other splits.
    """

    name: str
    preprocessing: Preprocess = "unit"
    resize: Resize = "crop"
    noise: float = 0.0

    def __post_init__(self) -> None:
        _require(0 <= self.noise <= 1, "data.noise", self, "from 0 to 1")


@dataclasses.dataclass(frozen=True)
class AugmentationPart:
    """[augmentation] random changes to training images; 0 is none.

    Attributes:
        shift: largest shift, as a fraction of height and width.
        rotation: largest turn, as a fraction of a full turn.
        zoom: largest zoom in or out, as a fraction.
    """

    shift: float = 0.0
    rotation: float = 0.0
    zoom: float = 0.0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _require(0 <= getattr(self, field.name) < 1, f"augmentation.{field.name}", self, "from 0 to below 1")


@dataclasses.dataclass(frozen=True)
class TrainingPart:
    """[training] with AdamW on a warm-up and cosine schedule.

    Attributes:
        epochs: passes over the training split.
        batch_size: samples per step.
        learning_rate: at the top of the schedule.
        warmup: fraction of the steps in which the rate climbs to the top.
        weight_decay: decoupled (Loshchilov & Hutter 2019, arXiv:1711.05101).
        label_smoothing: of a classifier; Szegedy et al. 2016, arXiv:1512.00567, section 7.
        loss: of an auto-encoder, the mean over all values: "mse" or "binary_crossentropy". A classifier has but one.
    """

    epochs: int
    batch_size: int = 32
    learning_rate: float = 1e-3
    warmup: float = 0.1
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    loss: Loss = "mse"

    def __post_init__(self) -> None:
        _require(self.epochs >= 1, "training.epochs", self, "at least 1")
        _require(self.batch_size >= 1, "training.batch_size", self, "at least 1")
        _require(0 < self.learning_rate < float("inf"), "training.learning_rate", self, "above 0")
        _require(0 <= self.warmup < 1, "training.warmup", self, "from 0 to below 1")
        _require(0 <= self.weight_decay < float("inf"), "training.weight_decay", self, "at least 0")
        _require(0 <= self.label_smoothing < 1, "training.label_smoothing", self, "from 0 to below 1")


@dataclasses.dataclass(frozen=True)
class ExportPart:
    """[export] what file is made, and what it must keep.

    Attributes:
        scheme, target: on their shelves.
        calibration_samples: taken from the training split, spread over the classes.
        calibration: how ranges are chosen from what is measured on them: "minmax" takes the smallest and
            the largest value, "percentile" cuts off the outermost 0.01 %, "mse" what costs more than it brings.
        keep_float: names of layers that are not quantized, or patterns of names with "*" and "?".
        max_drop: largest loss of the metric against the float model, on the validation split.
    """

    scheme: str = "int8"
    target: str = "cpu"
    calibration_samples: int = 300
    keep_float: tuple[str, ...] = ()
    calibration: Literal["minmax", "percentile", "mse"] = "minmax"
    max_drop: float = 0.01

    def __post_init__(self) -> None:
        _require(self.calibration_samples >= 1, "export.calibration_samples", self, "at least 1")
        _require(0 <= self.max_drop <= 1, "export.max_drop", self, "from 0 to 1")


@dataclasses.dataclass(frozen=True)
class ExpectPart:
    """[expect] what the recipe's author measured on the test split; a test runs it and holds it to this.

    Attributes:
        float_accuracy, exported_accuracy: of a classifier.
        float_psnr_db, exported_psnr_db: of an auto-encoder, against the images without noise.
        float_gain_db: how far that is above the peak signal-to-noise ratio of what it was given.
    """

    float_accuracy: float | None = None
    exported_accuracy: float | None = None
    float_psnr_db: float | None = None
    exported_psnr_db: float | None = None
    float_gain_db: float | None = None


@dataclasses.dataclass(frozen=True)
class Recipe:
    """One experiment. Attributes are the tables of the file; `name` names the folder in exported/."""

    name: str
    network: NetworkPart
    data: DataPart
    training: TrainingPart
    seed: int = 0
    augmentation: AugmentationPart = AugmentationPart()
    export: ExportPart = ExportPart()
    expect: ExpectPart | None = None

    def __post_init__(self) -> None:
        good = self.name and all(c.isalnum() or c in "-_" for c in self.name)
        _require(bool(good), "name", self, "letters, digits, '-' and '_' (it becomes a folder)")
        _require(0 <= self.seed < 2**32, "seed", self, "from 0 to 4294967295")

    def as_dict(self) -> dict[str, Any]:
        """The recipe as nested dictionaries, defaults included, without what is absent."""
        return dataclasses.asdict(self, dict_factory=_present)


def _present(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {key: value for key, value in pairs if value is not None}


def different_keys(a: Recipe, b: Recipe, besides: Iterable[str] = ()) -> list[str]:
    """Dotted keys whose values differ, but for those of the tables named in `besides`."""
    flat = [_flat({key: value for key, value in r.as_dict().items() if key not in set(besides)}) for r in (a, b)]
    return sorted(key for key in flat[0].keys() | flat[1].keys() if flat[0].get(key) != flat[1].get(key))


def _flat(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def read_recipe(path: str | Path, overrides: Iterable[str] = ()) -> Recipe:
    """The recipe in a TOML file, with `KEY=VALUE` overrides put in before it is checked.

    Raises:
        RecipeError: the file is missing, is not TOML, or a key or value is wrong.
        UnknownName: a network, dataset, scheme or target is not on its shelf.
    """
    path = Path(path)
    return recipe_from(with_overrides(parse_toml(_text(path), str(path)), overrides), str(path))


def recipe_from(table: dict[str, Any], where: str) -> Recipe:
    """The recipe in a table; `where` is its origin, for messages."""
    recipe = read_dataclass(Recipe, table, where)
    network, dataset = NETWORKS[recipe.network.name], DATASETS[recipe.data.name]
    if network.task not in TRAINED:
        raise RecipeError(f"{where}: network.name = {network.name!r} is for {network.task}, which no recipe trains")
    shape = _input_shape(network.input, dataset.shape)
    if len(shape) != len(network.input):
        raise RecipeError(
            f"{where}: {network.name} reads inputs like {network.input}, and {recipe.data.name} has {dataset.shape}; "
            "choose another network: dlkit list networks"
        )
    options: dict[str, Any] = {"input_shape": list(shape)}
    if "classes" in network.options:
        options["classes"] = dataset.classes
    for name, value in recipe.network.options.items():
        if name == "input_shape" and _fits(value, network.input, dataset.shape):
            continue
        if name in options and value != options[name]:
            fact = f"{recipe.data.name} has {options[name]!r}"
            raise RecipeError(f"{where}: network.options.{name} = {value!r}, but {fact}; leave it out")
    options |= recipe.network.options
    read_arguments(network.builder, options, where, "network.options")
    _check_task(recipe, network, where)
    if len(dataset.shape) != 3 and recipe.augmentation != AugmentationPart():
        raise RecipeError(f"{where}: augmentation is of images, and {recipe.data.name} has none; leave it out")
    if recipe.export.calibration_samples < dataset.classes:
        least = f"at least {dataset.classes}, one of each class"
        raise RecipeError(f"{where}: export.calibration_samples = {recipe.export.calibration_samples} must be {least}")
    target = TARGETS[recipe.export.target]
    if SCHEMES[recipe.export.scheme].name not in target.schemes:
        raise RecipeError(f"{where}: export.target = {target.name!r} runs {', '.join(target.schemes)}")
    return dataclasses.replace(recipe, network=dataclasses.replace(recipe.network, options=options))


TRAINED = ("classification", "reconstruction")
"""Tasks of networks that a recipe trains."""


def _check_task(recipe: Recipe, network: Network, where: str) -> None:
    """Raise RecipeError for what the network's task does not have."""
    if network.task == "classification":
        if not network.gives_scores(recipe.network.options):
            raise RecipeError(f"{where}: network.options.include_top = false leaves nothing to train; leave it out")
        for key, value, default in (
            ("data.noise", recipe.data.noise, 0.0),
            ("training.loss", recipe.training.loss, "mse"),
        ):
            if value != default:
                raise RecipeError(
                    f"{where}: {key} = {value!r} is for auto-encoders, and {network.name} is none; leave it out"
                )
    elif recipe.training.label_smoothing:
        raise RecipeError(
            f"{where}: training.label_smoothing = {recipe.training.label_smoothing!r} is for classifiers, and "
            f"{network.name} is none; leave it out"
        )


def _input_shape(wanted: tuple[int, ...], sample: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a sample as the network wants it: an image is a sequence of its rows."""
    if len(wanted) == 2 and len(sample) == 3:
        height, width, channels = sample
        return height, width * channels
    return sample


def _fits(value: Any, wanted: tuple[int, ...], sample: tuple[int, ...]) -> bool:
    """Whether `value` is the shape of an image where network and samples are of images: those are resized."""
    if not len(wanted) == len(sample) == 3 or not isinstance(value, (list, tuple)) or len(value) != 3:
        return False
    return all(type(n) is int and n > 0 for n in value) and value[2] in (1, 3)


def _text(path: Path) -> str:
    try:
        return read_file(path, LARGEST_BYTES).decode("utf-8")
    except FileNotFoundError:
        raise RecipeError(_missing(path)) from None
    except IsADirectoryError:
        raise RecipeError(f"{path} is a folder, not a recipe; name a .toml file") from None
    except UnicodeDecodeError:
        raise RecipeError(f"{path} is not a text file, so it is no recipe; name a .toml file") from None
    except OSError as error:
        raise RecipeError(f"cannot read {path}: {error.strerror}; name a .toml file") from None


def _missing(path: Path) -> str:
    nearby = find_recipes(path.parent)
    if not nearby:
        return f"there is no recipe {path}; 'dlkit list recipes' shows those in ./recipes"
    return f"there is no recipe {path}; {suggestion(path.name, nearby)}"


def find_recipes(folder: Path) -> list[str]:
    """File names of the .toml files in `folder`."""
    return sorted(path.name for path in folder.glob("*.toml")) if folder.is_dir() else []
