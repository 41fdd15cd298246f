"""A stand-in for LangSmith on loopback, which records what it receives."""

import contextlib
import gzip
import http.server
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

KEY = "lsv2_pt_tests"


class TraceReceiver:
    """A server that accepts any request, in a thread of its own; a context manager."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        """The methods and paths of requests."""
        self.sent = b""
        """The bodies of all requests, uncompressed."""
        self._arrived = threading.Condition()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: Any) -> None:
                del format, args

            def _take(self) -> None:
                if self.headers.get("transfer-encoding", "") == "chunked":
                    body = b"".join(iter(self._chunk, b""))
                else:
                    body = self.rfile.read(int(self.headers.get("content-length", 0)))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                receiver.take(f"{self.command} {self.path}", body)
                self.send_response(202 if self.command != "GET" else 200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", "2")
                self.end_headers()
                with contextlib.suppress(BrokenPipeError):
                    self.wfile.write(b"{}")

            def _chunk(self) -> bytes:
                size = int(self.rfile.readline(), 16)
                chunk = self.rfile.read(size)
                self.rfile.readline()
                return chunk

            do_GET = do_POST = do_PATCH = do_PUT = _take

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables that turn LangSmith's traces on, and send them here."""
        return {
            "LANGSMITH_TRACING": "true",
            "LANGSMITH_ENDPOINT": f"http://127.0.0.1:{self._server.server_address[1]}",
            "LANGSMITH_API_KEY": KEY,
        }

    def take(self, request: str, body: bytes) -> None:
        """Record a request."""
        with self._arrived:
            self.requests.append(request)
            self.sent += body
            self._arrived.notify_all()

    def wait_for(self, text: str, seconds: float = 30.0) -> bool:
        """Return whether `text` is received within so many seconds."""
        with self._arrived:
            return self._arrived.wait_for(lambda: text.encode() in self.sent, seconds)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
