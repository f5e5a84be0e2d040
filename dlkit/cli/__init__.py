"""The command line: one thin file per command. Only this package prints.

A command is imported when it is asked for, and nothing heavier than click with it.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

import click

from dlkit import __version__
from dlkit.errors import DlkitError, suggestion

# Order of `dlkit --help`: the order in which a new user meets them.
COMMANDS = (
    "run", "build", "train", "export", "predict", "evaluate", "bench", "inspect", "list", "doctor", "completion",
)  # fmt: skip


class LazyGroup(click.Group):
    """A group whose commands are modules of this package, imported by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"dlkit.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f"no command {args[0]!r}; {suggestion(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        if "NO_COLOR" in os.environ:
            ctx.color = False
        try:
            return super().invoke(ctx)
        except DlkitError as error:
            click.echo(click.style("error: ", fg="red", bold=True) + str(error), err=True, color=ctx.color)
            ctx.exit(error.exit_code)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with:  dlkit run recipes/digits.toml",
)
@click.version_option(__version__, prog_name="dlkit")
def main() -> None:
    """From a Keras network to a file that provably runs on a device.

    build → train → export → predict, or all of it with `dlkit run RECIPE`.
    """
