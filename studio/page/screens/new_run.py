"""The form of a new run: a question, paths or files of the browser, models, limits and gates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ....state.errors import UsageError
from ....state.setting_specs import SETTINGS, SettingSpec
from ..forms import field as text_of_field
from ..forms import program_of, read_form, to_run
from ..home import NoHome, home_of
from ..once import Sent, new_form, one_by_one
from ..program import Outcome
from ..rendering import render
from ..uploads import MOST_BYTES, Uploads

FIRST = ("model", "max_cost", "max_turns", "max_calls", "max_time")
"""Settings that the form shows at once."""
FURTHER = (
    *("sub_model", "base_url", "price", "sub_price", "option", "mode", "max_depth", "max_tokens", "concurrency"),
    *("memory", "encoding", "hidden", "require_citations"),
)
"""Settings that it shows when asked. What starts programs or lowers the sandbox is left to the command line."""
GATES = {
    "code": "before code runs",
    "calls": "before calls",
    "calls>100": "before more than 100 calls at once",
    "final": "before it answers",
    "budget": "when the budget is spent",
}
_MOST_QUESTION = 100_000
_MOST_KNOWN = 12


@dataclass(frozen=True)
class Asked:
    """The fields of the form as they were typed."""

    question: str = ""
    paths: str = ""
    name: str = ""
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    gates: Sequence[str] = ()
    upload: str = ""
    form: str = field(default_factory=new_form)

    @classmethod
    def of(cls, form: FormData) -> "Asked":
        """Return what a form has, apart from its files."""
        return cls(
            question=text_of_field(form, "question").strip(),
            paths=text_of_field(form, "paths"),
            name=text_of_field(form, "name").strip(),
            settings={name: value for name in (*FIRST, *FURTHER) if (value := text_of_field(form, name).strip())},
            gates=[gate for gate in form.getlist("approve") if isinstance(gate, str) and gate in GATES],
            upload=text_of_field(form, "upload"),
            form=text_of_field(form, "form"),
        )

    def flags(self, names: Sequence[str]) -> list[str]:
        """Return the flags of those settings that were given."""
        words: list[str] = []
        for name in names:
            spec, value = SETTINGS[name], self.settings.get(name)
            if value is not None:
                # Each line is an option of its own.
                words += [spec.flag] if spec.metavar is None else [f"{spec.flag}={one}" for one in value.split("\n")]
        return words


async def new_run(request: Request) -> Response:
    """Return the form; sent, begin the run in a process of its own, or look at what it would read."""
    if request.method == "GET":
        return await _shown(request, Asked(question=request.query_params.get("question", "")))
    _check_size(request)
    form = await read_form(request)
    asked, uploads = Asked.of(form), uploads_of(request)
    files = [file for file in form.getlist("files") if isinstance(file, UploadFile)]
    sent = _sent(asked, files)
    try:
        if not text_of_field(form, "look") and await sent.has_begun(request):
            return to_run(request, sent.thread)
        asked = replace(asked, upload=await uploads.keep(files, asked.upload))
        paths = [line.strip() for line in asked.paths.split("\n") if line.strip()]
        paths += [str(path) for path in uploads.paths(asked.upload)]
        if text_of_field(form, "look"):
            return await _looked(request, asked, paths)
        _check_question(asked.question)
    except UsageError as error:
        return await _shown(request, asked, problem={"said": error.message, "hint": error.hint}, status=422)
    words = [*asked.flags((*FIRST, *FURTHER)), *(f"--approve={gate}" for gate in asked.gates)]
    words += [f"--thread={sent.thread}"] if sent.thread else []
    async with one_by_one(request).begins(sent.thread or ""):
        if await sent.has_begun(request):
            uploads.forget(asked.upload)
            return to_run(request, sent.thread)
        outcome = await program_of(request).call("run", "--detach", *words, arguments=[asked.question, *paths])
    if outcome.thread is None or outcome.code == 2:
        return await _shown(request, asked, problem=_problem(outcome), status=422)
    uploads.forget(asked.upload)
    return to_run(request, outcome.thread)


def _sent(asked: Asked, files: Sequence[UploadFile]) -> Sent:
    """Return what was sent, with the names and sizes of the files: their texts may be large."""
    said = (asked.paths, sorted(asked.settings.items()), asked.gates, asked.upload)
    return Sent(asked.form, asked.question, (*said, [(file.filename, file.size) for file in files]), asked.name)


async def _looked(request: Request, asked: Asked, paths: Sequence[str]) -> Response:
    """Return the form with what would be read."""
    if not paths:
        raise UsageError("There is nothing to look at yet.", hint="Name paths, or choose files.")
    outcome = await program_of(request).call(
        "input", *asked.flags(("model", "price", "encoding", "hidden")), arguments=paths
    )
    found = outcome.document.get("value")
    if not isinstance(found, list):
        return await _shown(request, asked, problem=_problem(outcome), status=422)
    return await _shown(request, asked, survey=found)


def _problem(outcome: Outcome) -> dict[str, str]:
    said, hint = outcome.error or ("The run has not begun.", "")
    return {"said": said, "hint": hint}


def _check_size(request: Request) -> None:
    length = request.headers.get("content-length", "")
    if not length.isdecimal() or int(length) > MOST_BYTES:
        raise HTTPException(413, f"A form holds up to {MOST_BYTES // 1_000_000:,} MB: name the paths of larger files.")


def _check_question(question: str) -> None:
    if not question:
        raise UsageError("There is no question yet.", hint="Ask one.")
    if len(question.encode("utf-8", "surrogatepass")) > _MOST_QUESTION:
        raise UsageError("The question is too long for this form.", hint="`rlm run` takes it, or put it into a file.")


def uploads_of(request: Request) -> Uploads:
    """Return the files that browsers have sent."""
    found: Uploads = request.app.state.uploads
    return found


async def _shown(
    request: Request,
    asked: Asked,
    *,
    problem: Mapping[str, str] | None = None,
    survey: Sequence[Any] = (),
    status: int = 200,
) -> Response:
    sent = uploads_of(request).names(asked.upload)
    asked = asked if sent else replace(asked, upload="")

    def rows(names: Sequence[str]) -> list[tuple[SettingSpec, str]]:
        return [(SETTINGS[name], asked.settings.get(name, "")) for name in names]

    return render(
        request,
        "new_run.html",
        status=status,
        asked=asked,
        first=rows(FIRST),
        further=rows(FURTHER),
        gates=GATES,
        models=await _models(request),
        sent=sent,
        problem=problem,
        survey=survey,
    )


async def _models(request: Request) -> list[str]:
    """Return the models of earlier runs, the latest first."""
    try:
        stores = (await home_of(request)).stores
    except NoHome:
        return []
    latest = "SELECT model FROM threads WHERE model != '' GROUP BY model ORDER BY max(updated) DESC LIMIT ?"
    return [str(model) for [model] in await stores.database.read(latest, (_MOST_KNOWN,))]


ROUTES = [Route("/new", new_run, methods=["GET", "POST"])]
