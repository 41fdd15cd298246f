"""Help texts that the terminal wraps, with commands that can be pasted: the examples last and in unbroken lines."""

from typing import Any

from rich.markup import escape
from rich.text import Text
from typer.core import TyperCommand, TyperGroup

from ..terminal.console import stdout_console
from ..terminal.printed_commands import program, with_program

_EXAMPLES = "[bold]Examples[/bold]"
"""The heading of a docstring's last part, which has one command per line."""
_ALL = "--all"


class HelpfulCommand(TyperCommand):
    """A command whose help names this program as the user's shell finds it."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help, then the examples."""
        examples = _split(self)
        super().format_help(ctx, formatter)
        if examples:
            console = stdout_console()
            console.print(Text(" Examples", style="bold"))
            # Wrapped by the terminal, which then copies a line as one; indented as the rest is.
            console.print(Text("\n".join(f" {line}" for line in examples)), soft_wrap=True)
            console.print()


class HelpfulGroup(TyperGroup):
    """A group of commands whose help names this program as the user's shell finds it.

    `--help --all` lists its hidden commands, too.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words before the command's name. Raises what click raises for wrong ones."""
        if set(args) <= {*ctx.help_option_names, _ALL} and _ALL in args and len(args) > 1:
            args.remove(_ALL)
            for command in self.commands.values():
                command.hidden = False
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help."""
        for command in self.commands.values():
            _split(command)
        _split(self)
        super().format_help(ctx, formatter)


def unwrapped(text: str) -> str:
    """Return the text with each paragraph on one line, for the terminal to wrap.

    Indented paragraphs (the examples) keep their lines.
    """
    paragraphs = text.split("\n\n")
    return "\n\n".join(one if one.startswith(" ") else one.replace("\n", " ") for one in paragraphs)


def _split(command: Any) -> list[str]:
    """Rewrite a command's help texts and remove the examples from them. Return the lines of the examples."""
    word = program()
    # All texts but the examples are read as markup, which a path may look like.
    marked = escape(word)
    text, _, examples = (command.help or "").partition(_EXAMPLES)
    command.help, command.epilog = with_program(text, marked), with_program(command.epilog or "", marked)
    for parameter in command.params:
        parameter.help = with_program(parameter.help or "", marked)
    return with_program(examples, word).strip("\n").splitlines()
