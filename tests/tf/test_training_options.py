"""What [training] can ask for besides an optimizer is done."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from short import short_recipe

from dlkit.cli.train import print_training
from dlkit.conversion.tflite import load_model
from dlkit.errors import ExtraMissing
from dlkit.pipeline import train
from dlkit.recipe import TrainingPart
from dlkit.training.watching import Course

pytestmark = pytest.mark.tf


def trained(tmp_path: Path, **training: Any) -> Any:
    own = {"epochs": 2, "batch_size": 64, "learning_rate": 0.01, **training}
    return train(short_recipe(training=own), tmp_path)


@pytest.mark.parametrize(
    "precision", [pytest.param("bfloat16", marks=pytest.mark.slow), pytest.param("float16", marks=pytest.mark.slow)]
)
def test_mixed_precision_trains_and_leaves_a_float32_model(precision: str, tmp_path: Path) -> None:
    """It learns, and every layer of what is written computes in float32."""
    result = trained(tmp_path, precision=precision, epochs=4)
    assert result.history[-1]["loss"] < result.history[0]["loss"]
    assert {layer.compute_dtype for layer in load_model(result.trained.model).layers} == {"float32"}
    assert result.validation.value > 0.5


def test_the_history_is_a_table_too(tmp_path: Path) -> None:
    """history.csv has the numbers of model.json, a line an epoch."""
    result = trained(tmp_path)
    folder = tmp_path / "short"
    lines = list(csv.DictReader((folder / "history.csv").read_text().splitlines()))
    assert [{key: float(value) for key, value in line.items()} for line in lines] == [
        {"epoch": number, **entry} for number, entry in enumerate(result.history, 1)
    ]
    assert json.loads((folder / "model.json").read_text())["history"] == result.history


@pytest.mark.slow
def test_the_validation_split_is_trained_on_and_no_judge(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the recipe says so it changes what is learnt, and the line with the accuracies says it."""
    apart, both = (trained(tmp_path / str(it), epochs=1, with_validation=it) for it in (False, True))
    assert apart.history[0]["loss"] != both.history[0]["loss"]
    for result, words in ((apart, "validation, "), (both, r"validation \(trained on too\), ")):
        print_training(result)
        assert re.search(rf"accuracy +0\.\d{{4}} {words}0\.\d{{4}} test \(", capsys.readouterr().out)


def course(losses: list[float], **own: Any) -> tuple[Course, Any]:
    """That has been through epochs of these losses; its one variable is then their number."""
    from dlkit.frameworks import keras

    variable = keras.Variable(np.zeros((), np.float32))
    of = Course(TrainingPart(epochs=20, **own), [variable], [variable])
    for number, loss in enumerate(losses, 1):
        variable.assign(number)
        of.add({"loss": 0.0, "val_loss": loss})
    return of, variable


@pytest.mark.parametrize(
    ("losses", "over"),
    [([3, 2, 1, 1, 1], False), ([3, 2, 1, 1, 1, 1], True), ([1, 2, 3, 0.5, 2], False), ([1, 2, 3, 4], True)],
)
def test_patience_ends_a_training_that_gets_no_better(losses: list[float], over: bool) -> None:
    """After three epochs without a smaller loss on the validation split."""
    assert course(losses, patience=3)[0].is_over == over


def test_without_patience_all_epochs_are_taken() -> None:
    """However bad they are."""
    assert not course([1.0] * 19)[0].is_over
    assert course([1.0] * 20)[0].is_over


@pytest.mark.parametrize(("keep", "kept"), [("best", 2), ("last", 4)])
def test_the_epoch_that_is_kept(keep: str, kept: int) -> None:
    """The best one, the first of equals, or the last."""
    of, variable = course([3, 1, 1, 2], keep=keep)
    of.end()
    assert float(variable.numpy()) == kept


def test_event_files_need_tensorboard(tmp_path: Path) -> None:
    """Without it the pip line, before anything is trained; with it a file."""
    import importlib.util

    recipe = short_recipe(training={"epochs": 1})
    if importlib.util.find_spec("tensorboard") is None:
        with pytest.raises(ExtraMissing, match="pip install tensorboard"):
            train(recipe, tmp_path, tensorboard=True)
        assert not (tmp_path / "short").exists()
    else:
        train(recipe, tmp_path, tensorboard=True)
        assert list((tmp_path / "short" / "tensorboard").rglob("events.out.*"))
