"""A classifier begins from the weights of another training, its last layer first alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from short import short_recipe
from test_resume import stop, weights

from dlkit.errors import ModelFileError
from dlkit.frameworks import make_deterministic
from dlkit.networks import NETWORKS
from dlkit.pipeline import train
from dlkit.pipeline.weights import take_over_weights
from dlkit.recipe import Recipe
from dlkit.recipe_data import data_preprocessing, splits_of
from dlkit.training import supervised
from dlkit.training.watching import Watch

pytestmark = pytest.mark.tf

NETWORK, OPTIONS = NETWORKS["cnn"], {"width": 8, "input_shape": [8, 8, 1], "classes": 10}


def recipe_of(weights: Path, **transfer: Any) -> Recipe:
    return short_recipe(
        name="again",
        training={"epochs": 4, "batch_size": 128, "learning_rate": 0.01, "checkpoint_s": 0.0},
        transfer={"weights": str(weights), **transfer},
    )


def built(classes: int) -> Any:
    make_deterministic(1)
    return NETWORK.build({**OPTIONS, "classes": classes})


@pytest.mark.parametrize("classes", [3, 10])
def test_all_but_the_last_layer_is_taken_over_where_classes_differ(classes: int, models: Path) -> None:
    """From the model.keras of a training on ten classes; of as many classes the last layer is taken over as well."""
    model, source = built(classes), models / "short" / "model.keras"
    own = model.layers[-1].get_weights()
    take_over_weights(model, NETWORK, {**OPTIONS, "classes": classes}, str(source))
    trained = built(10)
    trained.load_weights(source)
    for layer, its in list(zip(model.layers, trained.layers, strict=True))[:-1]:
        assert all(np.array_equal(a, b) for a, b in zip(layer.get_weights(), its.get_weights(), strict=True))
    wanted = trained.layers[-1].get_weights() if classes == 10 else own
    assert all(np.array_equal(a, b) for a, b in zip(model.layers[-1].get_weights(), wanted, strict=True))


def test_weights_of_another_network_are_refused(models: Path) -> None:
    """By the layer that differs."""
    other = NETWORK.build({**OPTIONS, "width": 12})
    with pytest.raises(ModelFileError, match="of another network, or of other options"):
        take_over_weights(other, NETWORK, {**OPTIONS, "width": 12}, str(models / "short" / "model.keras"))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """Before anything is trained."""
    with pytest.raises(ModelFileError, match=r"transfer\.weights .*none\.keras: there is no such file"):
        train(recipe_of(tmp_path / "none.keras"), tmp_path)


def test_frozen_epochs_train_the_last_layer_alone(models: Path) -> None:
    """Then an optimizer of its own trains all of them."""
    recipe = recipe_of(models / "short" / "model.keras", frozen_epochs=3)
    model = built(10)
    trained_by: list[list[str]] = []

    def compiled(epochs: int, rate: float) -> list[Any]:
        trained_by.append([variable.path for variable in model.trainable_variables])
        return []

    phases = supervised._phases(model, recipe, compiled)
    everything = [variable.path for variable in model.trainable_variables]
    for phase in phases:
        phase.compiled()
    assert trained_by == [[v.path for v in model.layers[-1].trainable_variables], everything]
    assert [phase.until for phase in phases] == [3, 4]


@pytest.mark.slow
def test_it_is_better_from_the_first_epoch_on(models: Path) -> None:
    """Than a training from random weights, on the validation split."""
    recipe = recipe_of(models / "short" / "model.keras", frozen_epochs=1)
    splits, preprocessing = splits_of(recipe), data_preprocessing(recipe)
    first = []
    for takes_over in (True, False):
        model = built(10)
        if takes_over:
            take_over_weights(model, NETWORK, OPTIONS, recipe.transfer.weights)
        first.append(supervised.fit(model, recipe, splits, preprocessing, Watch())[0]["val_accuracy"])
    assert first[0] > first[1] + 0.3


@pytest.mark.parametrize(
    "epoch",
    [
        pytest.param(1, id="while frozen", marks=pytest.mark.slow),
        pytest.param(3, id="at the change", marks=pytest.mark.slow),
        pytest.param(4, id="after it", marks=pytest.mark.slow),
    ],
)
def test_it_is_taken_up_in_either_phase(epoch: int, models: Path, tmp_path: Path) -> None:
    """And comes to the same weights."""
    recipe = recipe_of(models / "short" / "model.keras", frozen_epochs=2, learning_rate=0.001)
    whole = train(recipe, tmp_path / "whole")
    stop(recipe, tmp_path / "parts", epoch)
    taken_up = train(recipe, tmp_path / "parts", resume=True)
    assert taken_up.history == whole.history
    assert weights(taken_up) == weights(whole)
