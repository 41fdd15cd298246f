"""Errors as pages: the same sentence as on the command line, with what to do next."""

from collections.abc import Sequence
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ...graph.run_pages import near_names
from ...state.errors import LeaseLost, RlmError, RunBusy, StoreError, ThreadExists, UnknownThread
from .home import HomeOpener, NoHome
from .rendering import render


def status_of(error: RlmError) -> HTTPStatus:
    """Return the HTTP status of one of our errors."""
    match error:
        case UnknownThread() | NoHome():
            return HTTPStatus.NOT_FOUND
        case RunBusy() | LeaseLost() | ThreadExists():
            return HTTPStatus.CONFLICT
        case StoreError():
            return HTTPStatus.SERVICE_UNAVAILABLE
        case RlmError(exit_code=2):
            return HTTPStatus.UNPROCESSABLE_ENTITY
        case _:
            return HTTPStatus.INTERNAL_SERVER_ERROR


class NotThere(HTTPException):
    """A step, a call, a document or another part of a run that there is not; `hint` says which there are."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(HTTPStatus.NOT_FOUND, message)
        self.hint = hint


async def known_error(request: Request, error: Exception) -> Response:
    """Return the page of one of our errors."""
    assert isinstance(error, RlmError)
    near = await _near(request) if isinstance(error, UnknownThread) else []
    return _page(request, status_of(error), error.message, "" if near else error.hint or "", near)


async def http_error(request: Request, error: Exception) -> Response:
    """Return the page of an address that there is not, or that is asked in a way which it does not take."""
    assert isinstance(error, HTTPException)
    said = error.detail if error.detail != HTTPStatus(error.status_code).phrase else "There is no such page."
    back = _back(request) if isinstance(error, NotThere) else ()
    return _page(request, error.status_code, said, getattr(error, "hint", ""), back=back)


async def unexpected_error(request: Request, error: Exception) -> Response:
    """Return the page of a fault of this program; its traceback is for `--debug`."""
    said = f"The page met a fault of its own ({type(error).__name__}). What is saved is as it was."
    return _page(request, 500, said, "`rlm view --debug` prints where it is.")


async def _near(request: Request) -> list[str]:
    """Return the names of runs that an unknown one may have been meant for."""
    opener: HomeOpener = request.app.state.opener
    try:
        home = await opener.opened()
        return await near_names(home.stores, str(request.path_params.get("thread", "")))
    except RlmError:
        return []


_PARTS = {"calls": "Its calls", "input": "Its input", "steps": "Its steps"}


def _back(request: Request) -> list[tuple[str, tuple[str, ...]]]:
    """Return the links to the run that a request names and to the part of it that the request asked for."""
    thread = request.path_params.get("thread")
    if thread is None:
        return []
    part = str(request.scope["path"]).partition(f"/{thread}/")[2].partition("/")[0]
    links = [("The run", ("runs", str(thread)))]
    return [*links, *([(_PARTS[part], ("runs", str(thread), part))] if part in _PARTS else [])]


def _page(
    request: Request,
    status: int,
    said: str,
    hint: str,
    near: Sequence[str] = (),
    back: Sequence[tuple[str, tuple[str, ...]]] = (),
) -> Response:
    return render(request, "error.html", status=status, code=int(status), said=said, hint=hint, near=near, back=back)
