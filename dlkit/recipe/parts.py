"""The tables of a recipe: what each key means, its default, and what it can be by itself."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

from dlkit.recipe.export_parts import CompressionPart, ExpectPart, ExportPart, MeasurePart
from dlkit.recipe.requiring import require

Preprocess = Literal["unit", "signed", "lite", "caffe", "torch", "standard", "none"]
Loss = Literal["mse", "mae", "binary_crossentropy"]
Resize = Literal["crop", "pad", "stretch"]
Flip = Literal["none", "horizontal", "vertical", "both"]
Optimizer = Literal["adamw", "adam", "sgd", "rmsprop", "adagrad", "lamb", "lion"]
Schedule = Literal["cosine", "linear", "step", "exponential", "constant"]
Precision = Literal["float32", "bfloat16", "float16"]
OF_SOUNDS = ("time_shift", "background", "time_mask", "frequency_mask")
"""Keys of [augmentation] that are of sounds alone."""
NOT_DIFFERENTIABLE = "zoom", "saturation", "hue"
"""Keys of [augmentation] whose gradient TensorFlow does not have, or, of a zoom, has off by its area."""


@dataclasses.dataclass(frozen=True)
class NetworkPart:
    """[network] which builder, with which of its options.

    Attributes:
        name: on the shelf of networks.
        options: of its builder; what the data decide (shape, number of classes) need not be given.
    """

    name: str
    options: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class DataPart:
    """[data] which dataset, and how its raw values become the network's input.

    Attributes:
        name: on the shelf of datasets.
        options: of a source: where the data are, and how they are read and split.
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
    options: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        require(0 <= self.noise <= 1, "data.noise", self, "from 0 to 1")


@dataclasses.dataclass(frozen=True)
class AugmentationPart:
    """[augmentation] random changes to training samples; 0 is none. `noise` and `mixup` are of all, others of images or
    sounds.

    Attributes:
        shift: largest shift, as a fraction of height and width.
        rotation: largest turn, as a fraction of a full turn.
        zoom: largest zoom in or out, as a fraction.
        flip: mirrors half of the images, "horizontal" left to right, "vertical" upside down.
        crop: least part of an image's area that is stretched to the whole; Szegedy et al. 2015, arXiv:1409.4842,
            section 6, with 0.08.
        brightness, contrast: largest change, as a fraction.
        saturation, hue: likewise; of images in colour.
        erasing: probability with which a rectangle is painted over; Zhong et al. 2020, arXiv:1708.04896.
        mixup, cutmix: alpha of the Beta distribution by which two samples, and their classes, are mixed.
        noise: standard deviation of Gaussian noise, as a fraction of the raw range, at whose ends it is cut off.
        time_shift: of sounds: largest shift to earlier or later, in seconds; silence moves in.
        background: of sounds: largest standard deviation of white noise that is laid over the waveform, as a fraction
            of full scale, which with data.options.level = "peak" is the sound's own peak; drawn evenly from 0 on.
        time_mask, frequency_mask: of sounds: largest fraction of the frames, or of the bands of "log_mel", that are
            replaced by the mean in one piece; Park et al. 2019, arXiv:1904.08779, section 2.
    """

    shift: float = 0.0
    rotation: float = 0.0
    zoom: float = 0.0
    flip: Flip = "none"
    crop: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    erasing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    noise: float = 0.0
    time_shift: float = 0.0
    background: float = 0.0
    time_mask: float = 0.0
    frequency_mask: float = 0.0

    def __post_init__(self) -> None:
        of_images = ("shift", "rotation", "zoom", "crop", "brightness", "contrast", "saturation", "hue")
        for key in (*of_images, "noise", "background", "time_mask", "frequency_mask"):
            require(0 <= getattr(self, key) < 1, f"augmentation.{key}", self, "from 0 to below 1")
        require(0 <= self.time_shift < float("inf"), "augmentation.time_shift", self, "at least 0 (seconds)")
        require(0 <= self.erasing <= 1, "augmentation.erasing", self, "from 0 to 1")
        for key in ("mixup", "cutmix"):
            require(0 <= getattr(self, key) < float("inf"), f"augmentation.{key}", self, "at least 0")

    @property
    def without_sounds(self) -> AugmentationPart:
        """The same without the changes that are of sounds alone."""
        return dataclasses.replace(self, time_shift=0.0, background=0.0, time_mask=0.0, frequency_mask=0.0)


