"""A chat completions server that answers from two functions, and lies, hangs or breaks off on demand.

In tests: `with ScriptedServer(root=…, sub=…) as server: … server.base_url …` (or `async with`).
As a program, for demos and trials in a real terminal, with a script as `scripted:PATH` models have it:

    python tests/servers/openai_server.py --script FILE --port 8000 [--latency 0.5]
"""

import argparse
import asyncio
import inspect
import json
import runpy
import signal
import socket
import struct
import sys
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self, cast

from aiohttp import web

Body = dict[str, Any]
FaultKind = Literal[
    "status",  # `status`, `headers`, and `text` as the error's message
    "garbage",  # 200, JSON content type, not JSON
    "html",  # 200, a web page
    "nothing",  # 200, JSON content type, no body
    "empty",  # a proper reply without text
    "refusal",  # a proper reply that refuses, in the words of `text`
    "length",  # the usual reply, cut: finish_reason "length"
    "no_usage",  # the usual reply without token counts
    "reset",  # the connection is reset after `after` bytes of the reply; 0: before it begins
    "hang",  # nothing until `release()`; then the usual reply
    "raw",  # 200, JSON content type, `text` as the body
]


@dataclass
class Fault:
    """One thing to do wrong: for the requests of these numbers (from 1), or where `when` says so, or for all."""

    kind: FaultKind
    requests: Collection[int] | None = None
    when: Callable[[Body], bool] | None = None
    times: int | None = None
    """How often it happens at most; None: always."""
    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    text: str = "injected fault"
    after: int = 0

    def applies(self, number: int, body: Body) -> bool:
        """Whether it happens to this request; counts itself down."""
        hit = (self.requests is None or number in self.requests) and (self.when is None or self.when(body))
        if not hit or self.times == 0:
            return False
        if self.times is not None:
            self.times -= 1
        return True


@dataclass(frozen=True)
class Seen:
    """A request as it arrived."""

    number: int
    body: Body
    headers: Mapping[str, str]

    @property
    def messages(self) -> list[dict[str, str]]:
        """The conversation that was sent."""
        return self.body["messages"]


def looks_like_root(body: Body) -> bool:
    """By the model's name, `root…` or `sub…`; else by a system message that explains how to end with FINAL."""
    name = str(body.get("model", ""))
    if "root" in name or "sub" in name:
        return "root" in name
    first = body["messages"][0]
    return first["role"] == "system" and "FINAL" in first["content"]


_BODIES = {
    "garbage": ('{"choices": [{"mess', "application/json"),
    "html": ("<!doctype html><p>Welcome to nginx!", "text/html"),
    "nothing": ("", "application/json"),
}


def _root(messages: list[dict[str, str]]) -> str:
    return "root"


def _sub(prompt: str) -> str:
    return "sub"


