"""What was measured about an exported file; nothing in it is assumed."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Sequence
from typing import Any

from dlkit.verdict import Verdict

TFLITE = "TFLite"
Number = float
"""Inside the class below `float` is an attribute."""
FORECASTS = {
    "seasonal_skill": ("seasonal", "0: the value a season before, 1: right"),
    "mase": ("MASE", "below 1: nearer than the naive forecast in training"),
}
"""What is known of a forecast beside its skill → what it is called, and how it is read; see `metrics.beside_naive`."""


@dataclasses.dataclass(frozen=True)
class Comparison:
    """An exported file against the float model it was made from, on one set of held-out samples.

    Attributes:
        split: which samples, for instance "validation" or "held-out images of photos/".
        samples: how many.
        metric: "accuracy"; "auc", the area under the ROC curve, where one output tells two classes apart or the error
            of a reconstruction tells anomalies from normal samples;
            "skill" of a forecast, the part of the naive forecast's error that is gone;
            "agreement" where there are no labels to be right about; "psnr_db", the peak signal-to-noise ratio
            against the input, where that is to be given again; "sqnr_db" where nothing is classified.
        float, exported: the metric of each; the float model agrees with itself by 1.0.
        agreement: fraction of samples on which the outputs of both put the same class first; None
            if nothing is classified.
        score_agreement: the same by the scores (what the last softmax is applied to, else the
            outputs), which an 8-bit output may be too coarse to show.
        largest_output: largest absolute output of the float model.
        largest_gap: largest absolute difference of an output number.
        sqnr_db: signal-to-quantization-noise ratio of the scores in decibels, see `verify.sqnr_db`.
        output: name of the output; "" where there is only one.
        float_top5, exported_top5: fraction of samples with the right class among the first five; None without
            labels, or where there are no more than five classes.
        float_mse, exported_mse: mean squared error of a reconstruction against the network's input, or of a forecast,
            in the network's range; None elsewhere.
        float_seasonal_skill, exported_seasonal_skill: of a forecast, the part of the error of the value of a season
            before that is gone; None where there is no season.
        float_mase, exported_mase: mean absolute scaled error of a forecast, see `metrics.mase`; None elsewhere.
    """

    split: str
    samples: int
    metric: str
    float: Number
    exported: Number
    agreement: Number | None
    score_agreement: Number | None
    largest_output: Number
    largest_gap: Number
    sqnr_db: Number
    output: str = ""
    float_top5: Number | None = None
    exported_top5: Number | None = None
    float_mse: Number | None = None
    exported_mse: Number | None = None
    float_seasonal_skill: Number | None = None
    exported_seasonal_skill: Number | None = None
    float_mase: Number | None = None
    exported_mase: Number | None = None


@dataclasses.dataclass(frozen=True)
class LayerError:
    """What a layer of an exported file adds to its error, against the float file.

    Attributes:
        layer: its name in Keras.
        operation: what it became.
        sqnr_db: signal-to-quantization-noise ratio of its output in decibels, at most 200.
        before_db: the same of the worse of what it reads.
        added: energy of the noise at its output over that of the signal, less the same ratio at the
            worse of what it reads; 0 where the ratio fell.
        feeders: the layers it reads from, back to those with weights, where what they give is in integers.
            What a layer loses is mostly lost in the steps of what it reads, so these have to stay float
            with it.
        place: in the order of the network, among the layers of the file, from 0.
    """

    layer: str
    operation: str
    sqnr_db: Number
    before_db: Number
    added: Number
    feeders: tuple[str, ...]
    place: int = 0


@dataclasses.dataclass(frozen=True)
class Confusion:
    """What samples of one split are taken for by the float model and by the exported file; their first output.

    Attributes:
        split: which samples.
        float, exported: (right class, class that is put first, samples), by the places of their labels; only pairs
            that occur, in order.
    """

    split: str
    float: tuple[tuple[int, int, int], ...]
    exported: tuple[tuple[int, int, int], ...]


@dataclasses.dataclass(frozen=True)
class Detection:
    """What an exported anomaly detector does at its threshold, by the file that is exported.

    Attributes:
        normal: names of the classes that are none.
        wanted: fraction of false alarms that the recipe asked for.
        threshold: the quantile for it (linear between two samples) of the scores of the normal validation samples; a
            score is the mean squared error of a sample's reconstruction, in the network's range.
        samples: how many those were.
        false_alarms: fraction of the normal test samples with a score beyond the threshold.
        found: fraction of the other test samples likewise.
    """

    normal: tuple[str, ...]
    wanted: Number
    threshold: Number
    samples: int
    false_alarms: Number
    found: Number


@dataclasses.dataclass(frozen=True)
class Compression:
    """How a network was fitted again before it was exported, and what is in the file of that.

    Attributes:
        steps: "pruned", "clustered", "quantization_aware", as far as they were taken, in order.
        epochs: of all steps together.
        kernels: how many were pruned or clustered; each was found so in the file.
        pattern: of the zeros: "unstructured", "2:4" or "block"; "" without pruning.
        clusters: different weights that an output channel has at the most; 0 without clustering.
        sparsity: fraction of the weights in the file that are 0, those of kernels that were left as they are too.
    """

    steps: tuple[str, ...]
    epochs: int
    kernels: int
    pattern: str
    clusters: int
    sparsity: Number


@dataclasses.dataclass(frozen=True)
class DeviceProof:
    """What was found of an exported file on its device, or on what stands for it here.

    Attributes:
        verdict: what runs where, what it takes.
        samples: held-out ones that were run in the device's runtime; 0 where nothing here runs it, or where the proof
            of the file was by that very runtime.
        largest_gap: between its outputs and what the file computes by definition (LiteRT's reference kernels).
        allowed: of that.
        steps: the same gap in steps of the 8-bit output; None of a float one.
    """

    verdict: Verdict
    samples: int
    largest_gap: Number = 0.0
    allowed: Number = 0.0
    steps: Number | None = None


@dataclasses.dataclass(frozen=True)
class Report:
    """All that was measured on one exported file.

    Attributes:
        scheme, target: what was asked for.
        quantizer: what made the file, with its version.
        gates: the comparison the file had to pass, for each output.
        tests: the same on the test split, looked at once, after the gate; none without labels.
        calibration_samples: 0 where none were needed.
        calibration_source: where they are from; "" where none were needed.
        bytes: size of the model.
        float_bytes: size of the float file it was made from; 0 where it was made from none.
        gzip_bytes, float_gzip_bytes: of both compressed by gzip at level 9, as a download or an update over the air
            is: what pruning and clustering make smaller. 0 of a folder and of what is larger than 64 MiB.
        ops: operation → count.
        tensors: dtype → count.
        warnings: what a user should know before relying on the file; empty if nothing.
        minimum_runtime: earliest TFLite runtime that has all its operations, see `Inspection`; of a model for
            servers the version that it was measured with.
        runtime: what runs it.
        unknown_versions: operations of which it is not known what runtime they need.
        streamed: the comparison that the file of one step had to pass, at the end of sequences; none without one.
        layers: what each adds to the error, the worst first; empty for a float file.
        keep_float: layers that stand out among them, with what feeds them; what to keep float.
        kept_float: the patterns of layers that were.
        kept_int8: layers whose weights take 8 bits, of a scheme that has 4 for others.
        detection: of an anomaly detector; None of other models.
        compression: of a scheme that fits the network again; None of others.
        device: the proof on the target; None where that of the file was one.
        notes: of what was made for the device beside the file.
        confusions: of a classifier with names for its classes, on the samples of the gate and on the test split.
    """

    scheme: str
    target: str
    quantizer: str
    gates: tuple[Comparison, ...]
    tests: tuple[Comparison, ...]
    calibration_samples: int
    calibration_source: str
    bytes: int
    float_bytes: int
    ops: dict[str, int]
    tensors: dict[str, int]
    warnings: tuple[str, ...]
    minimum_runtime: str = ""
    runtime: str = TFLITE
    unknown_versions: tuple[str, ...] = ()
    streamed: tuple[Comparison, ...] = ()
    layers: tuple[LayerError, ...] = ()
    keep_float: tuple[str, ...] = ()
    kept_float: tuple[str, ...] = ()
    kept_int8: tuple[str, ...] = ()
    detection: Detection | None = None
    gzip_bytes: int = 0
    float_gzip_bytes: int = 0
    compression: Compression | None = None
    device: DeviceProof | None = None
    notes: tuple[str, ...] = ()
    confusions: tuple[Confusion, ...] = ()

    @property
    def gate(self) -> Comparison:
        """The comparison of the first output."""
        return self.gates[0]

    @property
    def test(self) -> Comparison | None:
        """The same on the test split; None where there is none."""
        return self.tests[0] if self.tests else None

    def as_dict(self) -> dict[str, Any]:
        """The report as nested dictionaries, ready for JSON."""
        return dataclasses.asdict(self)


def keep_float_advice(layers: Sequence[str]) -> str:
    """What to type to keep `layers` float, ready to follow a message; "" if there are none.

    >>> keep_float_advice(["conv1", "conv2"])
    '; most is lost around conv1: --keep-float conv1 --keep-float conv2'
    """
    options = " ".join(f"--keep-float {shlex.quote(layer)}" for layer in layers)
    return f"; most is lost around {layers[0]}: {options}" if layers else ""
