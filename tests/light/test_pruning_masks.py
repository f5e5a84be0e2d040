"""Which weights of a kernel (positions, inputs, outputs) pruning keeps."""

from __future__ import annotations

import numpy as np
import pytest

from dlkit.compression.pruning import expected_sparsity, found_sparsity, has_fours, kept_weights
from dlkit.recipe.export_parts import CompressionPart

RNG = np.random.default_rng(0)
SHAPES = [(1, 8, 6), (9, 3, 8), (9, 16, 4), (25, 5, 7), (1, 1, 3)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("sparsity", [0.25, 0.5, 0.9])
def test_the_smallest_weights_go(shape: tuple[int, ...], sparsity: float) -> None:
    cube = RNG.normal(size=shape).astype(np.float32)
    kept = kept_weights(cube, CompressionPart(sparsity=sparsity), sparsity)
    assert (~kept).sum() == min(round(cube.size * sparsity), cube.size - 1)
    assert np.abs(cube[~kept]).max(initial=0.0) <= np.abs(cube[kept]).min()


@pytest.mark.parametrize("shape", SHAPES)
def test_of_each_four_inputs_the_two_largest_stay(shape: tuple[int, ...]) -> None:
    cube = RNG.normal(size=shape).astype(np.float32)
    kept = kept_weights(cube, CompressionPart(pruning="2:4"), 0.5)
    assert has_fours(np.where(kept, cube, 0.0))
    for position in range(shape[0]):
        for output in range(shape[2]):
            four, stay = np.abs(cube[position, :4, output]), kept[position, :4, output]
            assert stay.sum() == min(2, len(four))
            assert four[~stay].max(initial=0.0) <= four[stay].min()


def test_three_of_four_are_no_two_of_four() -> None:
    cube = np.ones((1, 4, 1), np.float32)
    cube[0, 0, 0] = 0.0
    assert not has_fours(cube)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("block", [(1, 4), (4, 1), (2, 3)])
def test_blocks_go_as_a_whole(shape: tuple[int, ...], block: tuple[int, int]) -> None:
    cube = RNG.normal(size=shape).astype(np.float32)
    kept = kept_weights(cube, CompressionPart(pruning="block", block=block), 0.5)
    for matrix in kept:
        for top in range(0, matrix.shape[0], block[0]):
            for left in range(0, matrix.shape[1], block[1]):
                assert len(np.unique(matrix[top : top + block[0], left : left + block[1]])) == 1


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "part",
    [CompressionPart(sparsity=0.7), CompressionPart(pruning="2:4"), CompressionPart(pruning="block", block=(2, 3))],
    ids=["unstructured", "2:4", "block"],
)
def test_a_pruned_kernel_has_as_many_zeros_as_are_expected(shape: tuple[int, ...], part: CompressionPart) -> None:
    cube = RNG.normal(size=shape).astype(np.float32)
    pruned = np.where(kept_weights(cube, part, part.sparsity), cube, np.float32(0.0))
    assert found_sparsity(pruned, part) >= expected_sparsity(shape, part) - 1e-9
    assert found_sparsity(cube, part) == 0.0


def test_something_is_left_of_every_kernel() -> None:
    assert kept_weights(np.ones((1, 1, 1), np.float32), CompressionPart(sparsity=0.99), 0.99).all()
