"""Classify a failed model call from what its provider raised, and explain it in one sentence.

Providers agree on little: some errors have `status_code`, some a `response`, some only a telling class name. `classify`
maps them all to one closed vocabulary, so that retries and messages do not depend on the provider.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal, cast

from .error_words import one_line, server_words
from .provider_protocol import Role
from .redaction import redact

FailureKind = Literal[
    "auth", "not_found", "bad_request", "rate_limit", "server", "network", "timeout",
    "refused", "empty", "cut", "thoughts", "garbage", "too_long", "scripted", "schema", "redirected",
]  # fmt: skip


class ModelCallFailed(Exception):
    """Raised when a model call failed for good: by its nature, or after the last attempt."""

    def __init__(
        self,
        message: str,
        *,
        kind: FailureKind,
        retryable: bool = False,
        attempts: int = 1,
        input_tokens: int = 0,
        output_tokens: int = 0,
        cost_usd: float | None = 0.0,
        thoughts: str = "",
        window: int | None = None,
        seconds: float = 0.0,
    ) -> None:
        super().__init__(message)
        self.message = message
        """One plain sentence that names the model and says what to do; never holds a key."""
        self.kind: FailureKind = kind
        self.retryable = retryable
        """True when asking again later may help."""
        self.attempts = attempts
        """Number of attempts, those that reached no server included."""
        self.input_tokens = input_tokens
        """Tokens of the replies that came and could not be used; they are paid for."""
        self.output_tokens = output_tokens
        self.cost_usd = cost_usd
        self.thoughts = thoughts
        """The model's thoughts, where it gave no answer."""
        self.window = window
        """The tokens that the model can read and write together, where the request was too long and they are known."""
        self.seconds = seconds
        """Wall time from asking to the failure, waits between attempts included."""


@dataclass(frozen=True)
class Failure:
    """A description of what went wrong with one attempt."""

    kind: FailureKind
    detail: str = ""
    """The server's own words, in one short line. May hold a key: `redact` before showing."""
    retryable: bool = False
    status: int | None = None
    retry_after: float | None = None
    """Seconds that the server asked to wait; 0 means at once."""
    thoughts: str = ""
    """The model's thoughts, where it sent nothing else."""
    unsent: bool = False
    """True when it is certain that no server was sent a byte of the request, which then is no model call."""
    in_reply: bool = False
    """True when the server answered with a status of success, and with this error in place of a completion."""
    streamed: int = 0
    """The output tokens that had arrived when the answer was lost."""

    @property
    def unbilled(self) -> bool:
        """True when a request that was sent cannot have cost anything: it was refused before a model began on it.

        A server that fails (5xx, an error in a reply of status 200) may have billed what its model did until then.
        """
        refused = self.status is not None and self.status < 500 and not self.in_reply
        return refused or self.kind in ("too_long", "scripted")

    @property
    def reason(self) -> str:
        """Two or three words for a progress line: `rate limit (429)`."""
        name = self.kind.replace("_", " ")
        return f"{name} ({self.status})" if self.status else name


class AttemptFailed(Exception):
    """Raised with one attempt's Failure, for the code that decides about another one. Never leaves `ModelClient`."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.kind)
        self.failure = failure


_OVERLONG = re.compile(
    r"context_length_exceeded|maximum context length|context window|context size|prompt is too long|"
    r"input is too long|too many (input |prompt )?tokens|input tokens exceed",
    re.IGNORECASE,
)
_NO_QUOTA = re.compile(
    r"insufficient_quota|exceeded your current quota|insufficient (balance|credits?|funds)", re.IGNORECASE
)
_NO_MODEL = re.compile(r"model_not_found|model .{0,80}(does not exist|not found)", re.IGNORECASE)

_BY_NAME: tuple[tuple[re.Pattern[str], FailureKind, bool], ...] = (
    (re.compile(r"SSLCertVerification|CertificateError"), "network", False),
    (re.compile(r"Timeout|DeadlineExceeded"), "timeout", True),
    (re.compile(r"Credential|Authentication|Unauthenticated|Unauthorized|PermissionDenied|Forbidden"), "auth", False),
    (re.compile(r"RateLimit|TooManyRequests|Throttl|ResourceExhausted"), "rate_limit", True),
    (re.compile(r"ContextOverflow|ContextLength|ContextWindow"), "too_long", False),
    (re.compile(r"Decod|Validation"), "garbage", True),
    (re.compile(r"[Cc]onnect|Network|ReadError|WriteError|ProtocolError|Payload|gaierror|Proxy|SSL"), "network", True),
)
"""Class names of openai, httpx, aiohttp, botocore and Google's clients, the more specific first."""


