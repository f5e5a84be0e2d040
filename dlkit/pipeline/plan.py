"""What the files of one export have in common."""

from __future__ import annotations

import dataclasses

from dlkit.calibration.samples import ExportSamples
from dlkit.targets import Target
from dlkit.trained import Trained


@dataclasses.dataclass(frozen=True)
class Plan:
    """What the files of all schemes have in common.

    Attributes:
        method: how ranges are chosen.
        keep_float: patterns of layers that are not quantized.
        warnings: about the calibration samples.
        keep_int8: names of layers whose weights take 8 bits, of a scheme of fewer.
    """

    trained: Trained
    samples: ExportSamples
    target: Target
    method: str
    keep_float: tuple[str, ...]
    warnings: tuple[str, ...]
    keep_int8: tuple[str, ...] = ()
