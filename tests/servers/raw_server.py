"""A server on loopback that sends bytes as they are: for replies that no HTTP library would make."""

import contextlib
import gzip
import json
import socketserver
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

Send = Callable[[int], Iterable[bytes]]
"""Returns the pieces of the response to the request with this number, from 1; they may be without end."""


@dataclass
class RawServer:
    """A running server, with the request heads that it was sent and the bytes that clients took of its responses."""

    port: int = 0
    heads: list[str] = field(default_factory=list[str])
    bodies: list[Any] = field(default_factory=list[Any])
    taken: int = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"


@contextmanager
def raw_server(send: Send) -> Generator[RawServer]:
    """Run a server; each of its responses ends with the connection."""
    running = RawServer()
    lock = threading.Lock()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            head = b""
            while (line := self.rfile.readline()) not in (b"\r\n", b""):
                head += line
            if not head:
                return
            sizes = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
            body = self.rfile.read(int(sizes[0])) if sizes else b"null"
            with lock:
                running.heads.append(head.decode("latin-1"))
                running.bodies.append(json.loads(body))
                number = len(running.heads)
            with contextlib.suppress(OSError):
                for piece in send(number):
                    self.connection.sendall(piece)
                    running.taken += len(piece)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        running.port = server.server_address[1]
        thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01), daemon=True)
        thread.start()
        try:
            yield running
        finally:
            server.shutdown()
            thread.join()


def response(body: bytes = b"", status: int = 200, **headers: str) -> bytes:
    """Return a response with its length, unless another is given; `_` in names of headers stands for `-`."""
    fields = {"content_type": "application/json", "content_length": str(len(body)), **headers}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items() if value]
    return "\r\n".join([f"HTTP/1.1 {status} X", *lines, "connection: close", "", ""]).encode("latin-1") + body


def answer(text: str = "fine") -> bytes:
    """Return a chat completion as JSON."""
    message = {"role": "assistant", "content": text}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return json.dumps(
        {"id": "c", "object": "chat.completion", "created": 1, "choices": choices, "usage": usage}
    ).encode()


def gzipped(beginning: bytes, repeated: bytes, times: int) -> bytes:
    """Return much in little: gzip of a text that repeats."""
    return gzip.compress(beginning + repeated * times, compresslevel=9)
