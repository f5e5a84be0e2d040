"""dlkit help"""

from __future__ import annotations

import click

from dlkit.cli._completing import topics_and_commands
from dlkit.cli._output import print_table
from dlkit.cli._terminal import columns, in_colour
from dlkit.errors import DlkitError, suggestion
from dlkit.help import PAGES, Page, cells_of

WIDEST = 120
"""Columns of a terminal that a page takes at most; longer lines are hard to read."""


@click.command()
@click.argument("topic", required=False, metavar="[TOPIC|COMMAND]", shell_complete=topics_and_commands)
@click.pass_context
def command(ctx: click.Context, topic: str | None) -> None:
    """Show how to do something: the page of a TOPIC.

    Or the help of a COMMAND, or without either all topics. A page begins with what to type and what comes of it. It
    is formatted on a terminal; where the output goes elsewhere, as in 'dlkit help lstm | less', it is plain
    Markdown.

    \b
    Example:
      dlkit help
      dlkit help microcontroller
      dlkit help export
    """
    root = ctx.find_root()
    if topic is None:
        print_table(("topic", "what is in it"), [(page.name, page.summary) for page in PAGES.values()])
    elif topic in PAGES:
        _show(_with_command(PAGES[topic], root))
    elif usage := _help_of(topic, root):
        click.echo(usage)
    else:
        raise DlkitError(_no_topic(topic))


def _help_of(name: str, root: click.Context) -> str:
    """What `dlkit NAME --help` prints; "" if there is no such command."""
    assert isinstance(root.command, click.Group)
    found = root.command.get_command(root, name)
    return found.get_help(click.Context(found, info_name=name, parent=root)) if found else ""


def _with_command(page: Page, root: click.Context) -> Page:
    """The page, with the help of the command of that name below where there is one."""
    usage = _help_of(page.name, root)
    return Page(page.name, f"{page.source}\n## The command\n\n```\n{usage}\n```\n") if usage else page


def _show(page: Page) -> None:
    """Formatted on a terminal, where there is what formats it; else as it is."""
    width = columns()
    if width is None:
        click.echo(page.text, nl=False)
        return
    try:
        from rich.console import Console
        from rich.markdown import Markdown
        from rich.text import Text
        from rich.theme import Theme
    except ModuleNotFoundError:  # a device with numpy, click and ai-edge-litert only
        click.echo(page.text, nl=False)
        return
    console = Console(
        width=min(width, WIDEST), no_color=in_colour() is False, theme=Theme({"markdown.code": "bold cyan"})
    )
    for kind, part in page.parts():
        if kind == "prose":
            console.print(Markdown(part, hyperlinks=False))
        elif kind == "code":  # lines are left whole, so that they can be copied
            indented = "".join(f"  {line}" for line in part.splitlines(keepends=True))
            console.print(Text(f"\n{indented}", style="cyan"), soft_wrap=True)
        else:
            head, *rows = cells_of(part)
            click.echo()
            print_table(head, rows)
            click.echo()


def _no_topic(word: str) -> str:
    """What is near, or which pages have the word."""
    from dlkit.cli import COMMANDS

    names = list(dict.fromkeys([*PAGES, *COMMANDS]))
    inside = [name for name in names if word.lower() in name]
    near = f"did you mean {' or '.join(map(repr, inside[:3]))}?" if inside else suggestion(word, names)
    if near.startswith("did you mean"):
        return f"no topic {word!r}; {near}"
    told_in = [page.name for page in PAGES.values() if word.lower() in page.source.lower()]
    where = f"it is spoken of in {', '.join(told_in)}" if told_in else "see them all: dlkit help"
    return f"no topic {word!r}; {where}"
