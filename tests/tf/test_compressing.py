"""Compression from a trained Keras model to another of the same network, which keeps what its preparation promises."""

from __future__ import annotations

import dataclasses
import gc
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shelf import in_lanes, inputs_for, lively, made_in_children, near
from short import short_recipe

from dlkit.archive import contents_sha256
from dlkit.compression.clustering import distinct
from dlkit.compression.compressing import STEPS, Compressed, compress, compress_model, prepared
from dlkit.compression.pruning import has_fours
from dlkit.conversion.kept_compression import broken_compression
from dlkit.conversion.keras_file import write_keras
from dlkit.conversion.named_ends import input_names
from dlkit.conversion.tflite import load_model
from dlkit.errors import IllegalCombination, TrainingError, UnknownName
from dlkit.networks import NETWORKS
from dlkit.progress import SILENT, ignore
from dlkit.recipe import Recipe
from dlkit.runtime.inspection import inspect_file
from dlkit.runtime.stored_weights import stored_weights
from dlkit.schemes import SCHEMES
from dlkit.trained import Trained
from dlkit.verify import broken_promises

pytestmark = pytest.mark.tf

P, C, Q = STEPS
FAMILIES = [
    "cnn", "lstm", "dcgan28_generator", "resnet20", "resnext29_8x64d", "inception_v2", "densenet40", "xception",
    "mobilenet_v1_025", "mobilenet_v2", "convolutional_autoencoder", "dense_autoencoder", "variational_autoencoder",
    "gru", "simple_rnn", "bidirectional_lstm", "bidirectional_gru", "alexnet", "ds_cnn",
]  # fmt: skip
ALL_STEPS = "int8_pcqat"
FEWER_STEPS = [name for name, scheme in SCHEMES.items() if scheme.preparation and name != ALL_STEPS]

OUTPUTS = {"Conv2DTranspose": -2}
"""Layer → axis of a kernel's outputs, where it is not the last."""


@pytest.fixture(autouse=True)
def models_are_forgotten() -> Iterator[None]:
    """Both Kerases keep what a model leaves; it would be gigabytes."""
    yield
    import keras
    import tf_keras

    keras.backend.clear_session()
    tf_keras.backend.clear_session()
    gc.collect()


def recipe_for(name: str, **compression: Any) -> Recipe:
    """A recipe that fits the network, small, to the digits again for an epoch of six batches."""
    network = NETWORKS[name]
    options = {key: value for key, value in network.small.items() if key != "classes"}
    if network.task == "generation":
        options = {"input_shape": [16], "image_shape": [8, 8, 1], "width": 8}
    elif len(options.get("input_shape", ())) == 3:
        options["input_shape"] = [*options["input_shape"][:2], 1]
    return short_recipe(
        name="again",
        network={"name": name, "options": options},
        data={"name": "digits", "resize": "pad", "preprocessing": "signed" if network.task == "generation" else "unit"},
        training={"epochs": 1, "batch_size": 256, "learning_rate": 0.01},
        compression={"clusters": 8, **compression},
    )


def network_of(recipe: Recipe) -> Any:
    return lively(NETWORKS[recipe.network.name], **recipe.network.options)


def kernels_in(model: Any, layer: str) -> list[np.ndarray]:
    """The kernels of a layer of Keras 3, outputs last."""
    one = model.get_layer(layer)
    axis = OUTPUTS.get(type(one).__name__, -1)
    names = ("kernel", "recurrent_kernel", "pointwise_kernel")
    return [np.moveaxis(np.asarray(w), axis, -1) for w in one.weights if w.name in names]


def check_promises(model: Any, found: Compressed, preparation: tuple[str, ...]) -> None:
    """That the Keras 3 model has what was promised of its kernels, counted anew."""
    assert bool(found.pruned) == (P in preparation)
    assert bool(found.clustered) == (C in preparation)
    for layer in {each.layer for each in found.pruned}:
        for kernel in kernels_in(model, layer):
            assert (kernel == 0).sum() >= min(round(kernel.size / 2), kernel.size - 1)
    for layer in {each.layer for each in found.clustered}:
        for kernel in kernels_in(model, layer):
            assert distinct(kernel.reshape(1, -1, kernel.shape[-1])) <= found.clusters


def compressed(recipe: Recipe, preparation: tuple[str, ...], folder: Path) -> tuple[list[np.ndarray], Any, Compressed]:
    """Weights before, the model after, and what is told of it, as an export makes them.

    In a child: TensorFlow keeps some 90 MB of each training until its process ends.
    """
    model = network_of(recipe)
    write_keras(model, folder / "before.keras")
    found = compress_model(folder / "before.keras", recipe, preparation, folder, SILENT)
    return model.get_weights(), load_model(found.model), found


def check_model_and_file(name: str, scheme: str, folder: Path) -> None:
    """That a network fitted again for `scheme` keeps its promises, in Keras and in its file, which runs."""
    preparation = SCHEMES[scheme].preparation
    before, model, found = compressed(recipe_for(name), preparation, folder)
    check_promises(model, found, preparation)
    assert [step.name for step in found.steps] == list(preparation)
    assert all(np.isfinite(value).all() for value in model.get_weights())
    assert any((a != b).any() for a, b in zip(before, model.get_weights(), strict=True))

    inputs = inputs_for(NETWORKS[name], model.input_shape[1:])
    made = made_in_children(model, scheme, inputs, folder)
    content = made.file.read_bytes()
    assert broken_promises(inspect_file(made.file), SCHEMES[scheme]) == []
    assert broken_compression(found.promises, stored_weights(content, name)) == []
    assert near(made.float_file.read_bytes(), content, {input_names(model)[0]: inputs})


