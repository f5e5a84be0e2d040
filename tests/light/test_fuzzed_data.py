"""Files that are spoiled in a way that hypothesis chooses, for each reader of data and recipes.

Thousands more: `PYTHONPATH=tests python -m fuzzing.data`.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from fuzzing.readers import READERS, Reader, outcome, prepared, seeds_of, spoiled
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FILES = 16
"""For each reader."""


@pytest.fixture(params=READERS.values(), ids=lambda reader: reader.name)
def reader(request: pytest.FixtureRequest) -> Reader:
    return request.param


@pytest.fixture
def folder(reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the reader's files are, below the folder that the test runs in."""
    monkeypatch.chdir(tmp_path)
    return prepared(reader, tmp_path / "read")


def test_a_good_file_is_read(reader: Reader, folder: Path) -> None:
    """Most of those that are spoiled below; some show what no model takes."""
    found = [outcome(reader, content, folder) for content in seeds_of(reader)]
    assert found.count("read") >= 0.7 * len(found)


def test_a_spoiled_file_is_read_or_refused_in_one_line(reader: Reader, folder: Path) -> None:
    """Never with another error, nor with a warning beside it."""

    @settings(
        max_examples=FILES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.randoms(use_true_random=False))
    def check(chance: Random) -> None:
        outcome(reader, spoiled(reader, chance), folder)

    check()
