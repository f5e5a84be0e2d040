"""Checkpoints are whole or absent, few, and of one training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlkit.errors import OutputError
from dlkit.leftovers import LOCK
from dlkit.recipe import Recipe, recipe_from
from dlkit.training.checkpoints import Checkpoint, Checkpoints


def recipe_of(**training: Any) -> Recipe:
    own = {"name": "kept", "network": {"name": "cnn"}, "data": {"name": "digits"}}
    return recipe_from({**own, "training": {"epochs": 9, **training}}, "recipe")


def after(epochs: int, best: bool = False) -> Checkpoint:
    history = [{"loss": 1.0 / (epoch + 1), "val_loss": 0.1 + 0.2} for epoch in range(epochs)]
    state = [np.full((2, 3), epochs, np.float32), np.asarray(epochs, np.int64), np.arange(12, dtype=np.uint32)]
    return Checkpoint(history, state, [np.ones((2, 3), np.float32)] if best else [])


@pytest.fixture
def kept(tmp_path: Path) -> Checkpoints:
    return Checkpoints(tmp_path / "checkpoints", recipe_of())


@pytest.mark.parametrize("best", [False, True])
def test_a_checkpoint_comes_back_as_it_was(kept: Checkpoints, best: bool) -> None:
    """Every array with its type, and the history to the last digit."""
    wanted = after(3, best)
    kept.write(wanted)
    found = kept.newest()
    assert found is not None
    assert found.epochs == 3
    assert found.history == wanted.history
    for arrays, others in ((found.state, wanted.state), (found.best, wanted.best)):
        assert [(a.dtype, a.shape) for a in arrays] == [(b.dtype, b.shape) for b in others]
        assert all(np.array_equal(a, b) for a, b in zip(arrays, others, strict=True))


def test_without_any_there_is_none(kept: Checkpoints) -> None:
    """Nothing can be taken up, and nothing is refused."""
    assert kept.newest() is None
    kept.refuse()


@pytest.mark.parametrize("count", [1, 3])
def test_the_newest_are_kept(tmp_path: Path, count: int) -> None:
    """As many as the recipe says; the last by the number of its epoch, not by its name as text."""
    kept = Checkpoints(tmp_path, recipe_of(checkpoints=count))
    for epochs in (1, 2, 9, 10, 11):
        kept.write(after(epochs))
    assert len(list(tmp_path.iterdir())) == count
    found = kept.newest()
    assert found is not None
    assert found.epochs == 11


@pytest.mark.parametrize("damage", ["cut", "empty", "changed", "other"])
def test_one_that_is_not_whole_is_passed_over(kept: Checkpoints, damage: str) -> None:
    """The one before it is the last whole one."""
    kept.write(after(4))
    kept.write(after(5))
    path = kept.folder / "epoch-000005.npz"
    content = bytearray(path.read_bytes())
    if damage == "changed":
        content[len(content) // 2] ^= 0xFF
    path.write_bytes(
        {"cut": content[:-40], "empty": b"", "changed": content, "other": b"PK\x03\x04 no archive"}[damage]
    )
    found = kept.newest()
    assert found is not None
    assert found.epochs == 4
    assert kept.damaged() == [path]


def test_whole_ones_are_not_called_damaged(kept: Checkpoints) -> None:
    """Nor is one called so that is older than the one that is taken up."""
    kept.write(after(4))
    kept.write(after(5))
    (kept.folder / "epoch-000004.npz").write_bytes(b"")
    assert kept.damaged() == []


def test_those_of_another_training_are_refused(kept: Checkpoints) -> None:
    """With the keys that differ; how it is exported does not matter."""
    kept.write(after(2))
    other = Checkpoints(kept.folder, recipe_of(learning_rate=0.5))
    with pytest.raises(OutputError, match=r"other values of training\.learning_rate; go on with those, or.*--force"):
        other.newest()
    own = {"name": "kept", "network": {"name": "cnn"}, "data": {"name": "digits"}, "training": {"epochs": 9}}
    exported = recipe_from({**own, "export": {"scheme": "float16"}}, "recipe")
    assert Checkpoints(kept.folder, exported).newest() is not None


def test_a_new_training_in_their_place_is_refused(kept: Checkpoints) -> None:
    """What would be lost is named, with both ways out."""
    kept.write(after(7))
    with pytest.raises(OutputError, match=r"stopped after epoch 7; go on with --resume, or start over with --force"):
        kept.refuse()
    kept.clear()
    kept.refuse()


def test_one_that_lies_about_its_size_is_passed_over(kept: Checkpoints) -> None:
    """An array of a thousand bytes that says it is of a terabyte, and parts packed in ways there are not."""
    kept.write(after(1))
    [path] = kept.folder.glob("*.npz")
    good = path.read_bytes()
    lying = good.replace(b"'shape': (2, 3), }            ", b"'shape': (2, 1000000000000), }")
    at = good.index(b"PK\1\2") + 10
    odd = good[:at] + bytes([99, 0]) + good[at + 2 :]
    for content in (lying, odd):
        assert content != good
        assert len(content) == len(good)
        path.write_bytes(content)
        assert kept.newest() is None
        assert kept.damaged() == [path]


def test_a_pickle_in_one_is_never_opened(kept: Checkpoints) -> None:
    """An array of objects counts as a damaged file."""
    kept.folder.mkdir()
    np.savez(kept.folder / "epoch-000001.npz", facts=np.asarray([{"a": 1}], object))
    assert kept.newest() is None


def test_what_somebody_put_beside_them_stays(kept: Checkpoints) -> None:
    """Checkpoints are removed, and the folder only if nothing else is in it."""
    with kept.held():
        kept.write(after(1))
        kept.write(after(2))
        (kept.folder / "notes").mkdir()
        kept.clear()
    assert [path.name for path in kept.folder.iterdir() if path.name != LOCK] == ["notes"]
    (kept.folder / "notes").rmdir()
    with kept.held():
        kept.write(after(1))
        kept.clear()
    assert not kept.folder.exists()
