"""Weights from elsewhere: a file that fits gives the same network, one that does not says where."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shelf import in_lanes, outlined

from dlkit.errors import DataError, DlkitError, ModelFileError
from dlkit.networks import NETWORKS
from dlkit.pipeline import build_network
from dlkit.pipeline.weights import check_source, imagenet_labels, load_weights

pytestmark = pytest.mark.tf

SMALL: dict[str, Any] = {"input_shape": [32, 32, 3], "classes": 10, "width": 0.125}
FORMS = {
    "w.keras": lambda model, path: model.save(path),
    "w.weights.h5": lambda model, path: model.save_weights(path),
    "w.h5": lambda model, path: model.save(path),
}


@pytest.fixture(scope="module")
def donor():
    """A small VGG16 with weights of its own."""
    return NETWORKS["vgg16"].build(SMALL)


@pytest.fixture(params=FORMS)
def file(request: pytest.FixtureRequest, donor: Any, tmp_path: Path) -> Path:
    """The donor's weights, in each form that Keras writes."""
    path = tmp_path / request.param
    FORMS[request.param](donor, path)
    return path


def built(name: str, **options: Any) -> Any:
    return NETWORKS[name].build({**SMALL, **options})


def test_a_file_that_fits(file: Path, donor: Any, tmp_path: Path) -> None:
    """The network has the donor's numbers, and what is written is no longer called random."""
    trained, model = build_network("vgg16", tmp_path / "out", SMALL, weights=str(file))
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), donor.get_weights(), strict=True))
    assert trained.trained


@pytest.mark.parametrize(
    ("name", "options", "layer", "shapes"),
    [
        ("vgg16", {"classes": 5}, "predictions", "takes 512×5, 5, and 'predictions' in the file has 512×10, 10"),
        ("vgg16", {"input_shape": [32, 32, 1]}, "block1_conv1", "takes 3×3×1×8, 8, and 'block1_conv1' in the file"),
        ("vgg11", {}, "block2_conv1", "takes 3×3×8×16, 16, and 'block1_conv2' in the file has 3×3×8×8, 8"),
        ("vgg19", {}, "block3_conv4", "takes 3×3×32×32, 32, and 'block4_conv1' in the file has 3×3×32×64, 64"),
    ],
)
def test_the_first_layer_that_differs_is_named(file: Path, name: str, options: dict, layer: str, shapes: str) -> None:
    """With what it takes and what the file has."""
    with pytest.raises(ModelFileError, match=rf"do not fit: the layer '{layer}' {shapes}"):
        load_weights(built(name, **options), NETWORKS[name], {}, str(file))


def test_a_layer_too_many_or_too_few_is_named(file: Path) -> None:
    """What one of the two does not have at all."""
    with pytest.raises(ModelFileError, match=r"hold the layer 'fc1' \(64×512, 512\), which vgg16 .* does not have"):
        load_weights(built("vgg16", include_top=False), NETWORKS["vgg16"], {}, str(file))
    features = file.with_name(f"features.{file.name.partition('.')[2]}")
    FORMS[file.name](built("vgg16", include_top=False), features)
    with pytest.raises(ModelFileError, match="hold no weights for the layer 'fc1', which takes 64×512, 512"):
        load_weights(built("vgg16"), NETWORKS["vgg16"], {}, str(features))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("no.h5", None, "there is no such file"),
        ("w.pth", b"", "is no weights file that Keras reads; it takes imagenet, or a .keras, .weights.h5 or .h5 file"),
        ("w.h5", b"abc", "cannot be read: it is no HDF5 file, or cut short"),
        ("w.weights.h5", b"", "cannot be read: it is no HDF5 file, or cut short"),
        ("w.keras", b"abc", r"is not a .keras file \(no archive, or cut short\)"),
    ],
)
def test_what_is_no_weights_file(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    """One line, and nothing is written."""
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelFileError, match=message) as caught:
        build_network("vgg16", tmp_path / "out", SMALL, weights=str(path))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_an_archive_of_something_else(tmp_path: Path) -> None:
    """A ZIP file is not a model yet."""
    with zipfile.ZipFile(tmp_path / "w.keras", "w") as archive:
        archive.writestr("readme.txt", "no")
    with pytest.raises(ModelFileError, match="is an archive without a model of Keras"):
        load_weights(built("vgg16"), NETWORKS["vgg16"], {}, str(tmp_path / "w.keras"))


