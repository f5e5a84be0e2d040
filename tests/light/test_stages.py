"""Stages and memory of networks that are written down layer by layer, without Keras."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from dlkit.summary.blocks import described, repeated
from dlkit.summary.layers import Layer
from dlkit.summary.memory import peak_elements
from dlkit.summary.stages import stages_of


def network(*rows: tuple[Any, ...]) -> list[Layer]:
    """Layers of (name, kind, output, names of inputs); those with a kernel have a parameter; the last is the output."""
    places = {row[0]: place for place, row in enumerate(rows)}
    kernels = ("Conv2D", "Dense", "LSTM", "Conv2DTranspose")
    return [
        Layer(
            name,
            kind,
            output,
            parameters=int(kind in kernels),
            multiply_adds=int(kind in kernels),
            window=(3, 3) if kind == "Conv2D" else (),
            inputs=tuple(places[each] for each in inputs),
            elements=math.prod(output),
            is_output=place == len(rows) - 1,
        )
        for place, (name, kind, output, *inputs) in enumerate(rows)
    ]


RESIDUAL = network(
    ("image", "InputLayer", (8, 8, 3)),
    ("stem", "Conv2D", (8, 8, 4), "image"),
    ("a_conv1", "Conv2D", (4, 4, 8), "stem"),
    ("a_bn1", "BatchNormalization", (4, 4, 8), "a_conv1"),
    ("a_relu1", "ReLU", (4, 4, 8), "a_bn1"),
    ("a_conv2", "Conv2D", (4, 4, 8), "a_relu1"),
    ("a_shortcut", "Conv2D", (4, 4, 8), "stem"),
    ("a_add", "Add", (4, 4, 8), "a_conv2", "a_shortcut"),
    ("a_relu2", "ReLU", (4, 4, 8), "a_add"),
    ("pool", "GlobalAveragePooling2D", (8,), "a_relu2"),
    ("predictions", "Dense", (5,), "pool"),
)


def stages(layers: list[Layer]) -> list[tuple[str, tuple[int, ...], str]]:
    return [(stage.name, stage.output, stage.contents) for stage in stages_of(layers)]


def test_memory_of_a_chain() -> None:
    """Two tensors at a time: what a layer takes and what it makes; what is folded makes none."""
    layers = network(
        ("image", "InputLayer", (8, 8, 3)),
        ("pad", "ZeroPadding2D", (10, 10, 3), "image"),
        ("conv1", "Conv2D", (8, 8, 10), "pad"),
        ("bn", "BatchNormalization", (8, 8, 10), "conv1"),
        ("relu", "ReLU", (8, 8, 10), "bn"),
        ("pool", "MaxPooling2D", (4, 4, 10), "relu"),
        ("flatten", "Flatten", (160,), "pool"),
        ("dropout", "Dropout", (160,), "flatten"),
        ("dense", "Dense", (5,), "dropout"),
    )
    assert peak_elements(layers) == 8 * 8 * 3 + 8 * 8 * 10
    assert peak_elements(layers[:1]) == 192
    assert peak_elements(network(*[("x", "InputLayer", (600,)), ("y", "Dense", (200,), "x")])) == 800


def test_memory_of_a_residual_block() -> None:
    """The input stays until the shortcut has taken it, both branches until they are added."""
    # stem 256 and its two users: a_conv1 128, then a_conv2 128; stem goes with the shortcut's 128.
    assert peak_elements(RESIDUAL) == 256 + 128 + 128
    identity = network(
        ("x", "InputLayer", (4, 4, 8)),
        ("conv1", "Conv2D", (4, 4, 8), "x"),
        ("conv2", "Conv2D", (4, 4, 8), "conv1"),
        ("add", "Add", (4, 4, 8), "conv2", "x"),
    )
    assert peak_elements(identity) == 3 * 128


def test_memory_of_two_branches() -> None:
    """One branch waits, whole, for the other."""
    layers = network(
        ("x", "InputLayer", (100,)),
        ("left", "Dense", (70,), "x"),
        ("right1", "Dense", (50,), "x"),
        ("right2", "Dense", (300,), "right1"),
        ("both", "Concatenate", (370,), "left", "right2"),
    )
    # 100, 100 + 70, 100 + 70 + 50, 70 + 50 + 300, 70 + 300 + 370
    assert peak_elements(layers) == 740
    narrow = [*layers[:-1], *network(("x", "InputLayer", (9,)), ("end", "Add", (5,), "x"))[1:]]
    narrow[-1] = dataclasses.replace(narrow[-1], inputs=(1, 3))
    assert peak_elements(narrow) == 420


def test_an_activation_whose_input_is_needed_again_makes_a_tensor() -> None:
    """Before a shortcut nothing can be computed in place; nor is a padding part of the pooling after it."""
    layers = network(
        ("x", "InputLayer", (4, 4, 8)),
        ("relu", "ReLU", (4, 4, 8), "x"),
        ("conv", "Conv2D", (4, 4, 1), "relu"),
        ("add", "Add", (4, 4, 8), "conv", "x"),
    )
    assert peak_elements(layers) == 128 + 128 + 16
    padded = network(
        ("x", "InputLayer", (4, 4, 8)),
        ("pad", "ZeroPadding2D", (6, 6, 8), "x"),
        ("pool", "MaxPooling2D", (3, 3, 8), "pad"),
    )
    assert peak_elements(padded) == 128 + 288


def test_outputs_stay() -> None:
    """What the model gives away early is there until the end."""
    x, early, late, end = network(
        ("x", "InputLayer", (10,)),
        ("early", "Dense", (9,), "x"),
        ("late", "Dense", (8,), "x"),
        ("end", "Dense", (7,), "late"),
    )
    assert peak_elements([x, early, late, end]) == 10 + 9
    early = dataclasses.replace(early, is_output=True)
    assert peak_elements([x, early, late, end]) == 10 + 9 + 8


def test_stages_of_a_residual_network() -> None:
    """Both branches of a block are in its stage; the pooling belongs to the dense layer after it."""
    assert stages(RESIDUAL) == [
        ("stem", (8, 8, 4), "1 Conv2D 3×3"),
        ("a", (4, 4, 8), "3 Conv2D 3×3, 1 Add"),
        ("predictions", (5,), "1 Dense, 1 GlobalAveragePooling2D"),
    ]
    assert [stage.parameters for stage in stages_of(RESIDUAL)] == [1, 3, 1]


def test_every_layer_is_in_one_stage() -> None:
    """In order."""
    members = [position for stage in stages_of(RESIDUAL) for position in stage.members]
    assert sorted(members) == list(range(len(RESIDUAL)))


def test_squeeze_and_excitation_opens_no_stage() -> None:
    """A branch that comes back to the resolution it left is where it left."""
    layers = network(
        ("x", "InputLayer", (8, 8, 4)),
        ("block1_conv", "Conv2D", (8, 8, 4), "x"),
        ("block1_pool", "GlobalAveragePooling2D", (4,), "block1_conv"),
        ("block1_fc1", "Dense", (1,), "block1_pool"),
        ("block1_fc2", "Dense", (4,), "block1_fc1"),
        ("block1_reshape", "Reshape", (1, 1, 4), "block1_fc2"),
        ("block1_scale", "Multiply", (8, 8, 4), "block1_conv", "block1_reshape"),
        ("block2_conv", "Conv2D", (4, 4, 4), "block1_scale"),
    )
    contents = "1 Conv2D 3×3, 2 Dense, 1 GlobalAveragePooling2D, 1 Multiply"
    assert stages(layers) == [("block1", (8, 8, 4), contents), ("block2_conv", (4, 4, 4), "1 Conv2D 3×3")]


def test_a_padding_belongs_to_what_it_is_there_for() -> None:
    """The stage before keeps its own shape; cropping and padding open none."""
    layers = network(
        ("x", "InputLayer", (8, 8, 3)),
        ("conv1", "Conv2D", (8, 8, 4), "x"),
        ("pad", "ZeroPadding2D", (9, 9, 4), "conv1"),
        ("conv2", "Conv2D", (4, 4, 4), "pad"),
    )
    assert [(stage.output, stage.members) for stage in stages_of(layers)] == [((8, 8, 4), (0, 1)), ((4, 4, 4), (2, 3))]


def test_up_and_down_again_are_stages_of_their_own() -> None:
    """The decoder of a U has other stages than the encoder, whatever is handed across."""
    layers = network(
        ("x", "InputLayer", (8, 8, 1)),
        ("down_conv", "Conv2D", (8, 8, 4), "x"),
        ("pool", "MaxPooling2D", (4, 4, 4), "down_conv"),
        ("bottom_conv", "Conv2D", (4, 4, 8), "pool"),
        ("up_conv", "Conv2DTranspose", (8, 8, 4), "bottom_conv"),
        ("concat", "Concatenate", (8, 8, 8), "down_conv", "up_conv"),
        ("output_conv", "Conv2D", (8, 8, 1), "concat"),
    )
    assert [name for name, _, _ in stages(layers)] == ["down_conv", "bottom_conv", "3"]
    assert stages(layers)[-1][2] == "1 Conv2DTranspose, 1 Conv2D 3×3, 1 Concatenate"


def test_dense_and_recurrent_layers_are_stages() -> None:
    """A reshape after a dense layer belongs to it."""
    layers = network(
        ("noise", "InputLayer", (10,)),
        ("project", "Dense", (64,), "noise"),
        ("map", "Reshape", (4, 4, 4), "project"),
        ("image", "Conv2DTranspose", (8, 8, 1), "map"),
    )
    assert stages(layers) == [("project", (4, 4, 4), "1 Dense"), ("image", (8, 8, 1), "1 Conv2DTranspose")]
    rows = network(
        ("rows", "InputLayer", (28, 28)),
        ("lstm1", "LSTM", (28, 64), "rows"),
        ("lstm2", "LSTM", (64,), "lstm1"),
        ("predictions", "Dense", (10,), "lstm2"),
    )
    assert [name for name, _, _ in stages(rows)] == ["lstm1", "lstm2", "predictions"]


def test_blocks_of_a_stage() -> None:
    """What lies between a fork and its join is one block; equal ones are counted."""
    blocks = [described(stage) for stage in stages_of(RESIDUAL)]
    assert blocks == [["conv 3×3"], ["[3×3, 3×3] + shortcut"], ["dense"]]
    rows: list[tuple[Any, ...]] = [("x", "InputLayer", (8, 8, 4)), ("stem", "Conv2D", (8, 8, 4), "x")]
    for block in "abc":
        source = rows[-1][0]
        rows += [
            (f"{block}1", "Conv2D", (8, 8, 4), source),
            (f"{block}2", "Conv2D", (8, 8, 4), f"{block}1"),
            (f"{block}_join", "Concatenate", (8, 8, 8), source, f"{block}2"),
        ]
    assert described(stages_of(network(*rows))[0]) == ["conv 3×3", "3 × [3×3, 3×3] + concat"]


def test_repetitions() -> None:
    """The shortest unit that covers most; two of a kind among others are told one by one."""
    assert repeated(["a", "b", "a", "b", "a", "b"]) == [(3, ("a", "b"))]
    assert repeated(["a", "a"]) == [(2, ("a",))]
    assert repeated(["a", "b", "b"]) == [(1, ("a", "b", "b"))]
    assert repeated(["a", "b", "b", "b"]) == [(1, ("a",)), (3, ("b",))]
    assert repeated([]) == []


def test_a_head_on_the_side_comes_after_the_others() -> None:
    """First the way to the deepest output, whatever the order in which Keras computes."""
    layers = network(
        ("x", "InputLayer", (8, 8, 3)),
        ("conv1", "Conv2D", (8, 8, 4), "x"),
        ("side_pool", "GlobalAveragePooling2D", (4,), "conv1"),
        ("side", "Dense", (2,), "side_pool"),
        ("conv2", "Conv2D", (4, 4, 4), "conv1"),
        ("pool", "GlobalAveragePooling2D", (4,), "conv2"),
        ("main", "Dense", (2,), "pool"),
    )
    layers[3] = dataclasses.replace(layers[3], is_output=True)
    assert [stage.name for stage in stages_of(layers)] == ["conv1", "conv2", "main", "side"]


def test_a_stage_is_called_by_its_only_kernel_where_its_layers_share_nothing() -> None:
    """As in "conv1", "bn1"; where all layers begin alike, that is no name either."""
    layers = network(
        ("x", "InputLayer", (8, 8, 3)),
        ("main_0", "Conv2D", (8, 8, 4), "x"),
        ("main_1", "BatchNormalization", (8, 8, 4), "main_0"),
        ("main_2", "Conv2D", (4, 4, 4), "main_1"),
        ("main_3", "Conv2D", (4, 4, 4), "main_2"),
        ("main_4", "Conv2D", (2, 2, 4), "main_3"),
    )
    assert [stage.name for stage in stages_of(layers)] == ["main_0", "2", "main_4"]


def test_many_windows_are_told_together() -> None:
    """So that an Inception stage fits on a line."""
    layers = [
        Layer(f"conv{i}", "Conv2D", (8, 8, 4), 1, 1, (i, i), inputs=(i - 1,) if i else (), elements=256)
        for i in range(4)
    ]
    assert stages_of(layers)[0].contents == "4 Conv2D 0×0/1×1/2×2/3×3"
