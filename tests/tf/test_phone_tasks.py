"""Code for phones of whole exports: an auto-encoder, a detector of anomalies, a network that keeps a state."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from phone_code import finishing_of, heard, kotlin_says, numbers, parsed
from short import short_recipe

from dlkit.bundle.loading import load_bundle
from dlkit.devices.checking import check_bundle
from dlkit.finishing import kotlin as kotlin_step
from dlkit.finishing import swift as swift_step
from dlkit.pipeline import export, run
from dlkit.trained import load_trained

pytestmark = pytest.mark.tf


@pytest.mark.slow  # compiles Kotlin
@pytest.mark.full
def test_an_auto_encoder_on_a_phone(tmp_path: Path) -> None:
    """What it gives again, how far that is from what it was given, and whether that is too far; files in the bundle."""
    recipe = short_recipe(
        network={"name": "dense_autoencoder", "options": {}},
        training={"epochs": 2, "learning_rate": 0.01, "loss": "mse"},
        export={"target": "android", "scheme": "int8", "max_drop": 0.1},
    )
    _, bundle, report = run(recipe, tmp_path)
    assert any("was not compiled" in note for note in report.notes)
    count, gap, allowed = check_bundle(load_bundle(bundle.folder))
    assert (count > 0, gap <= allowed) == (True, True)
    samples = np.load(bundle.folder / "samples.npz")
    given = finishing_of(bundle, "android")
    [raw] = [given.inputs[name].raw_batch(values) for name, values in given.samples.items()]
    errors = bundle.scores(raw)
    manifest = {**bundle.manifest, "anomaly": {"normal": ["0"], "threshold": float(errors[:2].mean())}}
    made = kotlin_step.make(finishing_of(bundle, "android", manifest=manifest))
    main = """
    val model = AutoEncoder(ByteBuffer.allocate(0))
    println(model.selfCheck(ByteBuffer.wrap(File(folder, "samples").readBytes())))
    for (name in listOf("raw0", "raw1")) {
        val raw = floats(File(folder, name))
        println(model.reconstruct(raw).toList())
        println(model.error(raw))
        println(model.isAnomaly(raw))
    }
    """
    files = [(f"raw{n}", raw[n].astype("<f4").tobytes()) for n in range(2)]
    written = (bundle.folder / "android" / "samples.bin").read_bytes()
    record = heard(bundle, bundle.prepared(given.samples))
    said = kotlin_says(made.files["android/AutoEncoder.kt"].decode(), main, tmp_path / "k", record, *files,
                       ("samples", written))  # fmt: skip
    assert said[0] == "null"
    [outputs] = [samples[name] for name in samples.files if name.startswith("output ")]
    for n, (again, error, beyond) in enumerate([said[1:4], said[4:7]]):
        np.testing.assert_array_equal(numbers(again), outputs[n].ravel())
        assert float(error) == pytest.approx(errors[n], rel=1e-6)
        assert beyond == str(errors[n] > manifest["anomaly"]["threshold"]).lower()


@pytest.mark.slow  # compiles Kotlin
@pytest.mark.full
def test_a_network_with_a_state_on_a_phone(lstm_models: Path, tmp_path: Path) -> None:
    """Each inference begins anew, as `Session` has it: the code of such a file makes an interpreter for each."""
    bundle, _ = export(load_trained(lstm_models / "lstm"), "int8_float_io", "ios", out=tmp_path)
    swift = (bundle.folder / "ios" / "Classifier.swift").read_text()
    assert parsed(swift, "swift") == []
    assert "keeps a state between two inferences" in swift
    kotlin = kotlin_step.make(finishing_of(bundle, "android")).files["android/Classifier.kt"].decode()
    assert "keeps a state between two inferences" in kotlin
    given = finishing_of(bundle, "ios")
    main = """
    println(Classifier(ByteBuffer.allocate(0)).selfCheck(ByteBuffer.wrap(File(folder, "samples").readBytes())))
    """
    samples = (bundle.folder / "ios" / "samples.bin").read_bytes()
    record = heard(bundle, bundle.prepared(given.samples))
    assert kotlin_says(kotlin, main, tmp_path / "k", record, ("samples", samples)) == ["null"]
    assert swift_step.make(given).files["ios/samples.bin"] == samples
