"""Networks of the shelf, built for tests."""

from __future__ import annotations

from typing import Any

from dlkit.networks import Network


def outlined(network: Network, **options: Any):
    """The network with its layers, shapes and names, but without the numbers of its weights: fast at any size."""
    import keras

    with keras.StatelessScope(initialize_variables=False):
        return network.build(options)
