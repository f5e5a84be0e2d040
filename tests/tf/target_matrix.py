"""Networks × targets: a network's file of the scheme that a target likes best, run there or refused with the reason."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from shelf import Converted, converted, lively, made_for_servers, with_statistics

from dlkit.devices import RUNTIMES
from dlkit.devices.proving import proven_on_device
from dlkit.devices.reference import reference_answers
from dlkit.errors import IllegalCombination, VerificationRefused
from dlkit.networks import NETWORKS
from dlkit.progress import SILENT, ignore
from dlkit.runtime.litert import Session
from dlkit.runtime.output_steps import steps_of
from dlkit.schemes import SCHEMES
from dlkit.targets import TARGETS, Target

NETWORKS_TRIED = {
    "cnn": "CNN",
    "resnet8": "ResNet8",
    "ds_cnn": "DS-CNN",
    "lstm": "LSTM (fused)",
    "convolutional_autoencoder": "auto-encoder",
    "dcgan28_generator": "generator",
    "mobilenet_v1_025_96": "MobileNet 0.25",
}
"""Of the shelf, at the size that it has there, with weights that are random → what the table calls it."""


@dataclasses.dataclass(frozen=True)
class Cell:
    """A network on a target.

    Attributes:
        scheme: of the file.
        run: whether the file was run in the target's runtime, or in LiteRT where that is it.
        steps: gap to the reference kernels in steps of an 8-bit output; None of a float one.
        gap: of a float output, in units of the largest; None of an integer one.
        refused: why it is not to be had there; "" if it is.
    """

    scheme: str
    run: bool
    steps: float | None = None
    gap: float | None = None
    refused: str = ""


class Files:
    """The files of one network, each made when it is first asked for."""

    def __init__(self, name: str, folder: Path) -> None:
        self.network, self._folder = NETWORKS[name], folder
        self._made: dict[str, Converted] = {}

    def made(self, target: Target) -> Converted:
        """Converted as for the target; targets that avoid the same share it."""
        avoid = ",".join(target.avoid)
        if avoid not in self._made:
            (folder := self._folder / f"avoiding-{avoid}").mkdir()
            network = self.network
            made = lively(network) if network.task == "generation" else with_statistics(network)
            self._made[avoid] = converted(network, made, folder, avoid)
        return self._made[avoid]

    def best(self, target: Target) -> tuple[str, Path, dict[str, np.ndarray] | None]:
        """The first scheme of the target that the network can have, its file, and what it must answer if that is known.

        Raises IllegalCombination if it can have none.
        """
        if SCHEMES[target.schemes[0]].format != "tflite":
            scheme = target.schemes[0]
            (place := self._folder / target.name).mkdir()
            file, reference = made_for_servers(self.made(target).folder, scheme, place)
            return scheme, file, {"output": reference}
        refusal = None
        for scheme in target.schemes:
            if SCHEMES[scheme].preparation:
                continue
            try:
                return scheme, self.made(target).file(scheme), None
            except IllegalCombination as error:
                refusal = refusal or error
        assert refusal is not None
        raise refusal


def tried(files: Files, target: str) -> Cell:
    """What comes of the network's file on the target. Raises ExtraMissing where what stands for it is not there."""
    device = TARGETS[target]
    scheme, file, expected = files.best(device)
    made = files.made(device)
    inputs = {made.name: made.inputs}
    try:
        proof = proven_on_device(file, inputs, device, SILENT, expected)
    except VerificationRefused as error:
        return Cell(scheme, False, refused=str(error).partition("no bundle was written: ")[2])
    if proof is not None and proof.samples:
        largest = max(1.0, proof.allowed / RUNTIMES[device.runtime].gap) if proof.steps is None else 1.0
        return Cell(scheme, True, proof.steps, None if proof.steps is not None else proof.largest_gap / largest)
    if file.suffix != ".tflite" or RUNTIMES[device.runtime].only_examined:
        return Cell(scheme, False)
    return _on_this_processor(scheme, file, inputs)


def _on_this_processor(scheme: str, file: Path, inputs: dict[str, np.ndarray]) -> Cell:
    """By LiteRT's fast kernels, against its reference kernels."""
    [found] = Session(file).run_named(inputs).values()
    [wanted] = reference_answers(file, inputs, ignore).values()
    gap, steps = float(np.abs(found - wanted).max()), steps_of(file.read_bytes())
    if steps:
        return Cell(scheme, True, gap / steps[0])
    return Cell(scheme, True, None, gap / max(1.0, float(np.abs(wanted).max())))
