"""Ray makes and measures the candidates of a search."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import shutil
from pathlib import Path

import pytest

from dlkit.errors import ConversionError
from dlkit.pipeline import on_ray
from dlkit.pipeline.comparing import compare
from dlkit.pipeline.goals import Goals
from dlkit.pipeline.searching import search

pytestmark = [
    pytest.mark.tf,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed"),
    pytest.mark.filterwarnings("ignore"),  # what Ray and the libraries it brings warn of
]

SOME = ["int8", "weights_int8", "float16", "int8_pruned"]


@pytest.fixture
def place(models: Path, tmp_path: Path) -> Path:
    """A folder of models of its own that holds short/model.keras."""
    shutil.copytree(models / "short", tmp_path / "short", ignore=shutil.ignore_patterns("cpu-*"))
    return tmp_path


def test_a_search_by_ray_finds_what_threads_find(place: Path) -> None:
    """The same trail, and the same file to the byte; one that is fitted again is among them."""
    how = {"schemes": SOME, "out": place, "force": True, "jobs": 2}
    goals = Goals(max_drop=0.02, prefer="gzip", max_arena_bytes=None)
    here = search("short", goals, **how)
    there = search("short", goals, ray=True, **how)
    assert "int8_pruned" in {each.candidate.scheme for each in there.trail.tried if each.measured}
    assert [dataclasses.replace(each, seconds=0.0) for each in there.trail.tried] == [
        dataclasses.replace(each, seconds=0.0) for each in here.trail.tried
    ]
    assert there.bundle.manifest["sha256"]["model.tflite"] == here.bundle.manifest["sha256"]["model.tflite"]


def test_a_comparison_by_ray_measures_what_threads_measure(place: Path) -> None:
    """A recurrent network needs the TensorFlow converter there; times are measured here."""
    found = {
        by_ray: {v.scheme: v.measured for v in compare("short", SOME[:3], out=place, ray=by_ray).variants}
        for by_ray in (True, False)
    }
    assert found[True].keys() == set(SOME[:3])
    for scheme, there in found[True].items():
        here = found[False][scheme]
        assert there.latency_ms > 0
        assert (there.bytes, there.gates, there.arena_bytes) == (here.bytes, here.gates, here.arena_bytes)


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


def test_a_machine_with_other_versions_is_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything that was pickled is read."""
    versions = on_ray.package_versions()
    monkeypatch.setattr(on_ray, "package_versions", lambda: versions | {"tensorflow": "1.0"})
    found = search("short", Goals(max_drop=0.02), schemes=["float32"], out=place, ray=True)
    [tried] = found.trail.tried
    assert f"has tensorflow {versions['tensorflow']}, and here it is 1.0; install the same" in tried.why_not


def test_what_a_task_raises_is_one_line() -> None:
    """Not Ray's account of it."""

    def fails() -> None:
        raise ValueError("no\nnumber")

    with on_ray.on_ray(True, 1) as cluster, pytest.raises(ConversionError) as raised:
        cluster.result(fails)
    assert str(raised.value) == "Ray: ValueError: no"