@pytest.mark.slow
@pytest.mark.parametrize("name", in_lanes(FAMILIES, lambda name: name != "cnn"))
def test_all_steps_together_are_kept_by_the_model_and_its_file(name: str, tmp_path: Path) -> None:
    check_model_and_file(name, ALL_STEPS, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", FEWER_STEPS)
@pytest.mark.parametrize("name", FAMILIES)
def test_what_a_scheme_promises_is_kept_by_the_model_and_its_file(name: str, scheme: str, tmp_path: Path) -> None:
    check_model_and_file(name, scheme, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", in_lanes(["cnn", "dcgan28_generator", "lstm"], lambda name: name != "cnn"))
@pytest.mark.parametrize("pattern", ["2:4", "block"])
def test_pruned_kernels_have_their_pattern(name: str, pattern: str) -> None:
    recipe = recipe_for(name, pruning=pattern, block=[2, 2])
    model = network_of(recipe)
    found = prepared(model, recipe, (P, Q), ignore)
    assert found.pattern == pattern
    for layer in {each.layer for each in found.pruned}:
        for kernel in kernels_in(model, layer):
            cube = kernel.reshape(-1, *kernel.shape[-2:])
            if pattern == "2:4":
                assert has_fours(cube)
            else:
                sides = [(r, c) for r in range(0, cube.shape[1], 2) for c in range(0, cube.shape[2], 2)]
                blocks = [matrix[r : r + 2, c : c + 2] != 0 for matrix in cube for r, c in sides]
                assert all(block.all() or not block.any() for block in blocks)


def test_what_24_cannot_have_is_told() -> None:
    recipe = recipe_for("cnn", pruning="2:4")
    found = prepared(network_of(recipe), recipe, (P,), ignore)
    [note] = found.notes
    assert "conv1" in note
    assert "conv1" not in {each.layer for each in found.pruned}


def test_kept_layers_are_neither_pruned_nor_clustered() -> None:
    recipe = recipe_for("cnn", keep=["conv*"])
    found = prepared(network_of(recipe), recipe, (P, C), ignore)
    layers = {each.layer for each in (*found.pruned, *found.clustered)}
    assert layers
    assert not any(layer.startswith("conv") for layer in layers)


def test_a_pattern_that_no_layer_has_is_refused() -> None:
    recipe = recipe_for("cnn", keep=["convv1"])
    with pytest.raises(UnknownName, match=r"compression.keep: unknown layer with a kernel 'convv1'; did you mean"):
        prepared(network_of(recipe), recipe, (P,), ignore)


@pytest.mark.slow
def test_depthwise_kernels_are_left_and_told() -> None:
    recipe = recipe_for("ds_cnn")
    model = network_of(recipe)
    found = prepared(model, recipe, (P,), ignore)
    assert "depthwise" in found.notes[0]
    assert not any("depthwise" in type(model.get_layer(each.layer)).__name__.lower() for each in found.pruned)


def test_an_optimizer_that_tf_keras_lacks_is_refused_by_name() -> None:
    recipe = recipe_for("cnn")
    lamb = dataclasses.replace(recipe, training=dataclasses.replace(recipe.training, optimizer="lamb"))
    with pytest.raises(IllegalCombination, match=r"--set compression.optimizer=adamw"):
        prepared(network_of(lamb), lamb, (Q,), ignore)
    instead = dataclasses.replace(lamb, compression=dataclasses.replace(lamb.compression, optimizer="sgd"))
    assert prepared(network_of(instead), instead, (Q,), ignore).steps


def test_a_loss_that_is_no_number_ends_the_fitting() -> None:
    recipe = recipe_for("convolutional_autoencoder", learning_rate=1e30, optimizer="sgd", epochs=3)
    with pytest.raises(TrainingError, match=r"--set compression.learning_rate"):
        prepared(network_of(recipe), recipe, (P,), ignore)


@pytest.mark.parametrize("preparation", [(), (Q, P), (P, P), ("pruning",)])
def test_a_preparation_that_is_none_is_refused(preparation: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(IllegalCombination, match="pruned, clustered, quantization_aware"):
        compress_model(tmp_path / "model.keras", recipe_for("cnn"), preparation, tmp_path, SILENT)


def test_a_trained_model_is_compressed_in_a_child(trained: Trained, tmp_path: Path) -> None:
    assert trained.recipe is not None
    found = compress_model(trained.model, trained.recipe, (P, C), tmp_path, SILENT)
    assert found.model == tmp_path / "compressed.keras"
    model = load_model(found.model)
    check_promises(model, found, (P, C))
    assert [len(step.history) for step in found.steps] == [2, 2]  # a quarter of the eight epochs
    assert [layer.name for layer in model.layers] == [layer.name for layer in load_model(trained.model).layers]


@pytest.mark.slow
def test_the_same_recipe_gives_the_same_weights_and_the_environment_is_left(trained: Trained, tmp_path: Path) -> None:
    assert trained.recipe is not None
    before = dict(os.environ)
    for which in ("one", "other"):
        compress(
            model=str(trained.model),
            recipe=json.dumps(trained.recipe.as_dict()),
            preparation=json.dumps([C, Q]),
            compressed=str(tmp_path / f"{which}.keras"),
            told=str(tmp_path / f"{which}.json"),
            advance=ignore,
        )
    assert contents_sha256(tmp_path / "one.keras") == contents_sha256(tmp_path / "other.keras")
    assert os.environ.get("TF_USE_LEGACY_KERAS") == before.get("TF_USE_LEGACY_KERAS")


def test_progress_counts_the_epochs_of_all_steps() -> None:
    told: list[tuple[int, int]] = []
    recipe = recipe_for("cnn", epochs=2)
    prepared(network_of(recipe), recipe, (P, C), lambda done, total: told.append((done, total)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
