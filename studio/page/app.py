"""The page's application, served alone by `rlm view` and below a path by `rlm dev`."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...state.errors import RlmError
from .coverage_cache import CoverageCache
from .errors import http_error, known_error, unexpected_error
from .home import HomeOpener
from .live import Live
from .once import OneByOne
from .open_documents import OpenDocuments
from .rendering import POLICY, SCRIPTS, STATIC, STYLE_SHEET, digest_of_scripts, style_sheet
from .screens import ROUTES
from .uploads import Uploads

_FOR_A_YEAR = "private, max-age=31536000, immutable"


class PageHeaders:
    """ASGI middleware that adds the page's headers: its policy, and how long static files may be kept."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        path = str(scope["path"]).removeprefix(scope.get("root_path", ""))
        versioned = b"v=" in scope.get("query_string", b"") or path.startswith(f"/static/{SCRIPTS}/")
        lasting = versioned and path.startswith("/static/")

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["content-security-policy"] = POLICY
                headers["cache-control"] = _FOR_A_YEAR if lasting else "no-store"
                headers["x-content-type-options"] = "nosniff"
                # Not `no-referrer`: browsers then send forms without their origin, which the guard asks for.
                headers["referrer-policy"] = "same-origin"
            await send(message)

        await self._app(scope, receive, sent)


class _App(Starlette):
    """An application whose every response has the page's headers, that of an unexpected error too."""

    def build_middleware_stack(self) -> ASGIApp:
        return PageHeaders(super().build_middleware_stack())


def create_app(opener: HomeOpener) -> Starlette:
    """Return the application over a home. Its lifespan closes the home; nothing in it checks who asks."""

    # Now, because LangGraph's server forbids looking into a folder during a request.
    digest_of_scripts()
    live, uploads = Live(opener), Uploads()

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        async with opener.closing(), contextlib.aclosing(live):
            try:
                yield
            finally:
                uploads.forget_all()
                if app.state.reading is not None:
                    app.state.reading.abandon()
                    await asyncio.wait({app.state.reading.task})
                if app.state.call_search is not None:
                    app.state.call_search.close()

    app = _App(
        routes=[*ROUTES, *_STATIC],
        exception_handlers={RlmError: known_error, HTTPException: http_error, Exception: unexpected_error},
        lifespan=lifespan,
    )
    app.state.opener, app.state.live, app.state.uploads = opener, live, uploads
    app.state.coverages = CoverageCache()
    app.state.reading = app.state.call_search = None
    app.state.one_by_one = OneByOne()
    app.state.documents = OpenDocuments()
    return app


async def _style(_: Request) -> Response:
    return Response(style_sheet(), media_type="text/css")


_STATIC = [
    Route(f"/static/{STYLE_SHEET}", _style),
    Mount(f"/static/{SCRIPTS}/{{digest}}", StaticFiles(directory=STATIC / SCRIPTS)),
    Mount("/static", StaticFiles(directory=STATIC)),
]
