"""A server of chat completions whose replies are a function's: for habits of real servers and models."""

import json
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.servers.received import Body

Headers = dict[str, str]


@dataclass(frozen=True)
class Response:
    """A response of a server: a JSON value, or a text with its type."""

    body: Any
    status: int = 200
    content_type: str = "application/json"


Handle = Callable[[Body, int], Response]
"""Returns the response to the request with this body and this number, from 1."""


@dataclass
class HabitServer:
    """A running server, and the bodies of the requests that it was sent."""

    base_url: str
    requests: list[Body] = field(default_factory=list[Body])


@contextmanager
def habit_server(handle: Handle) -> Generator[HabitServer]:
    """Run a server on loopback."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None: ...

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with lock:
                running.requests.append(body)
                number = len(running.requests)
            response = handle(body, number)
            sent = response.body if isinstance(response.body, str) else json.dumps(response.body)
            self.send_response(response.status)
            self.send_header("content-type", response.content_type)
            self.send_header("content-length", str(len(sent.encode())))
            self.end_headers()
            self.wfile.write(sent.encode())

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    running = HabitServer(f"http://127.0.0.1:{server.server_address[1]}/v1")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        server.server_close()


def is_root(body: Body) -> bool:
    """Return whether a request is a root turn."""
    return any("FINAL" in str(message["content"]) for message in body["messages"])


def completion(text: str | None, finish: str = "stop", **message: Any) -> Response:
    """Return a completion with this text and further fields of its message."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": finish}
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
    return Response(
        {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
    )


def refusal(message: str, status: int = 400, **facts: Any) -> Response:
    """Return an error in OpenAI's form."""
    return Response({"error": {"message": message, "type": "invalid_request_error", "code": None, **facts}}, status)


def stream(text: str) -> Response:
    """Return a completion that is streamed in pieces."""
    pieces = [text[start : start + 5] for start in range(0, len(text), 5)]
    events: list[Body] = [{"id": "x", "choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
    events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    events.append({"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}})
    lines = [f"data: {json.dumps(event)}\n" for event in events]
    return Response("\n".join([": comment\n", *lines, "data: [DONE]\n\n"]), content_type="text/event-stream")
