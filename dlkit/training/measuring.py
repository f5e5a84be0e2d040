"""What a trained network is worth, by the metric of its task, on the validation and the test split."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from dlkit.datasets import Split, Splits
from dlkit.frameworks import keras
from dlkit.metrics import accuracy, auc, mean_squared_error, psnr_db, squared_errors
from dlkit.recipe import Recipe
from dlkit.recipe_data import anomalous, latent_noise
from dlkit.runtime.preprocessing import Preprocessing
from dlkit.training.judging import Judge

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GENERATED = 2000
"""Images of a generator that are judged."""
VALIDATION_NOISE, TEST_NOISE = 3, 4
"""What the noise for them adds to the seed; 1 and 2 are those of an export."""


@dataclasses.dataclass(frozen=True)
class Quality:
    """Of a float model on one split.

    Attributes:
        metric: "accuracy", "psnr_db", of an anomaly detector "auc" or, of a generator, "feature_distance".
        value: of what the model gives.
        given: the same of what the model was given, where noise was laid over it; None elsewhere.
        besides: what else is known of generated images; see `judging.Judgement`.
    """

    metric: str
    value: float
    given: float | None = None
    besides: Mapping[str, float] = dataclasses.field(default_factory=dict)


def classified(
    model: keras.Model, recipe: Recipe, splits: Splits, preprocessing: Preprocessing
) -> tuple[Quality, Quality]:
    """How often the first class is the right one."""

    def on(split: Split) -> Quality:
        return Quality("accuracy", accuracy(_outputs(model, split, preprocessing), split.labels))

    return on(splits.validation), on(splits.test)


def rebuilt(
    model: keras.Model, recipe: Recipe, splits: Splits, preprocessing: Preprocessing
) -> tuple[Quality, Quality]:
    """Peak signal-to-noise ratio of the reconstruction against the samples without noise."""

    def on(split: Split) -> Quality:
        wanted = preprocessing.apply(split.wanted)

        def of(found: NDArray[np.float32]) -> float:
            return psnr_db(mean_squared_error(wanted, found), preprocessing.span)

        given = None if split.clean is None else of(preprocessing.apply(split.samples))
        return Quality("psnr_db", of(_outputs(model, split, preprocessing)), given)

    return on(splits.validation), on(splits.test)


def detected(
    model: keras.Model, recipe: Recipe, splits: Splits, preprocessing: Preprocessing
) -> tuple[Quality, Quality]:
    """How well the error of the reconstruction tells normal samples from others: the area under the ROC curve."""

    def on(split: Split) -> Quality:
        errors = squared_errors(preprocessing.apply(split.samples), _outputs(model, split, preprocessing))
        return Quality("auc", auc(errors, anomalous(recipe, split.labels)))

    return on(splits.validation), on(splits.test)


def generated(
    model: keras.Model, recipe: Recipe, splits: Splits, preprocessing: Preprocessing
) -> tuple[Quality, Quality]:
    """Distance of the features of images made of noise from those of held-out ones, as a classifier sees them."""
    judge = Judge(recipe, splits, preprocessing)

    def on(split: Split, seed: int) -> Quality:
        noise = latent_noise(recipe, GENERATED, seed)
        found = judge.judge(model.predict(noise, batch_size=256, verbose=0), split)
        return Quality("feature_distance", found.feature_distance, besides=found.besides)

    return on(splits.validation, recipe.seed + VALIDATION_NOISE), on(splits.test, recipe.seed + TEST_NOISE)


def _outputs(model: keras.Model, split: Split, preprocessing: Preprocessing) -> NDArray[np.float32]:
    outputs: NDArray[np.float32] = model.predict(preprocessing.apply(split.samples), batch_size=256, verbose=0)
    return outputs
