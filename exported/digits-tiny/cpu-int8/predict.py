#!/usr/bin/env python3
"""Run this bundle on a device: needs numpy and ai-edge-litert (and Pillow for images), not dlkit; a model
for servers needs tensorflow or onnxruntime in place of ai-edge-litert.

    python predict.py INPUT...   label images, WAV, .npy, .npz or .csv files, folders, or - for standard input
    python predict.py            of a generator: a picture of what it makes of noise
    python predict.py --check    prove that the model runs here as it did where it was made

Made by dlkit from its own modules; edit those, not this.
"""

from __future__ import annotations

import abc
import argparse
import collections
import contextlib
import ctypes
import dataclasses
import difflib
import errno
import functools
import gc
import hashlib
import importlib
import importlib.util
import io
import json
import math
import numpy as np
import os
import re
import resource
import shlex
import signal
import socket
import stat
import struct
import sys
import threading
import time
import warnings
import weakref
import zipfile
from collections.abc import Callable, Iterator
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Callable, Mapping
from collections.abc import Iterable
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Iterator
from collections.abc import Iterator, Mapping
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType
from typing import Any
from typing import BinaryIO
from typing import Literal
from typing import TYPE_CHECKING
from typing import TYPE_CHECKING, Any
from typing import TYPE_CHECKING, Any, BinaryIO
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from PIL.Image import Image
    from numpy.typing import ArrayLike, NDArray
    from numpy.typing import NDArray


# --- errors ---

LONGEST_LINE = 1900
"""Of an error, in characters: a name or value in a file of a stranger may have millions."""


class DlkitError(Exception):
    """Base of all errors above; `str(error)` is one line for the user, whatever a file is called."""

    exit_code = 1

    def __str__(self) -> str:
        return shortened(printable(shortened(super().__str__(), 4 * LONGEST_LINE)), LONGEST_LINE)


class UnknownName(DlkitError):
    """A name that is not on its shelf; suggests near misses, never guesses."""

    def __init__(self, kind: str, name: str, known: Iterable[str], where: str = "") -> None:
        self.kind, self.name, self.known = kind, name, sorted(known)
        prefix = f"{where}: " if where else ""
        super().__init__(f"{prefix}unknown {kind} {name!r}; {suggestion(name, self.known)}")


class RecipeError(DlkitError):
    """A TOML file that is not a valid recipe or target description."""


class DataError(DlkitError):
    """Data that cannot be used as it is."""


class ModelFileError(DlkitError):
    """A model file or bundle that cannot be read."""


class OutputError(DlkitError):
    """A destination that cannot be written or must not be overwritten."""


class ExtraMissing(DlkitError):
    """An optional package is not installed; the text holds the pip line."""


class TrainingError(DlkitError):
    """Training that went wrong in a way the recipe can mend."""


class IllegalCombination(DlkitError):
    """A scheme the target or the network cannot have."""


class ConversionError(DlkitError):
    """The converter or the quantizer did not produce a file."""


class EndedBySystem(DlkitError):
    """A process that worked on a model was killed; that says nothing of the model."""

    @classmethod
    def at(cls, work: str) -> EndedBySystem:
        """The error of a process that was at `work`."""
        return cls(
            f"{work} crashed (SIGKILL): the system ended it, most likely for want of memory; close other programs or "
            "use a smaller network"
        )


class VerificationRefused(DlkitError):
    """The exported file broke a promise; nothing was written."""

    exit_code = 3


def shortened(text: str, longest: int) -> str:
    """`text`, without its middle where it has more than `longest` characters.

    >>> shortened("abcdefghij", 6)
    'abcd…j'
    """
    if len(text) <= longest:
        return text
    end = longest // 4
    return f"{text[: longest - end - 1]}…{text[-end:]}"


def printable(text: str) -> str:
    r"""`text` on one line that a terminal shows as it is; control and undecodable characters are escaped.

    >>> printable("no\nsuch")
    'no\\nsuch'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def system_reason(error: OSError) -> str:
    """What the operating system refused, with the file if it named one: "photo.png: Permission denied"."""
    reason = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {reason}" if error.filename else reason


LONGEST_NAME, MOST_COMPARED, MOST_NAMED = 200, 5000, 200
"""Of what names are compared with, and told: what is longer or more is of a stranger's file."""