_HTTPX = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol"})
_UNSENT: dict[str, frozenset[str]] = {
    "builtins": frozenset({"ConnectionRefusedError"}),
    "socket": frozenset({"gaierror"}),
    "ssl": frozenset({"SSLCertVerificationError"}),
    **dict.fromkeys(("httpx", "httpx2", "httpcore", "httpcore2"), _HTTPX),
    "aiohttp": frozenset(
        {"ClientConnectorError", "ClientConnectorDNSError", "ClientConnectorSSLError", "ClientProxyConnectionError",
         "ClientConnectorCertificateError", "ConnectionTimeoutError"}
    ),
    "urllib3": frozenset({"NewConnectionError", "NameResolutionError", "ConnectTimeoutError"}),
    "requests": frozenset({"ConnectTimeout"}),
    "botocore": frozenset({"EndpointConnectionError", "ConnectTimeoutError"}),
}  # fmt: skip
"""By package, the errors that are raised only before there is a connection to send anything on.

Errors that may come later are left out: resets, reads and writes that fail, servers that hang up, every other time-out.
"""


def classify(error: BaseException, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Failure:
    """Return the Failure for `error`: by its HTTP status where there is one, else by the names of its causes."""
    for link in _causes(error):
        # Packages wrap what a hook of theirs raises (`bounded_http`).
        if isinstance(link, AttemptFailed):
            return link.failure
    failure = _classified(error, now)
    return replace(failure, unsent=failure.status is None and _never_sent(error))


def _never_sent(error: BaseException) -> bool:
    """Return whether `error` proves that no server was sent anything."""
    chain = [(type(link).__module__.partition(".")[0], type(link).__name__) for link in _causes(error)]
    # openai's transport turns each connection that aiohttp loses into a ConnectTimeout, one that breaks off in the
    # middle of an answer included: where an error of aiohttp is among the causes, only that one counts.
    own = [link for link in chain if link[0] == "aiohttp"]
    return any(name in _UNSENT.get(package, ()) for package, name in own or chain)


def _classified(error: BaseException, now: Callable[[], datetime]) -> Failure:
    chain = list(_causes(error))
    detail = _detail(error)
    # aiohttp gives replies that break off, or that are not HTTP at all, a status of 400 that no server sent.
    unsent = any(type(link).__module__ == "aiohttp.http_exceptions" for link in chain)
    for link in () if unsent else chain:
        if (status := _status(link)) is not None:
            if any("ContextOverflow" in type(one).__name__ for one in chain):
                return Failure("too_long", detail, status=status)
            headers = _headers(link)
            failure = _by_status(status, detail, parse_retry_after(headers, now=now) if headers else None)
            return replace(failure, in_reply=_in_reply(link))
    if _OVERLONG.search(detail):
        return Failure("too_long", detail)
    # A certificate error is a ValueError, and openai's transport reports it as a timeout of connecting, too.
    if any("ConnectTimeout" in type(link).__name__ for link in chain) and not isinstance(chain[-1], ValueError):
        return Failure("network", _detail(chain[-1]) or "no connection in time", True)
    # The innermost cause is the most reliable: aiohttp's transport reports refused and dropped connections as timeouts.
    for link in reversed(chain):
        for pattern, kind, retryable in _BY_NAME:
            if pattern.search(type(link).__name__):
                return Failure(kind, _detail(link) or detail, retryable)
        if isinstance(link, OSError):
            return Failure("timeout" if isinstance(link, TimeoutError) else "network", _detail(link), True)
    # Other errors come from reading a reply that does not follow the protocol.
    return Failure("garbage", f"{type(error).__name__}: {detail}" if detail else type(error).__name__, True)


def parse_retry_after(
    headers: Mapping[str, str], *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> float | None:
    """Return the seconds to wait, from `retry-after-ms` or `Retry-After` (seconds or an HTTP date; RFC 9110 §10.2.3).

    None when there is no such header, it makes no sense, or its time has passed.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = lower.get(name, "").strip()
        if re.fullmatch(r"\d{1,12}(\.\d+)?", text):
            return float(text) * unit or None
    try:
        date = parsedate_to_datetime(lower.get("retry-after", ""))
    except ValueError:
        return None
    seconds = ((date if date.tzinfo else date.replace(tzinfo=UTC)) - now()).total_seconds()
    return seconds if seconds > 0 else None


def _by_status(status: int, detail: str, retry_after: float | None) -> Failure:
    if status < 500 and status != 429 and _OVERLONG.search(detail):
        return Failure("too_long", detail, status=status)
    match status:
        case 401 | 403:
            return Failure("auth", detail, status=status)
        case 402:
            return Failure("rate_limit", detail, status=status)
        case 404 | 405:
            return Failure("not_found", detail, status=status)
        case 408:
            return Failure("timeout", detail, True, status, retry_after)
        case 413:
            return Failure("too_long", detail, status=status)
        case 429:
            # A spent quota is a 429 too, and waiting does not restore it.
            return Failure("rate_limit", detail, not _NO_QUOTA.search(detail), status, retry_after)
        case _ if status == 409 or status >= 500:
            return Failure("server", detail, True, status, retry_after)
        case _:
            return Failure("not_found" if _NO_MODEL.search(detail) else "bad_request", detail, status=status)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield `error`, then what it was raised from, outermost first. Contexts are left out: they may be the caller's."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__


def _status(error: BaseException) -> int | None:
    """Return an HTTP status of 300 or more that `error` has, wherever its provider keeps it, or None."""
    response = getattr(error, "response", None)
    first = error.args[0] if error.args else None
    places: list[Any] = [
        *(getattr(error, name, None) for name in ("status_code", "status", "http_status", "code")),
        *(getattr(response, name, None) for name in ("status_code", "status")),
        _inside(response, "ResponseMetadata", "HTTPStatusCode"),
        # Some gateways answer 200 with `{"error": {"code": 429, …}}`, and ChatOpenAI raises that dict.
        _inside(first, "code"),
    ]
    for place in places:
        if isinstance(place, int) and not isinstance(place, bool) and 300 <= place <= 599:
            return int(place)
    return None


def _in_reply(error: BaseException) -> bool:
    """Return whether `error` is a dict that was raised for what stood in a reply of status 200."""
    return getattr(error, "response", None) is None and bool(error.args) and isinstance(error.args[0], dict)


def _headers(error: BaseException) -> Mapping[str, str] | None:
    response = getattr(error, "response", None)
    headers = getattr(response, "headers", None) or _inside(response, "ResponseMetadata", "HTTPHeaders")
    # Not every library's headers are registered as a Mapping; all of them have items().
    return cast("Mapping[str, str]", headers) if hasattr(headers, "items") else None


def _detail(error: BaseException) -> str:
    """Return what the server said on one line; without a server, what the error says."""
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    return server_words(getattr(error, "body", None)) or (
        server_words(error.args[0] if error.args and isinstance(error.args[0], dict) else None)
        or one_line(str(getattr(error, "strerror", None) or error))
    )


def _inside(value: Any, *path: str) -> Any:
    """Return the value at `path` in nested dicts; None when there is no such path."""
    for name in path:
        if not isinstance(value, dict):
            return None
        value = cast("dict[str, Any]", value).get(name)
    return value


@dataclass(frozen=True)
class Target:
    """The model that is asked, and its server: what a user needs to find the mistake."""

    name: str
    """`provider:model`, as it was configured."""
    where: str = ""
    """The server's address, without user and password; empty for a provider's own."""
    key_name: str = ""
    """The environment variable that holds its key."""
    seconds: float | None = 600.0
    """The time limit of one request; None: no limit."""
    secrets: tuple[str, ...] = ()
    """Texts that must never be shown, even if a server repeats them."""


_SENTENCES: dict[FailureKind, str] = {
    "auth": "{model} does not accept the key{said}; check {key}.",
    "not_found": "{model} was not found{said}; check {address}.",
    "bad_request": "{model} does not accept the request{said}; check the model's name and the prompt.",
    "too_long": "The prompt is longer than {name} can read{said}; slice it, and ask about the pieces.",
    "rate_limit": "{model} still limits the rate{tries}{said}; lower --concurrency or wait.",
    "server": "The server of {model} keeps failing{tries}{said}; wait until it works again.",
    "network": "{model} cannot be reached{tries}{said}; check the server and the network.",
    "timeout": "{model} did not answer in time{tries}{said}; check the server.",
    "refused": "{name} refused to answer{said}; put the question differently or use another model.",
    "empty": "{name} gave an empty answer{tries}{said}; put the question differently or use another model.",
    "cut": "{name} was cut off before it answered{said}; ask for less, or use a model that thinks less.",
    "thoughts": "{name} only thought, and gave no answer{tries}; put the question differently or use another model.",
    "garbage": "{model} does not answer like a chat completions server{tries}{said}; check --base-url.",
    "scripted": "The scripted model {name} failed{said}; correct the script.",
    "redirected": "{model} redirects requests{said}, which is not followed; name that server itself if you trust it.",
    "schema": "{name} did not answer in the asked form{tries}{said}; simplify the schema or use another model.",
}
_ROOT_TOO_LONG = "The request to the root model is longer than {name} can read{said}; use a --model that reads more."
_QUOTA_USED_UP = "{model} has no quota or credit left{said}; top up the account."


def explain(failure: Failure, target: Target, attempts: int, role: Role = "sub") -> str:
    """Return one sentence, without keys, that names the model and says what to do."""
    sentence = _SENTENCES[failure.kind]
    if failure.kind == "rate_limit" and not failure.retryable:
        sentence = _QUOTA_USED_UP
    elif failure.kind == "too_long" and role == "root":
        sentence = _ROOT_TOO_LONG
    detail = redact(failure.detail, target.secrets)
    if failure.kind == "timeout" and not failure.status and target.seconds is not None:
        detail = f"limit {target.seconds:g} seconds"
    if detail == f"Error code: {failure.status}":
        detail = ""
    said = ": ".join(str(part) for part in (failure.status, detail) if part)
    return sentence.format(
        name=target.name,
        model=f"{target.name} at {target.where}" if target.where else target.name,
        said=f" ({said})" if said else "",
        tries=f" after {attempts} attempts" if attempts > 1 else "",
        key=target.key_name or "the provider's API key",
        address="the model's name and --base-url, which mostly ends in /v1" if target.where else "the model's name",
    )
