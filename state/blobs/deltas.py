"""Deltas: texts stored as ranges of a blob and the bytes between them (in the table `recipes`).

A prompt that is a slice of the input, with an instruction before it and a question behind it, is stored as those two
and the place of the slice. Plain JSON; a wire format:
`{"check": …, "blobs": [hash, …], "pieces": ["literal text", [blob, start, end], …]}`, in bytes of the blob's UTF-8.
The check is a hash over the rest and the text's own hash, so that a flipped bit is not taken for another blob.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import CHANGED, MISSING
from .range_index import Range
from .store import Blobs, content_hash

LEAST_SAVED = 1 << 10
"""Bytes that a delta must save at least; it must also save half of the text."""
_CHECK_LENGTH = 16
_CHUNK = 4 << 20

Piece = str | tuple[int, int, int]
"""A literal text, or the number of a blob with the first byte and the end of a range."""


class DeltaError(Exception):
    """A text cannot be assembled. The message says why, such as `is cut from …, which is missing`."""

    def __init__(self, fault: str, where: str = "table recipes") -> None:
        super().__init__(fault)
        self.where = where
        """The damaged table or file."""


@dataclass(frozen=True)
class TextDelta:
    """The delta of the text whose hash is `name`."""

    name: str
    blobs: tuple[str, ...]
    pieces: tuple[Piece, ...]

    def to_json(self) -> bytes:
        """Return the delta as it is stored."""
        return _dumped({"check": self._check, "blobs": self.blobs, "pieces": self.pieces})

    @classmethod
    def from_json(cls, name: str, stored: bytes) -> "TextDelta":
        """Return the delta stored for the text `name`. Raises DeltaError when it is not what was saved."""
        try:
            value: Any = json.loads(stored)
            pieces = tuple(
                piece if isinstance(piece, str) else (piece[0], piece[1], piece[2]) for piece in value["pieces"]
            )
            recipe = cls(name, tuple(value["blobs"]), pieces)
            if value["check"] == recipe._check:
                return recipe
        except (ValueError, TypeError, LookupError):
            pass
        raise DeltaError(CHANGED)

    def chunks(self, blobs: Blobs, size: int = _CHUNK) -> Iterator[bytes]:
        """Yield the text's bytes, of the blob at most `size` at a time. Raises DeltaError, a wrong hash at the end."""
        hashed = hashlib.sha256()
        for piece in self.pieces:
            if isinstance(piece, str):
                found: Iterable[bytes] = [piece.encode()]
            else:
                number, start, end = piece
                found = _range(blobs, self.blobs[number], start, end, size)
            for chunk in found:
                hashed.update(chunk)
                yield chunk
        if hashed.hexdigest() != self.name:
            raise _cut_from(self.blobs[0], CHANGED)

    @property
    def _check(self) -> str:
        return content_hash(_dumped([self.name, self.blobs, self.pieces]))[:_CHECK_LENGTH]


def recipe_of(body: bytes, blob: str, ranges: Sequence[Range]) -> bytes | None:
    """Return the delta, as stored, of a text whose `ranges` are found in `blob`; None when it would not save enough."""
    if sum(one.end - one.start for one in ranges) < max(LEAST_SAVED, len(body) // 2):
        return None
    pieces: list[Piece] = []
    at = 0
    for start, end, place in ranges:
        if start > at:
            pieces.append(body[at:start].decode())
        pieces.append((0, place, place + end - start))
        at = end
    if at < len(body):
        pieces.append(body[at:].decode())
    stored = TextDelta(content_hash(body), (blob,), tuple(pieces)).to_json()
    return stored if len(body) - len(stored) >= max(LEAST_SAVED, len(body) // 2) else None


def _range(blobs: Blobs, blob: str, start: int, end: int, size: int) -> Iterator[bytes]:
    try:
        with blobs.open(blob) as file:
            file.seek(start)
            while start < end:
                chunk = file.read(min(size, end - start))
                if not chunk:
                    raise _cut_from(blob, CHANGED)
                yield chunk
                start += len(chunk)
    except OSError as error:
        fault = MISSING if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        raise _cut_from(blob, fault) from error


def _cut_from(blob: str, fault: str) -> DeltaError:
    where = f"blobs/{blob[:2]}/{blob[2:]}"
    return DeltaError(f"is cut from {where}, which {fault}", where)


def _dumped(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
