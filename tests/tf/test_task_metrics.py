"""An exported file is judged by its task: what an auto-encoder gives again, what a binary classifier tells apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlkit.datasets import DATASETS
from dlkit.errors import VerificationRefused
from dlkit.pipeline import export
from dlkit.pipeline.foreign import adopt
from dlkit.pipeline.making_models import build_network

pytestmark = pytest.mark.tf

IMAGE = {"input_shape": [8, 8, 1]}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("dense_autoencoder", {"units": [16]}),
        pytest.param("convolutional_autoencoder", {"width": 8}, marks=pytest.mark.slow),
        pytest.param("variational_autoencoder", {"width": 8}, marks=pytest.mark.slow),
    ],
)
def test_a_trained_autoencoder_is_held_against_its_input(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    """int8 loses next to nothing of what it gives again; the report says both in decibels."""
    pixels = DATASETS["digits"].load().train.samples * (255.0 / 16.0)
    trained, model = build_network(name, tmp_path, IMAGE | options)
    x = trained.inputs["image"].apply(pixels)
    model.compile("adam", "mse")
    model.fit(x, x, epochs=3, batch_size=32, verbose=0)
    model.save(trained.model)
    bundle, report = export(trained, "int8", data={"image": pixels[:400]}, out=tmp_path / "out")
    gate = report.gate
    assert gate.metric == "psnr_db"
    assert gate.float > 9.0  # the mean pixel everywhere would have 8.5 dB
    assert abs(gate.float - gate.exported) < 0.1
    assert gate.float == pytest.approx(-10 * np.log10(gate.float_mse))
    assert f"PSNR         {gate.float:.2f} dB float, {gate.exported:.2f} dB exported" in report_of(bundle)
    [stored] = json.loads((bundle.folder / "report.json").read_text())["gates"]
    assert stored["exported_mse"] == gate.exported_mse


def report_of(bundle: Any) -> str:
    return (bundle.folder / "report.txt").read_text(encoding="utf-8")


def binary_classifier(folder: Path, *, crippled: bool = False) -> Path:
    """By the mean of four numbers; crippled, by one of two hidden units, whose range the other hides from int8."""
    import keras

    x = keras.Input((4,), name="x")
    hidden = keras.layers.Dense(2, activation="relu", name="h")(x)
    model = keras.Model(x, keras.layers.Dense(1, activation="sigmoid", name="y")(hidden))
    kernel = np.full((4, 2), 0.25, np.float32)
    kernel[:, 1] *= 4000.0 if crippled else 1.0
    model.get_layer("h").set_weights([kernel, np.zeros(2, np.float32)])
    model.get_layer("y").set_weights([np.array([[10.0], [0.0]], np.float32), np.array([-5.0], np.float32)])
    model.save(folder / "binary.keras")
    return folder / "binary.keras"


def labelled(folder: Path) -> Path:
    """Numbers from 0 to 1, of class 1 where a noisy mean of them is above the half."""
    rng = np.random.default_rng(0)
    x = rng.random((200, 4), dtype=np.float32)
    np.savez(folder / "rows.npz", x=x, labels=(x.mean(axis=1) + rng.normal(0, 0.05, 200) > 0.5).astype(np.int64))
    return folder / "rows.npz"


@pytest.mark.parametrize("scheme", ["float32", "int8"])
def test_a_binary_classifier_is_held_to_its_order(scheme: str, tmp_path: Path) -> None:
    """By the area under the ROC curve where labels are 0 and 1."""
    model = adopt(binary_classifier(tmp_path), "none")
    bundle, report = export(model, scheme, data=labelled(tmp_path), out=tmp_path / "out")
    gate = report.gate
    assert (gate.metric, gate.samples) == ("auc", 40)
    assert 0.9 < gate.float < 1.0
    assert abs(gate.float - gate.exported) <= 0.01
    assert f"area         {gate.float:.4f} float, {gate.exported:.4f} exported (under the ROC curve)" in report_of(
        bundle
    )


def test_a_binary_classifier_that_tells_nothing_apart_is_refused(tmp_path: Path) -> None:
    """Every sample gets the same answer, which is the area of a guess."""
    model = adopt(binary_classifier(tmp_path, crippled=True), "none")
    with pytest.raises(
        VerificationRefused, match=r"area under the ROC curve fell from 0\.9\d+ to 0\.\d+ on 40 samples"
    ):
        export(model, "int8", data=labelled(tmp_path), out=tmp_path / "out")
    assert not list((tmp_path / "out").rglob("model.tflite"))
