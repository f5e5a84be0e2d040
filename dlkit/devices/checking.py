"""A bundle's own check, in the runtime of the device that it was made for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dlkit.bundle.loading import Bundle
from dlkit.devices import RUNTIMES
from dlkit.devices.proving import Beyond, held_on_device
from dlkit.errors import ModelFileError, RecipeError, VerificationRefused
from dlkit.progress import SILENT, Progress
from dlkit.reading import read_dataclass
from dlkit.targets import TARGETS, Target

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def target_of_bundle(bundle: Bundle) -> Target:
    """The target as it was when the bundle was made; of a bundle of an earlier time, that of the name.

    Raises:
        ModelFileError: the manifest describes none.
    """
    table = bundle.manifest.get("device")
    try:
        if table is None:
            return TARGETS[bundle.manifest["target"]]
        return read_dataclass(Target, table, "manifest.json", "device")
    except RecipeError as error:
        raise ModelFileError(f"{bundle.folder}: {error}; export the bundle again") from None


def checked_by(bundle: Bundle) -> str:
    """What stands for the bundle's device in `check_bundle`; "" where that is what runs everywhere."""
    runtime = RUNTIMES[target_of_bundle(bundle).runtime]
    return runtime.summary if runtime.answers else ""


def check_bundle(bundle: Bundle, threads: int | None = None, progress: Progress = SILENT) -> tuple[int, float, float]:
    """`Bundle.check`, in the runtime of its target where that is another than the one that runs everywhere.

    LiteRT must give the answers in the bundle on this processor, and the device's runtime what LiteRT's kernels of the
    device's kind give: these may be further from each other than either from its own.

    Raises:
        VerificationRefused: the device computes something else.
        ModelFileError: the bundle, or what it says of its target, is broken.
        ExtraMissing: the tool that stands for the device is not installed.
        ConversionError: the device's runtime fails.
    """
    target = target_of_bundle(bundle)
    runtime = RUNTIMES[target.runtime]
    answers = runtime.answers
    if answers is None:
        return bundle.check(threads)
    if runtime.of_folders:

        def run(inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
            with progress.step(f"Checking it on {target.name}") as advance:
                return answers(bundle.model, inputs, target, advance)

        return bundle.check(threads, run)
    count, gap, allowed = bundle.check(threads)
    if not gap <= allowed:
        return count, gap, allowed
    inputs = bundle.own_inputs()
    try:
        gap, allowed, _ = held_on_device(bundle.model, inputs, target, progress)
    except Beyond as error:
        raise VerificationRefused(f"check failed: {error}; {target.name} does not compute what was exported") from None
    return count, gap, allowed
