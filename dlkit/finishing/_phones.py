"""What the steps for phones share: a template with parts that are left out, its constants, and samples in bytes."""

from __future__ import annotations

import dataclasses
import importlib.resources
import math
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit import __version__
from dlkit.errors import IllegalCombination, printable
from dlkit.finishing import Finishing
from dlkit.runtime.inspection import read_model
from dlkit.runtime.litert import Session
from dlkit.runtime.preprocessing import Preprocessing, preprocessing_from

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLASSES = {
    "classification": "Classifier", "reconstruction": "AutoEncoder", "forecasting": "Forecaster",
    "generation": "Generator",
}  # fmt: skip
"""Task → what the class is called; of other models, Model."""
MOST_LABELS = 5000
"""More do not go into the code of one method of Java's machine."""
SAMPLE_NUMBERS = 2**20
"""As many numbers of samples are taken along, and at least one sample."""
MARK = re.compile(r"/\*\[(\w+)\]\*/")


@dataclasses.dataclass(frozen=True)
class Phone:
    """What the code of a phone is made of.

    Attributes:
        kind: name of the class.
        parts: names of the template's parts that are kept.
        inputs, outputs: as the manifest has them, in the file's order.
        samples: of all samples one after the other: raw inputs, then outputs; float32, little-endian.
        count: of the samples.
    """

    given: Finishing
    kind: str
    parts: frozenset[str]
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    samples: bytes
    count: int

    @property
    def picture(self) -> Preprocessing | None:
        """From pixels to what a generator makes."""
        table = self.given.manifest.get("picture")
        return preprocessing_from(table) if table else None

    @property
    def forecast(self) -> Preprocessing | None:
        """From raw values to what a forecaster gives."""
        table = self.given.manifest.get("forecast")
        return preprocessing_from(table) if table else None


def phone_of(given: Finishing, dtypes: frozenset[str]) -> Phone:
    """What is known of a proven file.

    Args:
        dtypes: of inputs and outputs that the runtime's interface takes.

    Raises:
        IllegalCombination: it is none that code can be written for.
    """
    if given.file.suffix != ".tflite":
        raise IllegalCombination(f"a phone runs .tflite files, and {given.scheme.name} makes none")
    if len(given.labels) > MOST_LABELS:
        raise IllegalCombination(f"{len(given.labels)} labels; the code for phones holds up to {MOST_LABELS:,}")
    inputs, outputs = given.manifest["inputs"], given.manifest["outputs"]
    for end in (*inputs.values(), *outputs.values()):
        if end["dtype"] not in dtypes:
            raise IllegalCombination(
                f"{given.target.name}'s interface takes no {end['dtype']}, which {given.scheme.name} has as input or "
                "output; use --scheme int8_float_io"
            )
    samples, count = _samples(given)
    task = given.task if _is_one(inputs, outputs) else ""
    if task == "classification" and not given.labels:
        task = ""
    kind = CLASSES.get(task, "Model")
    return Phone(given, kind, frozenset(_parts(given, task)), inputs, outputs, samples, count)


def _is_one(inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> bool:
    return len(inputs) == len(outputs) == 1


def _parts(given: Finishing, task: str) -> Iterator[str]:
    """Names of the parts that the code of such a model has."""
    yield task
    yield "stateful" if _is_stateful(given) else "stateless"
    if any(preprocessing.image for preprocessing in given.inputs.values()):
        yield "image"
    if task == "reconstruction" and given.manifest.get("anomaly"):
        yield "anomaly"
    if task == "generation":
        if given.manifest.get("picture"):
            yield "picture"
        if given.manifest.get("conditions"):
            yield "conditional"


def _is_stateful(given: Finishing) -> bool:
    """Whether the file has variables, as a fused LSTM has, which one inference leaves to the next."""
    graph = read_model(given.file.read_bytes()).Subgraphs(0)
    return any(graph.Tensors(number).IsVariable() for number in range(graph.TensorsLength()))


def _samples(given: Finishing) -> tuple[bytes, int]:
    """The bundle's samples and what the file answers to them on this machine; as many as are not too large."""
    raw = {name: inputs.raw_batch(given.samples[name]) for name, inputs in given.inputs.items()}
    outputs = Session(given.file).run_named({name: given.inputs[name].apply(values) for name, values in raw.items()})
    arrays: list[NDArray[Any]] = [*raw.values(), *outputs.values()]
    each = sum(math.prod(values.shape[1:]) for values in arrays)
    count = max(1, min(len(arrays[0]), SAMPLE_NUMBERS // each))
    rows = [values[n].astype("<f4").tobytes() for n in range(count) for values in arrays]
    return b"".join(rows), count


def head(phone: Phone, runtime: str, steps: str) -> str:
    """The first lines: what it is, that it was not compiled, what is to be done."""
    given = phone.given
    task = given.task or "a model"
    lines = f"""\
{printable(given.name)}, {given.scheme.name}: {task}, for {runtime}. Made by dlkit {__version__}.
NOT COMPILED and not run on a phone when it was made. What selfCheck says on yours is the proof.
The file itself was proven by LiteRT on a computer: phones have the same kernels, built for their processor.

{steps}"""
    return "\n".join(f"// {line}".rstrip() for line in lines.splitlines())


def filled(template: str, phone: Phone, words: Mapping[str, str]) -> str:
    """The template of that name with its marks replaced, and without the parts that the model has not."""
    text = importlib.resources.files("dlkit.finishing").joinpath(template).read_text(encoding="utf-8")
    kept = "\n".join(_kept(text.splitlines(), phone.parts))
    return MARK.sub(lambda mark: words[mark[1]], kept) + "\n"


def _kept(lines: list[str], parts: frozenset[str]) -> Iterator[str]:
    """Lines outside of //[if PART] … //[end], and inside of those whose part and all around are in `parts`."""
    around: list[bool] = []
    for line in lines:
        if line.startswith("//[if "):
            around.append(line[6:].rstrip("]") in parts)
        elif line == "//[end]":
            around.pop()
        elif all(around):
            yield line


def float32(value: float) -> str:
    """The shortest digits that give the same float32 again."""
    return str(np.float32(value))


def escaped(text: str, special: str, unicode: str) -> str:
    r"""A string literal of Kotlin or Swift.

    Args:
        special: characters that get a \ before them.
        unicode: how a character is written by its number, "\\u{:04x}".
    """
    return '"' + "".join(_escaped(character, special, unicode) for character in text) + '"'


def _escaped(character: str, special: str, unicode: str) -> str:
    if character in special:
        return f"\\{character}"
    if character.isprintable():
        return character
    utf16 = character.encode("utf-16-be", "surrogatepass")
    if "{:04x}" in unicode:  # Kotlin's have four digits, of which it takes two for what is beyond
        return "".join(unicode.format(int.from_bytes(utf16[n : n + 2])) for n in range(0, len(utf16), 2))
    return unicode.format(ord(character))


def span(preprocessing: Preprocessing) -> tuple[float, float]:
    """Lowest raw value, and how far the highest is from it."""
    low, high = preprocessing.raw_range
    return low, min(high - low, float(np.finfo(np.float32).max))


def image_size(preprocessing: Preprocessing) -> tuple[int, int, int]:
    """Height, width, channels; of no image zeros."""
    return preprocessing.image or (0, 0, 0)


def features(preprocessing: Preprocessing) -> int:
    """Numbers along the last dimension of raw values, which each have a scale of their own."""
    return preprocessing.raw_shape[-1] if preprocessing.raw_shape else 1
