"""The tables of a recipe: what each key means, its default, and what it can be by itself."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

Preprocess = Literal["unit", "signed", "lite", "caffe", "torch", "standard", "none"]
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
            ImageNet mean, "torch" ImageNet mean and deviation, "standard" each feature less its mean, by its
            deviation in the training split, "none" raw values.
        resize: how an image of another shape is fitted: "crop" fills and cuts the middle, "pad"
            keeps all of it on a ground of the lowest value, "stretch" ignores its proportions.
        noise: what a denoiser is to take away: standard deviation of Gaussian noise, as a fraction of the raw
            range, at whose ends it is cut off. Drawn anew for each training batch, once for the other splits; an
            anomaly detector sees none but in training.
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
class AdversarialPart:
    """[adversarial] how a generator is trained against the discriminator that belongs to it.

    Attributes:
        options: of the discriminator's builder.
        smoothing: by how much the discriminator's target for real samples is below 1.
        gradient_penalty: weight of the discriminator's squared slope at real samples; 0 is none.
        ema: how slowly the average of the generator's weights that is kept follows them; 0 keeps the last ones.
    """

    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    smoothing: float = 0.1
    gradient_penalty: float = 0.0
    ema: float = 0.999

    def __post_init__(self) -> None:
        _require(0 <= self.smoothing < 1, "adversarial.smoothing", self, "from 0 to below 1")
        _require(0 <= self.gradient_penalty < float("inf"), "adversarial.gradient_penalty", self, "at least 0")
        _require(0 <= self.ema < 1, "adversarial.ema", self, "from 0 to below 1")


@dataclasses.dataclass(frozen=True)
class AnomalyPart:
    """[anomaly] an auto-encoder learns normal samples alone; what it gives again badly is an anomaly.

    Training, calibration and the threshold see none but normal samples. Validation and test split keep all classes:
    quality is how well the error of the reconstruction tells the two apart.

    Attributes:
        normal: the name of the normal class, or a list of names.
        false_alarms: fraction of the normal samples of the validation split that is to be beyond the threshold.
    """

    normal: tuple[int | str, ...] | int | str
    false_alarms: float = 0.05

    def __post_init__(self) -> None:
        _require(self.classes != (), "anomaly.normal", self, "a class, or a list of at least one")
        _require(0 <= self.false_alarms < 1, "anomaly.false_alarms", self, "from 0 to below 1")

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the normal classes."""
        return tuple(map(str, self.normal)) if isinstance(self.normal, tuple) else (str(self.normal),)


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
        float_auc, exported_auc: of an anomaly detector.
        float_gain_db: how far PSNR is above the peak signal-to-noise ratio of what it was given.
        float_feature_distance, exported_feature_distance: of a generator, at most.
        confident, entropy: of its images, float and exported; see `training.judging.Judgement`.
    """

    float_accuracy: float | None = None
    exported_accuracy: float | None = None
    float_psnr_db: float | None = None
    exported_psnr_db: float | None = None
    float_gain_db: float | None = None
    float_auc: float | None = None
    exported_auc: float | None = None
    float_feature_distance: float | None = None
    exported_feature_distance: float | None = None
    confident: float | None = None
    entropy: float | None = None


@dataclasses.dataclass(frozen=True)
class Recipe:
    """One experiment. Attributes are the tables of the file; `name` names the folder in exported/."""

    name: str
    network: NetworkPart
    data: DataPart
    training: TrainingPart
    seed: int = 0
    augmentation: AugmentationPart = AugmentationPart()
    adversarial: AdversarialPart = AdversarialPart()
    anomaly: AnomalyPart | None = None
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
