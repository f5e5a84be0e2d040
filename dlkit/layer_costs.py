"""What each layer of a network costs when it is quantized, measured one layer at a time."""

from __future__ import annotations

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class LayerSensitivity:
    """One layer, quantized alone and kept float alone.

    Where one of the two files could not be made or run, its figures are None and `problem` says why.

    Attributes:
        layer: its name in Keras.
        operations: what it became, in the schema's spelling.
        alone_metric: the task's metric when this layer is quantized and all others are float.
        alone_sqnr_db: how far the scores are then above their quantization noise, the lowest of all outputs; 200 at
            most, see `metrics.sqnr_db`.
        kept_metric, kept_sqnr_db: the same when this layer is float and all others are quantized.
        kept_bytes: by how much that file is larger than the one with all layers quantized.
        problem: "" where there is none.
    """

    layer: str
    operations: tuple[str, ...]
    alone_metric: float | None
    alone_sqnr_db: float | None
    kept_metric: float | None
    kept_sqnr_db: float | None
    kept_bytes: int | None
    problem: str = ""


@dataclasses.dataclass(frozen=True)
class KeptFloat:
    """Layers to keep float, and the file that was made and measured with them.

    Attributes:
        layers: names, the one that costs most first.
        metric, sqnr_db: of that file.
        bytes: by how much it is larger than the one with all layers quantized.
    """

    layers: tuple[str, ...]
    metric: float
    sqnr_db: float
    bytes: int


@dataclasses.dataclass(frozen=True)
class Sensitivity:
    """A network under a scheme, layer by layer; all of it measured on the same held-out samples.

    Attributes:
        model, scheme: whose and which.
        split: the samples, for instance "validation"; never the test split.
        samples: how many.
        metric: the task's, as in `report.Comparison`; of the first output. More is better.
        float_metric, all_metric: with no layer quantized, and with all.
        all_sqnr_db: of the scores with all layers quantized.
        float_bytes, all_bytes: sizes of those two files.
        layers: the one that costs most when it is quantized alone first.
        ends: the file's inputs and outputs in integers alone, and in float alone; None where the scheme has them float.
        unaffected: layers of which the scheme quantizes nothing.
        kept_float: patterns of layers that are float throughout, and that are in none of the above.
        advice: layers worth keeping float, None if there are none.
        reason: why these, or why none, in a sentence.
    """

    model: str
    scheme: str
    split: str
    samples: int
    metric: str
    float_metric: float
    all_metric: float
    all_sqnr_db: float
    float_bytes: int
    all_bytes: int
    layers: tuple[LayerSensitivity, ...]
    ends: LayerSensitivity | None
    unaffected: tuple[str, ...]
    kept_float: tuple[str, ...]
    advice: KeptFloat | None
    reason: str

    def as_dict(self) -> dict[str, Any]:
        """All of it as nested dictionaries, ready for JSON."""
        return dataclasses.asdict(self)


def noise_of(sqnr_db: float) -> float:
    """The energy of the noise over that of the signal.

    >>> noise_of(20.0)
    0.01
    """
    return float(10 ** (-sqnr_db / 10))
