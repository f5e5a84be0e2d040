"""Boards of QEMU on which the self-test of a model runs, one for each processor: where their memory is."""

from __future__ import annotations

import dataclasses
from importlib.resources import files

KEPT = ("Makefile", "memory.ld", "startup.c")
"""Of the folder qemu/, the same for every board."""


@dataclasses.dataclass(frozen=True)
class Board:
    """A machine of QEMU.

    Attributes:
        processor: as the compiler calls it, and targets do.
        machine: as QEMU calls it.
        flash, ram: (address, bytes).
        flags: further ones of the compiler.
        instead: the processor that it really has, where QEMU has none of this kind.
    """

    processor: str
    machine: str
    flash: tuple[int, int]
    ram: tuple[int, int]
    flags: tuple[str, ...] = ()
    instead: str = ""

    @property
    def about(self) -> str:
        """What the self-test runs on, for people."""
        of = f", a {self.instead}, which has its instructions" if self.instead else ""
        return f"{self.processor} ({self.machine}{of}), emulated by QEMU"

    def files(self) -> dict[str, str]:
        """Name → content, of a folder qemu/ beside the source of a model."""
        folder = files("dlkit.finishing._c_source") / "qemu"
        kept = {name: (folder / name).read_text(encoding="utf-8") for name in KEPT}
        names = ("FLASH_START", "FLASH_SIZE", "RAM_START", "RAM_SIZE")
        memory = zip(names, (*self.flash, *self.ram), strict=True)
        lines = (
            f"PROCESSOR = {self.processor}\nMACHINE = {self.machine}\nABOUT = {self.about}\n"
            f"FLAGS = {' '.join(self.flags)}\n"
            f"MEMORY = {' '.join(f'-Wl,--defsym={name}={number:#x}' for name, number in memory)}\n"
        )
        return kept | {"board.mk": lines}


BOARDS = {
    board.processor: board
    for board in (
        Board("cortex-m0plus", "mps2-an385", (0, 4 << 20), (0x20000000, 4 << 20), instead="Cortex-M3"),
        Board("cortex-m4", "mps2-an386", (0, 4 << 20), (0x20000000, 4 << 20)),
        Board("cortex-m7", "mps2-an500", (0, 4 << 20), (0x60000000, 4 << 20)),
        Board("cortex-m33", "mps2-an505", (0x10000000, 4 << 20), (0x38000000, 4 << 20)),
        # Its tightly coupled memory at 0 has 512 KiB, and the SRAM behind 0x21000000 2 MiB.
        Board("cortex-m55", "mps3-an547", (0, 512 << 10), (0x21000000, 2 << 20), ("-mfloat-abi=hard",)),
    )
}
"""Processor → the board that stands for it."""
