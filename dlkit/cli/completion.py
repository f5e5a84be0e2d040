"""dlkit completion"""

from __future__ import annotations

import click


@click.command(epilog="More: dlkit help install")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    Example:
      dlkit completion bash >> ~/.bashrc
      dlkit completion zsh >> ~/.zshrc
      dlkit completion fish > ~/.config/fish/completions/dlkit.fish
    """
    from click.shell_completion import get_completion_class

    completion = get_completion_class(shell)
    assert completion is not None
    click.echo(completion(ctx.find_root().command, {}, "dlkit", "_DLKIT_COMPLETE").source())
