"""Forms that stop, resume and delete a run."""

from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from ....state.setting_specs import SETTINGS
from ..forms import (
    changed_since,
    field,
    problem_of,
    program_of,
    read_form,
    standing_of,
    to_run,
)
from ..frame import framed, thread_of
from ..home import PageHome, home_of
from ..rendering import address, render

LIMITS = ("max_turns", "max_calls", "max_tokens", "max_cost", "max_time")
"""The limits that a resume raises, in the order of the form."""


async def _shown(
    request: Request, home: PageHome, action: str, *, problem: Any = None, typed: Any = None, status: int = 200
) -> Response:
    """Return the form of an action, with what was typed before and why that was not done."""
    frame = await framed(home, request, action)
    name: str = frame["run"]["thread_id"]
    typed = typed or {}
    below = await home.queries.count_below(name)
    limits = [(SETTINGS[one], frame["run"]["limits"].get(one), typed.get(one, "")) for one in LIMITS]
    standing = await standing_of(home, name)
    return render(
        request,
        f"{action}.html",
        status=status,
        **frame,
        below=below,
        limits=limits,
        standing=standing,
        problem=problem,
    )


async def _refused(request: Request, home: PageHome, form: Any, action: str) -> Response | None:
    """Return the form again when the run has changed since it was filled in."""
    said = changed_since(field(form, "standing"), await standing_of(home, thread_of(request)))
    if said is None:
        return None
    typed = {name: field(form, name) for name in LIMITS}
    return await _shown(request, home, action, problem={"said": said, "hint": ""}, typed=typed, status=409)


async def stop(request: Request) -> Response:
    """Return the form that stops a run; sent, stop it."""
    home = await home_of(request)
    if request.method == "GET":
        return await _shown(request, home, "stop")
    await read_form(request)
    # Not bound to a step: a run goes on while somebody decides to stop it.
    outcome = await program_of(request).call("stop", arguments=[thread_of(request)])
    if problem := problem_of(outcome):
        return await _shown(request, home, "stop", problem=problem, status=409)
    return to_run(request)


async def resume(request: Request) -> Response:
    """Return the form that resumes a run, with limits to raise; sent, resume it in a process of its own."""
    home = await home_of(request)
    if request.method == "GET":
        return await _shown(request, home, "resume")
    form = await read_form(request)
    if refused := await _refused(request, home, form, "resume"):
        return refused
    typed = {name: field(form, name).strip() for name in LIMITS}
    words = [f"--{name.replace('_', '-')}={value}" for name, value in typed.items() if value]
    outcome = await program_of(request).call("resume", "--detach", *words, arguments=[thread_of(request)])
    if outcome.thread is None and (problem := problem_of(outcome)):
        return await _shown(request, home, "resume", problem=problem, typed=typed, status=422)
    return to_run(request)


async def delete(request: Request) -> Response:
    """Return the form that deletes a run, saying what goes; sent, delete it."""
    home = await home_of(request)
    if request.method == "GET":
        return await _shown(request, home, "delete")
    form = await read_form(request)
    if refused := await _refused(request, home, form, "delete"):
        return refused
    outcome = await program_of(request).call("delete", "--yes", arguments=[thread_of(request)])
    if problem := problem_of(outcome):
        return await _shown(request, home, "delete", problem=problem, status=409)
    return RedirectResponse(address(request), status_code=303)


ROUTES = [
    Route("/runs/{thread}/stop", stop, methods=["GET", "POST"]),
    Route("/runs/{thread}/resume", resume, methods=["GET", "POST"]),
    Route("/runs/{thread}/delete", delete, methods=["GET", "POST"]),
]
