"""The calls of a run: a page of them, filtered, sorted, or those in which words were found."""

import math
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ....graph.call_pages import calls_counted, calls_page, line_sums
from ....graph.call_searching import CallSearch, SearchPage
from ....state.call_counts import CallCounts
from ....state.call_pages import ORDERS, STATES, Asking, CallFilter, CallPages, CallState, Order, Rank
from ..background import Work
from ..frame import framed
from ..home import PageHome, home_of
from ..rendering import render
from . import call
from .document import LOOK_AGAIN, number_in

PAGE = 50
"""Calls on a page."""
FILL_SECONDS = 0.1
"""Seconds for which a page reads what no search has read yet."""
_KINDS = {"": "sub-calls", "llm": "to models", "rlm": "to sub-RLMs", "root": "to the root model"}
_SORTS: dict[Order, str] = {
    "made": "as they were made",
    "cost": "the dearest first",
    "tokens": "the most tokens first",
    "time": "the slowest first",
    "queue": "the longest in the queue first",
}
_STATES: dict[CallState, str] = {
    "answered": "answered",
    "failed": "failed",
    "asked": "in flight",
    "cut": "cut off at the limit",
    "reused": "reused",
    "person": "by a person",
}
_MOST_TURNS = 100
"""Turns that the filter lists; of more, the number is typed."""


async def calls(request: Request) -> Response:
    """Return a page of the calls of a run."""
    home = await home_of(request)
    frame = await framed(home, request, "calls")
    thread = frame["run"]["thread_id"]
    words = request.query_params.get("q", "").strip()
    if words:
        return await _found(request, home, frame, words)
    begin_reading(request, home)
    asking = asking_of(request.query_params)
    counts = await calls_counted(home.stores, thread)
    page = await calls_page(home.stores, thread, asking)
    chosen = asking.chosen
    total = counts.calls
    if chosen != CallFilter():
        total = await CallPages(home.stores.database).count(thread, chosen)
    return render(
        request,
        "calls.html",
        **frame,
        **await _choices(home, thread, asking, counts),
        page=page,
        total=total,
        before=_written(page.before),
        after=_written(page.after),
        words="",
    )


def asking_of(query: Mapping[str, str]) -> Asking:
    """Return the page that an address asks for. What it does not understand in it is left out."""
    status, kind, sort = query.get("status", ""), query.get("kind", ""), query.get("sort", "")
    chosen = CallFilter(
        turn=number_in(query.get("turn")),
        line=number_in(query.get("line")),
        model=query.get("model") or None,
        state=next((one for one in STATES if one == status), None),
        kind=next((one for one in ("llm", "rlm", "root") if one == kind), None),
    )
    orders: list[Order] = [one for one in ORDERS if one == sort]
    return Asking(
        chosen,
        orders[0] if orders else "made",
        PAGE,
        after=_rank(query.get("after")),
        before=_rank(query.get("before")),
        last=query.get("page") == "last",
    )


def _rank(said: str | None) -> Rank | None:
    """Return the rank that `_written` has written, None for anything else."""
    value, _, seq = (said or "").partition("_")
    number = number_in(seq)
    try:
        found = Rank(float(value), number or 0)
    except ValueError:
        return None
    return found if number is not None and not math.isnan(found.value) else None


def _written(rank: Rank | None) -> str | None:
    return None if rank is None else f"{rank.value!r}_{rank.seq}"


async def _choices(home: PageHome, thread: str, asking: Asking, counts: CallCounts) -> dict[str, Any]:
    """Return what can be chosen, with how many calls each has, and what is chosen."""
    chosen = asking.chosen
    lines = await line_sums(home.stores, thread, chosen.turn) if chosen.turn is not None else []
    values = {
        "turn": chosen.turn,
        "line": chosen.line,
        "model": chosen.model,
        "status": chosen.state,
        "kind": chosen.kind,
        "sort": None if asking.order == "made" else asking.order,
    }
    return {
        "counts": counts,
        "turns": counts.turns if len(counts.turns) <= _MOST_TURNS else None,
        "lines": [one for one in lines if one.line is not None],
        "kinds": _KINDS,
        "sorts": _SORTS,
        "states": {name: words for name, words in _STATES.items() if counts.states.get(name) or name == chosen.state},
        "models": counts.models,
        "chosen": values,
        "filtered": chosen != CallFilter(),
        "order": asking.order,
    }


async def _found(request: Request, home: PageHome, frame: dict[str, Any], words: str) -> Response:
    """Return the calls in which the words were found, as far as calls have been read for searches."""
    search: CallSearch = searches_of(request, home)
    after = request.query_params.get("after")
    found: SearchPage = await search.search(
        words, thread=frame["run"]["thread_id"], after=after, limit=PAGE, fill_for=FILL_SECONDS
    )
    response = render(request, "calls_found.html", **frame, found=found, words=words, first=after is None)
    if not found.is_complete:
        # A browser without scripts asks again, too.
        response.headers.update(LOOK_AGAIN)
    return response


def begin_reading(request: Request, home: PageHome) -> None:
    """Begin to read the home's calls for searches, unless that is under way: the first search then finds more."""
    reading: Work[bool] | None = request.app.state.reading
    if reading is None or reading.task.done():
        request.app.state.reading = Work(searches_of(request, home).fill())


def searches_of(request: Request, home: PageHome) -> CallSearch:
    """Return the searches over the home, which keep a file of words."""
    kept: CallSearch | None = request.app.state.call_search
    if kept is None or kept.stores is not home.stores:
        if kept is not None:
            kept.close()
        kept = request.app.state.call_search = CallSearch(home.stores)
    return kept


ROUTES = [Route("/runs/{thread}/calls", calls), *call.ROUTES]
