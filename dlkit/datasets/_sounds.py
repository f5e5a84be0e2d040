"""What sources of sounds share: their options, and the dataset that follows from the front-end."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from dlkit.datasets import Dataset, Splits
from dlkit.runtime.front_end import FrontEnd

Statistics = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and deviation of each feature."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SoundOptions(FrontEnd):
    """The front-end's parameters as options of a source; see `runtime.front_end.FrontEnd`."""

    @property
    def front_end(self) -> FrontEnd:
        """The same without what else the source is told."""
        return FrontEnd(**{field.name: getattr(self, field.name) for field in dataclasses.fields(FrontEnd)})


def dataset_of_sounds(
    front_end: FrontEnd, load: Callable[[], Splits], statistics: Statistics | None, **facts: Any
) -> Dataset:
    """A dataset of the features of sounds; `facts` are the other attributes of `Dataset`.

    Args:
        statistics: mean and deviation of each feature in the training split; None where no one asks for them.
    """
    return Dataset(
        shape=front_end.shape,
        raw_range=front_end.raw_range,
        load=load,
        statistics=statistics or ((), ()),
        kept="yours",
        sound=front_end,
        **facts,
    )
