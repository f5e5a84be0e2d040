"""Fractions of samples that are held out."""

from __future__ import annotations


def check_fractions(validation: float, test: float) -> None:
    """Raise ValueError, as a dataclass of options does, unless something is left to train on."""
    for name, value in (("validation", validation), ("test", test)):
        if not 0 < value < 1:
            raise ValueError(f"data.options.{name} = {value!r} must be above 0 and below 1")
    if not validation + test < 1:
        raise ValueError(f"data.options.validation + data.options.test = {validation + test:g} must be below 1")
