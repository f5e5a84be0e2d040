"""What kind of work a layer does, and its colour."""

from __future__ import annotations

from dlkit.summary import Layer

COLOURS = {
    "convolution": "#4c78a8",
    "1×1 convolution": "#9ecae9",
    "depthwise convolution": "#f58518",
    "separable convolution": "#ffbf79",
    "transposed convolution": "#54a24b",
    "upsampling": "#a9d67d",
    "recurrent": "#e45756",
    "dense": "#b279a2",
    "pooling": "#bab0ac",
    "other": "#d8b365",
}
"""In the order of the legend."""
INPUT = "#e5e7eb"


def group_of(layer: Layer) -> str:
    """The key of COLOURS for a layer; "" if it is not shown."""
    kind = layer.kind
    if "Pooling" in kind:
        return "pooling" if not kind.startswith("Global") else ""
    if kind.startswith("UpSampling"):
        return "upsampling"
    if not layer.multiply_adds:
        return ""
    for part, group in (("Transpose", "transposed"), ("Depthwise", "depthwise"), ("Separable", "separable")):
        if part in kind:
            return f"{group} convolution"
    if kind.startswith("Conv") and "LSTM" not in kind:
        return "1×1 convolution" if set(layer.window) == {1} else "convolution"
    if kind == "Dense":
        return "dense"
    return "recurrent" if any(part in kind for part in ("LSTM", "GRU", "RNN", "Bidirectional")) else "other"


def shaded(colour: str, factor: float) -> str:
    """`colour` nearer to white (factor above 1) or to black (below)."""
    parts = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    parts = [round(part * factor if factor <= 1 else 255 - (255 - part) / factor) for part in parts]
    return "#" + "".join(f"{part:02x}" for part in parts)
