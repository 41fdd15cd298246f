"""Start a run of the command line. Without a model, offer a command that asks one on this machine if there is one."""

import asyncio
import shlex
from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..terminal.escape import safe
from ..terminal.printed_commands import program
from .local_servers import LocalServer, find_servers

if TYPE_CHECKING:
    from ...graph.runner import Run
    from ...state.settings import RunSettings
    from ..invocation import Invocation


def check_model_named(invocation: "Invocation", question: str, settings: "RunSettings") -> None:
    """Raise UsageError if the run has no question or no model."""
    from ...graph.create import check_start
    from ...state.errors import UsageError

    try:
        asyncio.run(check_start(question, settings))
    except UsageError as error:
        found = asyncio.run(_servers(settings.base_url)) if question.strip() else []
        if not found:
            raise
        hint = f"One of this machine would answer: {_command(invocation, found[0], settings.base_url)}"
        raise UsageError(error.message, hint=hint) from None


async def _servers(base_url: str) -> list[LocalServer]:
    """Return the servers to offer: if an address is given, only the one that listens there, if on this machine."""
    if not base_url:
        return await find_servers()
    from ...nodes.models.urls import is_loopback

    try:
        parts, port = urlsplit(base_url), urlsplit(base_url).port or 80
    except ValueError:
        return []
    plain = parts.scheme == "http" and parts.path.rstrip("/") == "/v1" and parts.username is None
    return await find_servers([port]) if plain and is_loopback(base_url) else []


def _command(invocation: "Invocation", server: LocalServer, base_url: str) -> str:
    """Return the given command line with the missing flags inserted, to be pasted."""
    words = list(invocation.words)
    end = words.index("--") if "--" in words else len(words)
    words[end:end] = server.settings[:2] if base_url else server.settings
    # Not forced onto one line, as other commands are: a question may have several lines.
    return f"{program()} {safe(shlex.join(words))}"


def start(
    invocation: "Invocation",
    question: str,
    paths: list[str] | None,
    settings: dict[str, Any],
    *,
    output: Any = None,
    files: Any = None,
    thread: str | None = None,
    after: "Callable[[Run], list[str]]" = lambda run: [],
    tracing: bool = False,
    detach: bool = False,
    view: "Callable[[str | None], None] | None" = None,
    today: Callable[[], date] = date.today,
) -> None:
    """Start a run, follow it to its end, and exit with its status. Raises RlmError when it is refused."""
    from ...state.settings import resolve
    from .agreeing import resolved_or_asked
    from .notices import price_warnings
    from .run_loop import CliRun, OnEvent, execute

    # Resolved here too, so that a bad setting is reported before anything is shown.
    resolved = resolved_or_asked(invocation, lambda: resolve(settings)).settings
    if not resolved.model:
        check_model_named(invocation, question, resolved)

    async def begin(runner: Any, on_event: OnEvent) -> Any:
        cli_run.warnings = price_warnings(resolved.frozen(), resolved.max_cost, today())
        return await runner.run(question, paths or None, thread=thread, on_event=on_event, **settings)

    work = (invocation, thread, begin, output, resolved.unsandboxed, after)
    cli_run = CliRun(*work, tracing=tracing, files=files, detach=detach, view=view)
    execute(cli_run)