@dataclasses.dataclass(frozen=True)
class TrainingPart:
    """[training] by which optimizer, how long, and what of it is kept.

    Attributes:
        epochs: passes over the training split.
        batch_size: samples per step.
        optimizer: by the names of Keras; their papers are named in dlkit/training/optimizing.py.
        momentum: of "sgd" (Nesterov's) and "rmsprop"; 0 is none.
        learning_rate: at the top of the schedule.
        warmup: fraction of the steps in which the rate climbs to the top.
        schedule: how it goes on from there: "cosine" and "linear" to 0, "step" times `factor` at each of the
            `milestones`, "exponential" times `factor` after each `every` epochs, "constant".
        milestones: of "step", fractions of all steps, rising.
        factor: of "step" and "exponential".
        every: of "exponential", a number of epochs.
        epsilon: in the denominator of an optimizer that has one; 0 is the optimizer's own.
        weight_decay: decoupled (Loshchilov & Hutter 2019, arXiv:1711.05101).
        clip_norm: largest norm of all gradients together; 0 is none.
        label_smoothing: of a classifier; Szegedy et al. 2016, arXiv:1512.00567, section 7.
        class_weights: of a classifier: "balanced" counts each class as if all were as frequent.
        loss: of an auto-encoder or forecaster, the mean over all values: "mse", "mae" or, of an auto-encoder,
            "binary_crossentropy". A classifier has but one.
        keep: the weights of the "last" epoch, or of the "best", by the loss on the validation split.
        patience: epochs without a better loss on the validation split after which it ends; 0 waits for all.
        with_validation: of a classifier: train on the validation split too, once all settings are chosen. It is then
            no judge of the training, and says of an export only what the file loses against the float model.
        precision: of the numbers in training: "float32", or mixed with "bfloat16" or "float16"
            (Micikevicius et al. 2018, arXiv:1710.03740). Weights are float32, and so is what is exported.
        checkpoint_s: at least so many seconds lie between two checkpoints; 0 is one an epoch.
        checkpoints: how many are kept, the newest.
    """

    epochs: int
    batch_size: int = 32
    optimizer: Optimizer = "adamw"
    momentum: float = 0.9
    learning_rate: float = 1e-3
    warmup: float = 0.1
    schedule: Schedule = "cosine"
    milestones: tuple[float, ...] = ()
    factor: float = 0.1
    every: float = 1.0
    epsilon: float = 0.0
    weight_decay: float = 0.0
    clip_norm: float = 0.0
    label_smoothing: float = 0.0
    class_weights: Literal["none", "balanced"] = "none"
    loss: Loss = "mse"
    keep: Literal["last", "best"] = "last"
    patience: int = 0
    with_validation: bool = False
    precision: Precision = "float32"
    checkpoint_s: float = 5.0
    checkpoints: int = 2

    def __post_init__(self) -> None:
        for key in ("epochs", "batch_size", "checkpoints"):
            require(getattr(self, key) >= 1, f"training.{key}", self, "at least 1")
        require(0 < self.learning_rate < float("inf"), "training.learning_rate", self, "above 0")
        require(0 < self.factor < 1, "training.factor", self, "between 0 and 1")
        require(0 < self.every < float("inf"), "training.every", self, "above 0")
        for key in ("warmup", "label_smoothing", "momentum"):
            require(0 <= getattr(self, key) < 1, f"training.{key}", self, "from 0 to below 1")
        for key in ("weight_decay", "clip_norm", "epsilon", "checkpoint_s", "patience"):
            require(0 <= getattr(self, key) < float("inf"), f"training.{key}", self, "at least 0")
        steps = self.milestones
        rising = all(low < high for low, high in zip((0.0, *steps), (*steps, 1.0), strict=True))
        require(rising, "training.milestones", self, "fractions of the training, rising, between 0 and 1")
        watches = self.keep == "best" or self.patience > 0
        require(
            not (self.with_validation and watches),
            "training.with_validation",
            self,
            "false where 'keep' or 'patience' go by the validation split",
        )
        require((self.schedule == "step") == bool(steps), "training.milestones", self, "given with schedule = 'step'")


