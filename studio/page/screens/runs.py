"""The first screen: what needs a person, what is running, and the list of runs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ....graph.call_searching import RunsFound
from ....graph.run_pages import runs_now, runs_page
from ....state.errors import UsageError
from ....state.run_pages import Filter, Place
from ..home import NoHome, PageHome, home_of
from ..rendering import render
from .calls import FILL_SECONDS, begin_reading, searches_of
from .document import LOOK_AGAIN

STATUSES = {
    **{"busy": "running", "paused": "needs you", "answered": "answered", "stopped": "stopped"},
    **{"budget": "budget spent", "failed": "failed"},
}
"""The statuses that the list can be filtered by, with their words."""
_LONGEST = 200
"""Characters of the words that are searched for."""
_NOTHING = RunsFound([], read=True, more=False)


@dataclass
class Family:
    """A run of a page, with those of its forks that stand on the same page."""

    run: dict[str, Any]
    forks: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


async def runs(request: Request) -> Response:
    """Return the list of runs, or how to begin where there are none yet."""
    query = request.query_params
    status = query.get("status", "")
    words = query.get("q", "")[:_LONGEST].split()
    under = query.get("under") or None
    try:
        home = await home_of(request)
        caller = None if under is None else await home.queries.resolve(under)
    except NoHome:
        return render(request, "welcome.html")
    found = await _found(request, home, words)
    wanted = Filter(status if status in STATUSES else "", words, found.names, caller)
    after, before = place_of(query.get("after")), place_of(query.get("before"))
    page = await runs_page(home.stores, wanted, after=after, before=before)
    chosen = {"status": wanted.status or None, "q": " ".join(words) or None, "under": caller}
    whole = not any(chosen.values()) and not after and not before
    if whole and not page.runs:
        return render(request, "welcome.html")
    response = render(
        request,
        "runs.html",
        families=families(page.runs),
        found=found,
        now=await runs_now(home.stores) if whole else None,
        chosen=chosen,
        statuses=STATUSES,
        newer=text_of_place(page.newer),
        older=text_of_place(page.older),
    )
    if not found.read:
        response.headers.update(LOOK_AGAIN)
    return response


async def _found(request: Request, home: PageHome, words: Sequence[str]) -> RunsFound:
    """Return the runs in whose questions and answers a search finds the words, as far as it has read them."""
    if not words:
        return _NOTHING
    begin_reading(request, home)
    try:
        return await searches_of(request, home).runs(" ".join(words), fill_for=FILL_SECONDS)
    except UsageError:
        # Neither letters nor digits: they may stand in a question or a name all the same.
        return _NOTHING


def families(found: Sequence[dict[str, Any]]) -> list[Family]:
    """Return the runs in order, each fork below its origin where both are among them."""
    names = {run["thread_id"] for run in found}
    origin = {run["thread_id"]: run["fork_of"] for run in found if run["fork_of"] in names}
    made: dict[str, Family] = {}
    runs_by_name = {run["thread_id"]: run for run in found}
    for run in found:
        top, seen = run["thread_id"], {run["thread_id"]}
        # Damaged rows may say that runs are forks of each other.
        while (above := origin.get(top)) and above not in seen:
            top = above
            seen.add(top)
        family = made.setdefault(top, Family(runs_by_name[top]))
        if run["thread_id"] != top:
            family.forks.append(run)
    return list(made.values())


def place_of(text: str | None) -> Place | None:
    """Return the place in the list that a page's address names; None where it names none."""
    updated, comma, name = (text or "").partition(",")
    try:
        when = float(updated)
    except ValueError:
        return None
    return Place(when, name) if comma and math.isfinite(when) else None


def text_of_place(place: Place | None) -> str | None:
    """Return a place as a page's address names it."""
    return None if place is None else f"{place.updated!r},{place.thread_id}"


ROUTES = [Route("/", runs)]
