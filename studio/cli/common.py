"""The frame of a command: the flags that each takes before or after its name, its run, and reading from a home."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from ...state.errors import UnknownThread
from ..invocation import Invocation, invocation_of
from ..terminal.console import say
from ..terminal.escape import safe_line
from .agreeing import allow_writing, reads_copy
from .help import unwrapped
from .options import SettingFlags

if TYPE_CHECKING:
    from ...graph.queries import RunQueries
    from ...graph.runner import Runner
    from ...graph.saved_runs import SavedRuns
    from ...state.stores import Stores
    from ...state.threads import Thread

_QUESTION = 80
"""Characters of the question of a run that no command named."""

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

TrustFlag = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="For this call, agree to what the folder brings: its rlm.toml and its .rlm. Default: ask at a terminal, "
        "else refuse",
        rich_help_panel="Everywhere",
    ),
]


@dataclass
class CommonFlags:
    """The flags given before the command's name; later also the command's invocation, for error reports."""

    home: Path | None = None
    as_json: bool = False
    debug: bool = False
    words: tuple[str, ...] = ()
    """The whole command line, without the program's name."""
    invocation: Invocation | None = None


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Turn `function(invocation, …)` into a typer command that also takes the common flags, after its name.

    The flags are added to the signature that typer reads; those given before the name are in the context. A parameter
    annotated with `SettingFlags` becomes the flags of these settings. A command that `writes` runs only when its home
    may be written to, and takes `--trust`.
    """
    writes = getattr(function, "writes", False)
    signature = inspect.signature(function, eval_str=True)
    own = list(signature.parameters.values())[1:]
    settings = {one.name: flags for one in own if (flags := _setting_flags(one))}

    @wraps(function)
    def called(
        context: typer.Context, home: Path | None, as_json: bool, debug: bool, trust: bool = False, **given: Any
    ) -> None:
        before: CommonFlags = context.find_root().obj
        invocation = invocation_of(
            home or before.home,
            as_json=as_json or before.as_json,
            debug=debug or before.debug,
            words=before.words,
        )
        before.invocation = invocation
        grouped = {name: flags.take(given) for name, flags in settings.items()}
        with _trusting() if trust else nullcontext():
            if writes:
                allow_writing(invocation)
            function(invocation, **given, **grouped)

    keyword = inspect.Parameter.KEYWORD_ONLY
    common = [
        inspect.Parameter("context", keyword, annotation=typer.Context),
        *(
            parameter
            for one in own
            for parameter in (settings[one.name].parameters() if one.name in settings else [one.replace(kind=keyword)])
        ),
        inspect.Parameter("home", keyword, default=None, annotation=HomeFlag),
        inspect.Parameter("as_json", keyword, default=False, annotation=JsonFlag),
        inspect.Parameter("debug", keyword, default=False, annotation=DebugFlag),
        *([inspect.Parameter("trust", keyword, default=False, annotation=TrustFlag)] if writes else []),
    ]
    called.__signature__ = signature.replace(parameters=common)  # pyright: ignore[reportAttributeAccessIssue]
    called.__annotations__ = {one.name: one.annotation for one in common} | {"return": None}
    called.__doc__ = unwrapped(inspect.cleandoc(function.__doc__ or ""))
    del called.__wrapped__
    return called


def _trusting() -> AbstractContextManager[None]:
    from ...state.agreements import trusting

    return trusting()


def _setting_flags(parameter: inspect.Parameter) -> SettingFlags | None:
    metadata = getattr(parameter.annotation, "__metadata__", ())
    return next((one for one in metadata if isinstance(one, SettingFlags)), None)


T = TypeVar("T")


def from_library(invocation: Invocation, read: Callable[["RunQueries"], Awaitable[T]]) -> T:
    """Return what `read` finds in the index and the journal. Does not import the graph, which takes a while."""
    from ...graph.queries import RunQueries

    return from_stores(invocation, lambda stores: read(RunQueries(stores)))


def from_stores(invocation: Invocation, work: Callable[["Stores"], Awaitable[T]]) -> T:
    """Open the stores and return the result of `work`, which only reads unless the command `writes`."""
    from ...state.open_home import open_home

    async def opened() -> T:
        async with open_home(invocation.home, read_only=read_only) as stores:
            return await work(stores)

    read_only = reads_copy(invocation)

    return asyncio.run(opened())


def from_saved_runs(invocation: Invocation, read: Callable[["SavedRuns"], Awaitable[T]]) -> T:
    """Return what `read` finds in the index, the journal and the saved states. Does not import LangGraph."""
    from ...graph.saved_runs import SavedRuns

    return from_stores(invocation, lambda stores: read(SavedRuns(stores)))


def from_runner(invocation: Invocation, read: Callable[["Runner"], Awaitable[T]]) -> T:
    """Return what `read` finds with a runner, which can start kernels."""
    from ...graph.runner import Runner

    async def work() -> T:
        async with Runner.open(invocation.home, **options) as runner:
            return await read(runner)

    options: dict[str, Any] = {"read_only": True} if reads_copy(invocation) else {}
    return asyncio.run(work())


def thread_or_last(invocation: Invocation, thread: str | None) -> str:
    """Return the named run, else the one touched last, which is then reported on stderr.

    Raises UnknownThread when nothing is saved in the home.
    """
    if thread is not None:
        invocation.need_runs(thread)
        invocation.thread = thread
        return thread
    row = last_touched(invocation)
    invocation.thread = row.thread_id
    name = safe_line(row.thread_id)
    say(f"Thread {name}, the last one touched: {safe_line(row.question, _QUESTION)}", whole=True)
    return row.thread_id


def last_touched(invocation: Invocation) -> "Thread":
    """Return the run of the home that was touched last. Raises UnknownThread when there is none."""
    row = from_library(invocation, lambda library: library.last_touched()) if invocation.has_runs else None
    if row is None:
        raise UnknownThread(
            f"No run is saved in {invocation.home}.",
            hint="Start with `rlm demo`, or name the folder of your runs with --home or RLM_HOME.",
        )
    return row
