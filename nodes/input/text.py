"""Bytes in any encoding as UTF-8, block by block: in one pass, so that a pipe can be read too.

Text that is already UTF-8 passes through unchanged. Everything before the first byte that is not ASCII
reads the same in nearly every encoding, so the decision is made at that byte, wherever it comes.
Line ends stay as they are, and so do NUL characters beyond the beginning.
"""

import codecs
import re
from collections.abc import Callable, Iterator
from itertools import chain

from . import encoding
from .draft import Unusable

Chunk = tuple[bytes, int]
"""UTF-8 bytes, ending at the end of a character, and the number of characters."""
Remark = Callable[[str], None]
"""Called with what a reader of the text should know: how it was decoded."""

_SURROGATES = re.compile("[\ud800-\udfff]")

BLOCK = 1 << 20
"""Bytes read at once: large enough to be fast, small enough to stay in the processor's cache."""


def utf8_chunks(blocks: Iterator[bytes], remark: Remark) -> Iterator[Chunk]:
    """Yield the text of `blocks` as UTF-8. The first block should hold at least 64 KB, if there is that much.

    Raises Unusable, before anything is yielded, when it is not text.
    """
    head = next(blocks, b"")
    name, length = encoding.mark(head)
    if not name and 0 in head[: encoding.LOOKED_AT]:
        name = encoding.wide(head)
        if name:
            remark(f"read as {name.upper()}")
    everything = chain([head[length:] if length else head], blocks)
    if name in ("", "utf-8"):
        if encoding.binary(head):
            raise Unusable("a binary file", "Convert it to text first.")
        return _narrow(everything, remark)
    return _decoded(everything, name, remark, look=True)


def encoded(text: str) -> tuple[bytes, bool]:
    """Return `text` as UTF-8, and whether it held lone surrogates, which are replaced by U+FFFD."""
    try:
        return text.encode(), False
    except UnicodeEncodeError:
        return _SURROGATES.sub("\ufffd", text).encode(), True


def _narrow(blocks: Iterator[bytes], remark: Remark) -> Iterator[Chunk]:
    """Yield UTF-8 unchanged, until an invalid byte requires another encoding."""
    pending = b""
    accented = False
    for block in blocks:
        if not pending and block.isascii():
            yield block, len(block)
            continue
        data = pending + block if pending else block
        try:
            text, used = codecs.utf_8_decode(data, "strict", False)
        except UnicodeDecodeError as error:
            rest = chain([data], blocks)
            if accented or encoding.damaged_utf8(data):
                yield from _repaired(rest, remark)
            else:
                name = encoding.guess(data, error.start)
                yield from _decoded(rest, name, remark)
            return
        accented = accented or len(text) != used
        yield (data[:used] if used < len(data) else data), len(text)
        pending = data[used:]
    if pending:
        # The text ends within a character, or its last byte is the only one that is not ASCII.
        end = iter([pending])
        yield from _repaired(end, remark) if accented else _decoded(end, "cp1252", remark)


def _repaired(blocks: Iterator[bytes], remark: Remark) -> Iterator[Chunk]:
    """Decode UTF-8 in which single bytes are wrong; those are read as Windows-1252, the usual cause."""
    remark("not all UTF-8; the other bytes read as Windows-1252")
    pending = b""
    for block in blocks:
        text, used = codecs.utf_8_decode(pending + block, _SINGLE, False)
        pending = (pending + block)[used:]
        yield text.encode(), len(text)
    if pending:
        text, _ = codecs.utf_8_decode(pending, _SINGLE, True)
        yield text.encode(), len(text)


def _decoded(blocks: Iterator[bytes], name: str, remark: Remark, *, look: bool = False) -> Iterator[Chunk]:
    """Decode another encoding. Invalid bytes become U+FFFD (in Windows-1252 the Latin-1 character)."""
    decoder = codecs.getincrementaldecoder(name)(_SINGLE if name == "cp1252" else "replace")
    wrong = 0
    first = next(blocks, b"")
    text = decoder.decode(first)
    if look and encoding.binary_text(text[: encoding.LOOKED_AT]):
        raise Unusable("a binary file", "Convert it to text first.")
    if not look:
        remark(f"read as {_SHOWN.get(name, name)}")
    for block in chain(blocks, [None]):
        wrong += text.count("\ufffd")
        yield text.encode(), len(text)
        text = decoder.decode(block or b"", final=block is None)
    wrong += text.count("\ufffd")
    if text:
        yield text.encode(), len(text)
    if wrong:
        remark(f"some bytes were no {_SHOWN.get(name, name)} and are shown as U+FFFD")


def _single(error: UnicodeError) -> tuple[str, int]:
    """Decode one byte as Windows-1252, or as Latin-1 where that has no character. A codec error handler."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    byte = error.object[error.start : error.start + 1]
    try:
        return byte.decode("cp1252"), error.start + 1
    except UnicodeDecodeError:
        return byte.decode("latin-1"), error.start + 1


_SINGLE = "durable_rlm_single"
codecs.register_error(_SINGLE, _single)

_SHOWN = {
    "cp1252": "Windows-1252",
    "cp932": "Shift JIS",
    "cp949": "EUC-KR",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16",
    "utf-32-le": "UTF-32",
    "utf-32-be": "UTF-32",
}
