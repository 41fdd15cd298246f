"""Addresses of servers, as they are saved: without their secrets, which are kept in memory alone.

`https://user:pass@host/v1?key=s3cret` is saved as `https://***@host/v1?key=***`. The process that was given the
address has the secrets; another one that resumes the run gets them anew, from a flag or from `RLM_BASE_URL`,
`RLM_SUB_BASE_URL` or `RLM_THEN_BASE_URL`, if they hold the same address.

An address that only a folder's file names ends in `#no-key`: the key of a provider is not for that server.
"""

import base64
import os
import re
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

HIDDEN = "***"
"""Written in place of a secret."""
_NO_KEY = "no-key"
_VARIABLES = ("RLM_BASE_URL", "RLM_SUB_BASE_URL", "RLM_THEN_BASE_URL")
_HARMLESS = frozenset({"api-version", "version", "v"})
"""Parameters of a query that are no secrets, by their names."""
_SECRET_PART = re.compile(r"(?:sk|pk|rk|xai|gsk|hf|AIza)[-_][\w-]{16,}")
_given: dict[str, str] = {}
"""The addresses that this process was given with their secrets, by their saved form."""


class SecretMissing(ValueError):
    """An address was saved without its secrets, and this process was not given them."""


def saved_form(url: Any) -> Any:
    """Return an address without its secrets, which this process remembers; anything else unchanged."""
    if not isinstance(url, str):
        return url
    form = hidden(url)
    if form != url:
        _given[form] = url
    return form


def hidden(url: str) -> str:
    """Return an address with `***` in place of its user, password, and the values of its query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        # Not an address; whatever is wrong with it is reported without it.
        return re.sub(r"(://)[^/\s]*@", rf"\1{HIDDEN}@", url)
    user, at, host = parts.netloc.rpartition("@")
    netloc = f"{HIDDEN}@{host}" if at and user else parts.netloc
    path = _SECRET_PART.sub(HIDDEN, parts.path)
    query = "&".join(_hidden_parameter(one) for one in parts.query.split("&")) if parts.query else ""
    form = urlunsplit((parts.scheme, netloc, path, query, parts.fragment))
    # What is written in another way, but has no secret, stays as the user wrote it.
    return url if form == urlunsplit(parts) else form


def _hidden_parameter(parameter: str) -> str:
    name, equals, value = parameter.partition("=")
    if not equals:
        # A query may be a secret alone.
        return HIDDEN if parameter else ""
    return parameter if name.lower() in _HARMLESS or not value else f"{name}={HIDDEN}"


def whole_url(saved: str) -> str:
    """Return a saved address with its secrets, and without the mark `#no-key`.

    Raises SecretMissing when this process has not been given them.
    """
    whole = saved
    if HIDDEN in saved:
        whole = next((url for url in _known(saved) if HIDDEN not in url), "")
        if not whole:
            raise SecretMissing(saved)
    return whole.removesuffix(f"#{_NO_KEY}")


def _known(saved: str) -> list[str]:
    plain = saved.removesuffix(f"#{_NO_KEY}")
    named = [url for variable in _VARIABLES if (url := os.environ.get(variable, "")) and hidden(url) == plain]
    return [*(url for form in (saved, plain) if (url := _given.get(form))), *named]


def secrets_of(url: str) -> tuple[str, ...]:
    """Return the secrets of a whole address, in each form in which a server may echo them."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ()
    user = parts.netloc.rpartition("@")[0]
    found = [user, *user.split(":", 1), basic_token(user) if user else ""]
    for parameter in parts.query.split("&"):
        name, equals, value = parameter.partition("=")
        if name.lower() not in _HARMLESS:
            found.append(value if equals else parameter)
    found += _SECRET_PART.findall(parts.path)
    return tuple(dict.fromkeys(form for one in found if one for form in (one, unquote(one))))


def basic_token(user: str) -> str:
    """Return the token of HTTP's Basic scheme for `user:password`, as it stands in an address."""
    name, _, password = user.partition(":")
    return base64.b64encode(f"{unquote(name)}:{unquote(password)}".encode()).decode()


def without_provider_key(url: str) -> str:
    """Return the address with the mark that no provider's key is for its server."""
    return f"{url.partition('#')[0]}#{_NO_KEY}"


def takes_provider_key(url: str) -> bool:
    """Return whether the key of a provider may be sent to this address."""
    return not url.endswith(f"#{_NO_KEY}")
