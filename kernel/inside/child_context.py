"""What `rlm_query(…, context=…)` hands over: where its texts stand in the caller's own input, else the texts."""

from json import dumps
from typing import Any

from .context import Document, Documents
from .places import Places

_LONG = 1 << 10
"""Characters from which a text is looked for in the input."""
_TAKEN = "context is a str, a document, `context` or a slice of it, or a list of documents and str"


class Handed:
    """A context as it is posted (`state/input/child_context.py`), and the characters that travel with it."""

    def __init__(self, kind: str, parts: list[dict[str, Any]]) -> None:
        self.posted = {"kind": kind, "parts": parts}
        self.chars = sum(_chars(part) for part in parts)


class Handing:
    """Describes contexts of a kernel whose own input is `own`, a str or Documents.

    `own` is what `context` was at first: rebinding that name changes nothing here.
    """

    def __init__(self, own: Any, places: "Places | None") -> None:
        self._own = own
        self._places = places

    def over(self, context: Any) -> Handed:
        """`context`, described. Raises TypeError for what is none."""
        if context is self._own or (isinstance(context, Documents) and context == self._own):
            return Handed("own", [])
        if isinstance(context, str | Document):
            return Handed("text", [self._part(context, "")])
        return Handed("documents", [self._part(one, str(number)) for number, one in enumerate(_listed(context), 1)])

    def _part(self, one: "str | Document", name: str) -> dict[str, Any]:
        if isinstance(one, Document):
            about = {"name": str(one.name), "meta": _meta(one)}
            place = self._places.of(one) if self._places else None
            text = one.text if place is None else None
        else:
            about = {"name": name}
            place = self._places.find(one) if self._places and len(one) >= _LONG else None
            text = str(one) if place is None else None
        return {**about, "text": text} if place is None else {**about, "start": place[0], "end": place[1]}


def text_of(context: Any) -> str:
    """`context` as one text, to be put behind a prompt. Raises TypeError for what is none."""
    if isinstance(context, str | Document | Documents):
        return str(context)
    return "\n\n".join(map(str, _listed(context)))


def _listed(context: Any) -> "Documents | list[str | Document] | tuple[str | Document, ...]":
    if isinstance(context, Documents):
        return context
    if not isinstance(context, list | tuple):
        raise TypeError(f"{_TAKEN}, not a {type(context).__name__}; make it a text, by json.dumps or str for one")
    for one in context:
        if not isinstance(one, str | Document):
            raise TypeError(f"{_TAKEN}; in this list there is a {type(one).__name__}")
    return context


def _meta(document: Document) -> dict[str, Any]:
    meta: Any = document.meta
    if not meta:
        return {}
    try:
        dumps(meta, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TypeError(f"the .meta of {document.name!r} is no plain JSON: {error}") from None
    if not isinstance(meta, dict):
        raise TypeError(f"the .meta of {document.name!r} is no dict")
    return meta


def _chars(part: dict[str, Any]) -> int:
    meta = part.get("meta")
    return len(part["name"]) + len(part.get("text") or "") + (len(dumps(meta)) if meta else 0)
