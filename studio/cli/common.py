"""What every command takes, before or after its name (`--home`, `--json`, `--debug`), and opening a home to read it."""

import asyncio
import inspect
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from ...state.errors import UnknownThread

if TYPE_CHECKING:
    from ...graph.queries import RunQueries
    from ...graph.runner import Runner
    from ...nodes.runtime.dependencies import Stores


DEFAULT_HOME = ".rlm"
DATABASE = "checkpoints.sqlite"

HomeFlag = Annotated[
    Path | None,
    typer.Option(
        "--home",
        metavar="DIR",
        help="The folder that holds the saved runs. Default: $RLM_HOME, else ./.rlm",
        rich_help_panel="Everywhere",
        show_default=False,
    ),
]
JsonFlag = Annotated[
    bool, typer.Option("--json", help="Print one JSON document and nothing else.", rich_help_panel="Everywhere")
]
DebugFlag = Annotated[
    bool, typer.Option("--debug", help="Show the traceback of an error.", rich_help_panel="Everywhere")
]


@dataclass
class Invocation:
    """How the command was called."""

    home: Path
    json: bool = False
    debug: bool = False
    words: tuple[str, ...] = ()
    """The command line as it was given, without the name of the program."""
    thread: str | None = None
    """The run that the command is about, once that is known."""

    @property
    def home_needed(self) -> bool:
        """Whether the next command must name the home: it would not find it by itself."""
        return self.home.resolve() != default_home().resolve()

    @property
    def has_runs(self) -> bool:
        """Whether anything was ever saved in the home. Looking must not create one."""
        return (self.home / DATABASE).exists()

    def need_runs(self, thread: str) -> None:
        """Raises UnknownThread where there is no home that could hold the thread."""
        if not self.has_runs:
            raise UnknownThread(
                f"There is no run named {thread}: nothing is saved in {self.home}.",
                hint="Name the folder of your runs with --home or RLM_HOME.",
            )


def invocation_of(home: Path | None, *, as_json: bool, debug: bool, words: Sequence[str] = ()) -> Invocation:
    """The flags with their defaults filled in."""
    return Invocation(home.expanduser() if home else default_home(), as_json, debug, tuple(words))


def default_home() -> Path:
    """Return the home of a command that names none."""
    return Path(os.environ.get("RLM_HOME") or DEFAULT_HOME).expanduser()


@dataclass
class CommonFlags:
    """What was given before the command's name; then also how the command was called, for whoever reports errors."""

    home: Path | None = None
    as_json: bool = False
    debug: bool = False
    words: tuple[str, ...] = ()
    """The whole command line, without the name of the program."""
    invocation: Invocation | None = None


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Make `function(invocation, …)` a typer command that takes the common flags too, after its name.

    They are added to the signature that typer reads; those given before the name are in the context.
    """
    signature = inspect.signature(function, eval_str=True)
    own = list(signature.parameters.values())[1:]

    @wraps(function)
    def called(context: typer.Context, home: Path | None, as_json: bool, debug: bool, **given: Any) -> None:
        before: CommonFlags = context.find_root().obj
        invocation = invocation_of(
            home or before.home,
            as_json=as_json or before.as_json,
            debug=debug or before.debug,
            words=before.words,
        )
        before.invocation = invocation
        function(invocation, **given)

    keyword = inspect.Parameter.KEYWORD_ONLY
    common = [
        inspect.Parameter("context", keyword, annotation=typer.Context),
        *(one.replace(kind=keyword) for one in own),
        inspect.Parameter("home", keyword, default=None, annotation=HomeFlag),
        inspect.Parameter("as_json", keyword, default=False, annotation=JsonFlag),
        inspect.Parameter("debug", keyword, default=False, annotation=DebugFlag),
    ]
    called.__signature__ = signature.replace(parameters=common)  # pyright: ignore[reportAttributeAccessIssue]
    called.__annotations__ = {one.name: one.annotation for one in common} | {"return": None}
    called.__doc__ = _unwrapped(inspect.cleandoc(function.__doc__ or ""))
    del called.__wrapped__
    return called


def _unwrapped(text: str) -> str:
    """Paragraphs as one line each, for the terminal to wrap; indented ones (the examples) keep their lines."""
    paragraphs = text.split("\n\n")
    return "\n\n".join(one if one.startswith(" ") else one.replace("\n", " ") for one in paragraphs)


T = TypeVar("T")


def from_library(invocation: Invocation, read: Callable[["RunQueries"], Awaitable[T]]) -> T:
    """What `read` finds in the index and the journal. Does without the graph, whose import takes a while."""
    from ...graph.queries import RunQueries

    return from_stores(invocation, lambda stores: read(RunQueries(stores)))


def from_stores(invocation: Invocation, work: Callable[["Stores"], Awaitable[T]]) -> T:
    """What `work` comes to with the stores at hand."""
    from ...graph.wiring import open_stores

    async def opened() -> T:
        async with open_stores(invocation.home.absolute()) as stores:
            return await work(stores)

    return asyncio.run(opened())


def from_runner(invocation: Invocation, read: Callable[["Runner"], Awaitable[T]]) -> T:
    """What `read` finds with the graph at hand, which loads checkpoints."""
    from ...graph.runner import Runner

    async def work() -> T:
        async with Runner.open(invocation.home) as runner:
            return await read(runner)

    return asyncio.run(work())
