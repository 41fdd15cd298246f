"""A model server that costs next to nothing: it plays turns back by number and answers sub-calls with one short text.

Run by the benchmarks' own interpreter, which has uvloop and httptools: `python stub.py` prints its port, then takes
orders as lines of JSON and answers each with one. It keeps no conversations. A cell of turn N carries `#@turn=N`, and
whoever sends a history in which N is the last such mark is given turn N + 1; so a run that is started again goes on
where its own history ends. A request that has a sub-call's mark (cells put it together as they run, so that no code
has it) is a sub-call; a model without a script is asked sub-calls only.
"""

import asyncio
import json
import re
import sys
import threading
import time
from typing import Any

import httptools
import uvloop

_MODEL = re.compile(rb'"model"\s*:\s*"([^"\\]*)"')
_SUB = b"[[sub:"
_TURN = re.compile(rb"#@turn=(\d+)")
_STREAMED = re.compile(rb'"stream"\s*:\s*true')
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
_BODY = (
    b'{"id":"chatcmpl-0","object":"chat.completion","created":0,"model":"%s","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":%s},"logprobs":null,"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}}'
)


class Model:
    """What is answered, and what was asked since the last orders."""

    def __init__(self) -> None:
        self.play({})

    def play(self, orders: dict[str, Any]) -> None:
        """Take new scripts (turns by model), latencies in seconds, and forget what was asked."""
        scripts: dict[str, list[str]] = orders.get("scripts", {})
        self._turns = {name.encode(): [json.dumps(turn).encode() for turn in turns] for name, turns in scripts.items()}
        self._root_latency, self._sub_latency = orders.get("root_latency", 0.0), orders.get("sub_latency", 0.0)
        self.roots: list[tuple[str, float, float]] = []
        self._subs = 0
        self._answered = self._in_flight = self._most_in_flight = self._tokens = 0
        self._cpu = time.process_time()

    def told(self) -> dict[str, Any]:
        """Root calls as (model, when it came, when it was answered), by `time.monotonic()`; and counts."""
        return {
            "roots": self.roots,
            "subs": self._subs,
            "answered": self._answered,
            "most_in_flight": self._most_in_flight,
            "tokens": self._tokens,
            "cpu": time.process_time() - self._cpu,
        }

    def answer(self, connection: "Connection", body: bytes) -> None:
        """Reply at once, or after the latency of its kind."""
        came = time.monotonic()
        assert not _STREAMED.search(body[:4096] + body[-4096:]), "replies are not streamed here"
        named = _MODEL.search(body)
        model = named[1] if named else b""
        turns = self._turns.get(model)
        if turns is None or _SUB in body:
            self._subs += 1
            self._in_flight += 1
            self._most_in_flight = max(self._most_in_flight, self._in_flight)
            self._after(self._sub_latency, connection, self._reply(model, b'"ok"', len(body)), None)
        else:
            mark = body.rfind(b"#@turn=")
            done = int(_TURN.match(body, mark)[1]) + 1 if mark >= 0 else 0  # pyright: ignore[reportOptionalSubscript]
            reply = self._reply(model, turns[min(done, len(turns) - 1)], len(body))
            self._after(self._root_latency, connection, reply, (model.decode(), came))

    def _reply(self, model: bytes, text: bytes, asked: int) -> bytes:
        tokens, written = asked // 4, len(text) // 4 + 1
        self._tokens += tokens + written
        body = _BODY % (model, text, tokens, written, tokens + written)
        return _HEAD % len(body) + body

    def _after(self, seconds: float, connection: "Connection", reply: bytes, root: tuple[str, float] | None) -> None:
        def send() -> None:
            if not connection.transport.is_closing():
                connection.transport.write(reply)
                self._answered += 1
            if root:
                self.roots.append((*root, time.monotonic()))
            else:
                self._in_flight -= 1

        if seconds:
            asyncio.get_running_loop().call_later(seconds, send)
        else:
            send()


class Connection(asyncio.Protocol):
    """One client. The names of its methods are asyncio's and httptools'."""

    transport: asyncio.Transport

    def __init__(self, model: Model) -> None:
        self._model = model
        self._parser = httptools.HttpRequestParser(self)
        self._body: list[bytes] = []

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        body, self._body = b"".join(self._body), []
        self._model.answer(self, body)


async def _serve() -> None:
    loop, model = asyncio.get_running_loop(), Model()
    server = await loop.create_server(lambda: Connection(model), "127.0.0.1", 0, backlog=4096)
    ended = loop.create_future()

    def order(line: str) -> None:
        orders = json.loads(line)
        if orders is not None:
            model.play(orders)
        print(json.dumps(model.told()), flush=True)

    def hear() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(order, line)
        loop.call_soon_threadsafe(ended.set_result, None)

    threading.Thread(target=hear, daemon=True).start()
    print(server.sockets[0].getsockname()[1], flush=True)
    await ended
    server.close()


if __name__ == "__main__":
    uvloop.run(_serve())
