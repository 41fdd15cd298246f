"""The application that LangGraph's server takes in (`http.app`): the guard before all of its routes, and our own.

LangGraph adds its routes to this application and leaves its middleware outermost, so that the guard stands before
every route; `tests/e2e/server_safety` asks each of them without a token.

The page of `rlm view` is mounted below `/rlm`. A client whose request cannot be done gets the same sentence as on the
command line.
"""

import os
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route

from ...graph.serve import opened_runner
from ...state.errors import LeaseLost, RlmError, RunBusy, ThreadExists, UnknownThread, UsageError
from ...state.open_home import DEFAULT_HOME
from ..page.app import create_app
from ..page.home import HomeOpener
from ..serving.guard import Guard
from ..serving.token import current_access
from .langgraph_api_compat import mount_prefix
from .shutdown import stop_runs
from .thread_sync import keep_known

ENTRANCE = "/rlm"
"""The page whose URL, with the token, is printed at the start."""
_opener = HomeOpener(Path(os.environ.get("RLM_HOME") or DEFAULT_HOME))
page = create_app(_opener)
"""The page of the same home as `rlm view` serves it, over the stores of the runner."""


async def refused(request: Request, error: Exception) -> Response:
    """Return one of our errors in LangGraph's form."""
    del request
    facts = {"hint": error.hint, "error": error.type} if isinstance(error, RlmError) else {}
    return JSONResponse({"detail": str(error), **facts}, status_code=_status(error))


def _status(error: Exception) -> HTTPStatus:
    match error:
        case UnknownThread():
            return HTTPStatus.NOT_FOUND
        case RunBusy() | LeaseLost() | ThreadExists():
            return HTTPStatus.CONFLICT
        case RlmError(exit_code=2):
            return HTTPStatus.UNPROCESSABLE_ENTITY
        case _:
            return HTTPStatus.INTERNAL_SERVER_ERROR


async def entrance(request: Request) -> Response:
    """Lead to the page."""
    query = request.url.query
    return RedirectResponse(f"{ENTRANCE}/{'?' if query else ''}{query}", 303)


async def root(request: Request) -> Response:
    """Lead a browser to the page, and tell anything else that the server is well, as LangGraph's own route does."""
    if "text/html" in request.headers.get("accept", ""):
        return await entrance(request)
    return JSONResponse({"ok": True})


def end_streams() -> None:
    """End the page's streams of events: the server stops, and would wait for them."""
    page.state.live.end()


@asynccontextmanager
async def lifespan(application: Starlette) -> AsyncGenerator[None]:
    """Run beside the server: entered once LangGraph has loaded the graph, left while it still answers."""
    _not_below_a_prefix()
    async with AsyncExitStack() as living:
        living.push_async_callback(stop_runs, application, current_access())
        runner = await opened_runner()
        await living.enter_async_context(keep_known(runner))
        _opener.share(runner.stores)
        await living.enter_async_context(page.router.lifespan_context(page))
        _announce_token()
        yield


def _not_below_a_prefix() -> None:
    """Raises UsageError where LangGraph puts another application before this one, with routes that nothing guards."""
    if prefix := mount_prefix():
        raise UsageError(f"This server cannot be put below {prefix}.", hint="Unset MOUNT_PREFIX.")


def _announce_token() -> None:
    access = current_access()
    if not access.announced:
        sys.stderr.write(
            f"rlm: this server wants a token with every request: {access.token}\n"
            f"rlm: send it as `x-api-key`, or open {ENTRANCE}?token={access.token} on it. "
            "RLM_SERVER_TOKEN names another one.\n"
        )


app = Starlette(
    routes=[
        Route("/", root, methods=["GET"], include_in_schema=False),
        Route(ENTRANCE, entrance, methods=["GET"], include_in_schema=False),
        Mount(ENTRANCE, page),
    ],
    middleware=[Middleware(cast(Any, Guard), pages=ENTRANCE)],
    exception_handlers={RlmError: refused},
    lifespan=lifespan,
)
