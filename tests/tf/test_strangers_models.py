"""Model files that would take a machine's memory or time, or that name what lies outside them: refused in a line."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from dlkit.conversion.describing import described
from dlkit.conversion.hdf5 import check_hdf5
from dlkit.conversion.legacy_keras import check_against_keras_2
from dlkit.errors import ModelFileError

pytestmark = pytest.mark.tf


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The parts of a small .keras file."""
    import keras

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="d")])
    path = tmp_path_factory.mktemp("saved") / "a.keras"
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


Put = Callable[..., Path]


@pytest.fixture
def put(saved: dict[str, bytes], tmp_path: Path) -> Put:
    """A .keras file of these parts, with others in their place or beside them."""

    def write(change: Callable[[dict[str, Any]], None] = lambda config: None, **others: bytes) -> Path:
        config = json.loads(saved["config.json"])
        change(config)
        parts = {**saved, "config.json": json.dumps(config).encode(), **others}
        with zipfile.ZipFile(tmp_path / "a.keras", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in parts.items():
                archive.writestr(name, content)
        return tmp_path / "a.keras"

    return write


def refused(path: Path) -> str:
    with pytest.raises(ModelFileError) as caught:
        described(path)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{path}: ")


def _a_billion(config: dict[str, Any]) -> None:
    layer = config["config"]["layers"][1]
    layer["config"]["units"] = 10**9
    layer.pop("build_config", None)


@pytest.mark.slow  # TensorFlow waits ten seconds for memory before it says that there is none
def test_a_layer_larger_than_its_weights_is_refused(put: Put) -> None:
    """16 GB of weights in a file of a few thousand bytes are never there."""
    assert refused(put(_a_billion)).startswith("its layers need far more memory than the weights in it, ")


def test_what_lies_outside_is_refused(put: Put) -> None:
    """By its name, before anything is taken out."""
    assert refused(put(**{"../../x": b""})) == "has a part called '../../x', which lies outside of it"


def test_an_archive_that_unpacks_to_gigabytes_is_refused(put: Put) -> None:
    """By its list of contents."""
    said = refused(put(**{"assets/x": bytes(2**27)}))
    assert "bytes and unpacks to 134," in said


def test_a_configuration_that_goes_too_deep_is_refused(put: Put) -> None:
    """Python could not follow it."""
    deep = b'{"a":' * 400 + b"1" + b"}" * 400
    assert refused(put(**{"config.json": deep})) == "its configuration is nested too deeply; save the model again"


@pytest.mark.parametrize("kind", ["TFSMLayer", "StringLookup", "TorchModuleWrapper"])
def test_a_class_where_a_function_should_be_is_refused(put: Put, kind: str) -> None:
    """Keras takes it for an activation."""

    def change(config: dict[str, Any]) -> None:
        config["config"]["layers"][1]["config"]["activation"] = {
            "module": "keras.layers", "class_name": "function", "config": kind, "registered_name": kind,
        }  # fmt: skip

    assert refused(put(change))


def test_modules_that_tf_keras_would_import_are_refused(put: Put) -> None:
    """It imports what a file of Keras 2 names."""

    def change(config: dict[str, Any]) -> None:
        config["config"]["layers"][1]["config"]["activation"] = {
            "module": "os", "class_name": "function", "config": "system", "registered_name": "system",
        }  # fmt: skip

    path = put(change, **{"metadata.json": b'{"keras_version": "2.15.0"}'})
    with pytest.raises(ModelFileError, match="code that a file names is not run"):
        check_against_keras_2(path, [], [])


def _huge(file: h5py.File) -> None:
    file.create_dataset("x", shape=(50_000, 50_000), dtype="f4")


def _elsewhere(file: h5py.File) -> None:
    file["x"] = h5py.ExternalLink("/etc/passwd", "/x")


def _outside(file: h5py.File) -> None:
    file.create_dataset("x", shape=(4,), dtype="u1", external=[("/etc/passwd", 0, 4)])


@pytest.mark.parametrize(
    ("fill", "said"),
    [
        (_huge, "the array 'x' says it has 10,000,000,000 bytes, and 0 are stored; save the file again"),
        (_elsewhere, "'x' lies in another file, '/etc/passwd'; save it as one file"),
        (_outside, "the array 'x' lies in another file; save it as one file"),
    ],
)
def test_weights_that_are_not_in_the_file_are_refused(
    tmp_path: Path, fill: Callable[[h5py.File], None], said: str
) -> None:
    """Before this process opens it."""
    path = tmp_path / "a.weights.h5"
    with h5py.File(path, "w") as file:
        fill(file)
    with pytest.raises(ModelFileError) as caught:
        check_hdf5(path)
    assert str(caught.value) == f"{path}: {said}"


def test_weights_that_are_cut_off_are_refused(tmp_path: Path) -> None:
    """In a line that names the file."""
    path = tmp_path / "a.weights.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.ones(1000)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(ModelFileError, match=r"a\.weights\.h5: cannot be read: it is no HDF5 file, or cut short"):
        check_hdf5(path)
