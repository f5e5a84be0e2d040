"""What generated images are worth: a classifier of our own, trained on the real ones, looks at both.

The feature distance is the Fréchet distance of Heusel et al. 2017, arXiv:1706.08500, section 3, between the
classifier's last hidden layer on real and on generated images, where the paper takes Inception's. Its scale is the
classifier's own, so it is stated beside that of training images to held-out ones.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from dlkit.datasets import Split, Splits
from dlkit.frameworks import keras, make_deterministic
from dlkit.metrics import accuracy, frechet_distance
from dlkit.networks import NETWORKS
from dlkit.recipe import Recipe, recipe_from
from dlkit.runtime.preprocessing import Preprocessing
from dlkit.runtime.rows import batches_of
from dlkit.training import supervised
from dlkit.training.watching import Watch

if TYPE_CHECKING:
    from numpy.typing import NDArray

AT_ONCE = 1024
"""Images in memory together."""
CONFIDENT = 0.9
"""A probability that is a decision."""


@dataclasses.dataclass(frozen=True)
class Judgement:
    """Of generated images.

    Attributes:
        feature_distance: to the held-out images.
        real_distance: of the training images to them; no generator that learnt from those can be expected below.
        confident: fraction that the classifier gives at least 0.9 for some class.
        entropy: of the classes it sees, as a fraction of the entropy of all in equal measure.
        as_asked: fraction that it takes for the class that was asked for; None where none was.
    """

    feature_distance: float
    real_distance: float
    confident: float
    entropy: float
    as_asked: float | None = None

    @property
    def besides(self) -> dict[str, float]:
        """All there is but the distance."""
        known = {key: value for key, value in dataclasses.asdict(self).items() if value is not None}
        return {key: value for key, value in known.items() if key != "feature_distance"}


class Judge:
    """A classifier of the dataset's images; made anew for each recipe and seed, always the same. Seeds Keras."""

    def __init__(self, recipe: Recipe, splits: Splits, preprocessing: Preprocessing) -> None:
        own = _recipe(recipe)
        make_deterministic(own.seed)
        self.preprocessing = preprocessing
        self.model = NETWORKS[own.network.name].build(own.network.options, own.name)
        supervised.fit(self.model, own, splits, preprocessing, Watch())
        self.features = keras.Model(self.model.inputs, self.model.get_layer("hidden").output)
        self.train = self._features_of(splits.train)

    def judge(self, images: NDArray[np.float32], held_out: Split, asked: NDArray[np.int64] | None = None) -> Judgement:
        """Of (N, H, W, C) images in the network's range, beside real ones.

        Args:
            asked: (N,) classes that the images are to be of; None where none was asked for.
        """
        real = self._features_of(held_out)
        scores = self.model.predict(images, batch_size=256, verbose=0)
        share = np.bincount(scores.argmax(axis=1), minlength=scores.shape[1]) / len(scores)
        seen = share[share > 0]
        return Judgement(
            feature_distance=frechet_distance(self._features(images), real),
            real_distance=frechet_distance(self.train, real),
            confident=float(np.mean(scores.max(axis=1) >= CONFIDENT)),
            entropy=float(-np.sum(seen * np.log(seen)) / np.log(len(share))),
            as_asked=None if asked is None else accuracy(scores, asked),
        )

    def _features_of(self, split: Split) -> NDArray[np.float32]:
        """Of all samples, some at a time."""
        batches = batches_of(split.samples, AT_ONCE)
        return np.concatenate([self._features(self.preprocessing.apply(batch)) for batch in batches])

    def _features(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        features: NDArray[np.float32] = self.features.predict(images, batch_size=256, verbose=0)
        return features


def _recipe(recipe: Recipe) -> Recipe:
    """How the classifier is trained; chosen on the validation split of digits."""
    shape = list(recipe.network.options["image_shape"])
    table = {
        "name": "judge",
        "seed": recipe.seed,
        "network": {"name": "cnn", "options": {"width": 32, "input_shape": shape}},
        "data": {
            "name": recipe.data.name,
            "options": recipe.data.options,
            "preprocessing": recipe.data.preprocessing,
            "resize": recipe.data.resize,
        },
        "augmentation": {"shift": 0.06},
        "training": {"epochs": 40, "learning_rate": 0.003, "weight_decay": 0.001},
    }
    return recipe_from(table, "judge")
