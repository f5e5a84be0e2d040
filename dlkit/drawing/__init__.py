"""Pictures: of a network as a row of boxes, one a stage, over bars of what the stages cost."""

from __future__ import annotations

from dlkit.drawing.network import draw_network

__all__ = ["draw_network"]
