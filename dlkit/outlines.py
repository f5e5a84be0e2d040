"""Models of which only names and shapes are wanted: fast, and small at any size."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from dlkit.frameworks import keras

Made = TypeVar("Made")


def outlined(make: Callable[[], Made]) -> Made:
    """What `make` gives, whose variables have names, shapes and dtypes, and never a value; raises what it raises.

    Keras keeps a list of the variables that have no value, for each thread, and gives them theirs when it next leaves
    a scope: with those of several large networks in it, gigabytes. Here it ends with a thread of its own, where names
    are also numbered from the start.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_without_values, make).result()


def _without_values(make: Callable[[], Made]) -> Made:
    with keras.StatelessScope(initialize_variables=False):
        return make()
