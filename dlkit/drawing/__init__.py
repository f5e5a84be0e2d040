"""Pictures: of a network as a row of boxes, one a stage, over bars of what the stages cost; of a training as curves."""

from __future__ import annotations

from dlkit.drawing.network import draw_network
from dlkit.drawing.training import draw_training

__all__ = ["draw_network", "draw_training"]
