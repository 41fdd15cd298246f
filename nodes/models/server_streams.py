"""Decide which requests to a server are streamed, and learn from its refusals which of them it does not take."""

import re
from typing import Any

from .errors import Failure
from .provider_protocol import Role

_REFUSED = frozenset({400, 403, 404, 405, 415, 422, 501})
"""Statuses with which servers refuse to stream, or not to."""
_OPTIONS = re.compile(r"stream_options|include_usage", re.IGNORECASE)
_ONLY_STREAMS = re.compile(
    r"non.?stream|only.{0,30}stream|stream.{0,30}(must|required|only)|must.{0,30}stream", re.IGNORECASE
)
_STREAM = re.compile(r"\bstream(s|ed|ing)?\b", re.IGNORECASE)
_MOST_BROKEN = 2
"""Streams that may break one after another: some proxies cut every stream, and pass whole replies on."""


class ServerStreams:
    """A server's habits with streams. Root turns are streamed unless it refuses that, others only if they must be."""

    def __init__(self) -> None:
        self._takes = True
        """True when the server streams, as far as is known."""
        self._only = False
        """True when it answers only requests to stream."""
        self._takes_options = True
        self._broken = 0

    def fields(self, role: Role) -> dict[str, Any]:
        """Return the fields of a request about streaming."""
        if not (self._only or (self._takes and role == "root")):
            return {}
        return {"stream": True, **({"stream_options": {"include_usage": True}} if self._takes_options else {})}

    def learn(self, body: dict[str, Any], failure: Failure, said: str) -> bool:
        """Return whether a server said in a failure that requests must have other `fields`, which they now do.

        The request may have been under way while another one taught the same.
        """
        if failure.status is None:
            self._count_broken(body, failure)
        if failure.status not in _REFUSED:
            return False
        if "stream_options" in body and _OPTIONS.search(said):
            self._takes_options = False
        elif "stream" not in body and _ONLY_STREAMS.search(said):
            self._only = True
        elif "stream" in body and not self._only and _STREAM.search(said):
            self._takes = False
        else:
            return False
        return True

    def arrived(self, body: dict[str, Any]) -> None:
        """Note that the reply to a request arrived whole."""
        if "stream" in body:
            self._broken = 0

    def _count_broken(self, body: dict[str, Any], failure: Failure) -> None:
        if "stream" in body and not failure.unsent and failure.kind in ("garbage", "server", "network"):
            self._broken += 1
            self._takes = self._takes and self._broken < _MOST_BROKEN
