"""A server on loopback that records each request and answers with what a test has prepared."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web


@dataclass(frozen=True)
class Received:
    """One request as it arrived."""

    path: str
    headers: Mapping[str, str]
    """By names in lower case."""
    body: dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """One reply: a JSON object, or the text of one."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    content_type: str = "application/json"


class Stub:
    """The server; an async context manager. Each answer is given once, the last one for all later requests."""

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.answers: list[Answer] = []
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=1 << 24)
        app.router.add_route("*", "/{path:.*}", self._answer)
        # Without its own handling of signals, which belong to pytest.
        self._runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append(Received(request.path, headers, json.loads(await request.text() or "{}")))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
        return web.Response(text=text, status=answer.status, headers=answer.headers, content_type=answer.content_type)

    @property
    def body(self) -> dict[str, Any]:
        """The body of the last request."""
        return self.requests[-1].body
