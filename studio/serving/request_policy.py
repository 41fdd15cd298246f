"""Decide whether a request is answered at all, from its first lines alone and alike for every route.

Against what: a page of another origin must neither read nor start anything, by `fetch`, a form, a picture, a WebSocket
or a name that was rebound to this machine (DNS rebinding). So, in this order: the Host must be this server's, the
Origin absent or this server's, the token or the session right, a session's request the page's own, and a body JSON,
which no form can send. Pages take forms of their own origin.
"""

from dataclasses import dataclass
from typing import Literal

from .token import HOSTED_STUDIO, Access

SAFE = ("GET", "HEAD", "OPTIONS")
JSON = "application/json"
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
CLOSED = ("/docs", "/deploy", "/internal", "/ui")
"""Routes of LangGraph's server that are not served: a page that runs a script from elsewhere in this origin, the
start of a deployment, and what its own tests need."""


@dataclass(frozen=True)
class RequestHead:
    """The first lines of a request."""

    kind: Literal["http", "websocket"]
    method: str
    path: str
    scheme: str
    server: tuple[str, int] | None
    """The address and port that the connection came in on."""
    headers: tuple[tuple[str, str], ...]
    """Names in lower case."""

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    def one(self, name: str) -> str | None:
        """The header's value; None where there is none, or more than one."""
        values = self.all(name)
        return values[0] if len(values) == 1 else None


@dataclass(frozen=True)
class Rejected:
    status: int
    reason: str


@dataclass(frozen=True)
class Allowed:
    by: Literal["token", "session", "preflight"]


def authorize(head: RequestHead, access: Access, pages: str | None = None) -> Allowed | Rejected:
    """Decide whether the request is let through, and by what.

    `pages`: the path below which there are pages, which take forms; empty: all are, None: there are none.
    """
    refused = refused_host(head, access) or refused_origin(head, access)
    if refused:
        return refused
    if is_preflight(head):
        return Allowed("preflight")
    by = _credential(head, access)
    if by is None:
        return Rejected(
            401,
            "This server wants its token: open the address that it printed when it started, which has it, or send it "
            "as `Authorization: Bearer …` or `x-api-key`.",
        )
    if by == "session" and not _by_its_own_page(head):
        return Rejected(403, "A browser's session is for this server's own pages.")
    if _has_body(head) and not (_content_type(head) == JSON or (is_page(head.path, pages) and _is_own_form(head))):
        return Rejected(415, "Bodies must be JSON, with the content type application/json.")
    if any(head.path == one or head.path.startswith(f"{one}/") for one in CLOSED):
        return Rejected(404, "That is not served here.")
    return Allowed(by)


def refused_host(head: RequestHead, access: Access) -> Rejected | None:
    """A request whose Host is not this server's."""
    host = head.one("host")
    if host is not None and head.server is not None and host.lower() in _hosts(head.server, access):
        return None
    return Rejected(421, "The Host of this request is not this server's.")


def _hosts(server: tuple[str, int], access: Access) -> set[str]:
    address, port = server
    names = {*_LOOPBACK, *access.hosts, f"[{address}]" if ":" in address else address}
    plain = {name.lower() for name in names}
    return {f"{name}:{port}" for name in plain} | (plain if port == 80 else set())


def refused_origin(head: RequestHead, access: Access) -> Rejected | None:
    """A request of a page that is not this server's, nor LangGraph Studio's where that is allowed."""
    if not head.all("origin") or is_same_origin(head) or from_hosted_studio(head, access):
        return None
    return Rejected(403, "Pages of other origins may not ask this server for anything.")


def is_same_origin(head: RequestHead) -> bool:
    """Return whether a page of this very origin says that it asks. The Host was checked."""
    scheme = "https" if head.scheme in ("https", "wss") else "http"
    return head.one("origin") == f"{scheme}://{(head.one('host') or '').lower()}"


def from_hosted_studio(head: RequestHead, access: Access) -> bool:
    """Return whether LangGraph Studio's page asks, and may."""
    return access.hosted_studio and head.one("origin") == HOSTED_STUDIO


def is_preflight(head: RequestHead) -> bool:
    """Return whether a browser asks what it may ask; it sends no token with that."""
    return head.method == "OPTIONS" and bool(head.all("origin")) and bool(head.all("access-control-request-method"))


def cookie_name(head: RequestHead) -> str:
    """The session's; with the port, because cookies are of a host."""
    return f"rlm-session-{head.server[1] if head.server else 0}"


def _credential(head: RequestHead, access: Access) -> Literal["token", "session"] | None:
    scheme_and_value = (value.partition(" ") for value in head.all("authorization"))
    bearers = [value.strip() for scheme, _, value in scheme_and_value if scheme.lower() == "bearer"]
    if access.has_token([*bearers, *head.all("x-api-key")]):
        return "token"
    if from_hosted_studio(head, access):
        return None
    pairs = [pair.strip().partition("=") for header in head.all("cookie") for pair in header.split(";")]
    if access.has_session([value for name, _, value in pairs if name == cookie_name(head)]):
        return "session"
    return None


def _by_its_own_page(head: RequestHead) -> bool:
    """Return whether a request with the session's cookie comes from this server's page, or from the address bar.

    Pages of other ports of this host count as the same site, so that SameSite alone would let them ask; a plain link
    or picture carries no Origin, but every browser since 2023 says where it comes from.
    """
    site = head.one("sec-fetch-site")
    if head.all("sec-fetch-site") and site not in ("same-origin", "none"):
        return False
    if head.kind == "http" and head.method in SAFE:
        return True
    return is_same_origin(head) or (head.kind == "http" and site == "same-origin")


def _has_body(head: RequestHead) -> bool:
    return bool(head.all("transfer-encoding")) or any(length.strip() != "0" for length in head.all("content-length"))


def is_page(path: str, pages: str | None) -> bool:
    """Return whether a path is that of a page; `pages` as in `authorize`."""
    return pages is not None and (path == pages or path.startswith(f"{pages}/"))


def _is_own_form(head: RequestHead) -> bool:
    """Return whether a page of this very origin sends a form. Who asks with the token may leave the Origin out."""
    own = is_same_origin(head) or not head.all("origin")
    return own and head.method == "POST" and _content_type(head) in FORMS


def _content_type(head: RequestHead) -> str:
    return (head.one("content-type") or "").partition(";")[0].strip().lower()