@dataclasses.dataclass(frozen=True)
class TransferPart:
    """[transfer] weights of another training, from which that of a classifier begins.

    Attributes:
        weights: "imagenet", or a file of Keras weights of the same network; its last layer may be for other classes.
        frozen_epochs: epochs in which the last layer alone is trained; then all are, by a new optimizer.
        learning_rate: of the epochs after that; 0 is the same again.
    """

    weights: str = ""
    frozen_epochs: int = 0
    learning_rate: float = 0.0

    def __post_init__(self) -> None:
        require(self.frozen_epochs >= 0, "transfer.frozen_epochs", self, "at least 0")
        require(0 <= self.learning_rate < float("inf"), "transfer.learning_rate", self, "at least 0")
        for key in ("frozen_epochs", "learning_rate"):
            require(
                bool(self.weights) or not getattr(self, key), f"transfer.{key}", self, "given with transfer.weights"
            )


@dataclasses.dataclass(frozen=True)
class AdversarialPart:
    """[adversarial] how a generator is trained against the discriminator that belongs to it.

    Attributes:
        options: of the discriminator's builder.
        smoothing: by how much the discriminator's target for real samples is below 1.
        gradient_penalty: weight of the discriminator's squared slope at real samples; 0 is none.
        spectral_norm: keep the largest singular value of each of the discriminator's kernels at 1; Miyato et al. 2018,
            arXiv:1802.05957.
        differentiable_augmentation: make the changes of [augmentation] to the generator's images too, before the
            discriminator sees them, and not to real ones alone, whose changes it would learn to make; Zhao et al. 2020,
            arXiv:2006.10738. It helps where there are few images.
        ema: how slowly the average of the generator's weights that is kept follows them; 0 keeps the last ones.
    """

    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    smoothing: float = 0.1
    gradient_penalty: float = 0.0
    spectral_norm: bool = False
    differentiable_augmentation: bool = False
    ema: float = 0.999

    def __post_init__(self) -> None:
        require(0 <= self.smoothing < 1, "adversarial.smoothing", self, "from 0 to below 1")
        require(0 <= self.gradient_penalty < float("inf"), "adversarial.gradient_penalty", self, "at least 0")
        require(0 <= self.ema < 1, "adversarial.ema", self, "from 0 to below 1")


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
        require(self.classes != (), "anomaly.normal", self, "a class, or a list of at least one")
        require(0 <= self.false_alarms < 1, "anomaly.false_alarms", self, "from 0 to below 1")

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the normal classes."""
        return tuple(map(str, self.normal)) if isinstance(self.normal, tuple) else (str(self.normal),)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """One experiment: what stands above the tables of the file, and the tables.

    Attributes:
        name: of the folder in exported/: letters, digits, "-" and "_".
        seed: of initial weights, of the order of samples and of what is random in training.
    """

    name: str
    network: NetworkPart
    data: DataPart
    training: TrainingPart
    seed: int = 0
    augmentation: AugmentationPart = AugmentationPart()
    transfer: TransferPart = TransferPart()
    adversarial: AdversarialPart = AdversarialPart()
    anomaly: AnomalyPart | None = None
    measure: MeasurePart = dataclasses.field(default_factory=MeasurePart)
    compression: CompressionPart = dataclasses.field(default_factory=CompressionPart)
    export: ExportPart = dataclasses.field(default_factory=ExportPart)
    expect: ExpectPart | None = None

    def __post_init__(self) -> None:
        good = self.name and all(c.isalnum() or c in "-_" for c in self.name)
        require(bool(good), "name", self, "letters, digits, '-' and '_' (it becomes a folder)")
        require(0 <= self.seed < 2**32, "seed", self, "from 0 to 4294967295")

    def as_dict(self) -> dict[str, Any]:
        """The recipe as nested dictionaries, defaults included, without what is absent."""
        table: dict[str, Any] = dataclasses.asdict(self, dict_factory=_present)
        if not self.data.options:  # as recipes were stored before there were sources
            del table["data"]["options"]
        for key, absent in (("measure", MeasurePart()), ("compression", CompressionPart())):
            if getattr(self, key) == absent:  # as they were before it was there
                del table[key]
        return table


def _present(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {key: value for key, value in pairs if value is not None}
