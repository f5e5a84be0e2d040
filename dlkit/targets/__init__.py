"""The shelf of targets: a device is a TOML file of facts."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from dlkit.errors import RecipeError
from dlkit.filing import read_file
from dlkit.reading import parse_toml, read_dataclass
from dlkit.shelf import Shelf, files_of

LARGEST_BYTES = 2**16
"""No description of a device is longer."""


FORMS = {
    "fused_lstm": "one operation for a whole LSTM: its steps are unrolled instead",
    "joined_transpose": "a transposed convolution that pads, or holds an activation: operations of their own do that",
}
"""Forms that a target can ask to be left out → what they are, and what there is in their place."""


@dataclasses.dataclass(frozen=True)
class EthosU:
    """[ethos_u] what vela is to compile for.

    Attributes:
        accelerator: with the number of its multipliers, "ethos-u55-128".
        system: the system configuration, as vela's vela.ini calls it; "" is vela's own choice.
        memory_mode: likewise.
    """

    accelerator: str
    system: str = ""
    memory_mode: str = ""


@dataclasses.dataclass(frozen=True)
class Target:
    """A device that runs exported files.

    Attributes:
        name: as typed after `--target`.
        summary: one line for `dlkit list targets`.
        runtime: what executes the file there, an entry of `dlkit.devices`.
        schemes: the schemes it can run, best first.
        source: where these facts come from.
        control_flow: operations that run a subgraph, or do not, that its runtime has.
        operations: all that it has, as the schema calls them; empty where there is no such list.
        lacks: operations that it is known not to run, where there is no list of all that it has.
        avoid: forms of layers that it does not run as they are, which a conversion for it leaves out;
            of `FORMS`.
        flash_bytes, ram_bytes: what the device has for a model, in one piece; 0 where that is not known.
        processor: as a compiler calls it, "cortex-m4"; "" where nothing is compiled.
        finish: the steps that make what the device needs beside the file, entries of `dlkit.finishing`, in order.
        ethos_u: of an Ethos-U; None of other devices.
    """

    name: str
    summary: str
    runtime: str
    schemes: tuple[str, ...]
    source: str
    control_flow: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    avoid: tuple[str, ...] = ()
    flash_bytes: int = 0
    ram_bytes: int = 0
    processor: str = ""
    finish: tuple[str, ...] = ()
    ethos_u: EthosU | None = None

    def as_dict(self) -> dict[str, Any]:
        """As the tables of a TOML file: without what is not there."""
        return {key: value for key, value in dataclasses.asdict(self).items() if value is not None}

    def __post_init__(self) -> None:
        if not self.schemes:
            raise ValueError("schemes = []: name at least one, best first")
        for form in self.avoid:
            if form not in FORMS:
                raise ValueError(f"avoid = {list(self.avoid)}: known are {', '.join(FORMS)}")
        for key in ("flash_bytes", "ram_bytes"):
            if getattr(self, key) < 0:
                raise ValueError(f"{key} = {getattr(self, key)} must be at least 0")


def _read() -> dict[str, Target]:
    targets = {}
    for stem, text in files_of("dlkit.targets", ".toml").items():
        where = f"targets/{stem}.toml"
        target = read_dataclass(Target, parse_toml(text, where), where)
        if target.name != stem:
            raise ValueError(f"{where}: its name is {target.name!r}")
        targets[stem] = target
    return targets


TARGETS: Shelf[Target] = Shelf("target", _read)


def read_target(name: str) -> Target:
    """The target of that name on the shelf; or, for what ends in .toml, that in the file of one's own.

    Raises:
        UnknownName: there is none of that name.
        RecipeError: there is no such file, or it describes no target.
    """
    if not name.endswith(".toml"):
        return TARGETS[name]
    path = Path(name)
    try:
        text = read_file(path, LARGEST_BYTES).decode("utf-8")
    except FileNotFoundError:
        known = ", ".join(TARGETS)
        raise RecipeError(f"there is no target file {path}; name one, or one of {known}") from None
    except UnicodeDecodeError:
        raise RecipeError(f"{path} is not a text file, so it describes no target") from None
    except OSError as error:
        raise RecipeError(f"cannot read {path}: {error.strerror}; name a .toml file that describes a target") from None
    target = read_dataclass(Target, parse_toml(text, name), name)
    _check_name(target, name)
    return target


def _check_name(target: Target, where: str) -> None:
    """Raise RecipeError unless a folder can be called like the target, and none of the shelf is."""
    if not target.name.replace("-", "").replace("_", "").replace(".", "").isalnum() or target.name.startswith("."):
        raise RecipeError(f"{where}: name = {target.name!r}: letters, digits, - and _ alone, as folders are called so")
    if target.name in TARGETS:
        raise RecipeError(f"{where}: name = {target.name!r} is a target of dlkit's; give yours another name")
