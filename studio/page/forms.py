"""Forms: read with bounds, and refused when what they were filled in on has changed meanwhile."""

import contextlib
from collections.abc import Mapping
from typing import Any

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ...state.errors import RlmError
from .frame import thread_of
from .home import HomeOpener, NoHome, PageHome
from .program import Outcome, Program
from .rendering import address

_MOST_FIELD = 4_000_000
"""The most bytes of one field: code, an answer or a question."""
_MOST_FIELDS = 500


class ReadOnly(RlmError):
    """The home is only read."""

    exit_code = 2


async def read_form(request: Request) -> FormData:
    """Return the fields of a form. Raises HTTPException for one that is too large, ReadOnly for a home that is one."""
    with contextlib.suppress(NoHome):
        # Another home may have taken the place of the one that the form was made for.
        await opener_of(request).opened()
    if opener_of(request).read_only:
        raise ReadOnly("This home is only read, so nothing in it is changed.", hint="`rlm home trust` agrees to it.")
    return await request.form(max_fields=_MOST_FIELDS, max_part_size=_MOST_FIELD)


def field(form: FormData, name: str) -> str:
    """Return a field's text, without the carriage returns that browsers send; empty when it was not sent."""
    value = form.get(name)
    return value.replace("\r\n", "\n") if isinstance(value, str) else ""


def opener_of(request: Request) -> HomeOpener:
    """Return what has opened the home that a request is about."""
    opener: HomeOpener = request.app.state.opener
    return opener


def program_of(request: Request) -> Program:
    """Return the program over the home that a request is about."""
    return Program(opener_of(request).home)


async def standing_of(home: PageHome, thread: str) -> str:
    """Return the standing of a run as a form carries it: it differs once the run has gone on, or was changed.

    Raises UnknownThread, StoreError.
    """
    about = await home.queries.about(thread)
    name: str = about["thread_id"]
    return f"{about['status']}.{await home.queries.count_steps(name)}.{about['updated']}"


def changed_since(before: str, now: str) -> str | None:
    """Return a sentence about what has changed since a form was filled in; None when nothing has."""
    if before == now:
        return None
    was, then = before.partition(".")[0], now.partition(".")[0]
    if was and was != then:
        return f"Nothing was done: the run was {_STANDING.get(was, was)} when this was filled in, and now it is " + (
            f"{_STANDING.get(then, then)}. What you typed is kept; send it again if it still holds."
        )
    return "Nothing was done: the run has gone on since this was filled in. Send it again if it still holds."


_STANDING = {"busy": "running", "paused": "waiting for a reviewer", "budget": "out of budget"}


def to_run(request: Request, thread: str | None = None) -> Response:
    """Return a redirect to a run's summary, which reloading does not send the form again from."""
    return RedirectResponse(address(request, "runs", thread or thread_of(request)), status_code=303)


def problem_of(outcome: Outcome) -> Mapping[str, Any] | None:
    """Return what went wrong in a command as `parts/problem.html` shows it; None when nothing did."""
    found = outcome.error
    return None if found is None else {"said": found[0], "hint": found[1]}
