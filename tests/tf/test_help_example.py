"""The network that the help shows, as a file to add to the shelf."""

from __future__ import annotations

import re
import sys
import types

import pytest
from shelf import outlined

from dlkit.help import PAGES
from dlkit.networks import Network
from dlkit.summary import summarize

pytestmark = pytest.mark.tf


def test_the_network_of_the_help_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its file is Python, and its facts are those of what it builds."""
    [source] = re.findall(r"```python\n(.*?)```", PAGES["own-network"].source, re.S)
    module = types.ModuleType("perceptron")
    monkeypatch.setitem(sys.modules, "perceptron", module)
    exec(source, vars(module))
    network = module.perceptron.entry
    assert isinstance(network, Network)
    summary = summarize(outlined(network))
    found = summary.parameters, summary.trainable, summary.multiply_adds
    assert found == (network.parameters, network.trainable, network.multiply_adds)
    assert outlined(network, **network.small).input_shape == (None, 8, 8, 1)