def suggestion(name: str, known: Iterable[str]) -> str:
    """A sentence with the nearest known names, or with all of them when none is near.

    Letters in the wrong order are nearer than other letters.

    >>> suggestion("vgg61", ["vgg11", "vgg16", "lstm"])
    "did you mean 'vgg16'?"
    """
    names = sorted(known)
    lowered = {n.lower(): n for n in names[:MOST_COMPARED] if len(n) <= LONGEST_NAME}
    name = name[:LONGEST_NAME]
    matches = difflib.get_close_matches(name.lower(), list(lowered), n=len(lowered) or 1, cutoff=0.6)
    swapped = [match for match in matches if sorted(match) == sorted(name.lower())]
    near = [lowered[match] for match in (swapped or matches)[:3]]
    if near:
        return "did you mean " + " or ".join(repr(n) for n in near) + "?"
    if not names:
        return "there are none"
    shown = [shortened(name, LONGEST_NAME) for name in names[:MOST_NAMED]]
    return "known: " + ", ".join(shown) + (f" … and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else "")


# --- filing ---

CHUNK_BYTES = 2**20
LARGEST_STREAM_BYTES = 2**28
"""Of what does not say how long it is: a device, a pipe, standard input."""


def read_file(path: Path, at_most: int) -> bytes:
    """The contents of `path`. Raises OSError, also if they are more than `at_most` bytes, or a pipe has no writer."""
    if "\0" in str(path):  # for which Python raises ValueError
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    with open(path, "rb", opener=_without_waiting) as file:
        state = os.fstat(file.fileno())
        if not stat.S_ISREG(state.st_mode):
            first = _begun(file.fileno(), str(path)) if stat.S_ISFIFO(state.st_mode) else b""
            return first + read_stream(file, min(at_most, LARGEST_STREAM_BYTES) - len(first), str(path))
        if state.st_size > at_most:
            raise _too_large(str(path))
        return file.read()


def first_bytes(path: Path, count: int) -> bytes:
    """How a regular file begins, for one that is to be mapped. Raises OSError, also for what is no such file."""
    with open(path, "rb", opener=_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        return file.read(count)


def read_stream(stream: BinaryIO, at_most: int, name: str) -> bytes:
    """What is still in `stream`. Raises OSError, also if it is more than `at_most` bytes."""
    chunks, count = [], 0
    while chunk := stream.read(CHUNK_BYTES):
        chunks.append(chunk)
        count += len(chunk)
        if count > at_most:
            raise _too_large(name)
    return b"".join(chunks)


def _begun(pipe: int, name: str) -> bytes:
    """What a pipe that does not wait holds already; from now on it waits. Raises OSError if nobody writes into it."""
    first: bytes | None
    try:
        first = os.read(pipe, CHUNK_BYTES)
    except BlockingIOError:  # somebody does, and has not begun
        first = None
    if first == b"":
        raise OSError(errno.EPIPE, "it is a pipe that nobody writes into", name)
    os.set_blocking(pipe, True)
    return first or b""


def _without_waiting(path: str, flags: int) -> int:
    """Opens a pipe at once, whether or not somebody writes into it."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def bytes_in(path: Path) -> int:
    """The size of a file, or of all files in a folder."""
    return sum(file.stat().st_size for file in files_in(path)) if path.is_dir() else path.stat().st_size


def files_in(folder: Path) -> list[Path]:
    """All files below `folder`, in order."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _too_large(name: str) -> OSError:
    return OSError(errno.EFBIG, os.strerror(errno.EFBIG), name)


# --- digest ---

def sha256_of(path: Path) -> str:
    """sha256 of a file's contents, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_arrays(arrays: Iterable[NDArray[Any]]) -> str:
    """sha256 of the numbers of `arrays`, one after the other, in hexadecimal."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(array.reshape(-1).view("uint8").data)  # not a copy, unless its numbers lie out of order
    return digest.hexdigest()


# --- extras ---

# What a device that has only numpy, click and ai-edge-litert may lack, and what it is for.
PURPOSES = {
    "PIL": ("Pillow", "reading and writing images"),
    "matplotlib": ("matplotlib", "drawing"),
    "tensorflow": ("tensorflow", "building, training and converting"),
    "keras": ("keras", "building, training and converting"),
    "tensorboard": ("tensorboard", "writing event files"),
    "onnxruntime": ("onnxruntime", "running an ONNX file"),
    "onnx": ("onnx", "writing an ONNX file"),
    "tf2onnx": ("tf2onnx", "writing an ONNX file"),
    "tensorflow_datasets": ("tensorflow-datasets", "reading data sets of TFDS"),
    "ray": ("ray[train]", "starting workers on a Ray cluster"),
    "tflite_micro": ("dlkit[micro]", "asking what memory a microcontroller needs for a file"),
    "ethosu": ("dlkit[ethos-u]", "compiling for an Ethos-U"),
    "openvino": ("dlkit[openvino]", "a second reader of models for servers"),
    "ai_edge_litert": ("ai-edge-litert", "reading or running a .tflite file"),
}


def require(module: str) -> ModuleType:
    """The optional `module`, imported. Raises ExtraMissing with the pip line if it is not installed."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module.split(".")[0]:
            raise
        raise _missing(module) from None


def check_installed(module: str) -> None:
    """Raise ExtraMissing with the pip line if the optional `module` is not installed; it is not imported."""
    if importlib.util.find_spec(module) is None:
        raise _missing(module)


def _missing(module: str) -> ExtraMissing:
    distribution, purpose = PURPOSES[module.split(".")[0]]
    return ExtraMissing(f"{purpose} needs {distribution}: pip install {shlex.quote(distribution)}")


# --- noise ---

class Together(AbstractContextManager[None]):
    """A state of the whole process that threads enter together: the first sets it up, the last takes it down.

    Each by itself would restore what another had set up, and leave it so for ever.
    """

    def __init__(self, make: Callable[[], AbstractContextManager[None]]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._inside = 0
        self._state: AbstractContextManager[None] = contextlib.nullcontext()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._state = self._make()
                self._state.__enter__()
            self._inside += 1

    def __exit__(self, *about: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._state.__exit__(None, None, None)


@contextlib.contextmanager
def _descriptor_2_aside() -> Iterator[None]:
    if sys.stderr is None:  # closed by whoever started us
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)


_ASIDE = Together(_descriptor_2_aside)


def native_noise_aside() -> AbstractContextManager[None]:
    """Send descriptor 2 nowhere while the block runs; what fails in it speaks through its Python error."""
    return _ASIDE


# --- metrics ---

CAP_DB = 200.0
"""Where there is no noise at all."""
NAN = float("nan")
FAR = 12.0
"""What is so much below the largest score of its row has less than 1 / 160,000 of that one's share after a softmax; 8
bits count shares in 1 / 256."""


@dataclasses.dataclass(frozen=True)
class Naive:
    """What is known of the naive forecast of a series.

    Attributes:
        season: steps after which the series is alike; 0 if no one says.
        errors: (features,) or (1,), how far a value was on average from the one a season (or, without, a step) before,
            in training; in the range of the forecasts.
    """

    season: int
    errors: NDArray[np.float64]


def accuracy(outputs: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Top-1 accuracy of (N, classes) outputs; NaN if an output is no finite number."""
    if not np.isfinite(outputs).all():
        return NAN
    return float(np.mean(outputs.argmax(axis=1) == labels))


def confusion_matrix(outputs: NDArray[np.float32], labels: NDArray[np.int64]) -> tuple[tuple[int, ...], ...]:
    """How many samples of each class (a row) have their largest of (N, classes) outputs at each class (a column)."""
    classes = outputs.shape[1]
    counts = np.bincount(labels * classes + outputs.argmax(axis=1), minlength=classes**2)
    return tuple(tuple(int(count) for count in row) for row in counts.reshape(classes, classes))


def confusion_pairs(outputs: NDArray[np.float32], labels: NDArray[np.int64]) -> tuple[tuple[int, int, int], ...]:
    """The same as (class, class of the largest output, samples) in order, for those pairs alone that occur."""
    pairs, counts = np.unique(np.stack([labels, outputs.argmax(axis=1)], axis=1), axis=0, return_counts=True)
    return tuple((int(row), int(column), int(n)) for (row, column), n in zip(pairs, counts, strict=True))


def top_accuracy(outputs: NDArray[np.float32], labels: NDArray[np.int64], places: int) -> float:
    """Fraction of (N, classes) outputs that have the right class among their first `places`.

    Of classes with equal outputs the one of the lower number is first, as `argmax` has it. NaN if an output is no
    finite number.
    """
    if not np.isfinite(outputs).all():
        return NAN
    own = np.take_along_axis(outputs, labels[:, None], axis=1)
    earlier = np.arange(outputs.shape[1]) < labels[:, None]
    ahead = (outputs > own) | ((outputs == own) & earlier)
    return float(np.mean(ahead.sum(axis=1) < places))


def auc(outputs: NDArray[np.floating[Any]], labels: NDArray[np.int64]) -> float:
    """Area under the ROC curve: how often a sample of class 1 is above one of class 0; equal ones count half.

    Args:
        outputs: (N,) or (N, 1), higher for class 1.
        labels: (N,) of 0 and 1.

    Returns:
        0 to 1; NaN if an output is no finite number, or if the samples are all of one class.
    """
    positives = int(np.count_nonzero(labels == 1))
    negatives = len(labels) - positives
    if not np.isfinite(outputs).all() or not positives or not negatives:
        return NAN
    _, place, count = np.unique(outputs.reshape(len(labels)), return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    ranks = (last - (count - 1) / 2)[place]  # from 1 on; equal outputs share the mean of theirs
    wins = float(ranks[labels == 1].sum()) - positives * (positives + 1) / 2
    return wins / (positives * negatives)


def mean_squared_error(wanted: NDArray[np.float32], outputs: NDArray[np.float32]) -> float:
    """Of arrays of one shape, over all of their numbers."""
    return float(np.mean((outputs.astype(np.float64) - wanted.astype(np.float64)) ** 2))


def squared_errors(wanted: NDArray[np.float32], outputs: NDArray[np.float32]) -> NDArray[np.float64]:
    """(N,) mean squared error of each of N samples."""
    squares = (outputs.astype(np.float64) - wanted.astype(np.float64)) ** 2
    return np.asarray(squares.reshape(len(squares), -1).mean(axis=1), np.float64)


def skill(
    wanted: NDArray[np.float32], outputs: NDArray[np.float32], given: NDArray[np.float32], season: int = 1
) -> float:
    """Of a forecast, 1 - its mean squared error over that of the naive one, which repeats the last season given.

    A season of one step is the last value. Hyndman & Athanasopoulos 2021, Forecasting: Principles and Practice,
    section 5.2.

    Args:
        wanted, outputs: (N, horizon, features).
        given: (N, steps, features), no fewer steps than a season.

    Returns:
        1 for what comes to pass, 0 for what is no better than the naive forecast, below 0 for what is worse; NaN where
        the naive one is perfect.
    """
    before = np.arange(wanted.shape[1]) % season - season  # from the end of what is given
    naive = mean_squared_error(wanted, given[:, before])
    error = mean_squared_error(wanted, outputs)
    return 1.0 - error / naive if naive > 0.0 and np.isfinite(error) else NAN


def mase(wanted: NDArray[np.float32], outputs: NDArray[np.float32], naive: Naive) -> float:
    """Mean absolute scaled error of (N, horizon, features) forecasts, the mean over the features.

    Hyndman & Koehler 2006, doi:10.1016/j.ijforecast.2006.03.001.

    Returns:
        Below 1 for what is nearer than the naive forecast was in training; NaN where nothing ever changed there.
    """
    apart = np.abs(outputs.astype(np.float64) - wanted.astype(np.float64)).mean(axis=(0, 1))
    return float(np.mean(apart / naive.errors)) if len(naive.errors) and (naive.errors > 0.0).all() else NAN


def beside_naive(
    wanted: NDArray[np.float32], outputs: NDArray[np.float32], given: NDArray[np.float32], naive: Naive
) -> dict[str, float]:
    """Of a forecast, "seasonal_skill" where there is a season, and "mase"; without what cannot be told."""
    found = {"mase": mase(wanted, outputs, naive)}
    if naive.season:
        found = {"seasonal_skill": skill(wanted, outputs, given, naive.season), **found}
    return {name: value for name, value in found.items() if np.isfinite(value)}


def psnr_db(error: float, peak: float) -> float:
    """Peak signal-to-noise ratio in decibels, 10 log10(peak² / error), capped at 200.

    Args:
        error: mean squared error.
        peak: span of what the signal can be.

    Returns:
        NaN unless `error` and `peak` are finite and `peak` is above 0.
    """
    if not np.isfinite(error) or not np.isfinite(peak) or not peak > 0.0:
        return NAN
    return CAP_DB if error == 0.0 else _capped_db(peak**2 / error)


def sqnr_db(signal: NDArray[np.float32], noisy: NDArray[np.float32], *, softmax_follows: bool) -> float:
    """10 log10 of the energy of `signal` about its mean over the energy of `noisy − signal`.

    Where a softmax follows, both are taken as it reads them, see `as_softmax_reads`. Elsewhere a constant added to
    all outputs is noise like any other, and the signal is what varies over all samples and outputs.

    Args:
        signal, noisy: of one shape; where a softmax follows (..., classes), and its exponents.

    Returns:
        At most 200; NaN if either holds what is no finite number (a softmax makes nothing of one score that is -∞), or
        if there is no signal.
    """
    wanted, found = (as_softmax_reads(x) if softmax_follows else x.astype(np.float64) for x in (signal, noisy))
    if not (np.isfinite(wanted).all() and np.isfinite(found).all()):
        return NAN
    energy, noise = float(np.sum((wanted - wanted.mean()) ** 2)), float(np.sum((found - wanted) ** 2))
    if not energy > 0.0:
        return NAN
    return CAP_DB if noise == 0.0 else _capped_db(energy / noise)


def as_softmax_reads(scores: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """What counts of rows (..., classes) of a softmax's exponents: cut by `near`, and about the mean of each row.

    A softmax acts on the last axis alone, so that a constant added to all scores of a row changes nothing; and what a
    file makes of shares that no one can tell from 0 does not matter either. NaN in rows with a NaN, +∞, or nothing
    but -∞.
    """
    kept: NDArray[np.float64] = near(scores).astype(np.float64)
    with np.errstate(invalid="ignore"):  # ∞ - ∞
        kept -= kept.max(axis=-1, keepdims=True)  # first, so that nothing is left of scores that are all alike
        kept -= kept.mean(axis=-1, keepdims=True)
    return kept


def near(scores: NDArray[Any]) -> NDArray[Any]:
    """Rows (..., classes) of a softmax's exponents: what is `FAR` below the largest of its row counts as no farther."""
    return np.asarray(np.maximum(scores, scores.max(axis=-1, keepdims=True) - FAR))


def same_first(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Fraction of the rows of two (N, classes) arrays whose highest number is in the same place."""
    return float(np.mean(a.argmax(axis=1) == b.argmax(axis=1)))


def _capped_db(ratio: float) -> float:
    return float(np.minimum(CAP_DB, 10.0 * np.log10(ratio)))  # unlike min(), keeps NaN


def frechet_distance(ones: NDArray[np.float32], others: NDArray[np.float32]) -> float:
    """Between the normal distributions of two sets of (N, features): |μ - ν|² + tr(S + T - 2 (S T)^½).

    Dowson & Landau 1982, doi:10.1016/0047-259X(82)90077-X. NaN if a feature is no finite number, or if there are
    fewer than two of a set.
    """
    if min(len(ones), len(others)) < 2 or not (np.isfinite(ones).all() and np.isfinite(others).all()):
        return NAN
    a, b = ones.astype(np.float64), others.astype(np.float64)
    s, t = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    # The eigenvalues of a product of two covariances are real and not negative, but for rounding.
    roots = np.sqrt(np.clip(np.linalg.eigvals(np.atleast_2d(s) @ np.atleast_2d(t)).real, 0.0, None))
    apart = float(np.sum((a.mean(axis=0) - b.mean(axis=0)) ** 2))
    return max(0.0, apart + float(np.trace(np.atleast_2d(s + t))) - 2.0 * float(roots.sum()))


# --- runtime/dtypes ---

@dataclasses.dataclass(frozen=True)
class TensorFormat:
    """An input or output of a file.

    Attributes:
        name: as in the file.
        shape: with the batch, which is 1.
        dtype: numpy's name, for instance "int8"; what numpy does not have, as the schema calls it.
        scale, zero_point: per tensor; 0.0 and 0 where the tensor is not quantized.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int

    @property
    def quantized(self) -> bool:
        # Some converters leave the range of a float tensor beside it.
        return self.scale != 0.0 and self._whole

    @property
    def counts(self) -> bool:
        """Whether it holds whole numbers that stand for themselves, as the words of a text do."""
        return not self.quantized and self._whole

    @property
    def _whole(self) -> bool:
        return self.dtype.startswith(("int", "uint"))  # numpy has no int4 and no float8

    def quantize(self, real: NDArray[np.float32]) -> NDArray[Any]:
        """Real numbers → the tensor's dtype; rounded half to even, saturated at the ends."""
        if not self.quantized:
            return real.astype(self.dtype)
        limits = np.iinfo(self.dtype)
        with np.errstate(over="ignore"):  # becomes infinite and saturates
            integers = np.round(real / np.float32(self.scale)) + self.zero_point
        return np.asarray(np.clip(integers, limits.min, limits.max), self.dtype)

    def dequantize(self, stored: NDArray[Any]) -> NDArray[np.float32]:
        """The tensor's dtype → real numbers."""
        if not self.quantized:
            return stored.astype(np.float32)
        return np.asarray((stored.astype(np.float32) - self.zero_point) * np.float32(self.scale), np.float32)


# --- runtime/named_ends ---

class NamedEnds(abc.ABC):
    """A model that takes samples by input name and answers by output name; a subclass runs it.

    Attributes:
        inputs, outputs: name → format, in the file's order; shapes are of one sample, with a batch of 1.
        backend: what computes it, as people call it.
    """

    backend: str

    inputs: dict[str, TensorFormat]
    outputs: dict[str, TensorFormat]
    _name: str

    @property
    def input(self) -> TensorFormat:
        """The one input. Raises DataError if there are several."""
        return self.inputs[_only_name(self.inputs, self._name, "inputs")]

    @property
    def output(self) -> TensorFormat:
        """The one output. Raises DataError if there are several."""
        return self.outputs[_only_name(self.outputs, self._name, "outputs")]

    def run(self, batch: NDArray[Any], advance: Callable[[int, int], None] | None = None) -> NDArray[np.float32]:
        """`run_named` for a file of one input and one output: (N, *shape) → (N, *shape) float32."""
        _only_name(self.outputs, self._name, "outputs")
        [outputs] = self.run_named({_only_name(self.inputs, self._name, "inputs"): batch}, advance).values()
        return outputs

    @abc.abstractmethod
    def run_named(
        self, batch: Mapping[str, NDArray[Any]], advance: Callable[[int, int], None] | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """Network inputs by name, (N, *shape) each → outputs by name, (N, *shape) float32.

        Raises DataError for another name, shape or number of samples, for NaN, infinity, or a fraction where the
        file takes whole numbers; ModelFileError if the runtime fails on the file.
        """

    @abc.abstractmethod
    def set_inputs(self, sample: Mapping[str, NDArray[Any]]) -> None:
        """Put one sample, (*shape) for each input, into the model's inputs."""

    @abc.abstractmethod
    def invoke(self) -> None:
        """One inference on whatever the input holds; for timing."""

    def _checked(self, batch: Mapping[str, NDArray[Any]]) -> int:
        """The number of samples in `batch`; raises as `run_named` does."""
        if batch.keys() != self.inputs.keys():
            raise DataError(f"inputs called {', '.join(batch)}, but the model takes {', '.join(self.inputs)}")
        for name, samples in batch.items():
            which, wanted = f" {name!r}" if len(batch) > 1 else "", self.inputs[name].shape[1:]
            if samples.shape[1:] != wanted:
                raise DataError(f"input{which} of shape {samples.shape[1:]}, but the model takes {wanted}")
            if not np.isfinite(samples).all():
                raise DataError(f"input{which} with NaN or infinite values")
            if self.inputs[name].counts and not np.array_equal(samples, np.round(samples)):
                raise DataError(f"input{which} with fractions, but the model takes whole numbers")
        counts = {len(samples) for samples in batch.values()}
        if len(counts) > 1:
            raise DataError(f"inputs of {' and '.join(map(str, sorted(counts)))} samples; each needs as many")
        return counts.pop()


def _only_name(ends: Mapping[str, TensorFormat], where: str, kind: str) -> str:
    if len(ends) != 1:
        raise DataError(f"{where}: has {len(ends)} {kind} ({', '.join(ends)}); give or take them by name")
    return next(iter(ends))


# --- runtime/limits ---

MEMORY_BYTES = 2**32
"""Beside what the process has already; see `limit_memory`."""
TIMES_THE_FILE = 16
"""Bytes for each of the file: 4-bit weights are unpacked to floats, and packed once more for the kernels."""
FOR_A_THREAD = 2**24
"""Bytes: its stack and what it works in."""
LONGEST_INFERENCE_S = 300.0
"""For one inference, or for loading: what takes longer is a loop for ever."""


def limit_memory(file_bytes: int, threads: int) -> None:
    """Let the process take 4 GiB, and more for a large file: a file of a kilobyte can say that it needs terabytes.

    Of all processes, the system ends this one first where memory is short. Linux only.
    """
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    allowed = _data_bytes() + MEMORY_BYTES + TIMES_THE_FILE * file_bytes + FOR_A_THREAD * threads
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        allowed = min(allowed, hard)
    with contextlib.suppress(ValueError, OSError, OverflowError):  # more than a 32-bit system can say
        resource.setrlimit(resource.RLIMIT_DATA, (allowed, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # nobody asks for the memory of a process that crashed


def _data_bytes() -> int:
    """What the process may write to by now."""
    for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    return 0


@contextlib.contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """The system ends the process, whatever native code is at, if the block takes longer. In the main thread only."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def ended_by(number: int) -> tuple[type[DlkitError], str]:
    """Why a process ended by the signal `number` did: the kind of error, and words that follow "the runtime"."""
    if number == signal.SIGALRM:
        return ModelFileError, f"did not end in {LONGEST_INFERENCE_S:.0f} s and was stopped"
    if number == signal.SIGKILL:
        return EndedBySystem, "was ended by the system, most likely for want of memory; close other programs"
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = str(number)
    return ModelFileError, f"crashed on this file (signal {name})"


# --- runtime/forked ---

SAMPLES_AT_ONCE = 32
AT_ONCE_BYTES = 2**22
"""A question holds so many samples, or fewer large ones."""
SHORT_S = 0.05
"""A question that is answered sooner is followed by one of twice as many samples; progress is told after each."""
LARGEST_HEAD_BYTES = 2**26
TOLD = {kind.__name__: kind for kind in (DataError, ExtraMissing, ModelFileError)}
"""Errors that a child raises on purpose."""
_Arrays = Mapping[str, "NDArray[Any]"]


class Forked(NamedEnds):
    """What a `NamedEnds` is, whose calls are answered by one in a process of its own.

    Several threads may use it. The process ends with the object, and with the process that made it.

    Attributes:
        backend: what computes there, as who opened it says.
    """

    def __init__(self, name: str, started: Callable[[], tuple[socket.socket, int]], samples_at_once: int = 1) -> None:
        """`started` gives the connection to a new process that answers, and its id: `forked` or `spawned`.

        Args:
            name: of the model, for messages.
            samples_at_once: in the first question.

        Raises:
            ModelFileError: it crashes, does not end or is out of memory; and what loading the model raises on purpose.
            EndedBySystem: the process is killed.
        """
        self._name, self._samples_at_once = name, samples_at_once
        self._lock, self._ended = threading.Lock(), ""
        self._kind: type[DlkitError] = ModelFileError
        self._connection, self._child = started()
        self._owner = os.getpid()
        self._end = weakref.finalize(self, _end, self._connection, self._child, self._owner)
        told = self._asked({"ask": "ends"}, {})
        self.backend = str(told["backend"])
        self.inputs, self.outputs = _formats(told["inputs"]), _formats(told["outputs"])

    def run_named(
        self, batch: Mapping[str, NDArray[Any]], advance: Callable[[int, int], None] | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """Network inputs by name, (N, *shape) each → outputs by name, (N, *shape) float32.

        Raises DataError for another name, shape or number of samples, for NaN, infinity, or a fraction where the file
        takes whole numbers; ModelFileError if the runtime fails on the file, crashes, does not end or is out of memory;
        EndedBySystem if its process is killed.
        """
        count = self._checked(batch)
        outputs = {name: np.empty((count, *end.shape[1:]), np.float32) for name, end in self.outputs.items()}
        largest = max(values[:1].nbytes for values in (*batch.values(), *outputs.values()))
        most = max(1, min(SAMPLES_AT_ONCE, AT_ONCE_BYTES // max(1, largest)))
        start, step = 0, min(self._samples_at_once, most)
        while start < count:
            began, rows = time.monotonic(), slice(start, min(start + step, count))
            given = {name: np.asarray(values)[rows] for name, values in batch.items()}
            self._asked({"ask": "run"}, given, {name: values[rows] for name, values in outputs.items()})
            start = rows.stop
            if advance:
                advance(start, count)
            if time.monotonic() - began < SHORT_S:
                step = min(2 * step, most)
        return outputs

    def set_inputs(self, sample: Mapping[str, NDArray[Any]]) -> None:
        """Put one sample, (*shape) for each input, into the model's inputs."""
        self._asked({"ask": "set"}, sample)

    def invoke(self) -> None:
        """One inference on whatever the input holds."""
        self._asked({"ask": "invoke"}, {})

    def close(self) -> None:
        """End the process; what is asked later is refused."""
        self._ended = self._ended or "was closed"
        self._end()

    def _asked(self, question: dict[str, Any], given: _Arrays, into: _Arrays | None = None) -> dict[str, Any]:
        """The child's answer, but for arrays, which are read `into` those."""
        if self._owner != os.getpid():
            raise DataError(f"{self._name}: was loaded by another process; load it in each process that runs it")
        with self._lock:
            if not self._ended:
                try:
                    send(self._connection, question, given)
                    answer, _ = received(self._connection, into or {})
                except (OSError, EOFError):
                    self._kind, self._ended = self._why_it_ended()
                except (ValueError, KeyError, TypeError, RecursionError, MemoryError):
                    self._ended = "wrote over its own memory on this file and was stopped"
                    self._end()
                except BaseException:  # Ctrl-C: the answer that is yet to come would be taken for the next one's
                    self._ended = "was stopped"
                    self._end()
                    raise
            if self._ended:
                raise self._kind(f"{self._name}: the runtime {self._ended}")
        if "error" in answer:
            raise TOLD.get(str(answer["kind"]), ModelFileError)(str(answer["error"]))
        return answer

    def _why_it_ended(self) -> tuple[type[DlkitError], str]:
        self._end.detach()
        self._connection.close()
        code = _waited(self._child)
        return ended_by(-code) if code < 0 else (ModelFileError, f"ended on this file (code {code})")


def forked(opened: Callable[[], tuple[NamedEnds, str]], file_bytes: int, threads: int) -> tuple[socket.socket, int]:
    """A process forked from this one, in which `opened` loads the model and says what computes it.

    Args:
        file_bytes, threads: what decides how much memory it may take, see `limits.limit_memory`.
    """
    ours, theirs = socket.socketpair()
    main = os.getpid() if threading.current_thread() is threading.main_thread() else None
    with theirs, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of other threads: the child waits for none of their locks
        try:
            child = os.fork()
        except OSError:
            ours.close()
            raise
        if not child:
            _be_the_child(theirs, opened, file_bytes, threads, main)
    return ours, child


def spawned(program: str, *arguments: str) -> tuple[socket.socket, int]:
    """A new Python that runs `program`, which calls `serve` with the connection, descriptor 3.

    For libraries that have started threads here already, and do not work in what is forked then.
    """
    ours, theirs = socket.socketpair()
    root = str(Path(__file__).parents[2])
    paths = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    ends = [(os.POSIX_SPAWN_OPEN, standard, os.devnull, os.O_RDWR, 0) for standard in range(3)]
    command = [sys.executable, "-P", "-c", program, *arguments]
    with theirs:
        child = os.posix_spawn(sys.executable, command, {**os.environ, "PYTHONPATH": paths},
                               file_actions=[*ends, (os.POSIX_SPAWN_DUP2, theirs.fileno(), 3)])  # fmt: skip
    return ours, child


def _formats(table: Mapping[str, Any]) -> dict[str, TensorFormat]:
    return {name: TensorFormat(**{**told, "shape": tuple(told["shape"])}) for name, told in table.items()}


def _end(connection: socket.socket, child: int, owner: int) -> None:
    """End a child, whatever it is at; not that of another process, of which this is a copy."""
    connection.close()
    if owner == os.getpid():
        with contextlib.suppress(OSError):
            os.kill(child, signal.SIGKILL)
        _waited(child)


def _waited(child: int) -> int:
    """The child's exit code, negative if a signal ended it; 0 where somebody else was told."""
    try:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    except ChildProcessError:
        return 0


# --- in the child ---


def _be_the_child(
    connection: socket.socket,
    opened: Callable[[], tuple[NamedEnds, str]],
    file_bytes: int,
    threads: int,
    parent: int | None,
) -> NoReturn:
    """Answer until the parent has ended.

    Args:
        parent: its id, where its main thread forked.
    """
    code = 1
    with contextlib.suppress(BaseException):  # nothing of it may go up into what the parent was at
        _leave_the_parents(connection.fileno(), parent)
        limit_memory(file_bytes, threads)
        serve(connection, opened)
        code = 0
    os._exit(code)


def _leave_the_parents(connection: int, parent: int | None) -> None:
    """Its open files, its handlers of signals and its objects, so that nothing of it is touched, now or at the end."""
    gc.disable()  # what is collected may end things that are the parent's
    signal.set_wakeup_fd(-1)
    for handled in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE):
        signal.signal(handled, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(nowhere, standard)
    for descriptor in Path("/proc/self/fd" if sys.platform == "linux" else "/dev/fd").glob("[0-9]*"):
        if (number := int(descriptor.name)) > 2 and number != connection:
            with contextlib.suppress(OSError):
                os.close(number)
    if parent is not None and sys.platform == "linux":  # of another thread it would end with that thread
        set_parent_death_signal = 1  # PR_SET_PDEATHSIG
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


def serve(connection: socket.socket, opened: Callable[[], tuple[NamedEnds, str]]) -> None:
    """Answer what a `Forked` asks, until it asks no more."""
    with contextlib.suppress(EOFError, OSError):
        received(connection, {})
        try:
            with at_most(LONGEST_INFERENCE_S):
                model, backend = opened()
        except Exception as error:
            send(connection, _told(error), {})
            return
        ends = ({name: dataclasses.asdict(end) for name, end in side.items()} for side in (model.inputs, model.outputs))
        send(connection, dict(zip(("inputs", "outputs"), ends, strict=True)) | {"backend": backend}, {})
        while True:
            question, given = received(connection, {})
            try:
                answer = _answered(model, question["ask"], given)
            except Exception as error:
                send(connection, _told(error), {})
            else:
                send(connection, {}, answer)


def _answered(model: NamedEnds, asked: str, given: _Arrays) -> _Arrays:
    count = max((len(values) for values in given.values()), default=0) if asked == "run" else 1
    with at_most(LONGEST_INFERENCE_S * count):
        if asked == "run":
            return model.run_named(given)
        if asked == "set":
            model.set_inputs(given)
        else:
            model.invoke()
    return {}


def _told(error: Exception) -> dict[str, Any]:
    if isinstance(error, DlkitError):
        return {"kind": type(error).__name__, "error": str(error)}
    if isinstance(error, MemoryError):
        return {"kind": "", "error": "the model needs more memory than a file of its size may take"}
    return {"kind": "", "error": f"the runtime fails on this file: {type(error).__name__}: {str(error)[:200]}"}


# --- a question or an answer: the length of its head, the head in JSON, and the numbers of its arrays ---


def send(connection: socket.socket, head: dict[str, Any], arrays: _Arrays) -> None:
    """A question or an answer."""
    given = {name: np.ascontiguousarray(values) for name, values in arrays.items()}
    listed = [[name, values.dtype.str, [*np.shape(arrays[name])]] for name, values in given.items()]
    text = json.dumps({**head, "arrays": listed}).encode()
    connection.sendall(struct.pack("<I", len(text)) + text)
    for values in given.values():
        connection.sendall(values.reshape(-1).view(np.uint8).data)


def received(connection: socket.socket, into: _Arrays) -> tuple[dict[str, Any], _Arrays]:
    """What was sent. Raises EOFError at the end, and ValueError for what does not go `into` the arrays it is for."""
    [length] = struct.unpack("<I", _read(connection, np.empty(4, np.uint8)).tobytes())
    if length > LARGEST_HEAD_BYTES:
        raise ValueError
    head = json.loads(_read(connection, np.empty(length, np.uint8)).tobytes())
    arrays = {}
    for name, dtype, shape in head.pop("arrays"):
        values = into[name] if into else np.empty(shape, np.dtype(dtype))
        if (values.dtype.str, [*values.shape]) != (dtype, shape):
            raise ValueError
        _read(connection, values.reshape(-1).view(np.uint8))
        arrays[name] = values
    return head, arrays


def _read(connection: socket.socket, into: NDArray[np.uint8]) -> NDArray[np.uint8]:
    left = memoryview(into.data)
    while len(left):
        count = connection.recv_into(left)
        if not count:
            raise EOFError
        left = left[count:]
    return into


# --- runtime/local ---

MOST_THREADS = 256
"""The runtime's native code crashes where the system has no more threads to give."""
LARGEST_END_BYTES = 2**31
"""Of an input or output; the runtime counts its numbers in 32 bits."""
FAST, REFERENCE, PLAIN = "AUTO", "BUILTIN_REF", "BUILTIN_WITHOUT_DEFAULT_DELEGATES"
"""Kernels: XNNPACK's where it has them, those that define what each operation gives, and LiteRT's own."""


class LocalSession(NamedEnds):
    """A loaded .tflite file.

    Attributes:
        inputs, outputs: name → format, in the file's order. Names are those of its signature; where it
            has none, those of its tensors.
        backend: "XNNPACK" if that took any operation over, else "LiteRT", whose own kernels then run.

    Raises:
        ModelFileError: the file is missing, is no .tflite file, is broken, or takes other than one sample at a time.
        DataError: fewer than 1 or more than 256 threads.
        ExtraMissing: ai-edge-litert is not installed.
    """

    def __init__(self, model: Path | bytes, threads: int, kernels: str = FAST, *, ready: bool = True) -> None:
        """`kernels`: `FAST`, `REFERENCE` or `PLAIN`; with `ready` off it tells its formats alone, and is not set up."""
        self._name = name_of(model)
        check_file(model, threads)
        interpreter = require("ai_edge_litert.interpreter")
        try:
            with native_noise_aside():  # it announces its delegate
                self._interpreter = interpreter.Interpreter(
                    **_source(model),
                    num_threads=threads,
                    experimental_op_resolver_type=interpreter.OpResolverType[kernels],
                )
                if ready:
                    self._interpreter.allocate_tensors()
            inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
            given, computed = _signature_names(self._interpreter)
            self.backend = self._told_backend() if ready else ""
            self._places = _by_name(inputs, given), _by_name(outputs, computed)
            self.inputs, self.outputs = ({key: _format(end) for key, end in ends.items()} for ends in self._places)
        except Exception as error:  # its bindings raise what they raise; each is about the file
            raise _refused(self._name, error) from None
        _check_ends(self._name, self.inputs, self.outputs)

    def _told_backend(self) -> str:
        # A delegate's part is listed among the operations; LiteRT has no other way to ask.
        operations = self._interpreter._get_ops_details()
        return "XNNPACK" if any(operation["op_name"] == "DELEGATE" for operation in operations) else "LiteRT"

    def run_named(
        self, batch: Mapping[str, NDArray[Any]], advance: Callable[[int, int], None] | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """Network inputs by name, (N, *shape) each → outputs by name, (N, *shape) float32; one inference per sample.

        Variable tensors are reset before each: a fused LSTM would otherwise begin where the
        sample before it ended. Raises DataError for another name, shape or number of samples, for NaN, infinity,
        or a fraction where the file takes whole numbers; ModelFileError if the runtime fails on the file.
        """
        count = self._checked(batch)
        outputs = {name: np.empty((count, *end.shape[1:]), np.float32) for name, end in self.outputs.items()}
        for row in range(count):
            with self._about_the_file():
                self._interpreter.reset_all_variables()
            self.set_inputs({name: samples[row] for name, samples in batch.items()})
            self.invoke()
            if advance:
                advance(row + 1, count)
            with self._about_the_file():
                for name, end in self.outputs.items():
                    outputs[name][row] = end.dequantize(self._interpreter.get_tensor(self._places[1][name]["index"]))[0]
        return outputs

    def set_inputs(self, sample: Mapping[str, NDArray[Any]]) -> None:
        """Put one sample, (*shape) for each input, into the model's inputs."""
        with self._about_the_file():
            for name, values in sample.items():
                stored = self.inputs[name].quantize(values)[np.newaxis]
                self._interpreter.set_tensor(self._places[0][name]["index"], stored)

    def invoke(self) -> None:
        """One inference on whatever the input holds; for timing."""
        with self._about_the_file():
            self._interpreter.invoke()

    @contextlib.contextmanager
    def _about_the_file(self) -> Iterator[None]:
        """What the runtime's bindings raise in the block says something of the file."""
        try:
            yield
        except Exception as error:
            raise _refused(self._name, error) from None


def check_file(model: Path | bytes, threads: int) -> None:
    """Raise ModelFileError for what is plainly no .tflite file, and DataError for a number of threads that cannot be.

    Neither may reach native code.
    """
    _check_mark(model, name_of(model))
    if not 1 <= threads <= MOST_THREADS:
        raise DataError(f"{threads} threads; the runtime takes 1 to {MOST_THREADS}")


def name_of(model: Path | bytes) -> str:
    """What a model is called in messages."""
    return str(model) if isinstance(model, Path) else "the model"


def _check_ends(name: str, inputs: dict[str, TensorFormat], outputs: dict[str, TensorFormat]) -> None:
    """Raise ModelFileError unless a sample at a time goes in and comes out, of a size that can be."""
    for end in (*inputs.values(), *outputs.values()):
        if min(end.shape, default=0) < 0 or math.prod(end.shape) * np.dtype(end.dtype).itemsize > LARGEST_END_BYTES:
            raise ModelFileError(f"{name}: {end.name!r} has the shape {end.shape}, which no runtime computes")
    if any(end.shape[:1] != (1,) for end in (*inputs.values(), *outputs.values())):
        found = " → ".join(", ".join(str(e.shape) for e in ends.values()) for ends in (inputs, outputs))
        raise ModelFileError(f"{name}: computes {found}; only files that take one sample at a time can be run")


def _signature_names(interpreter: Any) -> tuple[dict[int, list[str]], dict[int, list[str]]]:
    """Tensor number → its names in the first signature, of inputs and of outputs."""
    signatures = interpreter.get_signature_list()
    if not signatures:
        return {}, {}
    runner = interpreter.get_signature_runner(next(iter(signatures)))
    named = []
    for details in (runner.get_input_details(), runner.get_output_details()):
        names: dict[int, list[str]] = {}
        for name, end in details.items():
            names.setdefault(int(end["index"]), []).append(name)
        named.append(names)
    return named[0], named[1]


def _by_name(ends: list[dict[str, Any]], names: dict[int, list[str]]) -> dict[str, dict[str, Any]]:
    """The interpreter's details of each input or output, under a name that no other has."""
    found: dict[str, dict[str, Any]] = {}
    for position, end in enumerate(ends):
        known = names.get(int(end["index"]), [])
        name = known.pop(0) if known else end["name"].removeprefix("serving_default_").partition(":")[0]
        found[name if name and name not in found else f"{name}_{position}"] = end
    return found


def _refused(name: str, error: Exception) -> ModelFileError:
    reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return ModelFileError(f"{name}: the runtime refuses this file: {reason}")


def _source(model: Path | bytes) -> dict[str, Any]:
    """A file by its name, so that it is mapped and not read; by its content where its name is no Unicode."""
    if isinstance(model, bytes):
        return {"model_content": model}
    try:
        str(model).encode()
    except UnicodeEncodeError:
        return {"model_content": model.read_bytes()}
    return {"model_path": str(model)}


def _check_mark(model: Path | bytes, name: str) -> None:
    """Raise ModelFileError for what is plainly no .tflite file: it must not reach native code."""
    if isinstance(model, bytes):
        content = model
    else:
        try:
            content = first_bytes(model, 8)
        except OSError as error:
            raise ModelFileError(f"{name}: cannot be read: {error.strerror}") from None
    if content[4:8] != b"TFL3":
        raise ModelFileError(f"{name}: is not a .tflite file (the mark 'TFL3' is missing)")


def _format(details: dict[str, Any]) -> TensorFormat:
    scale, zero_point = details["quantization"]
    shape = tuple(int(n) for n in details["shape"])
    return TensorFormat(details["name"], shape, np.dtype(details["dtype"]).name, float(scale), int(zero_point))


# --- runtime/litert ---

class Session(Forked):
    """A loaded .tflite file, in a process of its own: whatever the file is, it cannot crash this one.

    Attributes:
        inputs, outputs: name → format, in the file's order. Names are those of its signature; where it
            has none, those of its tensors.

    `reference` has it computed by the plain kernels that define what each operation gives, slowly.

    Raises:
        ModelFileError: the file is missing, is no .tflite file, is broken, or takes other than one sample at a time;
            or the runtime crashes on it, does not end, or needs more memory than a file of its size may take.
        DataError: fewer than 1 or more than 256 threads.
        ExtraMissing: ai-edge-litert is not installed.
    """

    def __init__(self, model: Path | bytes, threads: int | None = None, *, reference: bool = False) -> None:
        threads = min(4, os.cpu_count() or 1) if threads is None else threads
        check_file(model, threads)
        require("ai_edge_litert.interpreter")  # once, and not in each process

        def opened() -> tuple[NamedEnds, str]:
            session = LocalSession(model, threads, REFERENCE if reference else FAST)
            return session, session.backend

        super().__init__(name_of(model), lambda: forked(opened, _size(model), threads))


def formats_of(model: Path) -> tuple[dict[str, TensorFormat], dict[str, TensorFormat]]:
    """Inputs and outputs of a file as a `Session` has them, without setting it up. Raises as that does."""
    check_file(model, 1)
    require("ai_edge_litert.interpreter")
    read = Forked(str(model), lambda: forked(lambda: (LocalSession(model, 1, PLAIN, ready=False), ""), _size(model), 1))
    read.close()
    return read.inputs, read.outputs


def _size(model: Path | bytes) -> int:
    return len(model) if isinstance(model, bytes) else model.stat().st_size


# --- runtime/streaming ---

class Stream:
    """A step's file and the states that go with it.

    >>> stream = dlkit.load("exported/words/cpu-int8").stream()  # doctest: +SKIP
    >>> for row in rows:                                         # doctest: +SKIP
    ...     answer = stream.step(row)["output"]

    Attributes:
        shape: of one step, without the batch.

    Raises:
        ModelFileError: the file has other names than is said of it.
    """

    def __init__(self, session: Session, described: Mapping[str, Any]) -> None:
        """`described`: names of the file's "input", "states" and "outputs", as in a manifest's "streaming"."""
        self._session = session
        self._input: str = described["input"]
        self._next: dict[str, str] = {name: state["next"] for name, state in described["states"].items()}
        self._outputs: dict[str, str] = dict(described["outputs"])
        self._sequences = frozenset(described["sequences"])
        given, found = {self._input, *self._next}, {*self._outputs, *self._next.values()}
        if session.inputs.keys() != given or session.outputs.keys() != found:
            raise ModelFileError(
                f"the file of one step takes {', '.join(session.inputs)} and gives {', '.join(session.outputs)}, "
                "not what its bundle says; export the bundle again"
            )
        self.shape = session.inputs[self._input].shape[1:]
        self._states: dict[str, NDArray[np.float32]] = {}
        self.reset()

    def reset(self) -> None:
        """Forget what was seen: the next step is the first of another sequence."""
        self._states = {name: np.zeros(self._session.inputs[name].shape[1:], np.float32) for name in self._next}

    def step(self, x: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
        """One step's network input, (features,) → output name → (...) float32, what is known by now.

        Raises DataError for another shape, NaN or infinity.
        """
        given = {self._input: np.asarray(x), **self._states}
        found = self._session.run_named({name: values[np.newaxis] for name, values in given.items()})
        self._states = {name: found[following][0] for name, following in self._next.items()}
        return {name: found[key][0] for key, name in self._outputs.items()}

    def run(
        self, sequence: NDArray[Any], seen: dict[str, list[NDArray[Any]]] | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """A sequence from its start, (steps, features) → output name → (...) after the last step.

        Outputs that have a step axis are (steps, ...). What goes into the file at each step is added to `seen`.
        """
        self.reset()
        every: list[dict[str, NDArray[np.float32]]] = []
        for x in sequence:
            if seen is not None:
                for name, values in {self._input: x, **self._states}.items():
                    seen.setdefault(name, []).append(values)
            every.append(self.step(x))
        return {
            name: np.stack([found[name] for found in every]) if name in self._sequences else values
            for name, values in every[-1].items()
        }


# --- runtime/saved_model ---

SAVED_MODEL = "saved_model.pb"
"""The file that makes a folder one."""
LARGEST_GRAPH_BYTES = 2**31 - 1
"""What the format of protobuf takes."""
SIGNATURE = "serving_default"
RUNS_PYTHON = {"PyFunc", "PyFuncStateless", "EagerPyFunc"}
TOUCHES_FILES = {
    "DeleteOldDirs", "GenerateVocabRemapping", "InitializeTableFromTextFile", "InitializeTableFromTextFileV2",
    "LoadAndRemapMatrix", "MatchingFiles", "MergeV2Checkpoints", "PrintV2", "ReadFile", "Restore", "RestoreSlice",
    "RestoreV2", "Save", "SaveSlices", "SaveV2", "WriteFile",
}  # fmt: skip
TOUCHES_FILES_MARK = re.compile(r"Dataset|Reader|Summary|^Debug|Rpc|FileSystem|ImportEvent|Checkpoint|Filename")
SAVING_ITSELF = {"MergeV2Checkpoints", "RestoreV2", "SaveV2", "ShardedFilename"}
"""What every SavedModel has for its own variables; loading one does not run it."""


def checked_graph(folder: Path, signature: str = SIGNATURE) -> Any:
    """The graph that serves, read without loading it.

    Raises:
        ModelFileError: the folder holds no SavedModel with such a signature, or one that runs Python or
            touches files.
    """
    file = folder / SAVED_MODEL
    _check_files(folder)
    saved = message("saved_model_pb2").SavedModel()
    try:
        saved.ParseFromString(read_file(file, LARGEST_GRAPH_BYTES))
    except OSError as error:
        raise ModelFileError(f"{file}: cannot be read: {error.strerror}") from None
    except Exception:  # protobuf's DecodeError, for anything that is not one of its messages
        raise ModelFileError(f"{file}: is not a SavedModel, or cut short") from None
    if not all(graph.HasField("object_graph_def") for graph in saved.meta_graphs):
        raise ModelFileError(
            f"{folder}: was saved by TensorFlow 1, whose SavedModels run code as they are loaded; load it with "
            "tf.compat.v1 where you trust it, and save it again as a tf.Module"
        )
    graphs = [graph for graph in saved.meta_graphs if "serve" in graph.meta_info_def.tags] or list(saved.meta_graphs)
    for graph in saved.meta_graphs:
        for asset in graph.asset_file_def:
            if Path(asset.filename).is_absolute() or ".." in Path(asset.filename).parts:
                raise ModelFileError(f"{folder}: has an asset called {asset.filename!r}, which lies outside of it")
        for op in _forbidden(graph):
            does = "runs Python code" if op in RUNS_PYTHON else "can read or write files"
            raise ModelFileError(
                f"{folder}: has the operation {op}, which {does}; such a SavedModel is not loaded: export the model "
                "without that part (its preprocessing, most likely)"
            )
    if not graphs or signature not in graphs[0].signature_def:
        found = ", ".join(name for name in graphs[0].signature_def if not name.startswith("__")) if graphs else ""
        raise ModelFileError(
            f"{folder}: has no signature called {signature!r} ({found or 'it has none'}); in Python, save it again: "
            f"tf.saved_model.save(model, folder, signatures={{'{signature}': function}})"
        )
    return graphs[0]


def _check_files(folder: Path) -> None:
    """Raise ModelFileError for what is no file: TensorFlow would wait for a pipe for ever."""
    for path in folder.rglob("*"):
        if not path.is_file() and not path.is_dir():
            raise ModelFileError(f"{path}: is no file; copy the SavedModel as tf.saved_model.save wrote it")


def message(module: str) -> Any:
    """A module of TensorFlow's own messages, by its name."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with native_noise_aside():
        require("tensorflow")
        return importlib.import_module(f"tensorflow.core.protobuf.{module}")


def served_nodes(graph: Any, signature: str = SIGNATURE) -> Iterator[Any]:
    """Every node that a signature's answers depend on: those of the graph, and those of the functions it calls."""
    nodes = {node.name: node for node in graph.graph_def.node}
    functions = {function.signature.name: function.node_def for function in graph.graph_def.library.function}
    waiting = [info.name for info in graph.signature_def[signature].outputs.values()]
    needed: dict[str, Any] = {}
    while waiting:
        name = waiting.pop().lstrip("^").partition(":")[0]
        if name not in needed and name in nodes:
            needed[name] = nodes[name]
            waiting.extend(nodes[name].input)
    yield from needed.values()
    called = {name for node in needed.values() for name in _called(node)}
    for name in sorted(_reachable(functions, called)):
        yield from functions[name]


def _forbidden(graph: Any) -> Iterator[str]:
    """Operations that touch files or run Python, anywhere but in what saves and restores the variables themselves."""
    functions = {function.signature.name: function.node_def for function in graph.graph_def.library.function}
    served = _reachable(functions, _names_served(graph, functions))
    own = {graph.saver_def.save_tensor_name, graph.saver_def.restore_op_name}
    own = {name.partition(":")[0].lstrip("^") for name in own}
    outside = [node for node in graph.graph_def.node if node.name not in own]
    for node in (*outside, *(node for name in sorted(served) for node in functions[name])):
        if _is_forbidden(node.op):
            yield node.op
    for name in sorted(functions.keys() - served):
        yield from (node.op for node in functions[name] if _is_forbidden(node.op) and node.op not in SAVING_ITSELF)


def _names_served(graph: Any, functions: dict[str, Any]) -> set[str]:
    """Functions that something may call after loading: those of objects, and those of the graph's own nodes."""
    own = {graph.saver_def.save_tensor_name.partition(":")[0], graph.saver_def.restore_op_name}
    objects = set(graph.object_graph_def.concrete_functions)
    called = {name for node in graph.graph_def.node if node.name not in own for name in _called(node)}
    return (objects | called) & functions.keys()


def _reachable(functions: dict[str, Any], names: set[str]) -> set[str]:
    """`names` and all functions they call."""
    found: set[str] = set()
    waiting = collections.deque(names)
    while waiting:
        name = waiting.popleft()
        if name in found or name not in functions:
            continue
        found.add(name)
        waiting.extend(called for node in functions[name] for called in _called(node))
    return found


def _called(node: Any) -> Iterator[str]:
    yield node.op  # a function may be called by its name alone
    for value in node.attr.values():
        if value.func.name:
            yield value.func.name
        yield from (function.name for function in value.list.func)


def _is_forbidden(op: str) -> bool:
    if op.startswith("__inference"):  # a function, whose own operations are looked at
        return False
    return op in RUNS_PYTHON or op in TOUCHES_FILES or TOUCHES_FILES_MARK.search(op) is not None


# --- runtime/served ---

AT_ONCE = 32
"""Samples in a batch."""
SERVES = "from dlkit.runtime.served import serve_model; serve_model()"
_ONNX_DTYPES = {"tensor(float)": "float32", "tensor(int32)": "int32", "tensor(int64)": "int64", "tensor(bool)": "bool"}


class _Served(NamedEnds):
    """A model with an open batch."""

    _sample: dict[str, NDArray[Any]]

    def run_named(
        self, batch: Mapping[str, NDArray[Any]], advance: Callable[[int, int], None] | None = None
    ) -> dict[str, NDArray[np.float32]]:
        count = self._checked(batch)
        outputs = {name: np.empty((count, *end.shape[1:]), np.float32) for name, end in self.outputs.items()}
        for start in range(0, count, AT_ONCE):
            rows = slice(start, min(start + AT_ONCE, count))
            found = self._answers({name: self.inputs[name].quantize(values[rows]) for name, values in batch.items()})
            for name, values in found.items():
                if values.shape != outputs[name][rows].shape:
                    raise ModelFileError(f"{self._name}: gives {values.shape} as {name!r}, not one answer a sample")
                outputs[name][rows] = values
            if advance:
                advance(rows.stop, count)
        return outputs

    def set_inputs(self, sample: Mapping[str, NDArray[Any]]) -> None:
        self._sample = {name: self.inputs[name].quantize(values)[np.newaxis] for name, values in sample.items()}

    def invoke(self) -> None:
        self._answers(self._sample)

    @abc.abstractmethod
    def _answers(self, batch: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Inputs in the file's dtypes → outputs. Raises ModelFileError if the runtime fails on the file."""


class SavedModelSession(_Served):
    """A loaded SavedModel; its graphs are read first, and one that runs Python or touches files is refused.

    Raises:
        ModelFileError: the folder holds no SavedModel with such a signature, or one that must not be loaded.
        DataError: fewer than 1 or more than 256 threads, or others than TensorFlow has started with.
        ExtraMissing: tensorflow is not installed.
    """

    backend = "TensorFlow"

    def __init__(self, folder: Path, threads: int | None = None, signature: str = SIGNATURE) -> None:
        self._name = str(folder)
        _check_threads(threads)
        graph = checked_graph(folder, signature)
        with native_noise_aside():  # it announces that it finds no GPU
            tf = require("tensorflow")
            if threads is not None:
                _start_with(tf, threads)
            try:
                self._loaded = tf.saved_model.load(str(folder))
            except Exception as error:  # TensorFlow raises what it raises; each is about the folder
                raise _broken(self._name, error) from None
        self._tf, self._serve = tf, self._loaded.signatures[signature]
        told = graph.signature_def[signature]
        self.inputs = {name: _end_format(tf, self._name, name, told.inputs[name]) for name in sorted(told.inputs)}
        self.outputs = {name: _end_format(tf, self._name, name, told.outputs[name]) for name in sorted(told.outputs)}

    def _answers(self, batch: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        try:
            found = self._serve(**{name: self._tf.constant(values) for name, values in batch.items()})
            return {name: values.numpy() for name, values in found.items()}
        except self._tf.errors.OpError as error:
            raise _broken(self._name, error) from None


class OnnxSession(_Served):
    """A loaded ONNX file.

    Raises:
        ModelFileError: the file is missing, is no ONNX model or is broken.
        DataError: fewer than 1 or more than 256 threads.
        ExtraMissing: onnxruntime is not installed.
    """

    backend = "ONNX Runtime"

    def __init__(self, file: Path, threads: int | None = None) -> None:
        self._name = str(file)
        _check_threads(threads)
        onnxruntime = require("onnxruntime")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or min(4, os.cpu_count() or 1)
        options.log_severity_level = 4
        try:
            with native_noise_aside():
                self._session = onnxruntime.InferenceSession(str(file), options, providers=_providers(onnxruntime))
        except Exception as error:  # its errors have no common class
            raise _broken(self._name, error) from None
        self.inputs = {end.name: _onnx_format(self._name, end) for end in self._session.get_inputs()}
        self.outputs = {end.name: _onnx_format(self._name, end) for end in self._session.get_outputs()}

    def _answers(self, batch: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        try:
            return dict(zip(self.outputs, self._session.run(list(self.outputs), dict(batch)), strict=True))
        except Exception as error:
            raise _broken(self._name, error) from None


def open_model(model: Path, threads: int | None = None) -> NamedEnds:
    """A session of whatever `model` is, in a process of its own: a .tflite or .onnx file, or a SavedModel's folder."""
    if not model.is_dir() and model.suffix != ".onnx":
        return Session(model, threads)
    _check_threads(threads)
    if (runtime := runtime_of(model)) in sys.modules:  # its threads would not be there in what is forked
        return Forked(str(model), lambda: spawned(SERVES, str(model), str(threads or "")), AT_ONCE)
    check_installed(runtime)
    opened = functools.partial(_opened, model, threads)
    return Forked(str(model), lambda: forked(opened, bytes_in(model), MOST_THREADS), AT_ONCE)


def open_here(model: Path, threads: int | None = None) -> NamedEnds:
    """The same in this process: for one that was started for it, or for a file of our own making."""
    if model.is_dir():
        return SavedModelSession(model, threads)
    if model.suffix == ".onnx":
        return OnnxSession(model, threads)
    return LocalSession(model, min(4, os.cpu_count() or 1) if threads is None else threads)


def runtime_of(model: Path) -> str:
    """The module that runs what `model` is."""
    if model.is_dir():
        return "tensorflow"
    return "onnxruntime" if model.suffix == ".onnx" else "ai_edge_litert.interpreter"


def serve_model() -> None:
    """The program of a process that `open_model` starts anew."""
    model = Path(sys.argv[1])
    threads = int(sys.argv[2]) if sys.argv[2] else None
    limit_memory(bytes_in(model) if model.exists() else 0, MOST_THREADS)
    with socket.socket(fileno=3) as connection:
        serve(connection, functools.partial(_opened, model, threads))


def _opened(model: Path, threads: int | None) -> tuple[NamedEnds, str]:
    session = open_here(model, threads)
    return session, session.backend


def _check_threads(threads: int | None) -> None:
    if threads is not None and not 1 <= threads <= MOST_THREADS:
        raise DataError(f"{threads} threads; the runtime takes 1 to {MOST_THREADS}")


def _start_with(tf: Any, threads: int) -> None:
    """Raise DataError if TensorFlow has started already, with another number of threads."""
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
    except RuntimeError:
        if (had := tf.config.threading.get_intra_op_parallelism_threads()) != threads:
            found = f"{had} threads" if had else "a number of threads of its own"
            raise DataError(f"TensorFlow has started with {found} in this process, and keeps them") from None


def _providers(onnxruntime: Any) -> list[str]:
    """A GPU where this build of the runtime has it, and the CPU for the rest."""
    return [name for name in ("CUDAExecutionProvider", "CPUExecutionProvider") if name in
            onnxruntime.get_available_providers()]  # fmt: skip


def _end_format(tf: Any, where: str, name: str, info: Any) -> TensorFormat:
    if info.tensor_shape.unknown_rank:
        raise ModelFileError(f"{where}: the shape of {name!r} is not known")
    shape = tuple(int(dim.size) for dim in info.tensor_shape.dim)[1:]
    return _of_one_sample(where, name, shape, np.dtype(tf.as_dtype(info.dtype).as_numpy_dtype).name)


def _onnx_format(where: str, end: Any) -> TensorFormat:
    if end.type not in _ONNX_DTYPES:
        raise ModelFileError(f"{where}: {end.name!r} is {end.type}; dlkit runs {', '.join(_ONNX_DTYPES)}")
    shape = tuple(size if isinstance(size, int) else -1 for size in end.shape[1:])
    return _of_one_sample(where, end.name, shape, _ONNX_DTYPES[end.type])


def _of_one_sample(where: str, name: str, shape: tuple[int, ...], dtype: str) -> TensorFormat:
    if -1 in shape:
        raise ModelFileError(f"{where}: the shape of {name!r} is open; only the number of samples may be")
    return TensorFormat(name, (1, *shape), dtype, 0.0, 0)


def _broken(name: str, error: Exception) -> ModelFileError:
    reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return ModelFileError(f"{name}: the runtime refuses this model: {reason[:300]}")


# --- runtime/arrays ---

LARGEST_ARRAYS_BYTES = 2**32
"""Of all arrays of an archive together."""
SMALL_BYTES, MOST_TIMES = 2**26, 100
"""What an archive may always unpack to; what is more, and so many times its size, is a bomb."""
MOST_DIMENSIONS = 32
"""No array of samples has more than six, and numpy makes none of more than 64."""


def read_npy(content: bytes, where: str) -> NDArray[Any]:
    """The one array of numbers in the bytes of a .npy file. Raises DataError if it is anything else."""
    if content.startswith(b"PK"):
        raise DataError(f"{where}: is an archive of arrays (.npz), not one array; save one with numpy.save")
    stream = io.BytesIO(content)
    shape, fortran, dtype = _header(stream, len(content), where)
    return np.ndarray(shape, dtype, buffer=content, offset=stream.tell(), order="F" if fortran else "C")


def mapped_npy(path: Path, where: str) -> NDArray[Any]:
    """The array of numbers of a .npy file, which stays there and may be larger than the memory.

    Raises DataError if it is anything else, or holds no number.
    """
    if not os.path.isfile(path):  # noqa: PTH113 - false of a name that is too long
        raise DataError(f"{where}: there is no such file")
    try:
        with path.open("rb") as stream:
            shape, fortran, dtype = _header(stream, path.stat().st_size, where)
            if not math.prod(shape):
                raise DataError(f"{where}: has the shape {shape}, and so no number at all")
            stored: NDArray[Any] = np.memmap(stream, dtype, "r", stream.tell(), shape, "F" if fortran else "C")
    except OSError as error:
        raise DataError(f"{where}: cannot be read: {error.strerror}") from None
    return stored


def _header(stream: BinaryIO, size: int, where: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether it is in the order of columns, and dtype of a .npy file of `size` bytes, read up to its numbers.

    Raises DataError if it is none, holds something else than numbers, or not as many as it says.
    """
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if stream.read(len(np.lib.format.MAGIC_PREFIX)) != np.lib.format.MAGIC_PREFIX:
        raise DataError(f"{where}: is not a .npy array; save one with numpy.save")
    stream.seek(0)
    corrupt = DataError(f"{where}: the header of this .npy array is corrupt; save it again")
    try:
        with warnings.catch_warnings():  # of old headers, and of odd texts in them
            warnings.simplefilter("ignore")
            shape, fortran, dtype = readers[np.lib.format.read_magic(stream)](stream)
    except Exception:  # numpy raises what its parsers raise; each is about the header
        raise corrupt from None
    if dtype.hasobject or dtype.kind not in "uifb":
        raise DataError(f"{where}: holds {dtype}, not numbers")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != size - stream.tell():
        claim = f"{dtype} of shape {shape}"
        raise DataError(f"{where}: its header says {claim}, but {size - stream.tell()} bytes follow")
    if len(shape) > MOST_DIMENSIONS or max(shape, default=0) > 2**40:  # of which one is 0
        raise corrupt
    return shape, fortran, dtype


def read_npz(archive: bytes | Path, where: str, largest: int = LARGEST_ARRAYS_BYTES) -> dict[str, NDArray[Any]]:
    """Name → array of numbers, of a .npz file or its bytes.

    Raises DataError if it is anything else, or unpacks to more than `largest` bytes or than honest arrays would.
    """
    source, packed = _source_of(archive, where)
    try:
        with zipfile.ZipFile(source) as opened:
            entries = opened.infolist()
            if (size := sum(entry.file_size for entry in entries)) > largest:
                raise DataError(f"{where}: unpacks to {size:,} bytes, more than the {largest:,} it may take")
            if size > max(SMALL_BYTES, MOST_TIMES * packed):
                raise DataError(f"{where}: has {packed:,} bytes and unpacks to {size:,}; save it with numpy.savez")
            return {
                entry.filename.removesuffix(".npy"): read_npy(
                    opened.read(entry), f"{where}, {entry.filename.removesuffix('.npy')}"
                )
                for entry in entries
            }
    except DataError:
        raise
    except Exception:  # zipfile raises what its parsers raise; each is about the file
        raise DataError(f"{where}: is not a whole archive of arrays (.npz); save one with numpy.savez") from None


def _source_of(archive: bytes | Path, where: str) -> tuple[BinaryIO | Path, int]:
    """What a ZipFile is made of, and its size in bytes. Raises DataError if it begins otherwise."""
    try:
        with archive.open("rb") if isinstance(archive, Path) else io.BytesIO(archive) as stream:
            begins, size = stream.read(2), stream.seek(0, io.SEEK_END)
    except OSError as error:
        raise DataError(f"{where}: cannot be read: {error.strerror}") from None
    if begins != b"PK":
        raise DataError(f"{where}: is not an .npz archive; save one with numpy.savez")
    return archive if isinstance(archive, Path) else io.BytesIO(archive), size


def write_npz(path: Path | str, arrays: Mapping[str, NDArray[Any]], *, compress: bool = False) -> None:
    """Write a .npz file; `numpy.savez` would take an array called "file" for an argument of its own."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED) as archive:
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.asarray(values), allow_pickle=False)


# --- runtime/front_end ---

LOG_FLOOR = 1e-6
"""Is added to each band before its logarithm; mlcommons/tiny, get_dataset.py."""
MOST_SOUND_SAMPLES = 2**24
"""Of a sound as the network hears it: 17 minutes at 16 kHz."""
MOST_WINDOW_SAMPLES = 2**15
MOST_MEL_BANDS = 1024
MOST_SPECTRUM, MOST_WEIGHTS = 2**26, 2**22
"""Points of the Fourier transforms of all frames of a sound together; numbers of the matrix that makes bands of one."""
SLOWEST_RATE, FASTEST_RATE = 1_000, 384_000
"""Of a sound, in Hz."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FrontEnd:
    """How a sound becomes numbers, (frames, features).

    Attributes:
        features: "mfcc", mel-frequency cepstral coefficients, or "log_mel", logarithms of the energies of mel bands.
        sample_rate: in Hz, to which sounds are resampled.
        seconds: of each sound: the beginning of a longer one; behind a shorter one there is silence.
        level: "peak" divides each sound by its largest absolute value, "none" leaves it as it is, from -1 to 1.
        window_ms, hop_ms: length of a frame, and from the beginning of one to that of the next; both in whole
            samples, rounded down.
        mel_bands: triangles of equal width on the mel scale.
        fmin, fmax: where the first of them begins and the last ends, in Hz.
        coefficients: of "mfcc", the first so many.
    """

    features: Literal["mfcc", "log_mel"] = "mfcc"
    sample_rate: int = 16_000
    seconds: float = 1.0
    level: Literal["peak", "none"] = "peak"
    window_ms: float = 30.0
    hop_ms: float = 20.0
    mel_bands: int = 40
    fmin: float = 20.0
    fmax: float = 4000.0
    coefficients: int = 10

    def __post_init__(self) -> None:
        for key, holds, wanted in self._checks():
            if not holds:
                raise ValueError(f"data.options.{key} = {getattr(self, key)!r} must be {wanted}")

    def _checks(self) -> Iterator[tuple[str, bool, str]]:
        """Key, whether its value makes sense, and what would; each presumes that those before it do."""
        rate, bands, coefficients = self.sample_rate, self.mel_bands, self.coefficients
        yield "features", self.features in ("mfcc", "log_mel"), "'mfcc' or 'log_mel'"
        yield "level", self.level in ("peak", "none"), "'peak' or 'none'"
        good = type(rate) is int and SLOWEST_RATE <= rate <= FASTEST_RATE
        yield "sample_rate", good, f"a whole number from {SLOWEST_RATE} to {FASTEST_RATE} (Hz)"
        good = _is_length(self.window_ms) and 2 <= self.window <= MOST_WINDOW_SAMPLES
        yield "window_ms", good, f"2 to {MOST_WINDOW_SAMPLES} samples long"
        yield "hop_ms", _is_length(self.hop_ms) and self.hop >= 1, "at least a sample long"
        good = _is_length(self.seconds) and self.window <= self.length <= MOST_SOUND_SAMPLES
        yield "seconds", good, f"as long as a window at least, and at most {MOST_SOUND_SAMPLES:,} samples"
        frames = 1 + (self.length - self.window) // self.hop
        yield (
            "hop_ms",
            frames * self.fft <= MOST_SPECTRUM,
            f"longer: the sound has {frames:,} frames of {self.fft:,} points",
        )
        yield "mel_bands", type(bands) is int and 1 <= bands <= MOST_MEL_BANDS, f"from 1 to {MOST_MEL_BANDS}"
        yield "mel_bands", bands * self.fft // 2 <= MOST_WEIGHTS, f"fewer, for a frame of {self.fft:,} points"
        yield "fmin", 0 <= self.fmin < math.inf, "at least 0 (Hz)"
        yield "fmax", self.fmin < self.fmax <= rate / 2, "above fmin, at most half of sample_rate (Hz)"
        good = type(coefficients) is int and 1 <= coefficients <= MOST_MEL_BANDS
        yield "coefficients", good, f"from 1 to {MOST_MEL_BANDS}"
        yield "coefficients", self.features != "mfcc" or coefficients <= bands, f"at most mel_bands = {bands}"
        yield (
            "mel_bands",
            _are_wide(self),
            f"fewer: the lowest are narrower than the {rate / self.fft:.4g} Hz that an FFT of {self.fft} points tells "
            "apart; or make window_ms longer",
        )

    @property
    def length(self) -> int:
        """Of a sound as it is heard."""
        return _whole_samples(self.seconds * self.sample_rate)

    @property
    def window(self) -> int:
        """Samples of a frame."""
        return _whole_samples(self.window_ms * self.sample_rate / 1000)

    @property
    def hop(self) -> int:
        """Samples from the beginning of a frame to that of the next."""
        return _whole_samples(self.hop_ms * self.sample_rate / 1000)

    @property
    def fft(self) -> int:
        """Points of the Fourier transform: the least power of two that holds a frame, which zeros follow."""
        return 1 << (self.window - 1).bit_length()

    @property
    def shape(self) -> tuple[int, int]:
        """(frames, features) of a sound. Only whole frames count."""
        frames = 1 + (self.length - self.window) // self.hop
        return frames, self.coefficients if self.features == "mfcc" else self.mel_bands

    @property
    def raw_range(self) -> tuple[float, float]:
        """Numbers between which all features of all sounds are, outwards to whole ones."""
        return _range_of(self)


def _is_length(value: float) -> bool:
    return 0 < value < math.inf


def _whole_samples(count: float) -> int:
    return math.floor(count + 1e-6)  # 0.29 s at 100 Hz are 28.999999999999996


def mel_of(hertz: float) -> float:
    """The mel scale of HTK: 1127 ln(1 + f / 700)."""
    return 1127.0 * math.log1p(hertz / 700.0)


def _are_wide(front_end: FrontEnd) -> bool:
    """Whether there is a point of the Fourier transform inside each mel band."""
    low, high, bands = mel_of(front_end.fmin), mel_of(front_end.fmax), front_end.mel_bands
    edges = [700.0 * math.expm1((low + (high - low) * n / (bands + 1)) / 1127.0) for n in range(bands + 2)]
    apart = front_end.sample_rate / front_end.fft
    return all((math.floor(edges[n] / apart) + 1) * apart < edges[n + 2] for n in range(bands))


@functools.lru_cache(maxsize=8)
def mel_weights(front_end: FrontEnd) -> tuple[tuple[float, ...], ...]:
    """(fft / 2 + 1, mel_bands): how much of each magnitude is in each band; none of that at 0 Hz.

    Band b rises from 0 at edge b to 1 at edge b + 1 and falls to 0 at edge b + 2, straight on the mel scale; the edges
    are equally far apart there, from fmin to fmax.
    """
    low, high, bands = mel_of(front_end.fmin), mel_of(front_end.fmax), front_end.mel_bands
    apart = (high - low) / (bands + 1)
    rows = [(0.0,) * bands]
    for point in range(1, front_end.fft // 2 + 1):
        at = (mel_of(point * front_end.sample_rate / front_end.fft) - low) / apart  # 0 at edge 0, 1 at edge 1 …
        rows.append(tuple(max(0.0, min(at - band, band + 2 - at)) for band in range(bands)))
    return tuple(rows)


@functools.lru_cache(maxsize=8)
def cosines(front_end: FrontEnd) -> tuple[tuple[float, ...], ...]:
    """(mel_bands, coefficients): the DCT-II of HTK, coefficient k = √(2 / B) Σ_b x_b cos(π k (b + ½) / B)."""
    bands = front_end.mel_bands
    by = math.sqrt(2.0 / bands)
    return tuple(
        tuple(by * math.cos(math.pi * k * (band + 0.5) / bands) for k in range(front_end.coefficients))
        for band in range(bands)
    )


@functools.lru_cache(maxsize=8)
def _range_of(front_end: FrontEnd) -> tuple[float, float]:
    """No magnitude is larger than the sum of the window, half its length; no sample larger than 1."""
    loudest = front_end.window / 2 * max(map(math.fsum, zip(*mel_weights(front_end), strict=True)))
    low, high = math.log(LOG_FLOOR), math.log(loudest + LOG_FLOOR)
    if front_end.features == "log_mel":
        return float(math.floor(low)), float(math.ceil(high))
    ends = []
    for column in zip(*cosines(front_end), strict=True):
        up, down = math.fsum(w for w in column if w > 0), math.fsum(w for w in column if w < 0)
        ends += [up * low + down * high, up * high + down * low]
    return float(math.floor(min(ends))), float(math.ceil(max(ends)))


# --- runtime/wav ---

LARGEST_SOUND_BYTES = 2**28
"""Of one WAV file: 2.3 hours of 16 bits at 16 kHz."""
PCM, FLOAT, EXTENSIBLE = 0x0001, 0x0003, 0xFFFE
"""Tags of formats; Microsoft & IBM 1991, "Multimedia Programming Interface and Data Specifications 1.0", mmreg.h."""
UNTOLD = 0xFFFFFFFF
"""The length that a program writes which cannot go back to say how much it wrote."""
LOUDEST = 1e30
"""What is larger is no sound: floats of one are from -1 to 1, or at most as large as the integers of others."""
CONVERT = "ffmpeg -i FILE sound.wav makes one that can be read"


@dataclasses.dataclass(frozen=True)
class Wav:
    """A sound as its file has it.

    Attributes:
        rate: samples a second.
        samples: (n,) float64, the mean of the channels; integers from -1 to below 1, floats as they are.
    """

    rate: int
    samples: NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class _Format:
    """Of a WAV file's samples.

    Attributes:
        kind: PCM or FLOAT.
        width: bytes of a sample of one channel.
    """

    kind: int
    channels: int
    rate: int
    width: int


def is_wav(content: bytes) -> bool:
    """Whether bytes begin as a WAV file does."""
    return content[:4] == b"RIFF" and content[8:12] == b"WAVE"


def decoded_wav(content: bytes, where: str, seconds: float = math.inf) -> Wav:
    """The sound in the bytes of a WAV file, or the first `seconds` of it.

    Raises:
        DataError: they are no WAV file, one that is broken, cut off or empty, or of a format that is not read.
    """
    if len(content) > LARGEST_SOUND_BYTES:
        raise DataError(f"{where}: has {len(content):,} bytes, and a sound at most {LARGEST_SOUND_BYTES:,}; cut it")
    if not is_wav(content):
        raise DataError(f"{where}: is not a WAV file; {CONVERT}")
    form, data = _parts_of(content, where)
    frame = form.channels * form.width
    count = len(data) // frame
    if not count:
        raise DataError(f"{where}: holds no sound")
    wanted = min(float(count), math.ceil(seconds * form.rate) if seconds < math.inf else math.inf)
    values = _numbers_of(data[: int(wanted) * frame], form).reshape(-1, form.channels)
    if not np.isfinite(values).all():
        raise DataError(f"{where}: holds NaN or infinity; save it again")
    if np.abs(values).max() > LOUDEST:
        raise DataError(
            f"{where}: holds numbers beyond {LOUDEST:g}, and those of a sound are from -1 to 1; save it again"
        )
    return Wav(form.rate, values.mean(axis=1))


def _parts_of(content: bytes, where: str) -> tuple[_Format, memoryview]:
    """The format, and the bytes of samples."""
    form: _Format | None = None
    for name, claimed, chunk in _chunks(content):
        if name == b"fmt ":
            form = _format_of(bytes(chunk), where)
        elif name == b"data":
            if form is None:
                break
            if claimed != UNTOLD and claimed > len(chunk):
                raise DataError(f"{where}: is cut off: {len(chunk):,} of {claimed:,} bytes of sound are there")
            return form, chunk
    missing = "format" if form is None else "sound"
    raise DataError(f"{where}: the WAV file is broken: it has no {missing}; {CONVERT}")


def _chunks(content: bytes) -> Iterator[tuple[bytes, int, memoryview]]:
    """Name, the length it claims, and what is there of it."""
    place, view = 12, memoryview(content)
    while place + 8 <= len(content):
        name, claimed = struct.unpack_from("<4sI", content, place)
        untold = name == b"data" and claimed == UNTOLD
        yield name, claimed, view[place + 8 :] if untold else view[place + 8 : place + 8 + claimed]
        if untold:
            return
        place += 8 + claimed + claimed % 2


def _format_of(chunk: bytes, where: str) -> _Format:
    broken = DataError(f"{where}: the WAV file is broken: its format makes no sense; {CONVERT}")
    if len(chunk) < 16:
        raise broken
    kind, channels, rate, _, block, bits = struct.unpack_from("<HHIIHH", chunk)
    if kind == EXTENSIBLE and len(chunk) >= 40:
        kind = struct.unpack_from("<H", chunk, 24)[0]
    if (kind, bits) not in ((PCM, 8), (PCM, 16), (PCM, 24), (PCM, 32), (FLOAT, 32), (FLOAT, 64)):
        raise DataError(
            f"{where}: is a WAV file of format {kind:#06x} with {bits} bits; PCM of 8, 16, 24 or 32 bits and float of "
            f"32 or 64 are read: {CONVERT}"
        )
    if not channels or block != channels * bits // 8:
        raise broken
    if not SLOWEST_RATE <= rate <= FASTEST_RATE:
        raise DataError(f"{where}: has {rate:,} samples a second; {SLOWEST_RATE:,} to {FASTEST_RATE:,} are read")
    return _Format(kind, channels, rate, bits // 8)


def _numbers_of(data: memoryview, form: _Format) -> NDArray[np.float64]:
    """Bytes of 8 bits are unsigned, all others signed; the least number becomes -1."""
    if form.kind == FLOAT:
        with np.errstate(invalid="ignore"):  # a NaN that signals
            return np.frombuffer(data, f"<f{form.width}").astype(np.float64)
    if form.width == 1:
        return (np.frombuffer(data, np.uint8).astype(np.float64) - 128.0) / 128.0
    if form.width == 3:
        filled = np.zeros((len(data) // 3, 4), np.uint8)
        filled[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        return filled.reshape(-1).view("<i4") / 2.0**31
    return np.frombuffer(data, f"<i{form.width}") / 2.0 ** (8 * form.width - 1)


# --- runtime/resampling ---

ZERO_CROSSINGS = 16
"""Of the sinc on either side."""
ROLL_OFF = 0.95
"""Where the filter cuts, as a fraction of half the lower rate."""
KAISER = 9.0
"""β of the window over the sinc."""
OUTPUTS_AT_ONCE = 2048


def resampled(samples: NDArray[np.float64], rate: int, to: int) -> NDArray[np.float64]:
    """(n,) at `rate` Hz → (⌈n · to / rate⌉,) at `to` Hz.

    y(t) = Σ_m x(m) h(t - m / rate), where h is a sinc that cuts at 0.95 of half the lower of the two rates, under a
    Kaiser window of 16 zero crossings on either side; before the first and after the last sample there is silence. The
    same as scipy.signal.resample_poly with that filter, up to the filter.
    """
    if rate == to:
        return samples
    shared = math.gcd(rate, to)
    up, down = to // shared, rate // shared
    reach = _reach(up, down)
    count = -(-len(samples) * up // down)
    padded = np.concatenate([np.zeros(reach), samples, np.zeros(reach + 1)])
    made = np.empty(count)
    for start in range(0, count, OUTPUTS_AT_ONCE):
        places = np.arange(start, min(start + OUTPUTS_AT_ONCE, count), dtype=np.int64) * down
        first, phase = places // up, places % up
        taken = padded[first[:, np.newaxis] + np.arange(1, 2 * reach + 1)]  # (n, taps), from first - reach + 1 on
        made[start : start + len(places)] = np.einsum("nt,nt->n", taken, _filters(phase, up, down))
    return made


def _reach(up: int, down: int) -> int:
    """Samples on either side that a new one is made of."""
    return math.ceil(ZERO_CROSSINGS * max(1.0, down / up) / ROLL_OFF)


def _filters(phases: NDArray[np.int64], up: int, down: int) -> NDArray[np.float64]:
    """(n, taps) a row for each phase; few are made once, many as they come."""
    if up * _reach(up, down) <= 2**17:
        return _all_filters(up, down)[phases]
    return _made_filters(phases, up, down)


@functools.lru_cache(maxsize=8)
def _all_filters(up: int, down: int) -> NDArray[np.float64]:
    return _made_filters(np.arange(up, dtype=np.int64), up, down)


def _made_filters(phases: NDArray[np.int64], up: int, down: int) -> NDArray[np.float64]:
    reach = _reach(up, down)
    cut = ROLL_OFF * min(1.0, up / down)  # of half the old rate
    away = np.arange(1 - reach, reach + 1) - phases[:, np.newaxis] / up  # in old samples
    under = np.clip(1.0 - (away * cut / ZERO_CROSSINGS) ** 2, 0.0, None)
    return np.asarray(cut * np.sinc(cut * away) * np.i0(KAISER * np.sqrt(under)) / np.i0(KAISER))


# --- runtime/spectra ---

SOUNDS_AT_ONCE, POINTS_AT_ONCE = 16, 2**24
"""Whose spectra are in memory together, but for one sound that has more points by itself."""


def waveform_of(content: bytes, front_end: FrontEnd, where: str) -> NDArray[np.float32]:
    """The bytes of a WAV file → (length,) from -1 to 1, at the rate, length and level of the front-end.

    Raises DataError as `decoded_wav` does.
    """
    wav = decoded_wav(content, where, front_end.seconds + 0.5)  # what comes after is not heard
    return heard(resampled(wav.samples, wav.rate, front_end.sample_rate), front_end)


def heard(samples: NDArray[np.float64], front_end: FrontEnd) -> NDArray[np.float32]:
    """(n,) at the front-end's rate → (length,) from -1 to 1, at its length and level; silence stays silence."""
    begun = samples[: front_end.length]
    peak = float(np.max(np.abs(begun), initial=0.0))
    if front_end.level == "peak" and peak > 0:
        begun = begun / peak
    found = np.zeros(front_end.length, np.float32)
    found[: len(begun)] = np.clip(begun, -1.0, 1.0)
    return found


def features_of(waveforms: NDArray[np.float32], front_end: FrontEnd) -> NDArray[np.float32]:
    """(N, length) from -1 to 1 → (N, frames, features), computed in float64; each as it would be alone.

    A frame under a periodic Hann window, ½ - ½ cos(2πn / window), becomes magnitudes |FFT|, those weighted sums by
    `mel_weights`, those ln(x + 1e-6), and for "mfcc" those sums by `cosines`.
    """
    found = np.empty((len(waveforms), *front_end.shape), np.float32)
    at_once = max(1, min(SOUNDS_AT_ONCE, POINTS_AT_ONCE // (front_end.shape[0] * front_end.fft)))
    for start in range(0, len(waveforms), at_once):
        found[start : start + at_once] = _features(waveforms[start : start + at_once], front_end)
    return found


def _features(waveforms: NDArray[np.float32], front_end: FrontEnd) -> NDArray[np.float64]:
    frames, _ = front_end.shape
    window, weights, basis = _tables(front_end)
    strided = np.lib.stride_tricks.sliding_window_view(waveforms, front_end.window, axis=1)
    framed = strided[:, : (frames - 1) * front_end.hop + 1 : front_end.hop] * window  # (N, frames, window)
    magnitudes = np.abs(np.fft.rfft(framed, front_end.fft))  # (N, frames, fft / 2 + 1)
    bands = np.log(magnitudes @ weights + LOG_FLOOR)  # (N, frames, mel_bands)
    return np.asarray(bands @ basis if front_end.features == "mfcc" else bands)


@functools.lru_cache(maxsize=8)
def _tables(front_end: FrontEnd) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Window (window,), weights of the bands (fft / 2 + 1, mel_bands), cosines (mel_bands, coefficients)."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(front_end.window) / front_end.window)
    return window, np.asarray(mel_weights(front_end)), np.asarray(cosines(front_end))


# --- runtime/preprocessing ---

# ImageNet mean and deviation of RGB in 0…1 ("torch"), and mean of BGR in 0…255 ("caffe"), as in
# keras.applications.imagenet_utils.
_TORCH_MEAN, _TORCH_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_CAFFE_MEAN = (103.939, 116.779, 123.68)

# Pillow would also start programs for some formats (EPS); these are decoded by Pillow itself.
IMAGE_FORMATS = ("PNG", "JPEG", "BMP", "DIB", "GIF", "TIFF", "WEBP", "PPM")
HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
"""Brands of the photos that telephones make, ISO/IEC 23008-12, for which Pillow has no decoder."""


MOST_NUMBERS = 2**26
"""Of an input: an image of 4,700 × 4,700 pixels in colour. A manifest of a kilobyte can ask for any size."""
ANY_NUMBER = (float(np.finfo(np.float32).min), float(np.finfo(np.float32).max))
"""Range of raw values of which no one knows the range."""


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """How raw values become network input: `raw × scale + offset`, per channel.

    Attributes:
        shape: the network's input shape without the batch, (8, 8, 1) or (8, 8).
        image: (height, width, channels) of the image behind it; None if the input is no image.
        raw_range: smallest and largest raw value; the pixels 0…255 of an image file are mapped to it.
        color: "grey", "rgb" or "bgr", the order of the network's channels.
        resize: "crop", "pad" or "stretch", how an image of other proportions is fitted.
        scale, offset: one number, or one per channel; of what is no image, per feature, along the last axis.
        sound: what makes features (frames, features) of a sound; None if the input is no sound.
    """

    shape: tuple[int, ...]
    image: tuple[int, int, int] | None
    raw_range: tuple[float, float]
    color: str
    resize: str
    scale: tuple[float, ...]
    offset: tuple[float, ...]
    sound: FrontEnd | None = None

    def __post_init__(self) -> None:
        *_, channels = self.image or (1,)
        *_, features = self.raw_shape or (1,)
        low, high = self.raw_range
        good = {
            "shape": all(type(n) is int and n > 0 for n in self.shape) and math.prod(self.shape) <= MOST_NUMBERS,
            "image": self.image is None or self._holds_an_image(self.image),
            "raw_range": low < high and _finite(self.raw_range),
            "color": self.color in (("grey",) if channels == 1 else ("rgb", "bgr")),
            "resize": self.resize in ("crop", "pad", "stretch"),
            "scale": len(self.scale) in (1, features) and _finite(self.scale),
            "offset": len(self.offset) in (1, features) and _finite(self.offset),
            "sound": self.sound is None or self._holds_a_sound(self.sound),
        }
        for key, holds in good.items():
            if not holds:
                raise ValueError(f"preprocessing.{key} cannot be {getattr(self, key)!r}")

    def _holds_an_image(self, image: tuple[int, ...]) -> bool:
        """Whether `image` is (height, width, 1 or 3) and has as many numbers as the input."""
        sound = len(image) == 3 and image[2] in (1, 3) and all(type(n) is int and n > 0 for n in image)
        return sound and math.prod(image) <= MOST_NUMBERS and math.prod(image) == math.prod(self.shape)

    def _holds_a_sound(self, sound: FrontEnd) -> bool:
        """Whether there is no image, and as many features as the input has numbers."""
        return self.image is None and math.prod(sound.shape) == math.prod(self.shape)

    @property
    def raw_shape(self) -> tuple[int, ...]:
        """Of one sample's raw values: the image's or the sound's where there is one, else the input's."""
        return self.image or (self.sound.shape if self.sound else self.shape)

    @property
    def is_bounded(self) -> bool:
        """Whether the range of raw values is known."""
        return self.raw_range != ANY_NUMBER

    @property
    def span(self) -> float:
        """Of what the raw range becomes, over all channels."""
        ends = np.outer(self.raw_range, self.scale) + np.asarray(self.offset)
        return float(np.ptp(ends))

    @property
    def sample_shapes(self) -> frozenset[tuple[int, ...]]:
        """Shapes in which one sample may come: the input's, the image's or sound's, a grey image's without channel."""
        if self.image is None:
            return frozenset({self.shape, self.raw_shape})
        return frozenset({self.shape, self.image, self.image[:2] if self.image[2] == 1 else self.image})

    def as_dict(self) -> dict[str, Any]:
        """Its attributes as a table for `preprocessing_from`."""
        table = dataclasses.asdict(self)
        if self.sound is None:  # as it was stored before there were sounds
            del table["sound"]
        return table

    def apply(self, raw: ArrayLike) -> NDArray[np.float32]:
        """Raw values (N, *shape) or (N, *raw_shape) → network input (N, *shape) float32."""
        x = self.raw_batch(raw)
        if self.color == "bgr":
            x = x[..., ::-1]
        with np.errstate(all="ignore"):  # becomes infinite, which Session refuses
            x = x * np.asarray(self.scale, np.float32) + np.asarray(self.offset, np.float32)
        return np.ascontiguousarray(x.reshape(len(x), *self.shape), dtype=np.float32)

    def raw_of(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Values in the network's range (..., features) → raw values; undoes `apply` of what is no image."""
        scale, offset = np.asarray(self.scale), np.asarray(self.offset)
        with np.errstate(all="ignore"):  # becomes infinite or NaN, which is not told as an answer
            return np.asarray((values.astype(np.float64) - offset) / scale, np.float32)

    def of_shape(self, shape: tuple[int, ...]) -> Preprocessing:
        """The same of values of another shape that are no image, with as many features."""
        return dataclasses.replace(self, shape=shape, image=None, sound=None)

    def noise(self, count: int, seed: int) -> NDArray[np.float32]:
        """(count, *shape) standard normal raw values, cut off at the ends of the raw range; the same for a seed."""
        drawn = np.random.default_rng(seed).standard_normal((count, *self.shape), np.float32)
        return np.clip(drawn, *self.raw_range)

    def raw_batch(self, raw: ArrayLike) -> NDArray[np.float32]:
        """Raw values (N, ...) in the shape of images or sounds where there are some behind them, float32.

        Raises DataError for samples of another shape, or that are no numbers.
        """
        raw = np.asarray(raw)
        if raw.ndim == 0 or raw.shape[1:] not in self.sample_shapes:
            found = _times(raw.shape[1:]) if raw.ndim else "a single number"
            raise DataError(f"samples of shape {found}, but this model takes {_times(self.shape)}")
        if raw.dtype.kind not in "uifb":
            raise DataError(f"samples of {raw.dtype}, not numbers")
        with np.errstate(over="ignore"):  # becomes infinite, which Session refuses
            return raw.astype(np.float32).reshape(len(raw), *self.raw_shape)

    def raw_sample(self, values: NDArray[Any], where: str) -> NDArray[Any]:
        """Values of one sample, checked: shape, finite, inside `raw_range`. Raises DataError naming `where`."""
        if values.shape not in self.sample_shapes:
            raise DataError(f"{where}: shape {_times(values.shape)}, but this model takes {_times(self.shape)}")
        if values.dtype.kind not in "uifb":
            raise DataError(f"{where}: holds {values.dtype}, not numbers")
        with np.errstate(over="ignore", invalid="ignore"):  # 80-bit numbers become infinite
            exact = values.astype(np.float64)  # float16 could not be compared with the ends of the range
        bad = np.argwhere(~np.isfinite(exact))
        if len(bad):
            spot = ", ".join(str(i) for i in bad[0])
            raise DataError(f"{where}: {len(bad)} values are NaN or infinite, the first at [{spot}]")
        low, high = self.raw_range
        if exact.min() < low or exact.max() > high:
            found = f"{exact.min():g} to {exact.max():g}"
            raise DataError(f"{where}: values from {found}, but this model takes raw values from {low:g} to {high:g}")
        if not self.is_bounded:
            return values.reshape(self.raw_shape)
        fractions = values.dtype.kind == "f" and not np.array_equal(values, np.round(values))
        if fractions and low >= 0 and high > 2 and values.max() <= 1:  # noise and decibels may well be below 1
            raise DataError(
                f"{where}: values from {values.min():g} to {values.max():g} look scaled already, but this model takes "
                f"raw values from {low:g} to {high:g}"
            )
        return values.reshape(self.raw_shape)

    def raw_image(self, picture: Image, where: str) -> NDArray[np.float32]:
        """An upright image of any size and mode → raw values (height, width, channels).

        Transparency is laid over the ground (the lowest value); colour becomes grey by luminance,
        grey becomes colour by repetition. Raises DataError for one that has no pixels 0…255.
        """
        if self.image is None:
            raise DataError(f"{where}: is an image, but this model takes values of shape {_times(self.shape)}")

        height, width, channels = self.image
        if picture.mode.startswith("I") or picture.mode in ("F", "LAB"):
            picture = _eight_bit(picture, where)
        if picture.mode in ("RGBA", "LA", "PA", "P") or "transparency" in picture.info:
            picture = _on_black(picture.convert("RGBA"), where)
        picture = fitted(picture.convert("L" if channels == 1 else "RGB"), (width, height), self.resize)
        pixels = np.asarray(picture, np.float32).reshape(height, width, channels)
        low, high = self.raw_range
        return np.asarray(pixels / 255.0 * (high - low) + low, np.float32)

    def raw_sound(self, content: bytes, where: str) -> NDArray[np.float32]:
        """The bytes of a WAV file → raw values (frames, features).

        Raises DataError if they are none, or if the input is no sound.
        """
        if self.sound is None:
            taken = "images" if self.image else f"values of shape {_times(self.shape)}"
            raise DataError(f"{where}: is a sound, but this model takes {taken}")
        waveform = waveform_of(content, self.sound, where)
        [features] = features_of(waveform[np.newaxis], self.sound)
        return np.asarray(features)


def _on_black(picture: Image, where: str) -> Image:
    """A picture with transparency, laid over black. Raises DataError if nothing of it is left to see."""
    from PIL import Image

    laid = Image.alpha_composite(Image.new("RGBA", picture.size, (0, 0, 0, 255)), picture).convert("RGB")
    alpha_low, alpha_high = picture.getchannel("A").getextrema()
    if alpha_low != alpha_high and laid.getbbox() is None:
        raise DataError(f"{where}: is black on transparent, and transparency counts as black; save it on white")
    return laid


def fitted(picture: Image, size: tuple[int, int], resize: str) -> Image:
    """`picture` at `size` (width, height), bilinear with antialiasing; see `Preprocessing.resize`."""
    from PIL import Image, ImageOps

    bilinear = Image.Resampling.BILINEAR
    if resize == "crop":
        return ImageOps.fit(picture, size, method=bilinear)
    if resize == "pad":
        return _padded(picture, size)
    return picture.resize(size, bilinear)


def _padded(picture: Image, size: tuple[int, int]) -> Image:
    """All of `picture` in the middle of a ground of 0; at least a pixel of it, however long it is."""
    from PIL import Image

    ratio = min(size[0] / picture.width, size[1] / picture.height)
    inner = max(1, round(picture.width * ratio)), max(1, round(picture.height * ratio))
    ground = Image.new(picture.mode, size, 0)
    corner = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    ground.paste(picture.resize(inner, Image.Resampling.BILINEAR), corner)
    return ground


def _eight_bit(picture: Image, where: str) -> Image:
    """A 16-bit grey image in 8 bits. Raises DataError for one whose format does not say what is white."""
    from PIL import Image

    values = np.asarray(picture)
    if values.ndim != 2 or values.dtype.kind not in "ui" or values.min() < 0 or values.max() > 65535:
        fix = "save the image with 8 or 16 bits, or its values as .npy"
        raise DataError(f"{where}: {picture.mode} pixels have no fixed white; {fix}")
    return Image.fromarray(np.round(values / 257.0).astype(np.uint8))


def preprocessing_for(
    mode: str,
    shape: tuple[int, ...],
    image: tuple[int, int, int] | None,
    raw_range: tuple[float, float],
    resize: str,
    statistics: tuple[tuple[float, ...], tuple[float, ...]] = ((), ()),
    sound: FrontEnd | None = None,
) -> Preprocessing:
    """The numbers behind a mode's name (see `recipe.DataPart`). Raises DataError where it does not fit.

    Args:
        statistics: mean and deviation of each feature, for "standard".
        sound: the front-end of an input that is a sound.
    """
    low, high = raw_range
    if not (low < high and math.isfinite(high - low) and _is_wide(high - low)):
        raise DataError(f"the range of raw values is from {low:g} to {high:g}; give one of numbers that 32 bits hold")
    span = high - low
    channels = image[2] if image else 1
    color = "grey" if channels == 1 else "rgb"
    scale: tuple[float, ...]
    offset: tuple[float, ...]
    if mode in ("caffe", "torch") and channels != 3:
        raise DataError(f"preprocessing {mode!r} is for colour images; this input has the shape {_times(shape)}")
    if mode == "unit":
        scale, offset = (1 / span,), (-low / span,)
    elif mode == "signed":
        scale, offset = (2 / span,), (-2 * low / span - 1,)
    elif mode == "lite":
        scale, offset = (255 / 128 / span,), (-low * 255 / 128 / span - 127 / 128,)
    elif mode == "standard":
        scale = tuple(1 / d for d in statistics[1])
        offset = tuple(-m / d for m, d in zip(*statistics, strict=True))
    elif mode == "none":
        scale, offset = (1.0,), (0.0,)
    elif mode == "torch":
        scale = tuple(1 / span / d for d in _TORCH_DEVIATION)
        offset = tuple((-low / span - m) / d for m, d in zip(_TORCH_MEAN, _TORCH_DEVIATION, strict=True))
    else:
        scale = (255 / span,) * 3
        offset, color = tuple(-low * 255 / span - m for m in _CAFFE_MEAN), "bgr"
    try:
        return Preprocessing(shape, image, raw_range, color, resize, scale, offset, sound)
    except ValueError as error:
        raise DataError(
            f"raw values from {low:g} to {high:g} of {_times(image or shape)} cannot be prepared by {mode!r}: {error}"
        ) from None


def preprocessing_from(table: dict[str, Any]) -> Preprocessing:
    """What `Preprocessing.as_dict` made and JSON kept of it."""
    values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in table.items()}
    if values.get("sound") is not None:
        values["sound"] = FrontEnd(**values["sound"])
    return Preprocessing(**values)


def image_behind(shape: tuple[int, ...]) -> tuple[int, int, int] | None:
    """The image a network of this input shape reads: itself if (H, W, 1 or 3), grey rows if (steps, features)."""
    if len(shape) == 3 and shape[2] in (1, 3):
        return shape[0], shape[1], shape[2]
    if len(shape) == 2:
        return shape[0], shape[1], 1
    return None


def open_image(content: bytes, where: str) -> Image:
    """A decoded image, turned upright by its EXIF orientation.

    Raises DataError if `content` is none, is broken or is unreasonably large.
    """
    require("PIL")
    with while_decoding():
        return decoded_image(content, where)


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Of side matters in image files; what counts is whether they decode."""
    from PIL import Image

    with warnings.catch_warnings(), native_noise_aside():  # libtiff prints
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


_QUIET = Together(_without_warnings)


def while_decoding() -> AbstractContextManager[None]:
    """What is around `decoded_image`, in one thread or around several that decode at once."""
    return _QUIET


def pixels_in(content: bytes) -> int:
    """How many pixels an image says it has; 0 if it is none, which decoding it tells."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=IMAGE_FORMATS) as picture:
            return picture.width * picture.height
    except Exception:  # Pillow's parsers raise what they raise
        return 0


def decoded_image(content: bytes, where: str) -> Image:
    """`open_image` without what is around it."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        picture = Image.open(io.BytesIO(content), formats=IMAGE_FORMATS)
        picture.load()
        return ImageOps.exif_transpose(picture)
    except UnidentifiedImageError:
        if content[4:8] == b"ftyp" and content[8:12] in HEIF:
            raise DataError(f"{where}: is a HEIC photo, which is not read here; make a JPEG or PNG of it") from None
        raise DataError(f"{where}: is not an image that can be read (PNG, JPEG, BMP, GIF, TIFF, WebP …)") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        most = f"of at most {Image.MAX_IMAGE_PIXELS:,}" if Image.MAX_IMAGE_PIXELS else "of fewer"
        raise DataError(
            f"{where}: has more pixels than an honest image, which is {most}; make it smaller first"
        ) from None
    except Exception as error:  # Pillow's decoders raise what they raise; each is about the file
        raise DataError(f"{where}: the image is broken: {error}") from None


def _is_wide(span: float) -> bool:
    return math.isfinite(1 / span) if span else False


def _finite(numbers: tuple[float, ...]) -> bool:
    """Whether all are numbers that 32 bits hold."""
    return all(isinstance(n, (int, float)) and abs(n) <= ANY_NUMBER[1] for n in numbers)


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(str(n) for n in shape) or "a single number"


def count_of(shape: tuple[int, ...]) -> int:
    """Numbers in one sample of `shape`."""
    return math.prod(shape)


# --- runtime/inputs ---

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"})
PHOTO_SUFFIXES = frozenset({".heic", ".heif"})
"""Of photos that cannot be read here: met in a folder they are named, not passed over."""

SOUND_SUFFIXES = frozenset({".wav", ".wave"})

LARGEST_BYTES = 2**30
"""Of one input; what is longer is a device or a mistake."""


@dataclasses.dataclass(frozen=True)
class Sample:
    """One raw sample.

    Attributes:
        name: the file, with the row where a file holds several.
        raw: (*image) or (*shape) raw values, see `Preprocessing`.
    """

    name: str
    raw: NDArray[Any]


@dataclasses.dataclass(frozen=True)
class NamedSample:
    """One raw sample of a model that may have several inputs.

    Attributes:
        name: the file, with the row where a file holds several.
        raw: input name → raw values, see `Preprocessing`.
    """

    name: str
    raw: dict[str, NDArray[Any]]


def read_samples(names: list[str], inputs: Mapping[str, Preprocessing]) -> Iterator[NamedSample]:
    """The samples behind each name, in order, for a model of these inputs. Raises DataError as `read_inputs` does."""
    for name in names:
        if Path(name).suffix.lower() == ".npz" and not Path(name).is_dir():
            yield from _archived(name, read_npz(content_of(Path(name)), name), inputs)
        elif len(inputs) > 1:
            wanted = " and ".join(repr(key) for key in inputs)
            raise DataError(f"{name}: this model takes the inputs {wanted}; give a .npz archive with an array for each")
        else:
            [(key, preprocessing)] = inputs.items()
            for sample in read_inputs([name], preprocessing):
                yield NamedSample(sample.name, {key: sample.raw})


def _archived(
    where: str, arrays: dict[str, NDArray[Any]], inputs: Mapping[str, Preprocessing]
) -> Iterator[NamedSample]:
    """The samples of an archive: the rows of its arrays, of which each input has one."""
    if missing := [key for key in inputs if key not in arrays]:
        raise DataError(
            f"{where}: has no array {missing[0]!r}, but {', '.join(sorted(arrays)) or 'none at all'}; "
            f"this model takes {', '.join(inputs)}"
        )
    columns = {key: list(_rows(f"{where}, {key}", arrays[key], inputs[key])) for key in inputs}
    counts = {key: len(samples) for key, samples in columns.items()}
    if len(set(counts.values())) > 1:
        found = ", ".join(f"{count} of {key}" for key, count in counts.items())
        raise DataError(f"{where}: {found}; each input needs as many samples")
    for row in range(max(counts.values())):
        yield NamedSample(f"{where}[{row}]", {key: samples[row].raw for key, samples in columns.items()})


def read_inputs(names: list[str], preprocessing: Preprocessing) -> Iterator[Sample]:
    """The samples behind each name, in order. Raises DataError at the first that cannot be used."""
    for name in names:
        if name == "-":
            yield from _samples("standard input", _standard_input(), "", preprocessing)
        elif Path(name).is_dir():
            for path in files_for(preprocessing).inside(Path(name)):
                yield from _samples(str(path), content_of(path), path.suffix, preprocessing)
        else:
            yield from _samples(name, content_of(Path(name)), Path(name).suffix, preprocessing)


@dataclasses.dataclass(frozen=True)
class FileKind:
    """Files of which a sample each is made.

    Attributes:
        one, many: what they are called.
        suffixes: in small letters.
        unread: those of files that are such, and that no one here can read; reading them tells so.
    """

    one: str
    many: str
    suffixes: frozenset[str]
    unread: frozenset[str] = frozenset()

    def inside(self, folder: Path) -> list[Path]:
        """Such files in `folder` and below, sorted; links to folders are not followed.

        A link that leads nowhere is among them, so that reading it tells. Raises DataError if there are
        none, or if a folder cannot be looked into.
        """
        below = [Path(place, name) for place, _, names in os.walk(folder, onerror=_cannot_look) for name in names]
        wanted = self.suffixes | self.unread
        found = sorted(p for p in below if p.suffix.lower() in wanted and (p.is_file() or _leads_nowhere(p)))
        if not found:
            looked_for = ", ".join(sorted(self.suffixes))
            raise DataError(f"{folder}: no {self.many} in this folder (looked for {looked_for})")
        return found

    def strays(self, folder: Path) -> list[Path]:
        """Such files in `folder` itself, sorted."""
        return sorted(p for p in folder.iterdir() if p.suffix.lower() in self.suffixes and not p.is_dir())


IMAGES = FileKind("image", "images", IMAGE_SUFFIXES, PHOTO_SUFFIXES)
SOUNDS = FileKind("sound", "WAV files", SOUND_SUFFIXES)


def files_for(preprocessing: Preprocessing) -> FileKind:
    """Of what files an input is made."""
    return SOUNDS if preprocessing.sound else IMAGES


def _leads_nowhere(path: Path) -> bool:
    """Whether it is a link to nothing; one to a pipe or a terminal would be waited for."""
    return path.is_symlink() and not path.exists()


def _cannot_look(error: OSError) -> None:
    raise DataError(f"{error.filename}: cannot be read: {error.strerror}") from None


def content_of(path: Path) -> bytes:
    """The bytes of a file. Raises DataError if it cannot be read."""
    try:
        return read_file(path, LARGEST_BYTES)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def _standard_input() -> bytes:
    if sys.stdin is None:
        raise DataError("standard input: is closed")
    try:
        return read_stream(sys.stdin.buffer, LARGEST_STREAM_BYTES, "standard input")
    except OSError as error:
        raise DataError(f"standard input: cannot be read: {error.strerror}") from None


def _samples(where: str, content: bytes, suffix: str, preprocessing: Preprocessing) -> Iterator[Sample]:
    suffix = suffix.lower() or _sniffed(content)
    if not content:
        raise DataError(f"{where}: is empty")
    if suffix == ".npy":
        yield from _rows(where, read_npy(content, where), preprocessing)
    elif suffix == ".csv":
        yield from _rows(where, _table(where, content, preprocessing), preprocessing)
    elif suffix in SOUND_SUFFIXES or is_wav(content):
        yield Sample(where, preprocessing.raw_sound(content, where))
    elif preprocessing.sound:
        raise DataError(f"{where}: is not a WAV file, and this model takes those; {CONVERT}")
    else:
        yield Sample(where, preprocessing.raw_image(open_image(content, where), where))


def _sniffed(content: bytes) -> str:
    """The kind of nameless content: .npy by its magic, .csv if it is text, else an image."""
    if content.startswith(b"\x93NUMPY"):
        return ".npy"
    try:
        first = content[:4096].decode("ascii")
    except UnicodeDecodeError:
        return ""
    return ".csv" if first.strip() and set(first) <= set("0123456789+-.eE,;\t\r\n naifNAIF") else ""


def _table(where: str, content: bytes, preprocessing: Preprocessing) -> NDArray[np.float64]:
    """Lines of comma-separated numbers → (lines, *shape)."""
    wanted = count_of(preprocessing.shape)
    rows = []
    # utf-8-sig: spreadsheets put a mark before the first number.
    lines = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig", errors="replace")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        cells = line.replace(";", ",").replace("\t", ",")
        row = _numbers(cells.split(",", wanted)[:wanted])
        if row is None:
            raise DataError(f"{where}, line {number}: {line.strip()[:40]!r} is not numbers separated by commas")
        count = cells.count(",") + 1
        if count != wanted:
            shape = "×".join(map(str, preprocessing.shape))
            raise DataError(f"{where}, line {number}: {count} values; a sample has {wanted} ({shape})")
        rows.append(row)
    if not rows:
        raise DataError(f"{where}: has no lines of numbers")
    return np.asarray(rows).reshape(len(rows), *preprocessing.shape)


def _numbers(cells: list[str]) -> NDArray[np.float64] | None:
    """The cells as numbers, None if one is none; Python's own 1_000 is none elsewhere."""
    if not any("_" in cell for cell in cells):
        with contextlib.suppress(ValueError):
            return np.asarray([float(cell) for cell in cells], np.float64)
    return None


def _rows(where: str, array: NDArray[Any], preprocessing: Preprocessing) -> Iterator[Sample]:
    """One sample, or each of a batch: an array whose rows have the shape of a sample."""
    if array.ndim and array.shape not in preprocessing.sample_shapes and array.shape[1:] in preprocessing.sample_shapes:
        if not len(array):
            raise DataError(f"{where}: holds no samples (shape {array.shape})")
        for row, values in enumerate(array):
            yield Sample(f"{where}[{row}]", preprocessing.raw_sample(values, f"{where}[{row}]"))
    else:
        yield Sample(where, preprocessing.raw_sample(array, where))


# --- runtime/pictures ---

SHOWN_PIXELS = 48
"""Smaller images are enlarged by a whole factor to about this height."""
GAP_PIXELS, GAP_GREY = 2, 128
"""Between two images."""


def pixels_of(values: NDArray[np.float32], preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """Values in a network's range (N, *shape) → pixels 0…255 (N, H, W, 1 or 3), RGB; undoes `Preprocessing.apply`.

    Values beyond the ends of the range are cut off there. Raises DataError if no image is behind them.
    """
    if preprocessing.image is None:
        shape = "×".join(str(n) for n in values.shape[1:])
        raise DataError(f"samples of {shape} numbers are no images; write them to a .npy file: --output NAME.npy")
    low, high = preprocessing.raw_range
    images = values.astype(np.float64).reshape(len(values), *preprocessing.image)
    raw = (images - np.asarray(preprocessing.offset)) / np.asarray(preprocessing.scale)
    if preprocessing.color == "bgr":
        raw = raw[..., ::-1]
    return np.asarray(np.clip(np.round((raw - low) / (high - low) * 255.0), 0, 255), np.uint8)


def png_grid(images: NDArray[np.uint8], columns: int | None = None) -> bytes:
    """(N, H, W, 1 or 3) pixels as one PNG, row by row; the same images give the same bytes.

    Args:
        columns: images a row; None makes it about as wide as high.
    """
    require("PIL")
    from PIL import Image

    factor = max(1, round(SHOWN_PIXELS / images.shape[1]))
    large = images.repeat(factor, axis=1).repeat(factor, axis=2)
    count, height, width, channels = large.shape
    columns = min(count, columns or math.ceil(math.sqrt(count * height / width)))
    rows = math.ceil(count / columns)
    down, right = height + GAP_PIXELS, width + GAP_PIXELS
    whole = np.full((rows * down + GAP_PIXELS, columns * right + GAP_PIXELS, channels), GAP_GREY, np.uint8)
    for number, image in enumerate(large):
        top, left = GAP_PIXELS + number // columns * down, GAP_PIXELS + number % columns * right
        whole[top : top + height, left : left + width] = image
    stream = io.BytesIO()
    Image.fromarray(whole[..., 0] if channels == 1 else whole).save(stream, "PNG")
    return stream.getvalue()


def npy_bytes(values: NDArray[Any]) -> bytes:
    """An array as the content of a .npy file."""
    stream = io.BytesIO()
    np.lib.format.write_array(stream, values, allow_pickle=False)
    return stream.getvalue()


# --- runtime/conditions ---

def told(noise: NDArray[np.float32], places: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """(N, latent + classes) numbers with the last of them one-hot: the class of the number in `places` (N,)."""
    one_hot = np.eye(classes, dtype=np.float32)[places]
    return np.concatenate([noise[:, :-classes], one_hot], axis=1)


def told_each(noise: NDArray[np.float32], places: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """The same noise for every class in `places` (M,): (N, latent + classes) → (M · N, latent + classes).

    Class by class, so that a picture with N images a row has a class in each row and a noise in each column.
    """
    return told(np.tile(noise, (len(places), 1)), np.repeat(places, len(noise)), classes)


# --- bundle/loading ---

FORMAT = 2
MODELS = {"tflite": "model.tflite", "saved_model": "saved_model", "onnx": "model.onnx"}
"""Format of a scheme → what the model is called in a bundle."""
STEP = "step.tflite"
"""The file of one step of a recurrent network."""
VOUCHED_FOR = ("labels.txt", "samples.npz")
"""Files, beside the model, without whose sha256 a manifest says nothing."""
Run = Callable[[Mapping[str, "NDArray[Any]"]], "dict[str, NDArray[np.float32]]"]
"""From network inputs by name to outputs by name, (N, ...) each."""
ATTEMPTS = 10
"""To read a bundle that is replaced meanwhile."""
LARGEST_MANIFEST_BYTES = 2**24
LARGEST_SAMPLES_BYTES = 2**28


@dataclasses.dataclass(frozen=True)
class Detector:
    """What makes an auto-encoder a detector of anomalies.

    Attributes:
        normal: names of the classes that are none.
        threshold: a sample whose score is beyond it is one; measured with the exported file.
    """

    normal: tuple[str, ...]
    threshold: float

    def __post_init__(self) -> None:
        if not all(isinstance(name, str) for name in self.normal) or not 0 <= self.threshold < math.inf:
            raise ValueError


@dataclasses.dataclass(frozen=True)
class Bundle:
    """An exported model on disk.

    Attributes:
        folder: where it is.
        manifest: the contents of manifest.json.
        labels: class names, in the order of the output; empty where the outputs are no classes.
        inputs: input name → from raw values to network input.
        picture: from pixels to the range of what a generator makes; None of other models.
        detector: of an auto-encoder that detects anomalies; None of other models.
        forecast: from raw values to the range of what a forecaster gives; None of other models.
        conditions: names of the classes that a generator is told, in the order of the last numbers of its input;
            empty of other models.
        state: of the folder when it was read; tells whether it has been replaced.
    """

    folder: Path
    manifest: dict[str, Any]
    labels: tuple[str, ...]
    inputs: dict[str, Preprocessing]
    picture: Preprocessing | None = None
    detector: Detector | None = None
    forecast: Preprocessing | None = None
    conditions: tuple[str, ...] = ()
    state: tuple[int, ...] = dataclasses.field(default=(), compare=False, repr=False)

    @property
    def model(self) -> Path:
        """The .tflite or .onnx file, or the folder of a SavedModel."""
        return self.folder / _model_of(self.manifest)

    @property
    def name(self) -> str:
        return f"{self.manifest['name']}/{self.manifest['target']}-{self.manifest['scheme']}"

    @property
    def task(self) -> str:
        """What the network is for, see `networks.Task`; "" if it is none of dlkit's, or of an earlier time."""
        return str(self.manifest.get("task", ""))

    def session(self, threads: int | None = None) -> NamedEnds:
        """A loaded model, ready to run. Raises ModelFileError if it is another than the manifest says or said."""
        session = open_model(self.model, threads)
        self._check_same()
        wanted = {name: preprocessing.shape for name, preprocessing in self.inputs.items()}
        found = {name: end.shape[1:] for name, end in session.inputs.items()}
        if wanted != found or self.manifest["outputs"].keys() != session.outputs.keys():
            raise ModelFileError(f"{self.model}: is not the model that the manifest describes; export the bundle again")
        return session

    def stream(self, threads: int | None = None) -> Stream:
        """The network step by step, from states of zeros; fed with network input, see `step_preprocessing`.

        Raises DataError if the bundle was exported without its step.
        """
        described = self.manifest.get("streaming")
        if not described:
            raise DataError(f"{self.folder}: has no file of one step; export the model with --streaming")
        stream = Stream(Session(self.folder / STEP, threads), described)
        self._check_same()
        if stream.shape != self.preprocessing.shape[1:]:
            raise ModelFileError(
                f"{self.folder / STEP}: takes steps of {stream.shape}, but the manifest describes sequences of "
                f"{self.preprocessing.shape}; export the bundle again"
            )
        return stream

    @property
    def step_preprocessing(self) -> Preprocessing:
        """From the raw values of one step, (features,), to what `stream` is fed with."""
        return self.preprocessing.of_shape(self.preprocessing.shape[1:])

    @property
    def preprocessing(self) -> Preprocessing:
        """Of the one input. Raises DataError if there are several."""
        if len(self.inputs) != 1:
            raise DataError(f"{self.folder}: takes {len(self.inputs)} inputs ({', '.join(self.inputs)}), not one")
        return next(iter(self.inputs.values()))

    @property
    def answers(self) -> str:
        """What the first output holds: "probabilities" or "scores"."""
        return str(next(iter(self.manifest["outputs"].values()))["answers"])

    def prepared(self, raw: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        """Raw values by input name, (N, ...) each → network inputs. Raises DataError for other names or shapes."""
        if raw.keys() != self.inputs.keys():
            raise DataError(f"inputs called {', '.join(raw)}, but this model takes {', '.join(self.inputs)}")
        return {name: preprocessing.apply(raw[name]) for name, preprocessing in self.inputs.items()}

    def told(self, outputs: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        """Outputs by name, as they are told: a forecast in raw values, others as the model gives them."""
        forecast = self.forecast
        return {name: forecast.raw_of(values) if forecast else values for name, values in outputs.items()}

    def predict(
        self, x: NDArray[Any] | Mapping[str, NDArray[Any]] | str | Path, threads: int | None = None
    ) -> NDArray[np.float32] | dict[str, NDArray[np.float32]]:
        """What the model computes of raw values; loads the model anew, so give it all there is at once.

        Args:
            x: (N, ...) raw values, see `Preprocessing`; of several inputs a mapping, by name; or the name of what
                `dlkit predict` reads: an image or WAV file, a .npy, .npz or .csv file, or a folder.

        Returns:
            (N, ...) float32; of several outputs a dictionary, by name. A forecast is in raw values.

        Raises:
            DataError: `x` is not what the model takes.
        """
        if isinstance(x, (str, Path)):
            raws = [sample.raw for sample in read_samples([str(x)], self.inputs)]
            named: Mapping[str, NDArray[Any]] = {name: np.stack([raw[name] for raw in raws]) for name in self.inputs}
        elif isinstance(x, Mapping):
            named = {name: np.asarray(values) for name, values in x.items()}
        else:
            self.preprocessing.raw_batch(np.asarray(x))  # one input, and of its shape
            named = {name: np.asarray(x) for name in self.inputs}
        outputs = self.told(self.session(threads).run_named(self.prepared(named)))
        return outputs if len(outputs) > 1 else next(iter(outputs.values()))

    def scores(self, x: NDArray[Any], threads: int | None = None) -> NDArray[np.float64]:
        """(N,) mean squared errors of what an auto-encoder gives again of raw values, in the network's range.

        Of one that detects anomalies, a score beyond `detector.threshold` is one. Raises as `predict` does.
        """
        again = self.predict(np.asarray(x), threads)
        if self.task != "reconstruction" or isinstance(again, dict):
            raise DataError(f"{self.folder}: gives nothing again, so there is no error; its task is {self.task!r}")
        return squared_errors(self.preprocessing.apply(np.asarray(x)), again)

    def check(self, threads: int | None = None, run: Run | None = None) -> tuple[int, float, float]:
        """Run the bundle's own samples: (how many, largest gap to the expected outputs, gap allowed).

        Of several outputs, the one that is nearest to its limit, or furthest beyond.

        Args:
            run: what answers to network inputs in place of a `session`.
        """
        arrays, inputs = self._own_arrays(), self.own_inputs()
        try:
            limits = {name: float(end["tolerance"]) for name, end in self.manifest["outputs"].items()}
            expected = {name: arrays[f"output {name}"] for name in limits}
            for name, limit in (self.manifest.get("streaming") or {"tolerance": {}})["tolerance"].items():
                streamed = f"streamed {name}"
                expected[streamed], limits[streamed] = arrays[streamed], float(limit)
        except KeyError as error:
            raise self._without_array(error) from None
        run = run or self.session(threads).run_named
        outputs = run(inputs)
        if self.manifest.get("streaming"):
            outputs |= self._streamed(inputs, threads)
        gaps = []
        for name, wanted in expected.items():
            found = outputs.get(name, np.empty(0))
            if not len(wanted) or found.shape != wanted.shape:
                told = f"they give {found.shape}, but outputs of {wanted.shape} are expected"
                raise ModelFileError(f"{self.folder}: samples.npz does not belong to the model: {told}")
            gaps.append((float(np.max(np.abs(found - wanted))), limits[name]))
        gap, allowed = max(gaps, key=lambda pair: pair[0] - pair[1] if np.isfinite(pair[0]) else math.inf)
        return len(wanted), gap, allowed

    def own_inputs(self) -> dict[str, NDArray[np.float32]]:
        """Input name → (N, ...) network inputs of the samples in the bundle. Raises ModelFileError if they are not."""
        arrays = self._own_arrays()
        try:
            return self.prepared({name: arrays[f"raw {name}"] for name in self.inputs})
        except KeyError as error:
            raise self._without_array(error) from None

    def _check_same(self) -> None:
        """Raise ModelFileError if the folder has been replaced by another bundle since this one was read."""
        if self.state and _state_of(self.folder) != self.state and _load(self.folder).manifest != self.manifest:
            raise ModelFileError(f"{self.folder}: was replaced by another bundle while it was read; run it again")

    def _own_arrays(self) -> dict[str, NDArray[Any]]:
        path = self.folder / "samples.npz"
        try:
            return read_npz(read_file(path, LARGEST_SAMPLES_BYTES), str(path), LARGEST_SAMPLES_BYTES)
        except (DataError, OSError) as error:
            raise ModelFileError(f"{error}; export the bundle again") from None

    def _without_array(self, error: KeyError) -> ModelFileError:
        return ModelFileError(f"{self.folder / 'samples.npz'}: has no array {error}; export the bundle again")

    def _streamed(self, inputs: Mapping[str, NDArray[Any]], threads: int | None) -> dict[str, NDArray[np.float32]]:
        """What the file of one step answers at the end of samples, by "streamed" and the output's name."""
        stream = self.stream(threads)
        [batch] = inputs.values()
        found = [stream.run(sequence) for sequence in batch]
        return {f"streamed {name}": np.stack([each[name] for each in found]) for name in found[0]}


def load_bundle(folder: Path | str) -> Bundle:
    """The bundle in `folder`, every file held against its sha256.

    One that another process replaces meanwhile is read again: what is returned is the old one or the new one.

    Raises:
        ModelFileError: it is no bundle, a file is missing, or a file is not as it was written.
    """
    folder = Path(folder)
    for attempts_left in reversed(range(ATTEMPTS)):
        before = _state_of(folder)
        try:
            bundle = _load(folder)
        except ModelFileError:
            if not attempts_left or _state_of(folder) == before:
                raise
            continue
        if _state_of(folder) == before:
            return dataclasses.replace(bundle, state=before)
    raise ModelFileError(f"{folder}: is replaced again and again; wait until that is over")


def _state_of(folder: Path) -> tuple[int, ...]:
    """What tells whether a folder and its manifest are those of before; () where there are none."""
    try:
        found = (folder.stat(), (folder / "manifest.json").stat())
    except OSError:
        return ()
    return tuple(number for state in found for number in (state.st_dev, state.st_ino, state.st_ctime_ns))


def _load(folder: Path) -> Bundle:
    """What is in the folder now. Raises as `load_bundle` does."""
    path = folder / "manifest.json"
    if not path.is_file():
        raise ModelFileError(_no_bundle(folder))
    try:
        _check_own(folder)
        manifest = json.loads(
            read_file(path, LARGEST_MANIFEST_BYTES), object_pairs_hook=_without_twins, parse_constant=_no_number
        )
        if manifest["format"] != FORMAT:
            raise ModelFileError(f"{path}: bundle format {manifest['format']}; this dlkit reads {FORMAT}")
        _check_types(manifest)
        check_files(folder, manifest["sha256"])
        labels = read_file(folder / "labels.txt", LARGEST_MANIFEST_BYTES).decode("utf-8").split("\n")[:-1]
        inputs = {name: preprocessing_from(end["preprocessing"]) for name, end in manifest["inputs"].items()}
        picture = preprocessing_from(manifest["picture"]) if manifest.get("picture") else None
        anomaly = manifest.get("anomaly")
        detector = Detector(tuple(anomaly["normal"]), float(anomaly["threshold"])) if anomaly else None
        forecast = preprocessing_from(manifest["forecast"]) if manifest.get("forecast") else None
        conditions = _conditions(manifest, inputs)
        return Bundle(folder, manifest, tuple(labels), inputs, picture, detector, forecast, conditions)
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ModelFileError(f"{path}: is not a dlkit manifest, or is corrupt; export the bundle again") from None


load = load_bundle
"""`dlkit.load`: the short name."""


def _check_types(manifest: dict[str, Any]) -> None:
    """Raise ValueError unless what is read from a manifest later on is there and of its type."""
    kinds: dict[str, Any] = {"name": str, "target": str, "scheme": str, "sha256": dict, "recipe": (dict, type(None))}
    if not all(isinstance(manifest[key], kind) for key, kind in kinds.items()):
        raise ValueError
    if not isinstance(manifest.get("device", {}), (dict, type(None))):
        raise ValueError
    if not all(_is_file_name(manifest[key]) for key in ("name", "target", "scheme")):
        raise ValueError
    ends = manifest["outputs"].values()
    model = _model_of(manifest)
    vouched_for = {*VOUCHED_FOR, f"{model}/{SAVED_MODEL}" if model == MODELS["saved_model"] else model}
    if model not in MODELS.values() or not ends or not manifest["inputs"]:
        raise ValueError
    if not vouched_for <= set(manifest["sha256"]):
        raise ValueError
    if streaming := manifest.get("streaming"):
        names = [streaming["input"], *streaming["outputs"].values(), *(s["next"] for s in streaming["states"].values())]
        limits = [float(limit) for limit in streaming["tolerance"].values()]
        if (
            len(manifest["inputs"]) != 1
            or STEP not in manifest["sha256"]
            or not all(isinstance(name, str) for name in names)
            or not limits
        ):
            raise ValueError
        if not isinstance(streaming["sequences"], list) or not all(0 <= limit < math.inf for limit in limits):
            raise ValueError
    if not all(
        end["answers"] in ("probabilities", "scores") and 0 <= float(end["tolerance"]) < math.inf for end in ends
    ):
        raise ValueError


def _conditions(manifest: Mapping[str, Any], inputs: Mapping[str, Preprocessing]) -> tuple[str, ...]:
    """The classes that a generator is told. Raises ValueError unless they are names that its one input has room for."""
    names = manifest.get("conditions", [])
    if not names:
        return ()
    [[numbers]] = (preprocessing.shape for preprocessing in inputs.values())
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len(names) >= numbers:
        raise ValueError
    return tuple(names)


def _model_of(manifest: Mapping[str, Any]) -> str:
    """What the model is called; a manifest without the key is of a time when all were .tflite files."""
    return str(manifest.get("model", MODELS["tflite"]))


def _is_file_name(text: str) -> bool:
    """Whether it is the name of a file, and leads nowhere else: files are written that are called like a model."""
    return text not in ("", "..") and Path(text).name == text and "\0" not in text


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON. Raises ValueError where a key is there twice: readers differ in which of them they take."""
    if len(table := dict(pairs)) != len(pairs):
        raise ValueError
    return table


def _no_number(text: str) -> NoReturn:
    """JSON has no NaN and no infinity; Python would read them."""
    raise ValueError(text)


def _check_own(folder: Path) -> None:
    """Raise ModelFileError for a link in a bundle: what it leads to is not the bundle's."""
    for path in folder.rglob("*"):
        if path.is_symlink():
            raise ModelFileError(f"{path}: is a link, and a bundle holds its files itself; copy it with cp -rL")


def check_files(folder: Path, sha256: dict[str, str]) -> None:
    """Raise ModelFileError unless every named file is there and has its sha256, and a SavedModel has no others."""
    served = folder / MODELS["saved_model"]
    for path in served.rglob("*") if served.is_dir() else ():
        if path.is_file() and (name := path.relative_to(folder).as_posix()) not in sha256:
            raise ModelFileError(f"{folder}: {name} is in the SavedModel, but not in the manifest; export it again")
    for name, wanted in sha256.items():
        path = folder / name
        if not all(map(_is_file_name, name.split("/"))):
            raise ModelFileError(f"{folder}: the manifest names a file outside the bundle: {name!r}")
        if not path.is_file():
            raise ModelFileError(f"{folder}: {name} is missing; export the bundle again")
        if sha256_of(path) != wanted:
            raise ModelFileError(f"{path}: is not the file that was exported (sha256 differs); export it again")


def _no_bundle(folder: Path) -> str:
    if not folder.exists():
        return f"there is no bundle {folder}; 'dlkit export' makes one"
    if folder.is_file():
        return f"{folder} is a file; name the bundle, the folder with manifest.json"
    nearby = sorted(str(p.parent) for p in folder.glob("*/manifest.json"))
    if nearby:
        return f"{folder} is not a bundle, but holds some: {', '.join(nearby)}"
    return f"{folder} is not a bundle (no manifest.json); 'dlkit export' makes one"


# --- bundle/answers ---

FEW_NUMBERS = 16
"""As many are printed; of more, for instance a picture, the shape and the range."""


def answers_text(outputs: Mapping[str, NDArray[np.float32]], labels: tuple[str, ...], count: int) -> str:
    """One sample's outputs by name in a line, see `answer_text`; the names are said where there are several."""
    if len(outputs) == 1:
        return answer_text(next(iter(outputs.values())), labels, count)
    return "  ".join(f"{name}: {answer_text(values, (), count)}" for name, values in outputs.items())


def stream_texts(stream: Stream, sequence: NDArray[np.float32], bundle: Bundle, count: int) -> Iterator[str]:
    """A line for each step of a sequence of network inputs, (steps, features): what is known by then."""
    stream.reset()
    for number, x in enumerate(sequence, start=1):
        yield f"step {number}  {answers_text(bundle.told(stream.step(x)), bundle.labels, count)}"


def answer_text(outputs: NDArray[np.float32], labels: tuple[str, ...], count: int) -> str:
    """One sample's outputs in a line: the `count` best classes; where there are no labels, the numbers.

    Raises what `top_classes` does.
    """
    if labels:
        return "  ".join(f"{label} {value:.4f}" for label, value in top_classes(outputs, labels, count))
    check_numbers(outputs)
    if outputs.size <= FEW_NUMBERS:
        return "  ".join(f"{value:.4f}" for value in outputs.flat)
    shape = "×".join(str(n) for n in outputs.shape)
    return f"{shape} numbers from {outputs.min():.4f} to {outputs.max():.4f}"


def top_classes(outputs: NDArray[np.float32], labels: tuple[str, ...], count: int) -> list[tuple[str, float]]:
    """The `count` highest of one sample's outputs (classes,) with their labels, highest first.

    Raises ModelFileError unless there is a label for each output and each output is a number.
    """
    if outputs.shape != (len(labels),):
        raise ModelFileError(
            f"the model's output has the shape {outputs.shape}, but the bundle has {len(labels)} labels"
        )
    check_numbers(outputs)
    order = np.argsort(-outputs, kind="stable")[:count]
    return [(labels[i], float(outputs[i])) for i in order]


def check_numbers(outputs: NDArray[np.float32]) -> None:
    """Raise ModelFileError unless each output is a number."""
    if not np.isfinite(outputs).all():
        raise ModelFileError("the model's output holds NaN or infinity; its weights are broken: export it again")


# --- bundle/making ---

OUTPUT_SUFFIXES = (".png", ".npy")
IMAGES_MADE, OF_EACH, MOST_MADE = 64, 10, 10_000
"""Of noise that is drawn: unless their number is given; of each class, where one is told; and the most there may be."""
NAMED = 10
"""Classes are told by name where there are no more."""


@dataclasses.dataclass(frozen=True)
class Again:
    """A sample and what an auto-encoder makes of it.

    Attributes:
        name: the file, with the row where a file holds several.
        given, made: (*shape) in the network's range.
        error: mean squared difference of the two.
        psnr_db: the same as a peak signal-to-noise ratio in decibels.
        threshold: of a detector, for which the error is the score of an anomaly; None elsewhere.
    """

    name: str
    given: NDArray[np.float32]
    made: NDArray[np.float32]
    error: float
    psnr_db: float
    threshold: float | None = None

    @property
    def text(self) -> str:
        """What there is to say of it."""
        if self.threshold is not None:
            told = "beyond" if self.error > self.threshold else "within"
            verdict = "anomaly" if self.error > self.threshold else "normal"
            return f"score {self.error:.5f}  {told} {self.threshold:.5f}: {verdict}"
        return f"error {self.error:.5f}  PSNR {self.psnr_db:.2f} dB"

    def as_dict(self) -> dict[str, object]:
        """The same as data."""
        if self.threshold is not None:
            beyond = self.error > self.threshold
            return {"input": self.name, "score": self.error, "threshold": self.threshold, "anomaly": beyond}
        return {"input": self.name, "mean_squared_error": self.error, "psnr_db": self.psnr_db}


@dataclasses.dataclass(frozen=True)
class Made:
    """What a generator makes.

    Attributes:
        images: (N, ...) in its range.
        classes: that it was told, as many images of each, one class after the other; empty where it was told none.
    """

    images: NDArray[np.float32]
    classes: tuple[str, ...] = ()

    @property
    def columns(self) -> int | None:
        """Images a row of a picture with a class in each row; None where there are not several classes."""
        return len(self.images) // len(self.classes) if len(self.classes) > 1 else None

    @property
    def text(self) -> str:
        """How many."""
        count = len(self.images)
        if not self.classes:
            return f"{count} images"
        if len(self.classes) == 1:
            return f"{count} images of class {self.classes[0]}"
        names = f" ({', '.join(self.classes)})" if len(self.classes) <= NAMED else ""
        return f"{count // len(self.classes)} images of each of {len(self.classes)} classes{names}"


def images_made(
    bundle: Bundle,
    names: list[str],
    count: int | None = None,
    seed: int | None = None,
    threads: int | None = None,
    classes: Sequence[str] = (),
) -> Made:
    """What a generator makes of the noise in the files `names`; without any, of noise drawn.

    Args:
        count: of images; of a generator that is told a class, of each.
        classes: those that it is told, with the same noise for each; without any, all of them.

    Raises DataError if the noise is not what the generator takes, if it takes more than noise and gets none, or if it
    is told no class of that name.
    """
    if names and classes:
        raise DataError(f"--class is of noise that is drawn, but {names[0]} is given; leave one out")
    places = _places(bundle, classes) if not names else []
    session = bundle.session(threads)
    count = (OF_EACH if places else IMAGES_MADE) if count is None else count
    if count * max(1, len(places)) > MOST_MADE:
        most, each = MOST_MADE // max(1, len(places)), f" of each of {len(places)} classes" if places else ""
        raise DataError(f"{count} images{each} are more than are made at once; at most {most}: --count {most}")
    if names:
        raws = [sample.raw for sample in read_samples(names, bundle.inputs)]
        noise = {name: np.stack([raw[name] for raw in raws]) for name in bundle.inputs}
    elif len(bundle.inputs) > 1:
        wanted = " and ".join(repr(name) for name in bundle.inputs)
        raise DataError(f"{bundle.folder}: makes images of {wanted}; give a .npz archive with an array for each")
    else:
        noise = {name: inputs.noise(count, seed or 0) for name, inputs in bundle.inputs.items()}
    if places:
        noise = {name: told_each(drawn, np.asarray(places), len(bundle.conditions)) for name, drawn in noise.items()}
    made = next(iter(session.run_named(bundle.prepared(noise)).values()))
    check_numbers(made)
    return Made(made, tuple(bundle.conditions[place] for place in places))


def _places(bundle: Bundle, classes: Sequence[str]) -> list[int]:
    """The numbers of these classes, or of all of them. Raises DataError for one that the generator is not told."""
    known = bundle.conditions
    if classes and not known:
        raise DataError(f"--class is for generators that are told a class, and {bundle.name} is none; leave it out")
    for name in classes:
        if name not in known:
            raise DataError(f"--class {name}: {bundle.name} is told no class of that name; {suggestion(name, known)}")
    return [known.index(name) for name in dict.fromkeys(classes or known)]


def samples_again(bundle: Bundle, names: list[str], threads: int | None = None) -> Iterator[Again]:
    """What an auto-encoder makes of each sample in the files `names`, in order; raises as `read_samples` does."""
    session, preprocessing = bundle.session(threads), bundle.preprocessing
    threshold = bundle.detector.threshold if bundle.detector else None
    for sample in read_samples(names, bundle.inputs):
        given = preprocessing.apply(next(iter(sample.raw.values()))[np.newaxis])
        made = session.run(given)
        check_numbers(made)
        error = mean_squared_error(given, made)
        yield Again(sample.name, given[0], made[0], error, psnr_db(error, preprocessing.span), threshold)


def check_output(output: Path) -> None:
    """Raise DataError unless `output` is called like a file that can be written."""
    if output.suffix.lower() not in OUTPUT_SUFFIXES:
        raise DataError(f"--output {output}: call it NAME.png or, for the numbers themselves, NAME.npy")


def content_of_made(output: Path, bundle: Bundle, made: Made) -> bytes:
    """A generator's images as the content of the file `output`: a grid, or the numbers in the network's range."""
    if output.suffix.lower() == ".npy":
        return npy_bytes(made.images)
    if bundle.picture is None:
        raise DataError(f"{bundle.folder}: does not say how its outputs become pixels: --output NAME.npy")
    return png_grid(pixels_of(made.images, bundle.picture), made.columns)


def content_of_again(output: Path, bundle: Bundle, samples: Iterable[Again]) -> bytes:
    """Reconstructions as the content of the file `output`: each at the right of its sample, or the numbers alone."""
    given, made = (np.stack(values) for values in zip(*((s.given, s.made) for s in samples), strict=True))
    if output.suffix.lower() == ".npy":
        return npy_bytes(made)
    sides = [pixels_of(values, bundle.preprocessing) for values in (given, made)]
    return png_grid(np.concatenate(sides, axis=2))


# --- bundle/runner ---

def main() -> int:
    """Answer to the inputs named on the command line, or check the bundle. Returns the exit code."""
    arguments = _arguments()
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        bundle = load_bundle(Path(__file__).resolve().parent)
        code = _check(bundle, arguments.threads) if arguments.check else 0
        return code or _answer(bundle, arguments)
    except DlkitError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader has read enough; Python must not complain of it when it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        print(f"error: {printable(system_reason(error))}", file=sys.stderr)
        return 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run this bundle's model on this device.")
    parser.add_argument("inputs", nargs="*", metavar="INPUT", help="image, WAV file, .npy, .npz, .csv, folder, or -")
    parser.add_argument("--check", action="store_true", help="run the bundle's own samples and compare")
    parser.add_argument("--top", type=_positive, default=1, metavar="N", help="show the N best classes")
    parser.add_argument("--stream", action="store_true", help="run sequences step by step: an answer after each")
    parser.add_argument("--threads", type=_positive, default=None, metavar="N")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write what was made as .png or .npy")
    parser.add_argument("--count", type=_positive, metavar="N", help="of a generator: images to make of noise")
    parser.add_argument("--seed", type=_natural, metavar="N", help="of a generator: seed of the noise")
    parser.add_argument("--class", action="append", dest="classes", metavar="NAME", help="of one told a class: this")
    return parser.parse_args()


def _positive(text: str) -> int:
    return _whole(text, 1)


def _natural(text: str) -> int:
    return _whole(text, 0)


def _whole(text: str, least: int) -> int:
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least}")
    return number


def _answer(bundle: Bundle, arguments: argparse.Namespace) -> int:
    asked = (*arguments.inputs, arguments.output, arguments.count, arguments.seed, arguments.classes)
    if arguments.check and all(given is None for given in asked):
        return 0
    if bundle.task == "generation":
        return _make(bundle, arguments)
    if not arguments.inputs:
        print("error: name an INPUT, or use --check", file=sys.stderr)
        return 2
    if bundle.task == "reconstruction" and not arguments.stream:
        return _give_again(bundle, arguments)
    return _predict(bundle, arguments)


def _make(bundle: Bundle, arguments: argparse.Namespace) -> int:
    output = arguments.output or Path(f"{bundle.manifest['name']}.png")
    _check_free(output)
    classes = arguments.classes or ()
    made = images_made(bundle, arguments.inputs, arguments.count, arguments.seed, arguments.threads, classes)
    output.write_bytes(content_of_made(output, bundle, made))
    print(f"wrote {printable(str(output))}: {printable(made.text)}")
    return 0


def _give_again(bundle: Bundle, arguments: argparse.Namespace) -> int:
    if arguments.output:
        _check_free(arguments.output)
    samples = []
    for sample in samples_again(bundle, arguments.inputs, arguments.threads):
        print(f"{printable(sample.name)}  {sample.text}", flush=True)
        if arguments.output:
            samples.append(sample)
    if arguments.output:
        arguments.output.write_bytes(content_of_again(arguments.output, bundle, samples))
        print(f"wrote {printable(str(arguments.output))}")
    return 0


def _predict(bundle: Bundle, arguments: argparse.Namespace) -> int:
    if arguments.stream:
        return _stream(bundle, arguments)
    session = bundle.session(arguments.threads)
    for sample in read_samples(arguments.inputs, bundle.inputs):
        outputs = bundle.told(session.run_named(bundle.prepared(_batch_of(sample.raw))))
        answer = answers_text({name: values[0] for name, values in outputs.items()}, bundle.labels, arguments.top)
        print(f"{printable(sample.name)}  {answer}", flush=True)
    return 0


def _check_free(output: Path) -> None:
    check_output(output)
    if output.exists():
        raise OutputError(f"{output} exists already; choose another place with --output FILE")


def _stream(bundle: Bundle, arguments: argparse.Namespace) -> int:
    stream = bundle.stream(arguments.threads)
    for sample in read_samples(arguments.inputs, bundle.inputs):
        [sequence] = (values[0] for values in bundle.prepared(_batch_of(sample.raw)).values())
        for line in stream_texts(stream, sequence, bundle, arguments.top):
            print(f"{printable(sample.name)}  {line}", flush=True)
    return 0


def _batch_of(raw: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """One sample, by input name, as a batch of one."""
    return {name: values[np.newaxis] for name, values in raw.items()}


def _check(bundle: Bundle, threads: int | None) -> int:
    count, gap, tolerance = bundle.check(threads)
    good = gap <= tolerance
    verdict = "passed" if good else "FAILED"
    print(f"check {verdict}: {count} samples, largest gap {gap:.3g}, allowed {tolerance:.3g}")
    return 0 if good else 3


if __name__ == "__main__":
    sys.exit(main())
