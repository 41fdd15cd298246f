"""The saved steps of a run, by pages, and the state after one of them."""

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ....graph.checkpoints import MOST_STEPS
from ....graph.one_step import step_of_run
from ....state.errors import StoredDataDamaged, UsageError
from ....state.threads import Step, Threads
from ..errors import NotThere
from ..frame import framed
from ..home import home_of
from ..rendering import render

PER_PAGE = 100
MOST_VARIABLES = 60
"""Variables that a page of a step shows at once."""
_MOST_DIGITS = 9
NEXT = {
    "__start__": "the run begins",
    "prepare": "the run begins",
    "direct": "the model is asked about the whole input",
    "plan": "the model is asked for the next turn",
    "review": "a person is asked",
    "execute_code": "the code runs",
    "sub_call": "the calls of the code are sent",
    "finalize": "the run ends",
}
"""The work of each node, in words."""


@dataclass(frozen=True)
class StepPage:
    """Steps of a page, with the places of its neighbours."""

    steps: list[Step]
    before: int | None
    """The first number of the page before it."""
    after: int | None
    before_first: int | None
    """The number of the step before the first one of the page."""
    last: int
    """The number of the last step of all."""


async def _page(threads: Threads, name: str, first: int | None, *, live: bool) -> StepPage:
    """Return the page from number `first` on; by default the first one, of a live run the last one."""
    last = await threads.last_step_number(name)
    start = first or (max(1, last - PER_PAGE + 1) if live else 1)
    if start > max(1, last):
        there = f"It has steps 1 to {last}." if last else "It has none yet."
        raise NotThere(f"The run has no step {start}.", there)
    before, after = await threads.steps_beside(name, start, start + PER_PAGE - 1)
    steps = await threads.steps_from(name, start, PER_PAGE)
    return StepPage(steps, None if before is None else max(1, before - PER_PAGE + 1), after, before, last)


async def steps(request: Request) -> Response:
    """Return a page of the steps of a run."""
    home = await home_of(request)
    frame = await framed(home, request, "steps")
    name: str = frame["run"]["thread_id"]
    live = frame["run"]["status"] == "busy"
    found = await _page(home.stores.threads, name, _number(request, "from"), live=live)
    return render(request, "steps.html", **frame, found=found)


async def step(request: Request) -> Response:
    """Return the state after a step. What is damaged of it is said, with the way to the steps around it."""
    home = await home_of(request)
    frame = await framed(home, request, "steps")
    name: str = frame["run"]["thread_id"]
    number = min(int(request.path_params["step"]), MOST_STEPS)
    before, after = await home.stores.threads.steps_beside(name, number, number)
    values: dict[str, Any] = {"number": number, "before": before, "after": after}
    row = await home.stores.threads.look(name)
    try:
        found = await step_of_run(home.stores, home.checkpoints, row, number)
    except UsageError as error:
        raise NotThere(error.message, error.hint or "") from error
    except StoredDataDamaged as damaged:
        return render(request, "step.html", **frame, **values, damaged=damaged, found=None)
    first = _number(request, "variables") or 0
    more = first + MOST_VARIABLES
    return render(
        request,
        "step.html",
        **frame,
        **values,
        damaged=None,
        found=found,
        doing=[NEXT[node] for node in sorted(found.next) if node in NEXT],
        variables=found.variables[first:more],
        first_variable=first,
        more_variables=more if more < len(found.variables) else None,
    )


def _number(request: Request, name: str) -> int | None:
    given = request.query_params.get(name, "")
    return int(given) if given.isdecimal() and given.isascii() and 0 < len(given) <= _MOST_DIGITS else None


ROUTES = [
    Route("/runs/{thread}/steps", steps),
    Route("/runs/{thread}/steps/{step:number}", step),
]
