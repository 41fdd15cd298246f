"""Send a notification as a POST, signed as Standard Webhooks says (https://www.standardwebhooks.com).

The status of the reply decides. No byte of its body is read, and no redirect is followed: a receiver can make this
process neither wait, nor store, nor ask another server.
"""

import asyncio
import base64
import hashlib
import hmac
import logging
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

import httpx

from .failures import SendingFailed

POST_SECONDS = 10.0
"""Seconds within which the status of the reply has to arrive."""
_ENCODED = "whsec_"
"""The beginning of a key that is written in base64."""
_OURS: ContextVar[bool] = ContextVar("_OURS", default=False)


def signature(key: str, event: str, timestamp: int, body: bytes) -> str:
    """Return the header `webhook-signature`. Raises SendingFailed for a key that begins as base64 and is not."""
    try:
        secret = base64.b64decode(key[len(_ENCODED) :], validate=True) if key.startswith(_ENCODED) else key.encode()
    except (ValueError, UnicodeEncodeError):
        raise SendingFailed("its key cannot be used", "elsewhere") from None
    signed = hmac.new(secret, f"{event}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signed).decode()}"


async def post(url: str, body: bytes, event: str, *, key: str, timestamp: int, seconds: float = POST_SECONDS) -> None:
    """Send `body`, signed unless `key` is empty. Raises SendingFailed unless the server accepts it in time."""
    headers = {"content-type": "application/json", "user-agent": "durable-rlm", "webhook-id": event}
    headers["webhook-timestamp"] = str(timestamp)
    if key:
        headers["webhook-signature"] = signature(key, event, timestamp, body)
    try:
        with _unlogged():
            async with asyncio.timeout(seconds):
                status = await _status(url, body, headers, seconds)
    except (TimeoutError, httpx.TimeoutException):
        raise SendingFailed(f"it did not answer within {seconds:g} s") from None
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError):
        raise SendingFailed("its address cannot be used", "elsewhere") from None
    except httpx.ConnectError as error:
        said = "its certificate is not accepted" if "CERTIFICATE" in str(error) else "it cannot be reached"
        raise SendingFailed(said) from None
    except Exception as error:
        # The words of other errors, also of those for a wrong proxy, may hold the address.
        raise SendingFailed(f"the connection failed ({type(error).__name__})") from None
    if status == 410:
        raise SendingFailed("it answered with status 410 and wants no more of this", "never")
    if 300 <= status < 400:
        raise SendingFailed(f"it answered with a redirect ({status}), which is not followed")
    if not 200 <= status < 300:
        raise SendingFailed(f"it answered with status {status}")


async def _status(url: str, body: bytes, headers: dict[str, str], seconds: float) -> int:
    async with (
        httpx.AsyncClient(timeout=seconds, follow_redirects=False) as client,
        client.stream("POST", url, content=body, headers=headers) as response,
    ):
        return response.status_code


class _NotOurs(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        del record
        return not _OURS.get()


_NOT_OURS = _NotOurs()


@contextmanager
def _unlogged() -> Generator[None]:
    """Have httpx log nothing of the requests in this context: it logs whole addresses, which may be secrets."""
    # Adding it again does nothing.
    logging.getLogger("httpx").addFilter(_NOT_OURS)
    before = _OURS.set(True)
    try:
        yield
    finally:
        _OURS.reset(before)