class ScriptedServer:
    """An OpenAI-compatible server on 127.0.0.1, in a thread of its own; a context manager, sync and async.

    `root` and `sub` may be async; else they run on the server's loop, so let them be quick (`latency` waits).
    What they raise is answered with status 500.
    """

    def __init__(
        self,
        root: Callable[[list[dict[str, str]]], Any] | None = None,
        sub: Callable[[str], Any] | None = None,
        *,
        is_root: Callable[[Body], bool] = looks_like_root,
        latency: float = 0.0,
        faults: Sequence[Fault] = (),
        port: int = 0,
    ) -> None:
        self.root = root or _root
        self.sub = sub or _sub
        self.is_root = is_root
        self.latency = latency
        """Seconds before each reply."""
        self.faults = list(faults)
        self.requests: list[Seen] = []
        """In order of arrival."""
        self.in_flight = 0
        self.peak = 0
        """The most requests that were in flight at once."""
        self.port = port
        self._arrival = threading.Condition()
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="ScriptedServer", daemon=True)

    @property
    def base_url(self) -> str:
        """What `--base-url` takes."""
        return f"http://127.0.0.1:{self.port}/v1"

    def release(self) -> None:
        """Let every request that hangs now, and those to come, be answered."""
        self._loop.call_soon_threadsafe(self._released.set)

    def wait_for(self, in_flight: int) -> None:
        """Block until so many requests are in flight; in async tests call it in a thread."""
        with self._arrival:
            if not self._arrival.wait_for(lambda: self.in_flight >= in_flight, 30):
                raise TimeoutError(f"{self.in_flight} requests are in flight, not {in_flight}")

    def start(self) -> None:
        """Listen; returns when connections are accepted."""
        self._thread.start()
        if not self._started.wait(10):
            raise RuntimeError("the scripted server did not start")

    def stop(self) -> None:
        """Break off what is in flight and end the thread."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(10)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await asyncio.to_thread(self.stop)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._released, self._stopping = asyncio.Event(), asyncio.Event()
        app = web.Application(client_max_size=1 << 30)
        app.router.add_post("/v1/chat/completions", self._completions)
        app.router.add_get("/v1/models", self._models)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port, backlog=2048)
        await site.start()
        self.port = cast("Any", site)._server.sockets[0].getsockname()[1]
        self._started.set()
        await self._stopping.wait()
        await runner.cleanup()

    async def _models(self, request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "scripted", "object": "model"}]})

    async def _completions(self, request: web.Request) -> web.StreamResponse:
        body = cast("Body", await request.json())
        seen = Seen(len(self.requests) + 1, body, {name.lower(): value for name, value in request.headers.items()})
        self.requests.append(seen)
        with self._arrival:
            self.in_flight += 1
            self.peak = max(self.peak, self.in_flight)
            self._arrival.notify_all()
        try:
            if self.latency:
                await asyncio.sleep(self.latency)
            fault = next((fault for fault in self.faults if fault.applies(seen.number, body)), None)
            return await self._reply(request, body, fault)
        finally:
            self.in_flight -= 1

    async def _reply(self, request: web.Request, body: Body, fault: Fault | None) -> web.StreamResponse:
        kind = fault.kind if fault else None
        text = fault.text if fault else ""
        if kind in _BODIES or kind == "raw":
            content, content_type = _BODIES.get(kind, (text, "application/json"))
            return web.Response(text=content, content_type=content_type)
        if fault and kind == "status":
            return web.json_response({"error": {"message": text}}, status=fault.status, headers=fault.headers)
        if fault and kind == "reset" and not fault.after:
            return _break_off(request)
        if kind == "hang":
            await self._released.wait()
        try:
            answer = await self._answer(body)
        except Exception as error:
            return web.json_response({"error": {"message": f"the script raised {error!r}"}}, status=500)
        completion = _completion(body, answer, kind, text)
        if body.get("stream"):
            return web.Response(body=_events(completion), content_type="text/event-stream")
        payload = json.dumps(completion).encode()
        if fault and kind == "reset":
            response = web.StreamResponse(headers={"Content-Length": str(len(payload))})
            response.content_type = "application/json"
            await response.prepare(request)
            await response.write(payload[: fault.after])
            return _break_off(request, response)
        return web.Response(body=payload, content_type="application/json")

    async def _answer(self, body: Body) -> str:
        messages = body["messages"]
        if self.is_root(body):
            answer = self.root(messages)
        else:
            prompts = [message["content"] for message in messages if message["role"] == "user"]
            answer = self.sub(prompts[-1] if prompts else "")
        return await answer if inspect.isawaitable(answer) else answer


def _break_off(request: web.Request, response: web.StreamResponse | None = None) -> web.StreamResponse:
    """Close the connection now: with a reset (RST), unless part of a reply is still on its way."""
    if transport := request.transport:
        if response is None:
            link = cast("socket.socket", transport.get_extra_info("socket"))
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return response or web.Response()


def _completion(body: Body, answer: str, kind: FaultKind | None, text: str) -> Body:
    message: Body = {"role": "assistant", "content": "" if kind == "empty" else answer}
    if kind == "refusal":
        message = {"role": "assistant", "content": None, "refusal": text}
    tokens = len(json.dumps(body["messages"])) // 4, len(answer) // 4 + 1
    usage = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)}
    return {
        "id": "chatcmpl-scripted",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": body.get("model"),
        "choices": [{"index": 0, "message": message, "finish_reason": "length" if kind == "length" else "stop"}],
        **({} if kind == "no_usage" else {"usage": usage}),
    }


def _events(completion: Body) -> bytes:
    """The same reply as server-sent events, for clients that ask for a stream."""
    choice = completion["choices"][0]
    head = {**completion, "object": "chat.completion.chunk", "usage": None}
    chunks = [
        {**head, "choices": [{"index": 0, "delta": choice["message"], "finish_reason": None}]},
        {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]},
        {**head, "choices": [], "usage": completion.get("usage")},
    ]
    return b"".join(b"data: %s\n\n" % json.dumps(chunk).encode() for chunk in chunks) + b"data: [DONE]\n\n"


_ENDING = {signal.SIGINT, signal.SIGTERM}


def main() -> None:
    """Serve a script's `root` and `sub` until Ctrl-C."""
    parser = argparse.ArgumentParser(description="A scripted OpenAI-compatible server, on 127.0.0.1.")
    parser.add_argument("--script", required=True, help="a Python file that defines root(messages) and sub(prompt)")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each reply")
    options = parser.parse_args()
    # Blocked before any thread starts: else a signal may end the program by an exception instead.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    script = runpy.run_path(options.script)
    with ScriptedServer(script["root"], script["sub"], latency=options.latency, port=options.port) as server:
        sys.stdout.write(f"{server.base_url}\n")
        sys.stdout.flush()
        signal.sigwait(_ENDING)


if __name__ == "__main__":
    main()
