"""Remove keys from error texts of servers and packages: servers echo keys, and messages are stored and shown."""

import re
from collections.abc import Iterable

from ...state.environment_secrets import SHORTEST_SECRET, secrets_of_environment

_HIDDEN = "[hidden]"
_CUT = "…"
_SHORTEST_BEGINNING = 4
_SHAPES = (
    re.compile(r"\b(Bearer|Basic)\s+[^\s\"',;]{8,}", re.IGNORECASE),
    re.compile(r"\b(api[-_]?key|authorization|access[-_]?token)(['\"]?\s*[:=]\s*['\"]?)[^\s\"',;&]+", re.IGNORECASE),
    re.compile(r"([?&](?:key|api[-_]?key|token)=)[^&\s\"']+", re.IGNORECASE),
    re.compile(r"(://)[^/\s@]+@"),
    re.compile(r"()\b(?:sk|pk|rk|xai|gsk|hf|AIza)[-_][\w*-]{6,}"),
)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return `text` without `secrets`, the values of key-like environment variables, and text that looks like a key."""
    known = {*secrets_of_environment(), *(one for one in secrets if len(one) >= SHORTEST_SECRET)}
    for value in sorted(known, key=len, reverse=True):
        text = _without_beginning(text.replace(value, _HIDDEN), value)
    for shape in _SHAPES:
        text = shape.sub(_keep_label, text)
    return text


def _without_beginning(text: str, secret: str) -> str:
    """Return `text`, which may have been cut, without a beginning of the secret at its end."""
    said, cut = text.removesuffix(_CUT), _CUT if text.endswith(_CUT) else ""
    for length in range(min(len(secret) - 1, len(said)), _SHORTEST_BEGINNING - 1, -1):
        if said.endswith(secret[:length]):
            return f"{said[:-length]}{_HIDDEN}{cut}"
    return text


def _keep_label(match: re.Match[str]) -> str:
    label = "".join(group for group in match.groups() if group)
    space = " " if label.isalpha() else ""
    return f"{label}{space}{_HIDDEN}" + ("@" if label == "://" else "")
