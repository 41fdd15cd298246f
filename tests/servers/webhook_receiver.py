"""A receiver of notifications on loopback, which checks signatures and misbehaves as its path says."""

import base64
import contextlib
import hashlib
import hmac
import http.server
import json
import threading
from collections import Counter
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

KEY = "the key of the hooks"


@dataclass(frozen=True)
class Received:
    """A request that has arrived."""

    path: str
    event: str
    """The header `webhook-id`."""
    timestamp: str
    signed: bool
    """True when the signature is that of this key, id, time and body."""
    body: dict[str, Any]
    text: str


class WebhookReceiver:
    """A server in a thread of its own; a context manager.

    Paths: `/ok`; `/status/N/TIMES` answers N as often; `/redirect` leads to `/elsewhere`; `/hang` never answers;
    `/endless` answers 200 with a body without end.
    """

    def __init__(self, key: str | bytes = KEY) -> None:
        self.received: list[Received] = []
        self.other_requests: list[str] = []
        """Requests that are no POST."""
        self.endless_ended = threading.Event()
        """Set when the client has closed the connection of an endless body."""
        self._key = key.encode() if isinstance(key, str) else key
        self.answered = Counter[str]()
        """Requests by their paths, for those that are refused a number of times."""
        self.over = threading.Event()
        """Set at the end: then nothing hangs any more."""
        self._arrived = threading.Condition()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))

    def url(self, path: str) -> str:
        """Return the address of a path."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/{path}"

    def take(self, path: str, headers: dict[str, str], body: bytes) -> None:
        """Record a request."""
        known = {name.lower(): value for name, value in headers.items()}
        event, timestamp = known.get("webhook-id", ""), known.get("webhook-timestamp", "")
        signed = hmac.new(self._key, f"{event}.{timestamp}.".encode() + body, hashlib.sha256).digest()
        right = known.get("webhook-signature", "") == f"v1,{base64.b64encode(signed).decode()}"
        with self._arrived:
            one = Received(path, event, timestamp, right, json.loads(body), body.decode())
            self.received.append(one)
            self._arrived.notify_all()

    def wait_for(self, number: int, seconds: float = 30.0) -> bool:
        """Return whether so many requests arrive within so many seconds."""
        with self._arrived:
            return self._arrived.wait_for(lambda: len(self.received) >= number, seconds)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()


def _handler(receiver: WebhookReceiver) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            del format, args

        def do_GET(self) -> None:
            receiver.other_requests.append(f"{self.command} {self.path}")
            self._answer(200)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.take(self.path, dict(self.headers.items()), body)
            path = self.path.partition("?")[0]
            match path.strip("/").split("/"):
                case ["status", status, times]:
                    receiver.answered[path] += 1
                    self._answer(int(status) if receiver.answered[path] <= int(times) else 204)
                case ["redirect"]:
                    self._answer(307, location="/elsewhere")
                case ["hang"]:
                    receiver.over.wait(60)
                case ["endless"]:
                    self._answer(200)
                    with contextlib.suppress(OSError):
                        while not receiver.over.is_set():
                            self.wfile.write(b"x" * (1 << 16))
                    receiver.endless_ended.set()
                case _:
                    self._answer(200)

        def _answer(self, status: int, **headers: str) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

    return Handler
