"""The guard before every route of a server: LangGraph's, the page's, and those that are yet to come.

It is the outermost middleware of the application, so it also sees what LangGraph serves without asking its own `auth`
(its state, its metrics, its description). What passes carries a mark that no request can bring.
"""

import logging
from dataclasses import dataclass
from html import escape
from typing import Any, Literal
from urllib.parse import parse_qsl, quote, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from .peer import is_of_another_user
from .request_policy import (
    Allowed,
    Rejected,
    RequestHead,
    authorize,
    cookie_name,
    from_hosted_studio,
    is_page,
    refused_host,
    refused_origin,
)
from .token import HOSTED_STUDIO, Access, current_access

_MARK, _PASSED = "durable_rlm.passed", object()
_SECRET_HEADERS = (b"authorization", b"x-api-key", b"cookie")
_EXPOSED = "content-location, location, x-pagination-next, x-pagination-total"
_ALWAYS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "vary": "Origin",
    "x-content-type-options": "nosniff",
}
_logger = logging.getLogger(__name__)


def has_passed(scope: Any) -> bool:
    """Return whether the guard has let this request in."""
    return scope.get(_MARK) is _PASSED


class Guard:
    """ASGI middleware that lets a request pass or answers it.

    `access` is that of the process unless one is given. `pages` is the path below which there are pages; empty: all
    are. A page's URL with the token, or with a ticket, begins a session.
    """

    def __init__(self, app: ASGIApp, pages: str, access: Access | None = None) -> None:
        self._app = app
        self._pages = pages
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request here, or pass it on with a mark that says that it was checked."""
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        access = self._access or current_access()
        head = _head_of(scope)
        page = is_page(head.path, self._pages)
        if page and head.method == "GET" and (given := _Credentials.of(scope)):
            return await _enter(head, given, access, scope.get("client"))(
                scope, receive, _with_headers(send, studio=False)
            )
        judgement = authorize(head, access, self._pages)
        send = _with_headers(send, from_hosted_studio(head, access))
        match judgement:
            case Rejected(status, reason):
                _logger.info("refused %s %r: %d %s", head.method, head.path[:200], status, reason)
                await _refusal(head, judgement)(scope, receive, send)
            case Allowed("preflight"):
                await _preflight(head)(scope, receive, send)
            case Allowed():
                scope[_MARK] = _PASSED
                # Nothing behind this needs them; what does not have the token can neither log nor save it.
                scope["headers"] = [one for one in scope["headers"] if one[0].lower() not in _SECRET_HEADERS]
                await self._app(scope, receive, send)


def _head_of(scope: Scope) -> RequestHead:
    server = scope.get("server")
    kind: Literal["http", "websocket"] = "websocket" if scope["type"] == "websocket" else "http"
    return RequestHead(
        kind=kind,
        method=scope.get("method", "GET"),
        path=scope["path"],
        scheme=scope.get("scheme", "http"),
        server=(server[0], server[1]) if server and server[1] is not None else None,
        headers=tuple((name.lower(), value) for name, value in Headers(scope=scope).items()),
    )


@dataclass(frozen=True)
class _Credentials:
    """The tokens and tickets in a URL, and its other parameters."""

    tokens: list[str]
    tickets: list[str]
    others: list[tuple[str, str]]

    @classmethod
    def of(cls, scope: Scope) -> "_Credentials | None":
        """Return those of a request; None when its URL has none."""
        query = scope.get("query_string", b"").decode("latin-1")
        if "token=" not in query and "ticket=" not in query:
            return None
        pairs = parse_qsl(query, keep_blank_values=True)
        tokens = [value for name, value in pairs if name == "token"]
        tickets = [value for name, value in pairs if name == "ticket"]
        others = [pair for pair in pairs if pair[0] not in ("token", "ticket")]
        return cls(tokens, tickets, others) if tokens or tickets else None


def _enter(head: RequestHead, given: _Credentials, access: Access, client: tuple[str, int] | None) -> ASGIApp:
    """Return the answer to a page's URL that lets in: a session begins, and the URL shows the token no longer."""
    # Another user may have seen the ticket in the command line of the browser, and be faster than it.
    tickets = [] if given.tickets and is_of_another_user(client, head.server) else given.tickets
    refused = refused_host(head, access) or refused_origin(head, access)
    if refused is None and not (access.has_token(given.tokens) or access.take_ticket(tickets)):
        refused = Rejected(401, "That is not the token of this server. Each start has another one.")
    if refused:
        return _refusal(head, refused)
    # Two slashes at the beginning would lead to another host.
    path = "/" + quote(head.path.lstrip("/"))
    response = RedirectResponse(f"{path}?{urlencode(given.others)}" if given.others else path, status_code=303)
    response.set_cookie(
        cookie_name(head), access.session, httponly=True, samesite="strict", secure=head.scheme == "https"
    )
    return response


def _preflight(head: RequestHead) -> Response:
    """Return what an allowed page may ask for: anything, with whatever headers it names."""
    wanted = head.one("access-control-request-headers") or ""
    names = [name.strip() for name in wanted.split(",")]
    fine = [name for name in names if name.isascii() and name.replace("-", "").replace("_", "").isalnum()]
    allowed = {
        "access-control-allow-methods": "GET, POST, PUT, PATCH, DELETE",
        "access-control-allow-headers": ", ".join(fine),
        "access-control-max-age": "600",
    }
    if head.one("access-control-request-private-network") == "true":
        allowed["access-control-allow-private-network"] = "true"
    return Response(status_code=204, headers=allowed)


def _with_headers(send: Send, studio: bool) -> Send:
    """Return `send` with the headers that every response has, unless it has its own."""
    always = dict(_ALWAYS)
    if studio:
        always |= {"access-control-allow-origin": HOSTED_STUDIO, "access-control-expose-headers": _EXPOSED}

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=[*message.get("headers", ())])
            for name, value in always.items():
                headers.setdefault(name, value)
            message["headers"] = headers.raw
        await send(message)

    return sent


_REFUSAL_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{status} · rlm</title></head>
<body><h1>rlm</h1><p>{reason}</p></body>
</html>
"""


def _refusal(head: RequestHead, refused: Rejected) -> ASGIApp:
    if head.kind == "websocket":
        # Before it was accepted: the client sees 403.
        return WebSocketClose(code=1008, reason=refused.reason[:100])
    headers = {"www-authenticate": "Bearer"} if refused.status == 401 else None
    if "text/html" in (head.one("accept") or ""):
        text = _REFUSAL_PAGE.format(status=refused.status, reason=escape(refused.reason))
        return HTMLResponse(text, refused.status, headers)
    return JSONResponse({"detail": refused.reason}, refused.status, headers)
