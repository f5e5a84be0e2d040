"""Reading a bundle back, and running it."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from dlkit.digest import sha256_of
from dlkit.errors import DataError, ModelFileError
from dlkit.filing import read_file
from dlkit.metrics import squared_errors
from dlkit.runtime.arrays import read_npz
from dlkit.runtime.inputs import read_samples
from dlkit.runtime.litert import Session
from dlkit.runtime.named_ends import NamedEnds
from dlkit.runtime.preprocessing import Preprocessing, preprocessing_from
from dlkit.runtime.saved_model import SAVED_MODEL
from dlkit.runtime.served import open_model
from dlkit.runtime.streaming import Stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
