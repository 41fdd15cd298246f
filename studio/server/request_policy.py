"""Whether a request is answered at all: a pure judgement over its first lines, the same for every route.

Against what: a page of another origin must neither read nor start anything, by `fetch`, a form, a picture, a WebSocket
or a name that was rebound to this machine (DNS rebinding). So, in this order: the Host must be this server's, the
Origin absent or this server's, the token or the session right, a session's request the page's own, and a body JSON,
which no form can send.
"""

from dataclasses import dataclass
from typing import Literal

from .token import HOSTED_STUDIO, Access

SAFE = ("GET", "HEAD", "OPTIONS")
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
CLOSED = ("/docs", "/deploy", "/internal", "/ui")
"""Routes of LangGraph's server that are not served here: a page that runs a script from elsewhere in this origin, the
start of a deployment, and what its own tests need."""


@dataclass(frozen=True)
class Asked:
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
class Refused:
    status: int
    reason: str


@dataclass(frozen=True)
class Allowed:
    by: Literal["token", "session", "preflight"]


def judged(asked: Asked, access: Access) -> Allowed | Refused:
    """What becomes of the request."""
    refused = refused_host(asked, access) or refused_origin(asked, access)
    if refused:
        return refused
    if is_preflight(asked):
        return Allowed("preflight")
    by = _credential(asked, access)
    if by is None:
        return Refused(
            401,
            "This server wants its token: as `Authorization: Bearer …` or `x-api-key`, or open the URL that it printed "
            "when it started.",
        )
    if by == "session" and not _by_its_own_page(asked):
        return Refused(403, "A browser's session is for this server's own pages.")
    if _has_body(asked) and not _is_json(asked):
        return Refused(415, "Bodies must be JSON, with the content type application/json.")
    if any(asked.path == one or asked.path.startswith(f"{one}/") for one in CLOSED):
        return Refused(404, "That is not served here.")
    return Allowed(by)


def refused_host(asked: Asked, access: Access) -> Refused | None:
    """A request whose Host is not this server's."""
    host = asked.one("host")
    if host is not None and asked.server is not None and host.lower() in _hosts(asked.server, access):
        return None
    return Refused(421, "The Host of this request is not this server's.")


def _hosts(server: tuple[str, int], access: Access) -> set[str]:
    address, port = server
    names = {*_LOOPBACK, *access.hosts, f"[{address}]" if ":" in address else address}
    plain = {name.lower() for name in names}
    return {f"{name}:{port}" for name in plain} | (plain if port == 80 else set())


def refused_origin(asked: Asked, access: Access) -> Refused | None:
    """A request of a page that is not this server's, nor LangGraph Studio's where that is allowed."""
    if not asked.all("origin") or is_same_origin(asked) or from_hosted_studio(asked, access):
        return None
    return Refused(403, "Pages of other origins may not ask this server for anything.")


def is_same_origin(asked: Asked) -> bool:
    """Whether a page of this very origin says that it asks. The Host was checked."""
    scheme = "https" if asked.scheme in ("https", "wss") else "http"
    return asked.one("origin") == f"{scheme}://{(asked.one('host') or '').lower()}"


def from_hosted_studio(asked: Asked, access: Access) -> bool:
    """Whether LangGraph Studio's page asks, and may."""
    return access.hosted_studio and asked.one("origin") == HOSTED_STUDIO


def is_preflight(asked: Asked) -> bool:
    """Whether a browser asks what it may ask; it sends no token with that."""
    return asked.method == "OPTIONS" and bool(asked.all("origin")) and bool(asked.all("access-control-request-method"))


def cookie_name(asked: Asked) -> str:
    """The session's; with the port, because cookies are of a host."""
    return f"rlm-session-{asked.server[1] if asked.server else 0}"


def _credential(asked: Asked, access: Access) -> Literal["token", "session"] | None:
    scheme_and_value = (value.partition(" ") for value in asked.all("authorization"))
    bearers = [value.strip() for scheme, _, value in scheme_and_value if scheme.lower() == "bearer"]
    if access.has_token([*bearers, *asked.all("x-api-key")]):
        return "token"
    if from_hosted_studio(asked, access):
        return None
    pairs = [pair.strip().partition("=") for header in asked.all("cookie") for pair in header.split(";")]
    if access.has_session([value for name, _, value in pairs if name == cookie_name(asked)]):
        return "session"
    return None


def _by_its_own_page(asked: Asked) -> bool:
    """Whether a request with the session's cookie comes from this server's page, or from the address bar.

    Pages of other ports of this host count as the same site, so that SameSite alone would let them ask; a plain link
    or picture carries no Origin, but every browser since 2023 says where it comes from.
    """
    site = asked.one("sec-fetch-site")
    if asked.all("sec-fetch-site") and site not in ("same-origin", "none"):
        return False
    if asked.kind == "http" and asked.method in SAFE:
        return True
    return is_same_origin(asked) or (asked.kind == "http" and site == "same-origin")


def _has_body(asked: Asked) -> bool:
    return bool(asked.all("transfer-encoding")) or any(length.strip() != "0" for length in asked.all("content-length"))


def _is_json(asked: Asked) -> bool:
    kind = asked.one("content-type")
    return kind is not None and kind.partition(";")[0].strip().lower() == "application/json"
