"""The tables of a recipe about what is made of a trained network, and what it must come to."""

from __future__ import annotations

import dataclasses
from typing import Literal

from dlkit.recipe.requiring import require


@dataclasses.dataclass(frozen=True)
class MeasurePart:
    """[measure] a classifier by whose features a generator's images are measured, besides one trained for it.

    Attributes:
        features: a file of Keras with a whole classifier (.keras, .h5), from what whose last layer reads the Fréchet
            distance is taken; or, with `network`, a file of weights, or "imagenet". "" measures none.
        network: on the shelf, whose weights `features` are.
        preprocessing: how its inputs are prepared; "" where that is known: of a network of the shelf, and of a
            model.keras that was trained here.
    """

    features: str = ""
    network: str = ""
    preprocessing: Literal["", "unit", "signed", "lite", "caffe", "torch", "none"] = ""

    def __post_init__(self) -> None:
        for key in ("network", "preprocessing"):
            require(
                bool(self.features) or not getattr(self, key), f"measure.{key}", self, "given with measure.features"
            )
        whole = self.features != "imagenet" or self.network
        require(bool(whole), "measure.features", self, "given with measure.network, of which there are such weights")


@dataclasses.dataclass(frozen=True)
class ExportPart:
    """[export] what file is made, and what it must keep.

    Attributes:
        scheme: on its shelf; "" is the target's best.
        target: on its shelf, or the .toml file of one of one's own.
        calibration_samples: taken from the training split, spread over the classes.
        calibration: how ranges are chosen from what is measured on them: "minmax" takes the smallest and
            the largest value, "percentile" cuts off the outermost 0.01 %, "mse" what costs more than it brings; both
            leave out scores that are nothing after a softmax.
        keep_float: names of layers that are not quantized, or patterns of names with "*" and "?".
        max_drop: largest loss of the metric against the float model, on the validation split.
        unroll: whether the steps of an LSTM are written out, as those of other recurrent layers are; in place of one
            operation for all steps, which in int8 takes many times as long on a processor.
    """

    scheme: str = ""
    target: str = "cpu"
    calibration_samples: int = 300
    keep_float: tuple[str, ...] = ()
    calibration: Literal["minmax", "percentile", "mse"] = "minmax"
    max_drop: float = 0.01
    unroll: bool = False

    def __post_init__(self) -> None:
        require(self.calibration_samples >= 1, "export.calibration_samples", self, "at least 1")
        require(0 <= self.max_drop <= 1, "export.max_drop", self, "from 0 to 1")


@dataclasses.dataclass(frozen=True)
class CompressionPart:
    """[compression] how a trained network is fitted again by schemes that prune, cluster or train it for integers.

    Each of these is a step of `epochs` of its own, on the data and by the loss of the training.

    Attributes:
        epochs: of each step; 0 is a quarter of training.epochs, at least 1.
        learning_rate: at the top of a cosine; 0 is a tenth of training.learning_rate.
        optimizer: "" is training.optimizer; "lamb" is not there for these steps.
        sparsity: fraction of each pruned kernel's weights that become 0; of "2:4" it is a half.
        pruning: which of them: the smallest of the kernel ("unstructured"), the two smallest of each four along the
            input channels ("2:4"; Mishra et al. 2021, arXiv:2104.08378), or the smallest blocks ("block").
        block: rows and columns of a block, of a kernel seen as (inputs, outputs).
        schedule: how sparsity grows: "polynomial" from 0 in the first half of the epochs (Zhu & Gupta 2017,
            arXiv:1710.01878), "constant" from the first step on.
        clusters: distinct weights that are left in each output channel of a clustered kernel, at most; Han et al. 2016,
            arXiv:1510.00149. They are the same in all channels but for a factor of each.
        keep: names of layers that are neither pruned nor clustered, or patterns of names with "*" and "?".
    """

    epochs: int = 0
    learning_rate: float = 0.0
    optimizer: Literal["", "adamw", "adam", "sgd", "rmsprop", "adagrad", "lion"] = ""
    sparsity: float = 0.5
    pruning: Literal["unstructured", "2:4", "block"] = "unstructured"
    block: tuple[int, int] = (1, 4)
    schedule: Literal["polynomial", "constant"] = "polynomial"
    clusters: int = 16
    keep: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require(self.epochs >= 0, "compression.epochs", self, "at least 0")
        require(0 <= self.learning_rate < float("inf"), "compression.learning_rate", self, "at least 0")
        require(0 < self.sparsity < 1, "compression.sparsity", self, "between 0 and 1")
        require(
            all(1 <= side <= 64 for side in self.block),
            "compression.block",
            self,
            "rows and columns, each from 1 to 64",
        )
        require(2 <= self.clusters <= 128, "compression.clusters", self, "from 2 to 128")


@dataclasses.dataclass(frozen=True)
class ExpectPart:
    """[expect] what the recipe's author measured on the test split; a test runs it and holds it to this.

    Attributes:
        float_accuracy, exported_accuracy: of a classifier.
        float_psnr_db, exported_psnr_db: of an auto-encoder, against the images without noise.
        float_auc, exported_auc: of an anomaly detector.
        float_skill, exported_skill: of a forecaster, against the last value.
        float_seasonal_skill, exported_seasonal_skill: against the value of a season before.
        float_gain_db: how far PSNR is above the peak signal-to-noise ratio of what it was given.
        float_feature_distance, exported_feature_distance: of a generator, at most.
        confident: of its images, the fraction that a classifier is sure of, float and exported, at least.
        entropy: how evenly the classes that it sees are spread, 1 being all in equal measure; likewise.
        as_asked: of one that is told a class, the fraction taken for the one that was asked for; likewise.
    """

    float_accuracy: float | None = None
    exported_accuracy: float | None = None
    float_psnr_db: float | None = None
    exported_psnr_db: float | None = None
    float_gain_db: float | None = None
    float_auc: float | None = None
    exported_auc: float | None = None
    float_skill: float | None = None
    exported_skill: float | None = None
    float_seasonal_skill: float | None = None
    exported_seasonal_skill: float | None = None
    float_feature_distance: float | None = None
    exported_feature_distance: float | None = None
    confident: float | None = None
    entropy: float | None = None
    as_asked: float | None = None
