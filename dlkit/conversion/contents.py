"""What is in a model file of Keras, looked at before Keras revives anything of it: files come from strangers.

Keras 3.15 imports no module that a file names and refuses code in it. What is refused here is what would take the
memory or the time of a machine, or lies outside the file.
"""

from __future__ import annotations

import contextlib
import json
import re
import stat
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dlkit.errors import ModelFileError

LARGEST_CONFIG_BYTES = 2**25
"""The configuration of EfficientNet-B7 has a megabyte."""
SMALL_BYTES, MOST_TIMES = 2**26, 100
"""What an archive may always unpack to; what is more, and so many times its size, is a bomb."""
MOST_LEVELS = 200
"""Of tables and lists in a configuration; a model in a model in a model has 40."""
SPARE_BYTES, TIMES_OF_FILE = 2**31, 10
"""Memory that loading a file may take: Keras holds weights four times, and a runtime its threads."""
RUNS_CODE = {"Lambda", "TFOpLambda", "SlicingOpLambda", "TFSMLayer", "TorchModuleWrapper"}
"""Layers that run what a file names or holds; tf_keras is stricter with some files than with others."""
OF_KERAS = re.compile(r"(keras|tf_keras|builtins)(\.|$)")


def configuration_in(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """config.json and metadata.json of a .keras file.

    Raises:
        ModelFileError: it is no such file, is corrupt, unpacks to far more than it has, or names places outside.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_parts(path, archive)
            names = archive.namelist()
            if "config.json" not in names:
                raise ModelFileError(f"{path}: is an archive without a model of Keras (no config.json in it)")
            config = json.loads(_read(path, archive, "config.json"))
            about = json.loads(_read(path, archive, "metadata.json")) if "metadata.json" in names else {}
    except ModelFileError:
        raise
    except Exception as error:  # zipfile raises what its parsers raise; each is about the file
        if isinstance(error, zipfile.BadZipFile) and not zipfile.is_zipfile(path):
            raise ModelFileError(f"{path}: is not a .keras file (no archive, or cut short)") from None
        raise ModelFileError(f"{path}: Keras cannot load this file: {_first_line(error)}") from None
    check_levels(path, config)
    if not isinstance(config, dict) or not isinstance(about, dict):
        raise ModelFileError(f"{path}: Keras cannot load this file: its configuration is no table")
    return config, about


def check_levels(path: Path, config: Any) -> None:
    """Raise ModelFileError for a configuration that goes deeper than Python can follow."""
    level = [config]
    for _ in range(MOST_LEVELS):
        level = (
            [
                inner
                for value in level
                for inner in (value.values() if isinstance(value, dict) else value)
                if isinstance(inner, dict | list)
            ]
            if isinstance(config, dict | list)
            else []
        )
        if not level:
            return
    raise ModelFileError(f"{path}: its configuration is nested too deeply; save the model again")


def refuse_foreign_code(path: Path, config: Any) -> None:
    """Raise ModelFileError for a configuration with a module that is not Keras', or a layer that runs code.

    For what tf_keras is to load, which imports the modules that a file names.
    """
    if isinstance(config, list):
        for part in config:
            refuse_foreign_code(path, part)
    if not isinstance(config, dict):
        return
    kind, module = config.get("class_name"), config.get("module")
    if kind in RUNS_CODE or (isinstance(module, str) and not OF_KERAS.match(module)):
        raise ModelFileError(
            f"{path}: needs {str(kind)[:60]!r} of {str(module)[:60]!r}, and code that a file names is not run; save "
            "the model with layers of Keras alone"
        )
    for part in config.values():
        refuse_foreign_code(path, part)


@contextlib.contextmanager
def bounded_memory(path: Path) -> Iterator[None]:
    """While the block runs, this process may take no more memory than loading the file `path` can honestly need.

    A file of a thousand bytes can name a layer of a billion weights. What goes beyond the bound raises MemoryError or
    TensorFlow's ResourceExhaustedError, or ends the process, which is therefore a child. On Linux alone.
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    import resource

    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) if path.is_dir() else 0
    size = size or path.stat().st_size
    found = re.search(r"VmData:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    before = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = (int(found[1]) * 1024 if found else 0) + SPARE_BYTES + TIMES_OF_FILE * size
    soft = wanted if before[0] == resource.RLIM_INFINITY else min(wanted, before[0])
    resource.setrlimit(resource.RLIMIT_DATA, (soft, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def _check_parts(path: Path, archive: zipfile.ZipFile) -> None:
    parts = archive.infolist()
    for part in parts:
        inside = Path(part.filename)
        if inside.is_absolute() or ".." in inside.parts or "\\" in part.filename:
            raise ModelFileError(f"{path}: has a part called {part.filename[:80]!r}, which lies outside of it")
        if stat.S_ISLNK(part.external_attr >> 16):
            raise ModelFileError(f"{path}: its part {part.filename[:80]!r} is a link")
    if len({part.filename for part in parts}) < len(parts):
        raise ModelFileError(f"{path}: has two parts of one name; save the model again")
    size, packed = sum(part.file_size for part in parts), path.stat().st_size
    if size > max(SMALL_BYTES, MOST_TIMES * packed):
        raise ModelFileError(f"{path}: has {packed:,} bytes and unpacks to {size:,}; save the model again")


def _read(path: Path, archive: zipfile.ZipFile, name: str) -> bytes:
    size = archive.getinfo(name).file_size
    if size > LARGEST_CONFIG_BYTES:
        raise ModelFileError(f"{path}: its {name} has {size:,} bytes, and at most {LARGEST_CONFIG_BYTES:,} are read")
    return archive.read(name)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
