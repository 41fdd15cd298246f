"""The review screen: what a run waits for, whole, and the decision, which is bound to what was shown."""

import contextlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from ....graph.waiting_requests import WaitingRequest, waiting_requests
from ....state.errors import UsageError
from ...approval.requests import KINDS, Kind
from ..forms import field, problem_of, program_of, read_form, to_run
from ..frame import framed, thread_of
from ..home import PageHome, home_of
from ..rendering import render
from ..reviews import CALLS_A_PAGE, MOST_CODE, MOST_SHOWN, ShownRequest, decision_flags, facts_of, shown_request

_MOST_WORDS = 100_000


async def review(request: HttpRequest) -> Response:
    """Return the requests of a run that waits; sent, decide one of them and let the run go on by itself."""
    home = await home_of(request)
    name = await home.queries.resolve(thread_of(request))
    waiting = await waiting_requests(home.checkpoints, name)
    if request.method == "GET":
        return await _shown(request, home, waiting)
    form = await read_form(request)
    typed = {one: field(form, one) for one in ("interrupt", "shown", "words", "edited", "decision")}
    chosen = next((one for one in waiting if one.id == typed["interrupt"]), None)
    if chosen is None or chosen.shown != typed["shown"]:
        said = "Nothing was decided: what you were shown does not wait any more."
        problem = {"said": said, "hint": "What waits now stands below; what you typed is kept." if waiting else ""}
        return await _shown(request, home, waiting, problem=problem, typed=typed, status=409)
    try:
        kind = _kind(typed["decision"])
        if len(typed["words"].encode("utf-8", "surrogatepass")) > _MOST_WORDS:
            raise UsageError("That is too long for this form.", hint="`rlm review` takes it.")
        with _file(kind, typed["edited"], chosen) as file:
            flags = decision_flags(kind, typed["words"], chosen, file)
            outcome = await program_of(request).call("review", *flags, arguments=[name])
    except UsageError as error:
        problem = {"said": error.message, "hint": error.hint}
        return await _shown(request, home, waiting, problem=problem, typed=typed, status=422)
    if outcome.code != 3 and (problem := problem_of(outcome)):
        waiting = await waiting_requests(home.checkpoints, name)
        return await _shown(request, home, waiting, problem=problem, typed=typed, status=409)
    return to_run(request, name)


def _kind(word: str) -> Kind:
    if word not in KINDS:
        raise UsageError("There is no decision of that name.", hint="Choose one of the buttons.")
    return word


@contextlib.contextmanager
def _file(kind: Kind, text: str, waiting: WaitingRequest) -> Any:
    """Write an edit into a file; yield its path, or None for other decisions."""
    if kind != "edit":
        yield None
        return
    suffix = "py" if waiting.actions[0].name == "execute_code" else "json"
    with tempfile.TemporaryDirectory(prefix="rlm-page-") as folder:
        path = Path(folder) / f"edited.{suffix}"
        path.write_text(text, "utf-8", "surrogatepass")
        yield str(path)


async def _shown(
    request: HttpRequest,
    home: PageHome,
    waiting: list[WaitingRequest],
    *,
    problem: Mapping[str, Any] | None = None,
    typed: Mapping[str, str] | None = None,
    status: int = 200,
) -> Response:
    page = _page_of(request)
    asked: list[tuple[WaitingRequest, list[ShownRequest]]] = []
    for one in waiting:
        asked.append((one, [await shown_request(home, action, page) for action in one.actions]))
    last = max([1, *(-(-found.count // CALLS_A_PAGE) for _, shown in asked for found in shown)])
    frame = await framed(home, request, "review")
    return render(
        request,
        "review.html",
        status=status,
        **frame,
        asked=asked,
        page=page,
        last=last,
        per=CALLS_A_PAGE,
        most_shown=MOST_SHOWN,
        most_written=MOST_CODE,
        problem=problem,
        typed=typed or {},
        facts_of=facts_of,
    )


def _page_of(request: HttpRequest) -> int:
    given = request.query_params.get("page", "1")
    return min(max(1, int(given)), 1_000_000) if given.isdecimal() and len(given) < 8 else 1


ROUTES = [Route("/runs/{thread}/review", review, methods=["GET", "POST"])]
