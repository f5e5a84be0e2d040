"""The command line: one thin file per command. Only this package prints.

A command is imported when it is asked for, and nothing heavier than click with it.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from dlkit import __version__
from dlkit.cli._output import print_error
from dlkit.cli._stopping import Stopped, stopped_by_signals
from dlkit.cli._streams import flush_output, is_of_output, occupy_closed, refusal_of_output
from dlkit.cli._terminal import in_colour, use_plain_characters
from dlkit.errors import DlkitError, suggestion, system_reason
from dlkit.room import is_want_of_room

# Order of `dlkit --help`: the order in which a new user meets them.
COMMANDS = (
    "run", "build", "train", "export", "compare", "sensitivity", "predict", "evaluate", "bench", "inspect", "report",
    "check", "serve", "list", "doctor", "help", "completion",
)  # fmt: skip

LIGHT = ("list", "doctor", "help", "completion")
"""Commands that make no temporary files."""
NO_MEMORY = "not enough memory; close other programs or use a smaller input or network"
NOT_LOADED = ("failed to map segment from shared object", "cannot allocate memory", "Cannot allocate memory")
"""What is said of a library for which there is no memory."""


class LazyGroup(click.Group):
    """A group whose commands are modules of this package, imported by name.

    What the user can mend ends as one line and an exit code; anything else keeps its traceback.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS]  # here `list` becomes the module of that command once it is imported

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"dlkit.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The first sentence of each command's help, in full."""
        found = [(name, self.get_command(ctx, name)) for name in COMMANDS]
        with formatter.section("Commands"):
            formatter.write_dl([(name, _first_sentence(command.help or "")) for name, command in found if command])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f"no command {args[0]!r}; {suggestion(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        ctx.color = in_colour()
        return super().invoke(ctx)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        occupy_closed()
        use_plain_characters()  # a file's name may hold what the terminal cannot show, and so may our own words
        try:
            with stopped_by_signals(), _temporary_files(sys.argv[1:] if args is None else args):
                code = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
                flush_output()
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            code = error.exit_code
        except click.UsageError as error:
            command = error.ctx.command_path if error.ctx else "dlkit"
            text = error.format_message().replace("\n\t", " ").rstrip(".")  # click lists choices on lines of their own
            code = _refuse(f"{text}{'' if text.endswith('?') else ';'} see {command} --help", error.exit_code)
        except DlkitError as error:
            code = _refuse(str(error), error.exit_code)
        except (click.Abort, KeyboardInterrupt):
            code = _refuse("stopped", 130)
        except Stopped as stop:
            code = _refuse("stopped", stop.exit_code)
        except MemoryError:
            code = _refuse(NO_MEMORY, 1)
        except BrokenPipeError as error:  # whoever reads has read enough, and wants to hear no more
            refusal_of_output(error)
            code = 1
        except OSError as error:
            code = _refuse(NO_MEMORY if _is_want_of_memory(error) else _reason_of(error), 1)
        except Exception as error:
            if not _is_want_of_memory(error):
                raise
            code = _refuse(NO_MEMORY, 1)
        sys.exit(code)


def _temporary_files(args: Sequence[str]) -> contextlib.AbstractContextManager[None]:
    """Where they go while the command of these arguments runs."""
    if not args or args[0] not in COMMANDS or args[0] in LIGHT or {"-h", "--help"} & {*args}:
        return contextlib.nullcontext()
    from dlkit.writing import temporary_files_apart

    return temporary_files_apart()


def _first_sentence(text: str) -> str:
    paragraph = " ".join(text.partition("\n\n")[0].split())
    return re.split(r"(?<=\.)\s", paragraph, maxsplit=1)[0]


def _reason_of(error: OSError) -> str:
    """What the system refused, and where it was for want of room."""
    if is_of_output(error):
        return refusal_of_output(error)
    if not is_want_of_room(error):
        return system_reason(error)
    from dlkit.writing import no_room

    return str(no_room(error, Path(), ""))


def _is_want_of_memory(error: Exception) -> bool:
    """Whether memory is exhausted, as the system, a library that cannot be loaded for it or TensorFlow says it.

    By the name of TensorFlow's error, for asking by class would import it.
    """
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    if isinstance(error, (OSError, ImportError)) and any(mark in str(error) for mark in NOT_LOADED):
        return True
    return any(kind.__name__ == "ResourceExhaustedError" for kind in type(error).__mro__)


def _refuse(text: str, code: int) -> int:
    """Print the one line that says why; returns the exit code."""
    print_error(text)
    return code


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with:  dlkit run recipes/digits.toml",
)
@click.version_option(__version__, prog_name="dlkit")
def main() -> None:
    """From a Keras network to a file that provably runs on a device.

    build → train → export → predict, or all of it with `dlkit run RECIPE`. How to do something, page by
    page: `dlkit help`.
    """
