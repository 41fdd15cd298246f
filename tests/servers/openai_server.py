"""A chat completions server that answers from two functions, and has faults on demand.

In tests: `with ScriptedServer(root=…, sub=…) as server: … server.base_url …` (or `async with`). It records each request
and what would be billed for it. `python -m tests.servers` runs one as a program.
"""

import asyncio
import contextlib
import inspect
import json
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self, cast

from aiohttp import web

from tests.servers.faults import Fault, FaultKind, chance
from tests.servers.received import Body, Seen, Tokens, longest_answer, prompt_of, tokens_of


def looks_like_root(body: Body) -> bool:
    """Decide by the model's name, `root…` or `sub…`; else by a system message that explains how to end with FINAL."""
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

    `root` and `sub` may be async; else they run on the server's loop and have to be quick (`latency` waits).
    An exception that they raise is answered with status 500.
    """

    def __init__(
        self,
        root: Callable[[list[dict[str, str]]], Any] | None = None,
        sub: Callable[[str], Any] | None = None,
        *,
        is_root: Callable[[Body], bool] = looks_like_root,
        latency: float = 0.0,
        jitter: float = 0.0,
        seed: int = 0,
        cuts: bool = False,
        faults: Sequence[Fault] = (),
        port: int = 0,
    ) -> None:
        self.root = root or _root
        self.sub = sub or _sub
        self.is_root = is_root
        self.latency = latency
        """Seconds before each reply."""
        self.jitter = jitter
        """The most seconds that are added to it; the seed and the prompt decide how many."""
        self.seed = seed
        self.cuts = cuts
        """True if replies are cut to the output limit of their request, as a model's are."""
        self.faults = list(faults)
        self.requests: list[Seen] = []
        """The requests, in order of arrival."""
        self.in_flight = 0
        self.peak = 0
        """The most requests that were in flight at once."""
        self.port = port
        self._asked: Counter[str] = Counter()
        self._arrival = threading.Condition()
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="ScriptedServer", daemon=True)

    @property
    def base_url(self) -> str:
        """The value for `--base-url`."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def asked(self) -> Counter[str]:
        """The number of times that each prompt of a sub-call was received."""
        return Counter(seen.prompt for seen in self.requests if not self.is_root(seen.body))

    @property
    def billed(self) -> Tokens:
        """The tokens that a provider would bill, including those of replies that did not get through."""
        taken = [seen.billed for seen in self.requests]
        return Tokens(sum(one.input for one in taken), sum(one.output for one in taken))

    def release(self) -> None:
        """Answer every request that hangs, now and later."""
        self._loop.call_soon_threadsafe(self._released.set)

    def wait_for(self, in_flight: int) -> None:
        """Block until so many requests are in flight; async tests call it in a thread."""
        with self._arrival:
            if not self._arrival.wait_for(lambda: self.in_flight >= in_flight, 30):
                raise TimeoutError(f"{self.in_flight} requests are in flight, not {in_flight}")

    def wait_until_idle(self) -> None:
        """Block until no request is in flight; async tests call it in a thread."""
        with self._arrival:
            if not self._arrival.wait_for(lambda: not self.in_flight, 30):
                raise TimeoutError(f"{self.in_flight} requests are in flight")

    def start(self) -> None:
        """Listen; returns when connections are accepted."""
        self._thread.start()
        if not self._started.wait(10):
            raise RuntimeError("the scripted server did not start")

    def stop(self) -> None:
        """Break off the requests in flight and end the thread."""
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
        seen = self._received(body, request)
        try:
            if wait := self._wait(seen):
                await asyncio.sleep(wait)
            fault = next((fault for fault in self.faults if fault.applies(seen, self.seed)), None)
            return await self._reply(request, seen, fault)
        finally:
            with self._arrival:
                self.in_flight -= 1
                self._arrival.notify_all()

    def _received(self, body: Body, request: web.Request) -> Seen:
        prompt = prompt_of(body)
        self._asked[prompt] += 1
        headers = {name.lower(): value for name, value in request.headers.items()}
        peer = request.transport and request.transport.get_extra_info("peername")
        seen = Seen(len(self.requests) + 1, body, headers, self._asked[prompt], peer)
        self.requests.append(seen)
        with self._arrival:
            self.in_flight += 1
            self.peak = max(self.peak, self.in_flight)
            self._arrival.notify_all()
        return seen

    def _wait(self, seen: Seen) -> float:
        if not self.jitter:
            return self.latency
        return self.latency + self.jitter * chance(self.seed, seen.nth, seen.prompt)

    async def _reply(self, request: web.Request, seen: Seen, fault: Fault | None) -> web.StreamResponse:
        kind = fault.kind if fault else None
        text = fault.text if fault else ""
        if kind in _BODIES or kind == "raw":
            content, content_type = _BODIES.get(kind, (text, "application/json"))
            return web.Response(text=content, content_type=content_type)
        if fault and kind == "status":
            return web.json_response({"error": {"message": text}}, status=fault.status, headers=fault.headers)
        if fault and kind == "reset" and not fault.after:
            return _break_off(request)
        if fault and kind == "endless":
            return await _without_end(request, fault.text)
        if kind == "hang":
            await self._released.wait()
        try:
            answer = await self._answer(seen.body)
        except Exception as error:
            return web.json_response({"error": {"message": f"the script raised {error!r}"}}, status=500)
        completion = self._completion(seen, answer, kind, text)
        streams = bool(seen.body.get("stream"))
        payload = _events(completion, seen.body) if streams else json.dumps(completion).encode()
        content_type = "text/event-stream" if streams else "application/json"
        if fault and kind in ("reset", "drip", "stall"):
            return await _in_pieces(request, payload, content_type, fault, self._released)
        return web.Response(body=payload, content_type=content_type)

    def _completion(self, seen: Seen, answer: str, kind: FaultKind | None, text: str) -> Body:
        limit = seen.output_limit
        cut = self.cuts and limit is not None and len(answer) > longest_answer(limit)
        if cut:
            answer = answer[: longest_answer(limit or 0)]
        tokens = seen.billed = tokens_of(seen.messages, answer)
        message: Body = {"role": "assistant", "content": "" if kind == "empty" else answer}
        if kind == "refusal":
            message = {"role": "assistant", "content": None, "refusal": text}
        finish = "length" if cut or kind == "length" else "stop"
        usage = {"prompt_tokens": tokens.input, "completion_tokens": tokens.output, "total_tokens": tokens.total}
        return {
            "id": "chatcmpl-scripted",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": seen.body.get("model"),
            "choices": [{"index": 0, "message": message, "finish_reason": finish}],
            **({} if kind == "no_usage" else {"usage": usage}),
        }

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


async def _in_pieces(
    request: web.Request, payload: bytes, content_type: str, fault: Fault, released: asyncio.Event
) -> web.StreamResponse:
    """Send the reply in pieces, or up to the point where it breaks off or waits."""
    response = web.StreamResponse()
    response.content_type = content_type
    if content_type == "application/json":
        response.content_length = len(payload)
    await response.prepare(request)
    if fault.kind != "drip":
        await response.write(payload[: fault.after])
        if fault.kind == "reset":
            return _break_off(request, response)
        await released.wait()
        payload = payload[fault.after :]
    size = -(-len(payload) // fault.pieces)
    for start in range(0, len(payload), size):
        await response.write(payload[start : start + size])
        await asyncio.sleep(fault.pause)
    return response


async def _without_end(request: web.Request, text: str) -> web.StreamResponse:
    """Stream a text over and over until the client hangs up."""
    response = web.StreamResponse()
    response.content_type = "text/event-stream"
    await response.prepare(request)
    event = _event({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]})
    with contextlib.suppress(ConnectionError):
        while True:
            await response.write(event)
    return response


_PIECE = 40
"""Characters of a text in each event of a stream."""


def _events(completion: Body, body: Body) -> bytes:
    """Return the reply to the request with this body as server-sent events."""
    choice = completion["choices"][0]
    text = choice["message"]["content"] or ""
    rest = {name: value for name, value in choice["message"].items() if name != "content"}
    texts = [{"content": text[start : start + _PIECE]} for start in range(0, len(text), _PIECE)]
    head = {**completion, "object": "chat.completion.chunk", "usage": None}
    chunks = [
        *({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in (rest, *texts)),
        {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]},
    ]
    if body.get("stream_options", {}).get("include_usage"):
        chunks.append({**head, "choices": [], "usage": completion.get("usage")})
    return b"".join(map(_event, chunks)) + b"data: [DONE]\n\n"


def _event(chunk: Body) -> bytes:
    return b"data: %s\n\n" % json.dumps(chunk).encode()
