"""One turn: its messages and reply, its code and calls, its output, and the variables after it."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ....graph.one_turn import OneTurn, message_text, turn_of_run
from ....state.turn_rows import TurnRow
from ..errors import NotThere
from ..frame import framed, thread_of
from ..home import PageHome, home_of
from ..plain import whole_text
from ..rendering import render

MOST_VARIABLES = 60
"""Variables that a page of a turn shows at once."""


async def _turn(home: PageHome, request: Request) -> OneTurn:
    """Return the turn that a request names. Raises NotThere."""
    number = int(request.path_params["number"])
    row = await home.stores.threads.look(await home.queries.resolve(thread_of(request)))
    found = await turn_of_run(home.stores, home.checkpoints, row, number)
    if found is None:
        count = await home.stores.turn_rows.count(row.thread_id)
        raise NotThere(f"There is no turn {number}.", f"It has turns 1 to {count}." if count else "It has none yet.")
    return found


async def turn(request: Request) -> Response:
    """Return the page of a turn."""
    home = await home_of(request)
    frame = await framed(home, request, "summary")
    found = await _turn(home, request)
    given = request.query_params.get("variables", "")
    first = int(given) if given.isdecimal() and given.isascii() and len(given) < 7 else 0
    return render(
        request,
        "turn.html",
        **frame,
        turn=found,
        times=times_of(found.row, found),
        variables=found.variables[first : first + MOST_VARIABLES],
        first_variable=first,
        more_variables=first + MOST_VARIABLES if first + MOST_VARIABLES < len(found.variables) else None,
    )


def times_of(row: TurnRow, turn: OneTurn) -> dict[str, float | None]:
    """Return the seconds that the model wrote, the code ran, and of these computed itself; None where not known."""
    wrote = None if row.asked is None or row.planned is None else max(0.0, row.planned - row.asked)
    return {"wrote": wrote, "ran": turn.record.get("seconds"), "computed": row.computed}


async def output(request: Request) -> Response:
    """Return the whole output of a turn as text."""
    home = await home_of(request)
    found = await _turn(home, request)
    if found.output is None:
        raise NotThere(f"Turn {found.number} has no output.")
    return whole_text(found.output)


async def reply(request: Request) -> Response:
    """Return the whole reply of the model as text, its thoughts first."""
    home = await home_of(request)
    found = await _turn(home, request)
    name = found.record.get("reply")
    if not name:
        raise NotThere(f"Turn {found.number} has no reply yet.")
    said = await home.stores.texts.get_or_damage(name)
    return whole_text(f"{found.thoughts}\n\n{said}" if found.thoughts else said)


async def told(request: Request) -> Response:
    """Return a message that the model was sent for a turn, by its place among them, as text."""
    home = await home_of(request)
    name = await home.queries.resolve(thread_of(request))
    number, place = int(request.path_params["number"]), int(request.path_params["place"])
    count = await home.stores.turn_rows.count(name)
    found = await message_text(home.stores, name, number, place) if number <= count else None
    if found is None:
        raise NotThere(f"There is no message {place} of turn {number}.", "The page of the turn lists those there are.")
    return whole_text(found)


_ONE = "/runs/{thread}/turns/{number:number}"
ROUTES = [
    Route(_ONE, turn),
    Route(f"{_ONE}/output", output),
    Route(f"{_ONE}/reply", reply),
    Route(f"{_ONE}/told/{{place:number}}", told),
]
