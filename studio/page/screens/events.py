"""Server-Sent Events that say that something new is saved; the page then fetches itself.

An event's id is the mark of what it is about, so a browser that connects again says what it knows and hears at once
whether that is still so.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ..live import Live, News

_RETRY = 1000
"""Milliseconds after which a browser connects again."""
_MOST = 64
"""The number of runs that one connection follows at most."""
_HEADERS = {"content-type": "text/event-stream; charset=utf-8", "x-accel-buffering": "no"}


class EventStream(Response):
    """A response of events, which ends as soon as the browser is gone or the server stops."""

    def __init__(self, news: AsyncGenerator[News | None]) -> None:
        super().__init__(headers=_HEADERS)
        # Made for a body that is whole.
        del self.headers["content-length"]
        self._news = news

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until one side ends."""
        sending = asyncio.ensure_future(self._send(send))
        leaving = asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, leaving):
                task.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)
            await self._news.aclose()

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": f"retry: {_RETRY}\n\n".encode(), "more_body": True})
        with contextlib.suppress(OSError):
            async for news in self._news:
                await send({"type": "http.response.body", "body": encoded(news), "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def encoded(news: News | None) -> bytes:
    """Return an event as it is sent; a comment for None."""
    if news is None:
        return b": still here\n\n"
    # JSON in ASCII has no line ends and no lone surrogates, whatever the name of the run.
    data = json.dumps({"run": news.name, "mark": news.mark})
    return f"id: {news.mark}\nevent: news\ndata: {data}\n\n".encode()


async def of_run(request: Request) -> Response:
    """Follow one run."""
    name = str(request.path_params["thread"])
    known = request.headers.get("last-event-id") or request.query_params.get("since", "")
    return _stream(request, {name: known})


async def of_home(request: Request) -> Response:
    """Follow the runs of the home as a whole; with `run` these runs, and with an empty one the home.

    `since` has the mark that is known of each, in the same order.
    """
    runs, since = request.query_params.getlist("run"), request.query_params.getlist("since")
    if not runs:
        return _stream(request, {"": request.headers.get("last-event-id") or "".join(since[:1])})
    marks = [*since, *[""] * len(runs)]
    return _stream(request, dict(zip(runs[:_MOST], marks, strict=False)))


def _stream(request: Request, known: dict[str, str]) -> EventStream:
    live: Live = request.app.state.live
    return EventStream(live.follow(known))


ROUTES = [Route("/events", of_home), Route("/runs/{thread}/events", of_run)]
