"""Options of sources that divide one heap of samples."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Divided:
    """What is held out of samples that no one has divided.

    Attributes:
        validation, test: fractions of the samples of each class; of use where that split is not given.
        split_seed: draws them.
    """

    validation: float = 0.1
    test: float = 0.2
    split_seed: int = 0

    def __post_init__(self) -> None:
        for name, value in (("validation", self.validation), ("test", self.test)):
            if not 0 < value < 1:
                raise ValueError(f"data.options.{name} = {value!r} must be above 0 and below 1")
        if not self.validation + self.test < 1:
            total = self.validation + self.test
            raise ValueError(f"data.options.validation + data.options.test = {total:g} must be below 1")
