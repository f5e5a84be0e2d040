"""Readers of data and recipes that need no TensorFlow: good files of each kind, how they are spoiled, who reads them.

A reader is right about a file if it gives what it read, or a `DlkitError` of one line that a person can read.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from pictures import write_pictures
from sounds import form, riff, sine, wav_bytes, write_sounds

from dlkit.errors import DlkitError
from fuzzing.formats import (
    spoiled_floats,
    spoiled_png,
    spoiled_riff,
    spoiled_table,
    spoiled_tiff,
    spoiled_toml,
    tuned_toml,
)
from fuzzing.mutations import spoiled_bytes, spoiled_json, spoiled_npy, spoiled_zip

ROOT = Path(__file__).parents[2]
LONGEST_LINE = 2000
"""Of an error, in characters: what is longer is no line for a person."""
RECIPE = """
name = "fuzzed"
seed = 1
[network]
name = "cnn"
options = {width = 8}
[data]
name = "digits"
preprocessing = "unit"
resize = "pad"
noise = 0.0
[augmentation]
shift = 0.1
flip = "none"
mixup = 0.2
[training]
epochs = 8
batch_size = 32
optimizer = "adamw"
learning_rate = 0.01
warmup = 0.1
schedule = "step"
milestones = [0.5, 0.75]
label_smoothing = 0.1
patience = 0
[export]
scheme = "int8"
target = "cpu"
calibration_samples = 100
keep_float = ["dense*"]
[expect]
float_accuracy = 0.5
"""
GENERATOR = """
name = "made"
[network]
name = "dcgan28_generator"
[data]
name = "digits"
preprocessing = "signed"
[training]
epochs = 2
[adversarial]
smoothing = 0.1
options = {dropout = 0.3}
[measure]
features = "imagenet"
network = "mobilenet_v2"
"""
OWN = """
name = "own"
[network]
name = "%s"
[data]
name = "%s"
preprocessing = "%s"
options = {%s}
[training]
epochs = 1
"""
BOUNDS, SPLIT = "raw_range = [-9, 9]", "split_seed = 3, validation = 0.2, test = 0.2"
FRONT_END = (
    "sample_rate = 8000", "seconds = 0.25", "window_ms = 30.0", "hop_ms = 20.0", "mel_bands = 40", "fmin = 20.0",
    "fmax = 4000.0", "coefficients = 10", 'features = "mfcc"', 'level = "peak"',
)  # fmt: skip
DETECTOR = """
name = "anomalies"
network = {name = "dense_autoencoder"}
data = {name = "digits", preprocessing = "unit", noise = 0.1}
training = {epochs = 2, loss = "mae"}
anomaly = {normal = [0, 1], false_alarms = 0.05}
compression = {}
"""


@dataclasses.dataclass(frozen=True)
class Reader:
    """What reads a file.

    Attributes:
        name: of the reader.
        file: what the spoiled file is called.
        seeds: good files.
        spoil: makes another file of one of them.
        read: (the file) → whatever it reads; other files are already beside it.
        beside: writes what has to be beside it into a folder; called once.
        apart: whether a child process of its own reads the file, in its own bounds of memory, and native code with it.
    """

    name: str
    file: str
    seeds: Callable[[], list[bytes]]
    spoil: tuple[Callable[[Random, bytes], bytes], ...]
    read: Callable[[Path], Any]
    beside: Callable[[Path], None] = lambda folder: None
    apart: bool = False


class Wrong(Exception):
    """A reader that did something else than to read a file or to refuse it."""


def outcome(reader: Reader, content: bytes, folder: Path) -> str:
    """ "read", or the type of the error that refused `content`. Raises Wrong, or what the reader raises by mistake."""
    path = folder / reader.file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore" if reader.apart else "error")  # what a user would see beside the line
            reader.read(path)
    except DlkitError as error:
        line = str(error)
        if not line or "\n" in line or len(line) > LONGEST_LINE:
            raise Wrong(f"{type(error).__name__} says {len(line)} characters: {line[:200]!r}") from None
        return type(error).__name__
    return "read"


def spoiled(reader: Reader, chance: Random) -> bytes:
    """A file for `reader` that is spoiled in one way or another."""
    return chance.choice(reader.spoil)(chance, chance.choice(seeds_of(reader)))


@functools.cache
def seeds_of(reader: Reader) -> list[bytes]:
    """Good files for a reader."""
    return reader.seeds()


# --- recipes and targets ---


def _recipes() -> list[bytes]:
    files = [ROOT / "recipes" / f"{name}.toml" for name in ("digits", "digits-tiny", "el-nino", "chirps")]
    own = (
        ("lstm", "csv", "standard", ('path = "t.csv"', 'label = "kind"', 'ignore = ["id"]', "shape = [2, 2]", BOUNDS)),
        ("lstm_forecaster", "series", "standard", ('path = "s.csv"', "steps = 8", "horizon = 2", "season = 2")),
        ("lstm", "npz", "none", ('path = "d.npz"', "raw_range = [0.0, 255.0]", 'classes = ["a", "b", "c"]', SPLIT)),
        ("lstm", "npy", "signed", ('samples = "samples.npy"', 'labels = "labels.npy"', BOUNDS, SPLIT)),
        ("lstm", "ucr", "standard", ('path = "."', 'name = "Ours"', "pad = true")),
        ("cnn", "folder", "unit", ('path = "photos"', "image_shape = [8, 8, 3]", 'copies = "skip"')),
        ("ds_cnn", "audio", "standard", ('path = "sounds"', *FRONT_END)),
    )
    own_recipes = [(OWN % (network, data, mode, ", ".join(options))).encode() for network, data, mode, options in own]
    return [
        *own_recipes,
        RECIPE.encode(),
        GENERATOR.encode(),
        DETECTOR.encode(),
        *(f.read_bytes() for f in files if f.is_file()),
    ]


def _read_recipe(path: Path) -> Any:
    from dlkit.recipe import read_recipe
    from dlkit.recipe_data import data_preprocessing, preprocessing_of, splits_of

    with contextlib.chdir(path.parent):
        recipe = read_recipe(path)
        if recipe.data.name in ("csv", "series", "npz", "npy", "ucr", "folder", "audio"):
            found = data_preprocessing(recipe).apply(splits_of(recipe).train.samples[:2])
            if not np.isfinite(found).all():
                raise Wrong("NaN or infinity in what a network is to read")
        preprocessing_of(recipe)
    written = Path("exported", recipe.name)
    if written.parent.resolve() != written.resolve().parent:
        raise Wrong(f"a recipe called {recipe.name!r} would write to {written.resolve()}")
    return recipe


def _read_overrides(path: Path) -> Any:
    from dlkit.recipe import read_recipe

    lines = path.read_bytes().decode(errors="surrogateescape").split("\n")
    return read_recipe(path.with_name("recipe.toml"), lines[:4])


OVERRIDES = """training.epochs=3
network.options.width=16
data.name=digits
export.target=cpu
name="short"
augmentation={shift = 0.2}
training.milestones=[0.1, 0.2]
"""


def spoiled_overrides(chance: Random, content: bytes) -> bytes:
    """Lines of KEY=VALUE of which some are no such thing."""
    lines = content.decode().splitlines()
    chance.shuffle(lines)
    key, _, value = lines[0].partition("=")
    deep = ".".join(["a"] * chance.choice((2, 50, 20_000)))
    lines[0] = chance.choice(
        (
            key,
            f"={value}",
            f"{key}={value}\n{key}.x=1",
            f"{key}.x.y={value}",
            f".{key}={value}",
            f"{key}..x=1",
            f"{deep}=1",
            f"network.options.{deep}=1",
            f"{key}={'[' * 5000}",
            f"{key}={{{deep} = 1}}",
            f"{key}=x = 1",
            f"{key}=1\nx = 1",
            f"{key}=\0",
            f"{key}=",
            f"{key}={value}{value}",
            f"{key}={'9' * 5000}",
            f"{key}={'x' * 100_000}",
            f"{key}=nan",
            f"{key}=-1",
            f"{key}=1e999",
            f"{key}={2**63}",
            f"{key}=[]",
            f"{key}={{}}",
            f"{key}=true",
            f"{key}=../../x",
            f"{key} = {value}",
            f"é={value}",
            f"{key}='''",
            f"data.options.path={value}",
        )
    )
    return spoiled_bytes(chance, "\n".join(lines).encode()) if chance.randrange(6) == 0 else "\n".join(lines).encode()


def _targets() -> list[bytes]:
    folder = ROOT / "dlkit" / "targets"
    found = [
        (folder / f"{name}.toml").read_bytes()
        for name in ("cpu", "ethos-u55-128")
        if (folder / f"{name}.toml").is_file()
    ]
    found = found or [path.read_bytes() for path in sorted(folder.glob("*.toml"))[:3]]
    return [text.replace(b'name = "', b'name = "my-', 1) for text in found]


def _read_target(path: Path) -> Any:
    from dlkit.devices import known_target

    target = known_target(str(path))
    if Path("x", target.name).name != target.name or target.name in ("", ".", ".."):
        raise Wrong(f"a target called {target.name!r} would be written elsewhere")
    return target


# --- one input on the command line ---


def _preprocessing(kind: str) -> Any:
    from dlkit.runtime.front_end import FrontEnd
    from dlkit.runtime.preprocessing import ANY_NUMBER, preprocessing_for

    if kind == "grey":
        return preprocessing_for("unit", (8, 8, 1), (8, 8, 1), (0.0, 16.0), "pad")
    if kind == "colour":
        return preprocessing_for("caffe", (16, 12, 3), (16, 12, 3), (0.0, 255.0), "crop")
    if kind == "sound":
        front_end = FrontEnd(sample_rate=8000, seconds=0.25)
        return preprocessing_for("none", (*front_end.shape, 1), None, front_end.raw_range, "crop", sound=front_end)
    return preprocessing_for("none", (4, 3), None, ANY_NUMBER, "crop")


def _inputs_of(kind: str) -> Callable[[Path], Any]:
    def read(path: Path) -> Any:
        from dlkit.runtime.inputs import read_samples

        preprocessing = _preprocessing(kind)
        for sample in read_samples([str(path)], {"x": preprocessing}):
            found = preprocessing.apply(sample.raw["x"][np.newaxis])
            if found.shape != (1, *preprocessing.shape):
                raise Wrong(f"{found.shape}")
        return None

    return read


def _pictures(*formats: str) -> list[bytes]:
    from PIL import Image

    rng = np.random.default_rng(0)
    colour = Image.fromarray(rng.integers(0, 256, (13, 17, 3), np.uint8))
    kinds = {
        "PNG": [
            colour,
            colour.convert("L"),
            colour.convert("1"),
            colour.convert("P"),
            colour.convert("RGBA"),
            colour.convert("LA"),
            Image.fromarray(rng.integers(0, 65536, (5, 6), np.uint16)),
        ],
        "JPEG": [colour, colour.convert("L"), colour.convert("CMYK")],
        "BMP": [colour, colour.convert("L"), colour.convert("1"), colour.convert("P")],
        "GIF": [colour.convert("P"), colour.convert("L")],
        "TIFF": [
            colour,
            colour.convert("L"),
            colour.convert("CMYK"),
            colour.convert("F"),
            colour.convert("I"),
            Image.fromarray(rng.integers(0, 65536, (5, 6), np.uint16)),
        ],
        "WEBP": [colour, colour.convert("RGBA")],
        "PPM": [colour, colour.convert("L"), colour.convert("1")],
    }
    found = []
    for kind in formats:
        for picture in kinds[kind]:
            variants: list[dict[str, Any]] = [{}]
            if kind == "TIFF":
                variants += [{"compression": name} for name in ("tiff_deflate", "tiff_lzw", "packbits")]
                variants += [{"compression": "jpeg"}] * (picture.mode in ("RGB", "L"))
            if kind in ("GIF", "WEBP", "PNG") and picture is kinds[kind][0]:
                variants += [{"save_all": True, "append_images": [picture, picture]}]
            if kind in ("JPEG", "PNG", "WEBP") and picture is kinds[kind][0]:
                exif = Image.Exif()
                exif[0x0112], exif[0x010E] = 6, "x" * 50
                variants += [{"exif": exif}]
            if kind == "JPEG":
                variants += [{"progressive": True}]
            for options in variants:
                stream = io.BytesIO()
                picture.save(stream, kind, **options)
                found.append(stream.getvalue())
    if "PPM" in formats:
        found += [
            b"P2 2 2 65535 0 1 2 65535",
            b"P3 1 1 255 1 2 3",
            b"P1 3 1 101",
            b"P5 2 1 65535 \0\1\2\3",
            b"P6 1 1 31 \1\2\3",
        ]
        found += [
            b"Pf 1 1 -1.0\n" + bytes(4),
            b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 1\nMAXVAL 255\nTUPLTYPE GRAYSCALE\nENDHDR\n\0",
        ]
        found += [b"P5 0 0 255 ", b"P5 30000 30000 255 ", b"P4 100000 100000 "]
    return found


def _wavs() -> list[bytes]:
    tone = sine(440, 0.1)
    both = np.stack([tone, -tone], axis=1)
    extension = np.frombuffer(b"\x16\0\x20\0\4\0\0\0\3\0" + bytes(14), np.uint8).tobytes()
    floats = tone.astype("<f4").tobytes()
    return [
        *(wav_bytes(tone, width=width) for width in (1, 2, 3, 4)),
        wav_bytes(both),
        wav_bytes(tone, rate=44_100),
        riff(form(3, 32), floats),
        riff(form(3, 64), tone.astype("<f8").tobytes()),
        riff(form(0xFFFE, 32) + extension, floats),
        riff(form(3, 32), floats, before=b"LIST\3\0\0\0abc\0", claimed=0xFFFFFFFF),
        wav_bytes(sine(440, 0.05, 96_000), rate=96_000),
        wav_bytes(tone, rate=7919),
    ]


def _doubles() -> list[bytes]:
    tone = sine(440, 0.05)
    return [riff(form(3, 64, channels), np.repeat(tone, channels).astype("<f8").tobytes()) for channels in (1, 2)] + [
        riff(form(3, 64, rate=44_100), tone.astype("<f8").tobytes())
    ]


def _tables_of_numbers() -> list[bytes]:
    rows = np.random.default_rng(0).normal(size=(5, 12))
    return [("\n".join(separator.join(map(str, row)) for row in rows)).encode() for separator in (",", "\t")]


def _arrays() -> list[bytes]:
    rng = np.random.default_rng(0)
    kinds = (
        rng.normal(size=(5, 4, 3)).astype(np.float32),
        rng.normal(size=(4, 3)),
        np.asfortranarray(rng.normal(size=(4, 3))),
        rng.normal(size=(2, 12)).astype(">f4"),
        rng.integers(0, 9, (4, 3)),
        rng.normal(size=(4, 3)).astype(np.float16),
        np.ones((4, 3), bool),
        rng.normal(size=(4, 3)).astype(np.longdouble),
    )
    found = []
    for values in kinds:
        stream = io.BytesIO()
        np.save(stream, values)
        found.append(stream.getvalue())
    return found


def _archives() -> list[bytes]:
    rng = np.random.default_rng(0)
    found = []
    for save in (np.savez, np.savez_compressed):
        for arrays in (
            {"x": rng.normal(size=(5, 4, 3)).astype(np.float32)},
            {"x": rng.normal(size=(3, 4, 3)), "labels": np.arange(3)},
        ):
            stream = io.BytesIO()
            save(stream, **arrays)
            found.append(stream.getvalue())
    return found


# --- data sets of one's own ---


def _opened(source: str, network: str = "lstm", **options: Any) -> Callable[[Path], Any]:
    """Reads the data set of a recipe whose options name the file; "{}" stands for it and "{folder}" for its folder."""

    def read(path: Path) -> Any:
        from dlkit.recipe import opened, recipe_from
        from dlkit.recipe_data import data_preprocessing, splits_of

        named = {
            key: value.replace("{folder}", str(path.parent)).replace("{}", str(path))
            if isinstance(value, str)
            else value
            for key, value in options.items()
        }
        mode = named.pop("preprocessing", "none")
        data = {"name": source, "preprocessing": mode, "options": named}
        table = {"name": "own", "network": {"name": network}, "data": data, "training": {"epochs": 1}}
        recipe = recipe_from(table, "recipe.toml")
        opened(recipe)
        splits, preprocessing = splits_of(recipe), data_preprocessing(recipe)
        for split in (splits.train, splits.validation, splits.test):
            found = preprocessing.apply(split.samples[:5])
            if not np.isfinite(found).all():
                raise Wrong("NaN or infinity in what a network is to read")
        return None

    return read


def _csv_tables() -> list[bytes]:
    rng = np.random.default_rng(0)
    rows = [[f"s{n}", *map(str, rng.normal(size=4)), ("low", "mid", "high")[n % 3]] for n in range(30)]
    return ["\n".join(",".join(row) for row in [["id", "a", "b", "c", "d", "kind"], *rows]).encode("utf-8-sig")]


def _series_tables() -> list[bytes]:
    rows = [[f"2020-{n}", str(np.sin(n / 3)), str(np.cos(n / 5))] for n in range(120)]
    return ["\n".join(",".join(row) for row in [["date", "a", "b"], *rows]).encode()]


def _ucr_tables(seed: int = 0) -> list[bytes]:
    rng = np.random.default_rng(seed)
    return ["\n".join("\t".join([str(n % 3 + 1), *map(str, rng.normal(size=8).round(3))]) for n in range(24)).encode()]


def _ts_tables(seed: int = 0) -> list[bytes]:
    rng = np.random.default_rng(seed)
    head = "# ours\n@problemName Ours\n@univariate false\n@classLabel true 1 2 3\n@data\n"
    lines = [
        ":".join([*(",".join(map(str, rng.normal(size=6).round(3))) for _ in range(2)), str(n % 3 + 1)])
        for n in range(24)
    ]
    return [(head + "\n".join(lines)).encode()]


def _given(folder: Path) -> None:
    (folder / "Ours_TEST.tsv").write_bytes(_ucr_tables(1)[0])
    (folder / "Ours_TEST.ts").write_bytes(_ts_tables(1)[0])
    (folder / "recipe.toml").write_text(RECIPE)
    np.save(folder / "labels.npy", np.arange(30) % 3)
    np.save(folder / "samples.npy", np.random.default_rng(1).normal(size=(30, 4, 2)).astype(np.float32))


def _all_data(folder: Path) -> None:
    """A file for each of the recipes above."""
    _given(folder)
    (folder / "Ours_TEST.ts").unlink()
    (folder / "Ours_TRAIN.tsv").write_bytes(_ucr_tables()[0])
    (folder / "t.csv").write_bytes(_csv_tables()[0])
    (folder / "s.csv").write_bytes(_series_tables()[0])
    (folder / "d.npz").write_bytes(_npz_data()[0])
    write_pictures(folder / "photos", 4)
    write_sounds(folder / "sounds", 4)


def _npz_data() -> list[bytes]:
    rng = np.random.default_rng(0)
    found = []
    for arrays in (
        {"x": rng.integers(0, 256, (30, 8, 8)).astype(np.uint8), "y": np.arange(30) % 3},
        {
            "x_train": rng.normal(size=(30, 4, 2)),
            "y_train": np.arange(30) % 3,
            "x_test": rng.normal(size=(9, 4, 2)),
            "y_test": np.arange(9) % 3,
        },
    ):
        stream = io.BytesIO()
        np.savez(stream, **arrays)
        found.append(stream.getvalue())
    return found


def _npy_data() -> list[bytes]:
    found = []
    for values in (np.random.default_rng(0).normal(size=(30, 4, 2)), np.arange(90.0).reshape(30, 3, 1)):
        stream = io.BytesIO()
        np.save(stream, values)
        found.append(stream.getvalue())
    return found


def _npy_labels() -> list[bytes]:
    stream = io.BytesIO()
    np.save(stream, np.arange(30) % 3)
    return [stream.getvalue()]


def _one_picture(folder: Path) -> None:
    write_pictures(folder / "photos", 4)


def _one_sound(folder: Path) -> None:
    write_sounds(folder / "sounds", 4)


# --- what dlkit itself wrote ---


def _checkpoint(folder: Path) -> bytes:
    from dlkit.recipe import recipe_from
    from dlkit.training.checkpoints import Checkpoint, Checkpoints

    recipe = recipe_from(
        {"name": "c", "network": {"name": "cnn"}, "data": {"name": "digits"}, "training": {"epochs": 2}}, "c"
    )
    state = [np.ones((3, 4), np.float32), np.zeros((), np.int64), np.arange(5, dtype=np.float32)]
    Checkpoints(folder, recipe).write(Checkpoint([{"loss": 1.0}], state, state[:1]))
    return (folder / "epoch-000001.npz").read_bytes()


def _checkpoints() -> list[bytes]:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return [_checkpoint(Path(folder))]


def _read_checkpoint(path: Path) -> Any:
    from dlkit.recipe import recipe_from
    from dlkit.training.checkpoints import Checkpoints

    recipe = recipe_from(
        {"name": "c", "network": {"name": "cnn"}, "data": {"name": "digits"}, "training": {"epochs": 2}}, "c"
    )
    found = Checkpoints(path.parent, recipe)
    damaged, newest = found.damaged(), found.newest()
    if (newest is None) != bool(damaged):
        raise Wrong(f"{damaged} damaged, {newest} newest")
    return newest and newest.epochs


def _model_facts() -> list[bytes]:
    from dlkit.archive import contents_sha256
    from dlkit.recipe import recipe_from
    from dlkit.recipe_data import preprocessing_of
    from dlkit.trained import Trained

    recipe = recipe_from(
        {"name": "c", "network": {"name": "cnn"}, "data": {"name": "digits"}, "training": {"epochs": 2}}, "c"
    )
    inputs = {"image": preprocessing_of(recipe)}
    found = []
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        _empty_model(Path(folder))
        contents = contents_sha256(Path(folder, "model.keras"))
        for given in (recipe, None):
            trained = Trained("c", Path(folder, "model.keras"), "cnn", given, inputs, tuple("0123456789"), trained=True)
            found.append(json.dumps(trained._facts(contents, [{"loss": 1.0, "accuracy": 0.5}])).encode())
    return found


def _empty_model(folder: Path) -> None:
    import zipfile

    with zipfile.ZipFile(folder / "model.keras", "w") as archive:
        archive.writestr(zipfile.ZipInfo("config.json"), "{}")


def _read_facts(path: Path) -> Any:
    from dlkit.trained import history_of, is_unfinished, is_whole, load_trained, only_built

    is_whole(path.parent), only_built(path.parent), is_unfinished(path.parent)
    for entry in history_of(path.parent):
        dict(entry)
    trained = load_trained(path.parent)
    if Path("x", trained.name).resolve().parent != Path("x").resolve():
        raise Wrong(f"a model called {trained.name!r} would be written elsewhere")
    if not all(
        isinstance(name, str) for name in (*trained.labels, *trained.conditions, *trained.inputs, trained.network)
    ):
        raise Wrong("names that are none")
    return trained


def _only_tsv(folder: Path) -> None:
    _given(folder)
    (folder / "Ours_TEST.ts").unlink()


def _only_ts(folder: Path) -> None:
    _given(folder)
    (folder / "Ours_TEST.tsv").unlink()


_CSV = _opened("csv", path="{}", label="kind", ignore=["id"], shape=[2, 2], preprocessing="standard")
_SERIES = _opened("series", "lstm_forecaster", path="{}", steps=8, horizon=2, preprocessing="standard")
_UCR = _opened("ucr", path="{folder}", pad=True, preprocessing="standard")
_NPZ = _opened("npz", path="{}", raw_range=[-9.0, 255.0])
_SAMPLES = _opened("npy", samples="{}", labels="{folder}/labels.npy")
_LABELS = _opened("npy", samples="{folder}/samples.npy", labels="{}")
_FOLDER = _opened("folder", "cnn", path="{folder}/..", image_shape=[8, 8, 3], broken="skip")
_AUDIO = _opened("audio", "ds_cnn", path="{folder}/..", sample_rate=8000, seconds=0.25, broken="refuse")

READERS: dict[str, Reader] = {
    reader.name: reader
    for reader in (
        Reader("recipe", "recipe.toml", _recipes, (spoiled_toml, tuned_toml, tuned_toml), _read_recipe, _all_data),
        Reader("--set", "overrides.txt", lambda: [OVERRIDES.encode()], (spoiled_overrides,), _read_overrides, _given),
        Reader("target", "board.toml", _targets, (spoiled_toml, tuned_toml), _read_target),
        Reader("png", "a.png", lambda: _pictures("PNG"), (spoiled_png,), _inputs_of("colour")),
        Reader("jpeg", "a.jpg", lambda: _pictures("JPEG"), (spoiled_bytes,), _inputs_of("colour")),
        Reader("gif, bmp, ppm", "a.gif", lambda: _pictures("GIF", "BMP", "PPM"), (spoiled_bytes,), _inputs_of("grey")),
        Reader("tiff", "a.tif", lambda: _pictures("TIFF"), (spoiled_tiff,), _inputs_of("grey")),
        Reader("webp", "a.webp", lambda: _pictures("WEBP"), (spoiled_riff, spoiled_bytes), _inputs_of("colour")),
        Reader("wav", "a.wav", _wavs, (spoiled_riff,), _inputs_of("sound")),
        Reader("wav of floats", "a.wav", _doubles, (spoiled_floats,), _inputs_of("sound")),
        Reader("table", "a.csv", _tables_of_numbers, (spoiled_table,), _inputs_of("numbers")),
        Reader("npy", "a.npy", _arrays, (spoiled_npy,), _inputs_of("numbers")),
        Reader("npz", "a.npz", _archives, (spoiled_zip,), _inputs_of("numbers")),
        Reader("data csv", "t.csv", _csv_tables, (spoiled_table,), _CSV),
        Reader("data series", "t.csv", _series_tables, (spoiled_table,), _SERIES),
        Reader("data ucr .tsv", "Ours_TRAIN.tsv", _ucr_tables, (spoiled_table,), _UCR, _only_tsv),
        Reader("data ucr .ts", "Ours_TRAIN.ts", _ts_tables, (spoiled_table,), _UCR, _only_ts),
        Reader("data npz", "d.npz", _npz_data, (spoiled_zip,), _NPZ),
        Reader("data npy", "d.npy", _npy_data, (spoiled_npy,), _SAMPLES, _given),
        Reader("data npy labels", "d.npy", _npy_labels, (spoiled_npy,), _LABELS, _given),
        Reader(
            "data folder",
            "photos/red/000.png",
            lambda: _pictures("PNG", "JPEG", "GIF"),
            (spoiled_png, spoiled_bytes),
            _FOLDER,
            _one_picture,
        ),
        Reader("data audio", "sounds/low/000.wav", _wavs, (spoiled_riff,), _AUDIO, _one_sound),
        Reader("checkpoint", "epoch-000001.npz", _checkpoints, (spoiled_zip,), _read_checkpoint),
        Reader("model.json", "model.json", _model_facts, (spoiled_json,), _read_facts, _empty_model),
    )
}


def prepared(reader: Reader, folder: Path) -> Path:
    """A folder of its own for `reader`, with what has to be beside its file."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    reader.beside(folder)
    return folder
