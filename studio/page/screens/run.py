"""The summary of a run: its answer and what speaks for it, its time, its turns and its sub-RLMs."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ....graph.following import Look
from ....graph.run_times import ChildRun, RunTimes, children_page, count_children, forks_of, run_times
from ....graph.saved_answers import ShownAnswer, StoredFile, answer_pieces, shown_answer
from ....state.errors import StoreError
from ....state.records import AnswerRef
from ....state.saved_turns import last_saved
from ....state.stores import Stores
from ....state.turn_rows import TurnRow
from ....state.wording import counted
from ..answer_view import Cites, answer_view
from ..believed import Believed, believed
from ..coverage_cache import coverages_of
from ..errors import NotThere
from ..frame import framed, thread_of
from ..home import PageHome, home_of
from ..pictures.coverage_bar import coverage_bar
from ..pictures.scale import Scale
from ..pictures.spend import Spend, spend_picture
from ..pictures.time_strip import Strip, time_strip
from ..plain import file_to_keep, text_in_pieces
from ..rendering import address, render

PER_PAGE = 100
_CHILDREN = 100


@dataclass(frozen=True)
class Ending:
    """The answer and the note that the last step of a run has."""

    answer: ShownAnswer | None
    note: str | None
    reference: AnswerRef | None
    damaged: bool
    """True when the last step is not what was saved: this is how the run was before it."""


async def ending_of(stores: Stores, thread_id: str) -> Ending:
    """Return what the last step of a run says of its end. Raises StoreError."""
    saved = await last_saved(stores.database, thread_id)
    answer: AnswerRef | None = saved.values.get("answer")
    damaged = saved.last > 0 and (not saved.steps or saved.steps[0].step.step != saved.last)
    shown = await shown_answer(stores, answer) if answer else None
    return Ending(shown, saved.values.get("note"), answer, damaged)


@dataclass(frozen=True)
class Pages:
    """The turns that a screen lists, and the pages beside it."""

    turns: Sequence[TurnRow]
    first: int
    last: int
    count: int
    zoomed: bool
    """True when the pictures are of these turns alone."""

    @property
    def before(self) -> int | None:
        """The first turn of the page before it; None for the first page."""
        return max(1, self.first - PER_PAGE) if self.first > 1 else None

    @property
    def after(self) -> int | None:
        """The first turn of the page after it; None for the last page."""
        return self.last + 1 if self.last < self.count else None


async def run(request: Request) -> Response:
    """Return the summary of a run."""
    home = await home_of(request)
    frame = await framed(home, request, "summary")
    about, stores = frame["run"], home.stores
    name: str = about["thread_id"]
    row = await stores.threads.look(name)
    alive = about["status"] == "busy"
    ending = await ending_of(stores, name)
    times = await run_times(stores, row, alive=alive)
    pages = _pages(request, times, alive=alive)
    picture = await run_times(stores, row, alive=alive, first=pages.first, last=pages.last) if pages.zoomed else times
    href = partial(address, request)
    coverage = await coverages_of(request).look(home, name)
    citations = ending.answer.citations if ending.answer else []
    facts = await believed(stores, name, times.turns, citations, await forks_of(stores, name), coverage)
    cites = Cites(citations, href, name)
    return render(
        request,
        "run.html",
        **frame,
        ending=ending,
        answer=answer_view(ending.answer, cites) if ending.answer else None,
        cites=cites,
        facts=facts,
        bar=_bar(facts),
        waits=await waits_for(home, name) if about["status"] == "paused" else [],
        doing=await doing_now(home, name) if alive else None,
        pages=pages,
        **pictures(picture, href, about, part=pages.zoomed),
        **await _children(request, stores, name),
    )


def pictures(
    times: RunTimes, href: Any, about: dict[str, Any], *, part: bool = False
) -> dict[str, Strip | Spend | None]:
    """Return the pictures of the times of a run, or of a part of them, as the template takes them."""
    scale = Scale(times)
    spend = spend_picture(times, scale, about["limits"], None if part else about["usage"])
    return {"strip": time_strip(times, href, about["thread_id"], scale), "spend": spend}


def _bar(facts: Believed) -> Any:
    return coverage_bar(facts.seen.parts, "Where in the input models looked") if facts.seen else ""


def _pages(request: Request, times: RunTimes, *, alive: bool) -> Pages:
    count = len(times.turns)
    last_page = max(1, count - PER_PAGE + 1) if alive else 1
    first = _number(request, "from") or last_page
    last = _number(request, "to")
    if first > max(1, count):
        there = f"It has turns 1 to {count}." if count else "It has none yet."
        raise NotThere(f"There is no turn {first}.", there)
    zoomed = last is not None and last >= first
    end = min(first + PER_PAGE - 1, count)
    return Pages([turn for turn in times.turns if first <= turn.turn <= end], first, end, count, zoomed)


def _number(request: Request, name: str) -> int | None:
    given = request.query_params.get(name, "")
    return int(given) if given.isdecimal() and given.isascii() and 0 < len(given) < 10 and int(given) else None


async def waits_for(home: PageHome, name: str) -> list[str]:
    """Return a sentence for each request of a run that waits for a person; none where they cannot be read."""
    try:
        state = await home.checkpoints.aget_state({"configurable": {"thread_id": name}})
    except StoreError:
        return []
    requests = [one.value for one in state.interrupts if isinstance(one.value, dict)]
    actions = [action for one in requests for action in one.get("action_requests") or ()]
    return [str(action.get("description") or "It asks for a decision.").split("\n", 1)[0] for action in actions]


async def doing_now(home: PageHome, name: str) -> dict[str, Any] | None:
    """Return what a live run does now, in words and numbers; None where that cannot be read."""
    try:
        look = await (await home.queries.following(name, home.checkpoints, most=0)).now()
    except StoreError:
        return None
    return None if look is None else {"words": _doing(look), "look": look}


def _doing(look: Look) -> str:
    turn = f"turn {look.turn} of {look.max_turns}{', the last' if look.last else ''}"
    cell = look.cell
    calls = f"{cell.answered + cell.failed:,} of {counted(cell.posted, 'call')} answered"
    return {
        "starting": "It starts.",
        "whole": "The model is asked about the whole input.",
        "asking": f"The model writes {turn}.",
        "running": f"The code of {turn} runs.",
        "calling": f"The code of {turn} waits for its calls: {calls}.",
        "ending": "It has an answer, and ends.",
    }[look.doing]


async def _children(request: Request, stores: Stores, name: str) -> dict[str, Any]:
    """Return a page of the sub-RLMs of a run, and the key of the next one."""
    created, _, after = request.query_params.get("below", "").partition("~")
    try:
        place = float(created), after
    except ValueError:
        place = 0.0, ""
    found: list[ChildRun] = await children_page(stores, name, place, most=_CHILDREN + 1)
    shown = found[:_CHILDREN]
    more = f"{shown[-1].created!r}~{shown[-1].thread_id}" if len(found) > _CHILDREN else None
    return {"children": shown, "more_children": more, "count_children": await count_children(stores, name)}


async def answer(request: Request) -> Response:
    """Return the whole answer of a run as text."""
    home = await home_of(request)
    name = await home.queries.resolve(thread_of(request))
    ending = await ending_of(home.stores, name)
    if ending.reference is None:
        raise NotThere("This run has no answer.", "Its summary says how it stands.")
    return text_in_pieces(await answer_pieces(home.stores, ending.reference))


async def file(request: Request) -> Response:
    """Return a file that code has left beside the answer, by its place among them."""
    home = await home_of(request)
    name = await home.queries.resolve(thread_of(request))
    ending = await ending_of(home.stores, name)
    files: list[StoredFile] = ending.answer.files if ending.answer else []
    place = int(request.path_params["place"])
    if not 1 <= place <= len(files):
        raise NotThere(f"There is no file {place}.", f"There are {counted(len(files), 'file')} beside the answer.")
    return file_to_keep(files[place - 1].name, files[place - 1].pieces())


ROUTES = [
    Route("/runs/{thread}", run),
    Route("/runs/{thread}/answer", answer),
    Route("/runs/{thread}/files/{place:number}", file),
]
