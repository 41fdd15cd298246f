"""Bound what a model's server can make this process do: follow nothing, and read no more than a reply may hold.

Works on the HTTP clients of httpx and of httpx2 alike, which providers' packages use. Both call their response hooks
before a redirect is followed and before a byte of the body is read.
"""

import asyncio
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from .errors import AttemptFailed, Failure
from .streamed import MOST_STREAMED

MOST_ERROR = 64 << 10
"""Bytes of an error's body that are read: its words are in the first of them."""
_ERROR_SECONDS = 5.0
"""Seconds for which the body of an error is awaited."""
_DECODED_AT_ONCE = 64 << 10
_ZLIB = frozenset({"gzip", "x-gzip", "deflate"})
_HEAD = 2
"""Bytes by which it is known whether a compressed body has a header."""
_EITHER_HEADER = zlib.MAX_WBITS | 32
"""Makes zlib take its own header and gzip's."""


def bound_replies(client: Any, most: int = MOST_STREAMED) -> None:
    """Make an HTTP client follow no redirect, keep no cookie, and read at most `most` bytes of a reply.

    The limit holds for the bytes as they are sent and as they are decompressed. What breaks it raises AttemptFailed.
    Safe to call twice: packages share clients.
    """
    hooks = client.event_hooks
    if any(isinstance(hook, _Check) for hook in hooks["response"]):
        return
    client.follow_redirects = False
    client.headers["accept-encoding"] = "identity"
    client.event_hooks = {**hooks, "response": [*hooks["response"], _Check(client, most)]}


@dataclass(frozen=True)
class _Check:
    """A response hook: called before a redirect is followed and before anything of the body is read."""

    client: Any
    most: int

    async def __call__(self, response: Any) -> None:
        """Refuse a redirect, and limit the body. Raises AttemptFailed."""
        _forget_cookies(self.client)
        if 300 <= response.status_code < 400:
            raise AttemptFailed(Failure("redirected", _origin(response), status=response.status_code))
        decode = _decoder(response)
        if response.status_code < 400:
            response.stream = _stream(response.stream, lambda sent: self._body(sent, decode))
            return
        beginning = await _beginning(self._body(response.stream, decode))
        await response.stream.aclose()
        response.stream = _stream(response.stream, lambda _: _once(beginning))

    def _body(self, sent: Any, decode: Callable[[bytes], Iterator[bytes]] | None) -> AsyncGenerator[bytes]:
        return _limited(_decoded(_limited(sent, self.most), decode), self.most)


def _forget_cookies(client: Any) -> None:
    """Drop the cookies that the server has set: there may be a megabyte of new ones with every reply."""
    client.cookies.clear()
    # openai's aiohttp transport keeps its own, in a session that it makes for its first request.
    session = getattr(getattr(client, "_transport", None), "client", None)
    if (jar := getattr(session, "cookie_jar", None)) is not None:
        jar.clear()


def _origin(response: Any) -> str:
    """Return the origin that a redirect leads to: neither its path, which may hold anything, nor a password."""
    try:
        url = urlsplit(str(response.request.url.join(response.headers.get("location", ""))))
        host, port = url.hostname or "", f":{url.port}" if url.port else ""
    except Exception:
        # httpx, httpx2 and urllib each have errors of their own for what is no address.
        return "nowhere"
    return f"{url.scheme[:10]}://{host[:100]}{port}"


def _decoder(response: Any) -> Callable[[bytes], Iterator[bytes]] | None:
    """Return what decompresses the body, piece by piece; None for one that is not compressed.

    The response is then read as if it had not been: what httpx itself decompresses at once has no limit. Raises
    AttemptFailed for a compression that was never asked for.
    """
    words = str(response.headers.get("content-encoding", "")).lower().split(",")
    [*codings] = [word for part in words if (word := part.strip()) not in ("", "identity")]
    if not codings:
        return None
    if len(codings) > 1 or codings[0] not in _ZLIB:
        said = ", ".join(codings)[:60]
        raise AttemptFailed(Failure("garbage", f"its reply is compressed ({said}), which was not asked for", True))
    del response.headers["content-encoding"]
    return _Inflating()


class _Inflating:
    """Decompresses gzip, zlib and bare deflate in pieces of limited size."""

    def __init__(self) -> None:
        self._inflate: Any = None
        self._head = b""

    def __call__(self, data: bytes) -> Iterator[bytes]:
        if self._inflate is None:
            data = self._head = self._head + data
            if len(data) < _HEAD:
                return
            # Many servers send `deflate` without the header that its name stands for.
            headed = data.startswith(b"\x1f\x8b") or (data[0] & 15 == 8 and int.from_bytes(data[:2]) % 31 == 0)
            self._inflate = zlib.decompressobj(_EITHER_HEADER if headed else -zlib.MAX_WBITS)
        try:
            while piece := self._inflate.decompress(data, _DECODED_AT_ONCE):
                yield piece
                data = self._inflate.unconsumed_tail
        except zlib.error as error:
            raise AttemptFailed(Failure("garbage", f"its reply cannot be decompressed ({error})"[:120], True)) from None


async def _decoded(body: Any, decode: Callable[[bytes], Iterator[bytes]] | None) -> AsyncGenerator[bytes]:
    async for data in body:
        if decode is None:
            yield data
            continue
        for piece in decode(data):
            yield piece


async def _limited(body: Any, most: int) -> AsyncGenerator[bytes]:
    size = 0
    async for data in body:
        size += len(data)
        if size > most:
            raise AttemptFailed(Failure("garbage", f"its reply is longer than {most >> 20} MB", True))
        yield data


async def _beginning(body: AsyncGenerator[bytes]) -> bytes:
    """Return the beginning of an error's body: what arrives of it in time."""
    found = bytearray()
    with suppress(TimeoutError):
        async with asyncio.timeout(_ERROR_SECONDS), aclosing(body):
            async for data in body:
                found += data
                if len(found) >= MOST_ERROR:
                    break
    return bytes(found[:MOST_ERROR])


async def _once(data: bytes) -> AsyncGenerator[bytes]:
    yield data


def _stream(inner: Any, read: Callable[[Any], AsyncIterator[bytes]]) -> Any:
    """Return a stream of the same package as `inner`, whose pieces are those of `read(inner)`."""
    base = next(one for one in type(inner).__mro__ if one.__name__ == "AsyncByteStream")
    return _stream_class(base)(inner, read)


@lru_cache
def _stream_class(base: Any) -> Any:
    class Bounded(base):
        def __init__(self, inner: Any, read: Callable[[Any], AsyncIterator[bytes]]) -> None:
            self._inner, self._read = inner, read

        def __aiter__(self) -> AsyncIterator[bytes]:
            return self._read(self._inner)

        async def aclose(self) -> None:
            await self._inner.aclose()

    return Bounded
