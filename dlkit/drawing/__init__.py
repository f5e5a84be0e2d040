"""Pictures: of a network as a row of boxes, one a stage, over bars of what the stages cost; of a training as curves;
of what quantizing costs as a bar for each layer."""

from __future__ import annotations

from dlkit.drawing.network import draw_network
from dlkit.drawing.sensitivity import draw_sensitivity
from dlkit.drawing.training import draw_training

__all__ = ["draw_network", "draw_sensitivity", "draw_training"]
