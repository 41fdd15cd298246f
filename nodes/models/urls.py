"""Read a server's address: check its form, whether it is this machine, and how to show it."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from ...state.base_urls import basic_token
from ...state.errors import ModelSetupError


@dataclass(frozen=True)
class Address:
    """An address in the parts that a client sends in different places."""

    url: str
    """Without user, password and query."""
    authorization: str
    """The header that carries user and password; empty without any."""
    query: Mapping[str, str]


def address_of(base_url: str) -> Address:
    """Return the parts of a whole address."""
    parts = urlsplit(base_url)
    user, _, host = parts.netloc.rpartition("@")
    token = basic_token(user)
    url = urlunsplit((parts.scheme, host, parts.path, "", ""))
    return Address(url, f"Basic {token}" if user else "", dict(parse_qsl(parts.query, keep_blank_values=True)))


def shown(base_url: str) -> str:
    """Return the address as messages show it: without user, password and query; empty for an empty one.

    Raises ModelSetupError for anything but an http address.
    """
    if not base_url:
        return ""
    try:
        parts = urlsplit(base_url)
        port = f":{parts.port}" if parts.port else ""
        host = parts.hostname
    except ValueError:
        parts, port, host = urlsplit(""), "", None
    if parts.scheme not in ("http", "https") or not host:
        raise ModelSetupError(
            "--base-url is not the address of a server.", hint="Write it like http://127.0.0.1:8000/v1."
        )
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}{parts.path}".rstrip("/")


def is_loopback(base_url: str) -> bool:
    """Return whether the address is this machine's own: `localhost`, 127.0.0.0/8 or ::1."""
    host = urlsplit(base_url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_openai(base_url: str) -> bool:
    """Return whether the address is OpenAI's own API, in any region, or Azure's copy of it."""
    host = urlsplit(base_url).hostname or ""
    return host == "api.openai.com" or host.endswith((".api.openai.com", ".openai.azure.com"))
