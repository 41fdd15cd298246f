"""The guard before every route: LangGraph's, ours, and those that are yet to come.

It is the outermost middleware of the server's application, so it also sees what LangGraph serves without asking its
own `auth` (its state, its metrics, its description). What passes carries a mark that no request can bring, and
`auth.py` lets nothing in without it: should a later version put the guard elsewhere, what matters is refused.

What `langgraph.json` names as `auth`: whoever the guard has let in is the owner, and nobody else is anybody.

`disable_studio_auth` goes with it: without that, LangGraph's development server lets in whoever sends the header
`x-auth-scheme: langsmith`.
"""

import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, cast
from urllib.parse import parse_qs

from langgraph_sdk import Auth

from .request_policy import (
    Allowed,
    Rejected,
    RequestHead,
    authorize,
    cookie_name,
    from_hosted_studio,
    refused_host,
    refused_origin,
)
from .token import HOSTED_STUDIO, Access, standing

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Header = tuple[bytes, bytes]

ENTRANCE = "/rlm"
"""The page whose URL, with the token, is printed at the start."""
_MARK, _PASSED = "durable_rlm.passed", object()
_SECRET_HEADERS = (b"authorization", b"x-api-key", b"cookie")
_EXPOSED = b"content-location, location, x-pagination-next, x-pagination-total"
_ALWAYS: tuple[Header, ...] = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"vary", b"Origin"),
    (b"x-content-type-options", b"nosniff"),
)
_logger = logging.getLogger(__name__)


def has_passed(scope: Any) -> bool:
    """Whether the guard has let this request in."""
    return scope.get(_MARK) is _PASSED


class Guard:
    """ASGI middleware; `access` is that of the process unless one is given."""

    def __init__(self, app: Application, access: Access | None = None) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        access = self._access or standing()
        head = _asked(scope)
        if head.path == ENTRANCE and head.method == "GET" and b"token=" in scope.get("query_string", b""):
            return await _enter(head, scope, access, send)
        judgement = authorize(head, access)
        send = _sending(send, from_hosted_studio(head, access))
        match judgement:
            case Rejected(status, reason):
                _logger.info("refused %s %r: %d %s", head.method, head.path[:200], status, reason)
                await _refuse(head, judgement, send)
            case Allowed("preflight"):
                await _answer(send, 204, _preflight(head))
            case Allowed():
                scope[_MARK] = _PASSED
                # Nothing behind this needs them; what does not have the token can neither log nor save it.
                scope["headers"] = [one for one in scope["headers"] if one[0].lower() not in _SECRET_HEADERS]
                await self._app(scope, receive, send)


def _asked(scope: Scope) -> RequestHead:
    server = scope.get("server")
    return RequestHead(
        kind="websocket" if scope["type"] == "websocket" else "http",
        method=scope.get("method", "GET"),
        path=scope["path"],
        scheme=scope.get("scheme", "http"),
        server=(server[0], server[1]) if server and server[1] is not None else None,
        headers=tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]),
    )


async def _enter(head: RequestHead, scope: Scope, access: Access, send: Send) -> None:
    """The printed URL: with the right token a session begins, on a page whose URL no longer shows it."""
    send = _sending(send, studio=False)
    given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
    refused = refused_host(head, access) or refused_origin(head, access)
    if refused is None and not access.has_token(given):
        refused = Rejected(401, "That is not the token of this server. Each start has another one.")
    if refused:
        return await _refuse(head, refused, send)
    secure = "; Secure" if head.scheme == "https" else ""
    cookie = f"{cookie_name(head)}={access.session}; Path=/; HttpOnly; SameSite=Strict{secure}"
    await _answer(send, 303, [(b"location", ENTRANCE.encode()), (b"set-cookie", cookie.encode())])


def _preflight(head: RequestHead) -> list[Header]:
    """What a page may ask for that was allowed: anything, with whatever headers it names."""
    wanted = head.one("access-control-request-headers") or ""
    names = [name.strip() for name in wanted.split(",")]
    fine = ", ".join(name for name in names if name and name.replace("-", "").replace("_", "").isalnum())
    allowed = [
        (b"access-control-allow-methods", b"GET, POST, PUT, PATCH, DELETE"),
        (b"access-control-allow-headers", fine.encode("ascii", "ignore")),
        (b"access-control-max-age", b"600"),
    ]
    if head.one("access-control-request-private-network") == "true":
        allowed.append((b"access-control-allow-private-network", b"true"))
    return allowed


def _sending(send: Send, studio: bool) -> Send:
    """`send` with the headers that every response has, unless it has its own."""
    always = list(_ALWAYS)
    if studio:
        always += [
            (b"access-control-allow-origin", HOSTED_STUDIO.encode()),
            (b"access-control-expose-headers", _EXPOSED),
        ]

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = cast(list[Header], list(message.get("headers", [])))
            there = {name.lower() for name, _ in headers}
            message["headers"] = headers + [one for one in always if one[0] not in there]
        await send(message)

    return sent


async def _refuse(head: RequestHead, refused: Rejected, send: Send) -> None:
    if head.kind == "websocket":
        # Before it was accepted: the client sees 403.
        return await send({"type": "websocket.close", "code": 1008, "reason": refused.reason[:100]})
    headers = [(b"www-authenticate", b"Bearer")] if refused.status == 401 else []
    await _answer(send, refused.status, headers, {"detail": refused.reason})


async def _answer(send: Send, status: int, headers: list[Header], document: dict[str, str] | None = None) -> None:
    body = json.dumps(document).encode() if document else b""
    if document:
        headers = [*headers, (b"content-type", b"application/json")]
    if status != 204:
        headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


OWNER = "owner"
auth = Auth()


@auth.authenticate
async def authenticate(scope: dict[str, Any]) -> str:
    """The name of who asks. Raises Auth's HTTPException, 401, for what has come past the guard."""
    if not has_passed(scope):
        raise Auth.exceptions.HTTPException(status_code=401, detail="This request was not checked.")
    return OWNER
