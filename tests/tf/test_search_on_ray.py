"""Ray makes and measures the candidates of a search."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from short import short_recipe

from dlkit.errors import ConversionError
from dlkit.pipeline import on_ray
from dlkit.pipeline.bundling import labelled_file
from dlkit.pipeline.candidates import Candidate
from dlkit.pipeline.comparing import compare
from dlkit.pipeline.exporting import ready_to_export
from dlkit.pipeline.finding import found_model
from dlkit.pipeline.goals import Goals
from dlkit.pipeline.preparing import Prepared
from dlkit.pipeline.searching import search
from dlkit.pipeline.trials import measured_file
from dlkit.progress import SILENT
from dlkit.schemes import SCHEMES
from dlkit.targets import TARGETS
from dlkit.writing import temporary_folder

pytestmark = pytest.mark.tf
needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed")
ray_noise = pytest.mark.filterwarnings("ignore")  # what Ray and the libraries it brings warn of

SOME = ["int8", "weights_int8", "float16", "int8_pruned"]


@pytest.fixture
def place(models: Path, tmp_path: Path) -> Path:
    """A folder of models of its own that holds short/model.keras."""
    shutil.copytree(models / "short", tmp_path / "short", ignore=shutil.ignore_patterns("cpu-*"))
    return tmp_path


@contextlib.contextmanager
def made_ready(name: str, models: Path, scheme: str) -> Iterator[Prepared]:
    """What the file of a scheme is made from, in folders that go with the block."""
    device = TARGETS["cpu"]
    with (
        found_model(name, models) as trained,
        ready_to_export(trained, [SCHEMES[scheme]], device, None, None, (), False, SILENT) as ready,
    ):
        yield ready.preparing.prepared(SCHEMES[scheme])


@pytest.fixture(scope="module")
def several(models: Path, lstm_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models of three tasks and makes."""
    from dlkit.pipeline import build_recipe

    folder = tmp_path_factory.mktemp("several")
    shutil.copytree(models / "short", folder / "short")
    shutil.copytree(lstm_models / "lstm", folder / "lstm")
    build_recipe(short_recipe(name="again", network={"name": "dense_autoencoder"}), folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", ["short", "lstm", "again"])
def test_what_is_sent_is_all_that_a_task_needs(name: str, several: Path) -> None:
    """Its model is gone by then: int8 of the LSTM is by TensorFlow, and an auto-encoder is held against its input."""
    candidate = Candidate("int8", "minmax")
    with made_ready(name, several, "int8") as prepared, temporary_folder() as folder:
        made = labelled_file(prepared.plan, prepared.answers.converted.linked(folder), SCHEMES["int8"], SILENT)
        here = measured_file(prepared, made, SCHEMES["int8"], arena=False)
        content = made.file.read_bytes()
        parcel = pickle.dumps(on_ray.packed(prepared, with_models="TensorFlow" in made.quantizer))
    assert ("TensorFlow" in made.quantizer) == (name == "lstm")
    done = on_ray.measured_there(pickle.loads(parcel), None, candidate, False)
    assert isinstance(done, on_ray.Done), done
    assert done.measured == here
    assert done.content == content


@needs_ray
@ray_noise
def test_a_search_by_ray_finds_what_threads_find(place: Path) -> None:
    """The same trail, and the same file to the byte; one that is fitted again is among them."""
    how = {"schemes": SOME, "out": place, "force": True, "jobs": 2}
    goals = Goals(max_drop=0.02, prefer="gzip")
    here = search("short", goals, **how)
    there = search("short", goals, ray=True, **how)
    assert "int8_pruned" in {each.candidate.scheme for each in there.trail.tried if each.measured}
    assert [dataclasses.replace(each, seconds=0.0) for each in there.trail.tried] == [
        dataclasses.replace(each, seconds=0.0) for each in here.trail.tried
    ]
    assert there.bundle.manifest["sha256"]["model.tflite"] == here.bundle.manifest["sha256"]["model.tflite"]


@needs_ray
@ray_noise
def test_a_comparison_by_ray_is_timed_here(place: Path) -> None:
    """Every file comes back, with what was measured of it."""
    found = compare("short", ["int8", "float32"], out=place, ray=True)
    assert {each.scheme for each in found.variants} == {"int8", "float32"}
    for each in found.variants:
        assert each.measured is not None
        assert each.measured.latency_ms > 0
        assert each.measured.quality > 0.8


@needs_ray
@ray_noise
def test_a_worker_that_dies_costs_its_candidate_alone(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has a line; the others are made."""
    real = on_ray.measured_there

    def dies(parcel, ranges, candidate, arena):
        if candidate.scheme == "float16":
            os._exit(1)
        return real(parcel, ranges, candidate, arena)

    monkeypatch.setattr(on_ray, "measured_there", dies)
    found = search("short", Goals(max_drop=0.02), schemes=["float16", "float32"], out=place, ray=True)
    told = {each.candidate.scheme: each for each in found.trail.tried}
    assert told["float16"].measured is None
    assert told["float16"].why_not.startswith("Ray: ")
    assert "\n" not in told["float16"].why_not
    assert found.trail.chosen == told["float32"].candidate


@needs_ray
@ray_noise
def test_a_machine_with_other_versions_is_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything that was pickled is read."""
    versions = on_ray.package_versions()
    monkeypatch.setattr(on_ray, "package_versions", lambda: versions | {"tensorflow": "1.0"})
    found = search("short", Goals(max_drop=0.02), schemes=["float32"], out=place, ray=True)
    [tried] = found.trail.tried
    assert f"has tensorflow {versions['tensorflow']}, and here it is 1.0; install the same" in tried.why_not


@needs_ray
@ray_noise
def test_what_a_task_raises_is_one_line() -> None:
    """Not Ray's account of it."""

    def fails() -> None:
        raise ValueError("no\nnumber")

    with on_ray.on_ray(True, 1) as cluster, pytest.raises(ConversionError) as raised:
        cluster.result(fails)
    assert str(raised.value) == "Ray: ValueError: no"


@needs_ray
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_is_stopped_in_order(place: Path, number: signal.Signals) -> None:
    """As without Ray: it says how to go on, and nothing runs any more or is left but what was finished."""
    words = ["export", "short", "--out", place, "--max-drop", "0.01", "--ray", "-q"]
    process = subprocess.Popen(
        [sys.executable, "-m", "dlkit", *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not list(place.glob("short/.search-*/[!.]*/tried.json")) and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)  # which ends when every process that could write has ended
    assert process.returncode == 128 + number
    assert (out, err.splitlines()[:1]) == ("", ["go on with the same command and --resume"])
    assert "Traceback" not in err
    assert not (place / "short" / "cpu-best").exists()
