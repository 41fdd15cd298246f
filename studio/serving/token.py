"""A server's token, as Jupyter has it, and the session that it opens in a browser.

The token is in the memory of the server's process and nowhere else: not in its command line, not in an environment
that other processes inherit, not in a file. Each start makes another one, unless `$RLM_SERVER_TOKEN` names it.
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ...state.errors import UsageError

TOKEN_VARIABLE = "RLM_SERVER_TOKEN"
HOSTED_STUDIO_VARIABLE = "RLM_SERVER_ALLOW_HOSTED_STUDIO"
HOSTED_STUDIO = "https://smith.langchain.com"
"""The origin of LangGraph Studio's page."""
_SHORTEST = 16


@dataclass(frozen=True)
class Access:
    """The credentials of this server."""

    token: str = field(repr=False)
    session: str = field(default_factory=secrets.token_urlsafe, repr=False)
    """The session that a browser keeps as a cookie. Not the token: cookies go to every port of a host."""
    hosted_studio: bool = False
    """True when LangGraph Studio's page may ask, with the token."""
    hosts: frozenset[str] = frozenset()
    """Names that this server has, beside those of loopback and the address that was connected to."""
    announced: bool = False
    """True when the user has seen the token, or gave it."""
    tickets: set[str] = field(default_factory=set[str], repr=False)
    """Tickets that have not been used. One lets a browser in once: command lines of browsers can be seen by others."""

    @classmethod
    def chosen_or_new(cls, **more: Any) -> "Access":
        """Return the access by the token that `$RLM_SERVER_TOKEN` names, else by a new one. Raises UsageError.

        With a chosen token a server that is started again knows the browsers that it had let in.
        """
        token = chosen_token()
        return cls(secrets.token_urlsafe(), **more) if token is None else cls(token, _session_of(token), **more)

    def new_ticket(self) -> str:
        """Return a ticket that lets a browser in once."""
        ticket = secrets.token_urlsafe()
        self.tickets.add(ticket)
        return ticket

    def take_ticket(self, given: Iterable[str]) -> bool:
        """Return whether one of those given is an unused ticket, which is used then."""
        found = {ticket for one in given for ticket in self.tickets if _same(one, ticket)}
        self.tickets.difference_update(found)
        return bool(found)

    def has_token(self, given: Iterable[str]) -> bool:
        """Return whether one of those given is the token; takes as long for a wrong one as for the right one."""
        return any([_same(one, self.token) for one in given])

    def has_session(self, given: Iterable[str]) -> bool:
        """Return whether one of the cookies is that of this server's session."""
        return any([_same(one, self.session) for one in given])


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "surrogateescape"), other.encode())


def _session_of(token: str) -> str:
    # Slow on purpose: a chosen token may be one that can be guessed, and other servers of this host see cookies.
    return hashlib.scrypt(token.encode(), salt=b"rlm session", n=1 << 14, r=8, p=1, dklen=32).hex()


def chosen_token() -> str | None:
    """The token that `$RLM_SERVER_TOKEN` names, which is then taken out of the environment; None where it is not set.

    Raises UsageError for one that is short or that no header could carry.
    """
    given = os.environ.pop(TOKEN_VARIABLE, "")
    if not given:
        return None
    if len(given) < _SHORTEST or not all("!" <= letter <= "~" for letter in given):
        raise UsageError(
            f"{TOKEN_VARIABLE} must have at least {_SHORTEST} characters, printable ASCII without spaces.",
            hint="Leave it unset, and each start makes one.",
        )
    return given


class _Standing:
    """The one access of a server process."""

    def __init__(self) -> None:
        self.access: Access | None = None


_standing = _Standing()


def set_access(access: Access) -> None:
    """Set the credentials of this process's server."""
    _standing.access = access


def current_access() -> Access:
    """Return the credentials of this process's server, from the environment unless set. Raises UsageError."""
    if _standing.access is None:
        given = bool(os.environ.get(TOKEN_VARIABLE))
        hosted = os.environ.get(HOSTED_STUDIO_VARIABLE, "").lower() in ("1", "true", "yes")
        set_access(Access.chosen_or_new(hosted_studio=hosted, announced=given))
    assert _standing.access is not None
    return _standing.access
