"""Responses that are not pages: whole texts, and files to keep."""

from collections.abc import Iterator
from urllib.parse import quote

from starlette.concurrency import iterate_in_threadpool
from starlette.responses import Response, StreamingResponse

from ..terminal.escape import HOSTILE


def whole_text(text: str) -> Response:
    """Return a whole text, which a browser shows as such whatever it is."""
    return Response(text.encode("utf-8", "replace"), media_type="text/plain", headers=_named("inline", ""))


def text_in_pieces(pieces: Iterator[bytes]) -> Response:
    """Return a whole text that is read as it is sent."""
    return StreamingResponse(iterate_in_threadpool(pieces), media_type="text/plain", headers=_named("inline", ""))


def file_to_keep(name: str, pieces: Iterator[bytes]) -> Response:
    """Return a file under a name, to be saved and never to be shown: nobody knows what is in it."""
    # In the window that asks where to save it, hidden characters could move the end of the name.
    kept = HOSTILE.sub("_", name.rpartition("/")[2]) or "file"
    headers = _named("attachment", kept)
    return StreamingResponse(iterate_in_threadpool(pieces), media_type="application/octet-stream", headers=headers)


def _named(how: str, name: str) -> dict[str, str]:
    # A page of another site may not show it as its own, and nothing in it runs.
    quoted = f"; filename*=UTF-8''{quote(name, safe='', errors='replace')}" if name else ""
    return {"content-disposition": f"{how}{quoted}"}
