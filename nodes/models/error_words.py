"""Find the server's own words in an error, whatever its form: servers agree on no shape of errors.

OpenAI's `{"error": {"message": …}}`, `{"error": "…"}` (LM Studio, Ollama, TGI), FastAPI's `{"detail": …}`, lists
(Gemini), plain text and web pages (gateways).
"""

import html
import re
from collections.abc import Iterator
from typing import Any, cast

LENGTH = 240
"""Characters of an error's words, at most."""

_NAMES = (
    "error",
    "message",
    "msg",
    "detail",
    "details",
    "error_description",
    "errors",
    "description",
    "reason",
    "title",
)
_MOST_PARTS = 3
_DEEPEST = 6
_PAGE = re.compile(r"\s*<(!doctype|html|\?xml|head|body)\b", re.IGNORECASE)
_UNSEEN = re.compile(r"<(script|style)\b.*?</\1\s*>|<[^>]*>", re.IGNORECASE | re.DOTALL)
_MOST_MARKUP = 4_000


def server_words(body: Any) -> str:
    """Return the words of an error's body on one line of at most `LENGTH` characters; empty when it has none."""
    return one_line("; ".join(dict.fromkeys(_words(body, 0))))


def one_line(said: str) -> str:
    """Return what was said on one line of at most `LENGTH` characters; of a web page its text."""
    if _PAGE.match(said):
        text = html.unescape(_UNSEEN.sub(" ", said[:_MOST_MARKUP]))
        said = f"the server sent a web page: {' '.join(text.split())}".rstrip(": ")
    line = " ".join(said[: LENGTH * 4].split()).rstrip(".")
    return line if len(line) <= LENGTH else line[: LENGTH - 1] + "…"


def _words(body: Any, depth: int) -> Iterator[str]:
    if isinstance(body, str) and body.strip():
        yield body.strip()
    elif isinstance(body, list) and depth < _DEEPEST:
        for part in cast("list[Any]", body)[:_MOST_PARTS]:
            yield from _words(part, depth + 1)
    elif isinstance(body, dict) and depth < _DEEPEST:
        yield from _words_of(cast("dict[str, Any]", body), depth)


def _words_of(body: dict[str, Any], depth: int) -> Iterator[str]:
    found = next((words for name in _NAMES if (words := list(_words(body.get(name), depth + 1)))), [])
    place, code = body.get("loc"), body.get("code")
    if found and isinstance(place, list):
        # FastAPI: the field that an error is about.
        found[0] = f"{'.'.join(str(part) for part in cast('list[Any]', place)[:_DEEPEST])}: {found[0]}"
    if found and isinstance(code, str) and code:
        found[0] = f"{found[0].rstrip('.')} ({code})"
    yield from found
    metadata = body.get("metadata")
    if isinstance(metadata, dict):
        # OpenRouter passes the words of the provider behind it on.
        yield from _words(cast("dict[str, Any]", metadata).get("raw"), depth + 1)