def test_a_link_out_of_the_file_is_not_followed(donor: Any, tmp_path: Path) -> None:
    """HDF5 can point into other files; a stranger's weights must not read yours."""
    import h5py

    donor.save_weights(tmp_path / "w.weights.h5")
    with h5py.File(tmp_path / "w.weights.h5", "a") as file:
        del file["layers/conv2d"]
        file["layers/conv2d"] = h5py.ExternalLink("other.h5", "/layers/conv2d")
    donor.save_weights(tmp_path / "other.weights.h5")
    (tmp_path / "other.weights.h5").rename(tmp_path / "other.h5")
    with pytest.raises(ModelFileError):
        load_weights(built("vgg16"), NETWORKS["vgg16"], {}, str(tmp_path / "w.weights.h5"))


def test_weights_that_are_no_numbers(donor: Any, tmp_path: Path) -> None:
    """NaN is told with its layer."""
    model = built("vgg16")
    values = donor.get_weights()
    values[4] = values[4] * np.nan
    model.set_weights(values)
    model.save_weights(tmp_path / "w.weights.h5")
    with pytest.raises(ModelFileError, match="the weights of 'block2_conv1' hold NaN or infinity"):
        load_weights(built("vgg16"), NETWORKS["vgg16"], {}, str(tmp_path / "w.weights.h5"))


@pytest.mark.parametrize("name", in_lanes(NETWORKS))
def test_every_network_takes_its_own_weights_back(name: str, tmp_path: Path) -> None:
    """Whatever layers it is made of, Keras' file of it is understood."""
    network = NETWORKS[name]
    model = network.build(dict(network.small))
    model.save_weights(tmp_path / "w.weights.h5")
    again = network.build(dict(network.small))
    load_weights(again, network, {}, str(tmp_path / "w.weights.h5"))
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), again.get_weights(), strict=True))


# --- ImageNet ---


def offline(*arguments: Any, **options: Any) -> None:
    """What Keras raises where there is no network."""
    raise Exception("URL fetch failure on https://example.org/w.h5: None -- [Errno -2] Name or service not known")


def test_imagenet_weights_come_from_keras_applications(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keras fetches the file and checks it; here a file of the same form takes its place, as there is no network."""
    import keras
    from keras.src.applications import mobilenet

    theirs = keras.applications.MobileNet(weights=None, input_shape=(128, 128, 3))
    theirs.save_weights(tmp_path / "w.weights.h5")
    monkeypatch.setattr(mobilenet.file_utils, "get_file", lambda *a, **k: str(tmp_path / "w.weights.h5"))
    network = NETWORKS["mobilenet_v1"]
    ours = network.build({"input_shape": [128, 128, 3]})
    load_weights(ours, network, {"input_shape": (128, 128, 3)}, "imagenet")
    assert all(np.array_equal(a, b) for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True))


@pytest.mark.parametrize("fetch", [lambda: load_weights(vgg(), NETWORKS["vgg16"], {}, "imagenet"), imagenet_labels])
def test_offline_says_what_to_do(fetch: Callable[[], Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The address and the reason, and the way around."""
    from keras.src.utils import file_utils

    monkeypatch.setattr(file_utils, "get_file", offline)
    with pytest.raises(
        DataError, match=r"cannot fetch the .*: URL fetch failure on https://.*; connect to the network"
    ):
        fetch()


def vgg() -> Any:
    return outlined(NETWORKS["vgg16"])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("vgg11", {}, "there are no ImageNet weights of vgg11; there are of .*vgg16"),
        ("vgg16", {"classes": 10}, "are for 1000 classes, not 10; leave classes out, or leave the classifier out"),
    ],
)
def test_imagenet_weights_that_there_are_not(name: str, options: dict, message: str, tmp_path: Path) -> None:
    """Told before anything is built."""
    with pytest.raises(DlkitError, match=message):
        check_source(NETWORKS[name], options, "imagenet")
    with pytest.raises(DlkitError, match=message):
        build_network(name, tmp_path, options, weights="imagenet")
    assert list(tmp_path.iterdir()) == []


def test_imagenet_weights_of_another_width() -> None:
    """The first layer that differs is named, before anything is fetched."""
    network, options = NETWORKS["vgg16"], {"width": 0.5}
    with pytest.raises(DlkitError, match=r"the ImageNet weights of vgg16: do not fit: the layer 'block1_conv1' takes"):
        load_weights(network.build({**options, "input_shape": [32, 32, 3]}), network, options, "imagenet")
