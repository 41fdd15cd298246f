"""Read a server's address: check its form, whether it is this machine, and how to show it."""

import ipaddress
from urllib.parse import urlsplit

from ...state.errors import ModelSetupError


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
