"""Pictures of networks: `dlkit build --plot` and what it draws with."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shelf import outlined

from dlkit import outlines
from dlkit.drawing import draw_network
from dlkit.drawing.canvas import DPI, Canvas
from dlkit.drawing.colours import shaded
from dlkit.frameworks import keras
from dlkit.networks import NETWORKS
from dlkit.summary import Summary, summarize

pytestmark = pytest.mark.tf

FAMILIES = {network.family: name for name, network in NETWORKS.items()}
"""One network of each family."""


def generator() -> Any:
    layers = keras.layers
    x = noise = keras.Input((100,), name="noise")
    x = layers.Reshape((4, 4, 64), name="map")(layers.Dense(1024, name="project")(x))
    for step in (1, 2):
        x = layers.Conv2DTranspose(32, 4, strides=2, padding="same", name=f"up{step}")(x)
    return keras.Model(noise, x, name="generator")


def u_net() -> Any:
    layers = keras.layers
    x = image = keras.Input((16, 16, 1), name="image")
    x = across = layers.Conv2D(8, 3, padding="same", name="down_conv")(x)
    x = layers.Conv2D(16, 3, strides=2, padding="same", name="bottom_conv")(x)
    x = layers.Conv2DTranspose(8, 2, strides=2, name="up_conv")(x)
    x = layers.Concatenate(name="concat")([across, x])
    end = layers.Conv2D(1, 1, name="end")(x)
    score = layers.Dense(1, name="score")(layers.GlobalAveragePooling2D(name="pool")(across))
    return keras.Model(image, [end, score], name="u_net")


def perceptron() -> Any:
    x = numbers = keras.Input((64,), name="numbers")
    for layer in range(20):
        x = keras.layers.Dense(64, name=f"dense{layer}")(x)
    return keras.Model(numbers, x, name="perceptron")


MODELS = {"generator": generator, "u_net": u_net, "perceptron": perceptron}
"""Shapes of network that are not on the shelf, or not in every copy of it."""


def summary_of(name: str) -> Summary:
    if name in NETWORKS:
        return summarize(outlined(NETWORKS[name]))
    return summarize(outlines.outlined(MODELS[name]))


def inches(path: Path) -> tuple[float, float]:
    from PIL import Image

    with Image.open(path) as image:
        assert image.format == "PNG"
        image.load()
        return image.width / DPI, image.height / DPI


@pytest.mark.slow
@pytest.mark.parametrize("name", [*FAMILIES.values(), *MODELS])
def test_every_family_is_drawn_and_no_text_covers_another(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a PNG that fits on a wide screen, with all of its text inside."""
    drawn: list[Canvas] = []
    save = Canvas.save
    monkeypatch.setattr(Canvas, "save", lambda canvas, path: (drawn.append(canvas), save(canvas, path)))
    draw_network(summary_of(name), "Somebody et al. 2015, arXiv:1512.00000, table 1", tmp_path / "network.png")
    width, height = inches(tmp_path / "network.png")
    assert 8 <= width <= 24
    assert 6 <= height <= 40
    [canvas] = drawn
    texts = [text for text in canvas._axes.texts if text.get_text()]
    boxes = [(text.get_text(), text.get_window_extent(canvas._renderer)) for text in texts]
    for (one, box), (other, another) in itertools.combinations(boxes, 2):
        assert not box.overlaps(another), (one, other)
    for text, box in boxes:
        assert box.x0 >= 0, text
        assert box.x1 <= width * DPI, text
        assert box.y0 >= 0, text


def test_the_same_network_gives_the_same_bytes(tmp_path: Path) -> None:
    """Twice, and whatever the user has set for matplotlib, which keeps it."""
    import matplotlib

    summary = summary_of("u_net")
    draw_network(summary, "", tmp_path / "first.png")
    with matplotlib.rc_context({"font.size": 30, "savefig.dpi": 30, "axes.linewidth": 5, "lines.color": "red"}):
        draw_network(summary, "", tmp_path / "second.png")
        assert matplotlib.rcParams["font.size"] == 30
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()


def test_a_long_network_is_drawn_in_rows(tmp_path: Path) -> None:
    """Rather than beyond the screen."""
    draw_network(summary_of("generator"), "", tmp_path / "short.png")
    draw_network(summary_of("perceptron"), "", tmp_path / "long.png")
    assert inches(tmp_path / "long.png")[1] > 1.5 * inches(tmp_path / "short.png")[1]


def test_shades() -> None:
    """Above 1 towards white, below towards black."""
    assert shaded("#204080", 0.5) == "#102040"
    assert shaded("#204080", 2.0) == "#90a0c0"


SMALL = ["build", "lstm", "--set", "input_shape=[8, 4]", "--set", "units=4", "--plot", "--out"]


def test_build_plots_a_network_of_sequences(dlkit: Callable, tmp_path: Path) -> None:
    """Beside the model; the line that says where."""
    said = dlkit(*SMALL, tmp_path)
    assert said.code == 0
    assert f"\ndrew {tmp_path}/lstm/network.png\n" in said.out
    assert sorted(path.name for path in (tmp_path / "lstm").iterdir()) == ["model.json", "model.keras", "network.png"]
    assert inches(tmp_path / "lstm" / "network.png")[0] >= 8


def test_a_picture_is_whole_or_not_there(dlkit: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old one stays when drawing the new one fails; nothing else is left."""

    def fail(canvas: Canvas, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Canvas, "save", fail)
    assert dlkit(*SMALL, tmp_path).code == 1
    assert sorted(path.name for path in (tmp_path / "lstm").iterdir()) == ["model.json", "model.keras"]
    (tmp_path / "lstm" / "network.png").write_bytes(b"old")
    assert dlkit(*SMALL, tmp_path).code == 1
    assert (tmp_path / "lstm" / "network.png").read_bytes() == b"old"


def test_without_matplotlib_the_pip_line_comes_first(
    dlkit: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is built."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    said = dlkit(*SMALL, tmp_path / "out")
    assert (said.code, said.err) == (1, "error: drawing needs matplotlib: pip install matplotlib\n")
    assert not (tmp_path / "out").exists()
