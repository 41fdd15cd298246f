"""Ask the user to agree to what a folder brings with it: a home, or settings in `rlm.toml`.

A terminal asks once, and the answer is remembered. Elsewhere the command is refused, with the command that agrees.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ...state.errors import NotAgreed
from ..invocation import Invocation
from ..terminal.console import at_terminal, say
from ..terminal.escape import safe_line

if TYPE_CHECKING:
    from ...state.agreements import Kind
    from ...state.settings import Resolved


def allow_writing(invocation: Invocation) -> None:
    """Return when the command may write to its home. Raises NotAgreed for one that the user has not agreed to."""
    from ...state.agreements import all_trusted
    from ...state.home_access import standing_of

    try:
        if not (invocation.named or all_trusted()):
            standing_of(invocation.home).need_agreement()
    except NotAgreed as refused:
        if invocation.json or not _asked(refused, "Use it, and resume its runs as they were started?"):
            raise
        agree_to_home(invocation.home)
    invocation.named = invocation.writes = True


def reads_copy(invocation: Invocation) -> bool:
    """Return whether a command that reads opens a copy, because its home may not be written to. Say so once."""
    if invocation.writes:
        return False
    from ...state.home_access import belongs_to_others, standing_of

    home = invocation.home
    if belongs_to_others(home):
        why = "belongs to another user"
    elif invocation.named or standing_of(home).agreed:
        return False
    else:
        why = "is not one that you have made or agreed to"
    if not invocation.said_reading_only:
        invocation.said_reading_only = True
        say(f"{safe_line(str(home))} {why}: it is only read, and nothing is written to it.")
    return True


def agree_to_home(home: Path) -> None:
    """Remember that the user has agreed to a home. Raises StoreError when it is not one that can be used."""
    import asyncio

    from ...state.db.home_id import id_in
    from ...state.errors import StoreError
    from ...state.home_access import digest
    from ...state.open_home import open_stores

    folder = home.absolute()

    async def opened() -> str | None:
        async with open_stores(folder) as stores:
            return await stores.database.look(id_in)

    home_id = asyncio.run(opened())
    if home_id is None:
        raise StoreError(f"The home {home} has no id that can be read.", hint="Name it with --home, or copy it.")
    remember("home", digest(home_id), home)


def remember(kind: "Kind", digest: str, path: Path) -> None:
    """Remember an agreement; print a warning where that is impossible, and use it for this call alone."""
    from ...state.agreements import agree

    try:
        agree(kind, digest, path.absolute())
    except OSError as error:
        say(
            f"Warning: the agreement cannot be remembered ({safe_line(str(error.filename))}: {error.strerror}), so it "
            "holds for this call alone. Later calls: --trust.",
            style="bold yellow",
        )


def resolved_or_asked(invocation: Invocation, resolve: "Callable[[], Resolved]") -> "Resolved":
    """Return the settings of a run; at a terminal ask about those that a folder's file may not set unasked.

    Raises UsageError, NotAgreed.
    """
    from ...state.agreements import trust_file
    from ...state.folder_settings import FileNotAgreed

    try:
        return resolve()
    except FileNotAgreed as refused:
        if invocation.json or not _asked(refused, f"Let it? It sets {refused.sets}."):
            raise
        remember("file", refused.digest, refused.path)
        trust_file(refused.digest)
        return resolve()


def _asked(refused: NotAgreed, question: str) -> bool:
    """Return whether the user agrees; False where nobody can be asked."""
    if not at_terminal():
        return False
    say(safe_line(refused.message, 1000), whole=True)
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        sys.stderr.write("\n")
        return False


def writes(function: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a command that writes to its home: it needs the user's agreement, and takes `--trust`."""
    function.writes = True  # pyright: ignore[reportFunctionMemberAccess]
    return function
