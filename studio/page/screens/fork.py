"""Forms that go on from a step otherwise: with other code, variables, answers, or another question.

The run itself is left as it is: what goes on is a fork of it.
"""

import contextlib
import json
import tempfile
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from pathlib import Path
from typing import Any

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ....graph.fork_preview import ForkPreview, fork_preview
from ....state.errors import UsageError
from ..errors import NotThere
from ..forms import field, problem_of, program_of, read_form, to_run
from ..frame import framed, thread_of
from ..home import PageHome, home_of
from ..once import Sent, new_form, one_by_one
from ..rendering import render

MOST_VARIABLES = 3
"""Variables that one form sets."""
_MOST_QUESTION = 100_000
"""Bytes of a question that fit into a command line."""


@dataclass(frozen=True)
class Typed:
    """The fields of the form as they were typed."""

    code: str = ""
    question: str = ""
    variables: Sequence[tuple[str, str]] = (("", ""),) * MOST_VARIABLES
    call: str = ""
    answer: str = ""
    fresh: bool = False
    name: str = ""
    form: str = dataclass_field(default_factory=new_form)

    @classmethod
    def of(cls, form: FormData) -> "Typed":
        """Return what a form has."""
        pairs = [(field(form, f"set-{n}").strip(), field(form, f"to-{n}").strip()) for n in range(MOST_VARIABLES)]
        return cls(
            code=field(form, "code"),
            question=field(form, "question").strip(),
            variables=pairs,
            call=field(form, "call").strip(),
            answer=field(form, "answer"),
            fresh=field(form, "fresh") == "yes",
            name=field(form, "name").strip(),
            form=field(form, "form"),
        )


async def fork(request: Request) -> Response:
    """Return the form that goes on from a step; sent, make the fork and run it in a process of its own."""
    home = await home_of(request)
    preview = await _preview(request, home)
    if request.method == "GET":
        typed = Typed(code=preview.code or "", call=request.query_params.get("call", ""))
        return await _shown(request, home, preview, typed)
    form = await read_form(request)
    typed = Typed.of(form)
    if field(form, "checkpoint") != preview.checkpoint_id:
        said = f"Nothing was done: step {preview.step} is not the one that this was filled in on."
        return await _shown(request, home, preview, typed, problem={"said": said, "hint": "Look at it again."})
    try:
        changed = _words(preview, typed)
    except UsageError as error:
        return await _shown(request, home, preview, typed, problem={"said": error.message, "hint": error.hint})
    said = (preview.checkpoint_id, typed.code, typed.variables, typed.call, typed.answer, typed.fresh)
    sent = Sent(typed.form, typed.question or preview.thread.question, said, typed.name)
    changed += [f"--thread={sent.thread}"] if sent.thread else []
    async with one_by_one(request).begins(sent.thread or ""):
        if await sent.has_begun(request):
            return to_run(request, sent.thread)
        with _files(preview, typed) as files:
            words = [f"--step={preview.step}", "--detach", *changed, *files]
            outcome = await program_of(request).call("fork", *words, arguments=[preview.thread.thread_id])
    if outcome.thread is None or (outcome.code == 2 and outcome.error):
        problem = problem_of(outcome) or {"said": "No fork was made.", "hint": ""}
        return await _shown(request, home, preview, typed, problem=problem)
    return to_run(request, outcome.thread)


async def ask(request: Request) -> Response:
    """Return the form that asks something else with all that the run has; sent, ask it in a fork of its last step."""
    home = await home_of(request)
    name = await home.queries.resolve(thread_of(request))
    request.path_params["step"] = await home.stores.threads.last_step_number(name)
    return await fork(request)


async def _preview(request: Request, home: PageHome) -> ForkPreview:
    thread = await home.stores.threads.get(await home.queries.resolve(thread_of(request)))
    number = int(request.path_params["step"])
    try:
        return await fork_preview(home.stores, home.checkpoints, thread, number)
    except UsageError as error:
        raise NotThere(error.message, error.hint) from error


def _words(preview: ForkPreview, typed: Typed) -> list[str]:
    """Return the flags of what was typed, apart from those that name files. Raises UsageError."""
    words: list[str] = []
    for name, text in typed.variables:
        if name or text:
            words.append(f"--set={name}={_json(name, text)}")
    if typed.question:
        if len(typed.question.encode()) > _MOST_QUESTION:
            raise UsageError("The question is too long for this form.", hint="`rlm fork --question` takes it.")
        words.append(f"--question={typed.question}")
    if bool(typed.call) != bool(typed.answer.strip()):
        raise UsageError("An answer needs its call, and a call its answer.", hint="Fill in both, or neither.")
    words += ["--fresh"] if typed.fresh else []
    if preview.ended and not typed.question:
        raise UsageError("The run is answered at this step: only another question goes on.", hint="Ask one.")
    return words


def _json(name: str, text: str) -> str:
    if not name:
        raise UsageError("A value was typed without the name of its variable.", hint="Name it.")
    try:
        json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"The value of {name} is not JSON: {error}.", hint='A text stands in quotation marks: "like this".'
        ) from error
    return text


@contextlib.contextmanager
def _files(preview: ForkPreview, typed: Typed) -> Generator[list[str]]:
    """Write the code and the answer that were typed into files; yield the flags that name them."""
    with tempfile.TemporaryDirectory(prefix="rlm-page-") as folder:
        flags: list[str] = []
        if preview.code is not None and typed.code.strip() != preview.code.strip():
            path = Path(folder) / "code.py"
            path.write_text(typed.code, "utf-8", "surrogatepass")
            flags.append(f"--code={path}")
        if typed.call:
            path = Path(folder) / "answer.txt"
            path.write_text(typed.answer, "utf-8", "surrogatepass")
            flags.append(f"--answer={typed.call}={path}")
        yield flags


async def _shown(
    request: Request, home: PageHome, preview: ForkPreview, typed: Typed, *, problem: Mapping[str, Any] | None = None
) -> Response:
    name = preview.thread.thread_id
    variables = sorted(await home.queries.variables(name, home.checkpoints, preview.step))
    frame = await framed(home, request, "steps")
    status = 422 if problem else 200
    return render(
        request, "fork.html", status=status, **frame, preview=preview, typed=typed, variables=variables, problem=problem
    )


ROUTES = [
    Route("/runs/{thread}/steps/{step:number}/fork", fork, methods=["GET", "POST"]),
    Route("/runs/{thread}/ask", ask, methods=["GET", "POST"]),
]
