"""How metrics are called and written on a page."""

from __future__ import annotations

import dataclasses
import math

from dlkit.report import Comparison


@dataclasses.dataclass(frozen=True)
class Told:
    """A metric.

    Attributes:
        name: as a heading.
        phrase: inside a sentence, with its article.
        places: decimals.
        unit: behind the number.
        note: how it is read.
    """

    name: str
    phrase: str
    places: int = 4
    unit: str = ""
    note: str = ""

    def of(self, value: float | None) -> str:
        """The number as it is written."""
        if value is None or not math.isfinite(value):
            return "–"
        return f"{value:.{self.places}f}{f' {self.unit}' if self.unit else ''}"

    def change(self, before: float, after: float) -> str:
        """From one number to the other."""
        if abs(after - before) < 0.5 * 10**-self.places:
            return "no change"
        return f"{after - before:+.{self.places}f}{f' {self.unit}' if self.unit else ''}".replace("-", "−")


METRICS = {
    "accuracy": Told("Accuracy", "an accuracy of"),
    "auc": Told("Area under the ROC curve", "an area under the ROC curve of", note="0.5: by chance, 1: right"),
    "skill": Told("Skill of the forecast", "a skill of", note="0: as the naive forecast, 1: right"),
    "agreement": Told("Agreement", "an agreement with the float model of"),
    "psnr_db": Told("PSNR", "a peak signal-to-noise ratio of", 2, "dB", "of what it gives again"),
    "sqnr_db": Told("Signal over noise", "a signal above its quantization noise by", 1, "dB"),
}


def told(metric: str) -> Told:
    """The metric of a comparison; one of a later dlkit is called as it calls it."""
    return METRICS.get(metric, Told(metric[:40].replace("_", " "), f"{metric[:40].replace('_', ' ')} of"))


def is_own(comparison: Comparison) -> bool:
    """Whether the float model has a number of its own, and does not just agree with itself."""
    return comparison.metric not in ("agreement", "sqnr_db")
