"""The shelf of targets: a device is a TOML file of facts."""

from __future__ import annotations

import dataclasses

from dlkit.reading import parse_toml, read_dataclass
from dlkit.shelf import Shelf, files_of


@dataclasses.dataclass(frozen=True)
class Target:
    """A device that runs exported files.

    Attributes:
        name: as typed after `--target`.
        summary: one line for `dlkit list targets`.
        runtime: what executes the file there.
        schemes: the schemes it can run, best first.
        source: where these facts come from.
        control_flow: operations that run a subgraph, or do not, that its runtime has.
    """

    name: str
    summary: str
    runtime: str
    schemes: tuple[str, ...]
    source: str
    control_flow: tuple[str, ...] = ()


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
