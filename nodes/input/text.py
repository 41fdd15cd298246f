"""Bytes in any encoding as UTF-8, block by block: in one pass, so that a pipe can be read too.

Text that is already UTF-8 passes through unchanged. Everything before the first byte that is not ASCII reads the same
in nearly every encoding, so the decision is made at the first byte that is not UTF-8, wherever it comes, on what has
been seen and a few megabytes beyond. It never changes what was yielded. Two kinds of such text exist:

- UTF-8 with other bytes in it: each of those is read by itself, as Windows-1252.
- Text in another encoding: lines of it that are UTF-8 all the same are read as UTF-8.

Line ends stay as they are, and so do NUL characters.
"""

import codecs
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain

from ...state.input.encoding_names import SEVEN_BITS, lookup, shown
from . import encoding
from .draft import Unusable
from .guess import guess, single_bytes

Chunk = tuple[bytes, int]
"""UTF-8 bytes, ending at the end of a character, and the number of characters."""
Remark = Callable[[str], None]
"""Called with what a reader of the text should know: how it was decoded."""

_SURROGATES = re.compile("[\ud800-\udfff]")

BLOCK = 1 << 20
"""Bytes read at once: large enough to be fast, small enough to stay in the processor's cache."""
_AHEAD = 3 << 20
"""Bytes read beyond a block that is not UTF-8, before its encoding is decided."""
_WEAK = 8
"""Invalid bytes that are too few to decide on another encoding while UTF-8 is there, or may follow."""


@dataclass
class Decoding:
    """The circumstances of decoding one text, and its result."""

    declared: str = ""
    """The encoding that the container names, such as a part of an e-mail; used if the bytes are valid in it."""
    wanted: str = ""
    """The encoding that the user names; only a byte order mark overrules it."""
    encoding: str = "UTF-8"
    """The encoding as it was read, for people. Final once the chunks are consumed."""


def utf8_chunks(blocks: Iterator[bytes], remark: Remark, decoding: Decoding | None = None) -> Iterator[Chunk]:
    """Yield the text of `blocks` as UTF-8. The first block should hold at least 64 KB, if there is that much.

    Raises Unusable, before anything is yielded, when it is not text.
    """
    decoding = decoding or Decoding()
    head = next(blocks, b"")
    name, length = encoding.mark(head)
    everything = chain([head[length:] if length else head], blocks)
    wanted = lookup(decoding.wanted)
    if name or wanted:
        if name not in ("", "utf-8") or (not name and wanted != "utf-8"):
            return _decoded(everything, name or wanted, remark, decoding)
        _refuse_binary(head)
        return _Narrow(everything, remark, decoding, only_utf8=True).chunks()
    if found := encoding.wide(head) or encoding.seven_bit(head):
        remark(f"encoding guessed: {shown(found)}")
        return _decoded(everything, found, remark, decoding)
    _refuse_binary(head)
    declared = lookup(decoding.declared) or lookup(encoding.declared(head))
    if declared.startswith(SEVEN_BITS) and encoding.decodes(head, declared):
        return _decoded(everything, declared, remark, decoding)
    return _Narrow(everything, remark, decoding, declared).chunks()


def decoded(data: bytes, declared: str = "") -> tuple[str, str, list[str]]:
    """Return the text of bytes, its encoding for people, and what a reader of the text should know.

    `declared` is the encoding that the container names. Raises Unusable when they are not text.
    """
    phrases: list[str] = []
    decoding = Decoding(declared)
    text = b"".join(chunk for chunk, _ in utf8_chunks(iter([data]), phrases.append, decoding)).decode()
    return text, decoding.encoding, phrases


def encoded(text: str) -> tuple[bytes, bool]:
    """Return `text` as UTF-8, and whether it held lone surrogates, which are replaced by U+FFFD."""
    try:
        return text.encode(), False
    except UnicodeEncodeError:
        return _SURROGATES.sub("\ufffd", text).encode(), True


def _refuse_binary(head: bytes) -> None:
    if encoding.binary(head):
        raise Unusable("a binary file", "Convert it to text first.")


class _Narrow:
    """Decodes UTF-8, and what turns out to be another encoding in which ASCII stays ASCII."""

    def __init__(
        self,
        blocks: Iterator[bytes],
        remark: Remark,
        decoding: Decoding,
        declared: str = "",
        *,
        only_utf8: bool = False,
    ) -> None:
        self._blocks = blocks
        self._remark = remark
        self._decoding = decoding
        self._declared = "" if declared.startswith(("utf-", *SEVEN_BITS)) else declared
        self._only_utf8 = only_utf8
        self._right = 0
        """Continuation bytes of valid sequences so far."""
        self._strays = 0
        self._single = "cp1252"
        """The encoding of bytes that are not UTF-8."""

    def chunks(self) -> Iterator[Chunk]:
        """Yield UTF-8 unchanged, until an invalid byte requires a decision."""
        pending = b""
        for block in self._blocks:
            if not pending and block.isascii():
                yield block, len(block)
                continue
            data = pending + block if pending else block
            try:
                text, used = codecs.utf_8_decode(data, "strict", False)
                if self._declared and len(text) != used and not self._right and not self._is_utf8(data[:used]):
                    yield from self._other(self._declared, data, 8)
                    return
            except UnicodeDecodeError:
                yield from self._decided(data)
                return
            self._right += used - len(text)
            yield (data[:used] if used < len(data) else data), len(text)
            pending = data[used:]
        if pending:
            # The text ends within a character.
            yield from self._decided(pending)
        elif self._declared and self._right:
            self._remark(f"declared as {shown(self._declared)}, but is UTF-8")

    def _is_utf8(self, data: bytes) -> bool:
        """Return whether valid UTF-8 in a text that declares another encoding is really UTF-8."""
        return encoding.surely_utf8(data, self._declared, encoding.least(self._declared)) or not encoding.decodes(
            data, self._declared
        )

    def _decided(self, data: bytes) -> Iterator[Chunk]:
        """Decode the rest, of which `data` is the beginning and not valid UTF-8."""
        ahead = [data]
        size = 0
        while size < _AHEAD and (block := next(self._blocks, b"")):
            ahead.append(block)
            size += len(block)
        joined = b"".join(ahead)
        self._blocks = chain(ahead, self._blocks)
        found = encoding.evidence(joined)
        found.right += self._right
        if self._declared and not found.is_utf8:
            if encoding.decodes(joined, self._declared):
                return self._other(self._declared, b"", 8)
            self._remark(f"declared as {shown(self._declared)}, but is not")
        del joined
        name, weak = self._chosen(found)
        if name:
            return self._other(name, b"", weak, guessed=True)
        self._single = single_bytes(found.words)
        return self._repaired()

    def _chosen(self, found: encoding.Evidence) -> tuple[str, int]:
        """Return the encoding of text that is not valid UTF-8, empty for UTF-8 with stray bytes, and how sure it is."""
        few = found.wrong < _WEAK
        if self._only_utf8 or found.is_utf8 or (few and (self._right or found.good_runs or found.western)):
            return "", 0
        name = guess(found.sample)
        if found.western and name == "cp1252" and found.has_utf8 and found.right * 8 >= found.wrong:
            return "", 0
        certain = not found.has_utf8
        return name, 8 if certain else 1

    def _repaired(self) -> Iterator[Chunk]:
        """Decode UTF-8 in which other bytes are read one by one, as Windows-1252, which is the usual cause."""
        pending = b""
        looking = True
        for block in self._blocks:
            data = pending + block
            text, used, strays = _decoded_singly(data, self._single)
            if looking and strays >= 8 * _WEAK and self._strays + strays > self._right + used - len(text):
                # Another encoding may begin long after the first byte that was not UTF-8.
                found = encoding.evidence(data)
                found.right += self._right
                name, weak = self._chosen(found)
                if name and name != "cp1252":
                    self._blocks = chain([data], self._blocks)
                    self._say_strays()
                    yield from self._other(name, b"", weak, guessed=True)
                    return
                looking = False
            self._right += used - len(text)
            self._strays += strays
            pending = data[used:]
            yield encoded(text)[0], len(text)
        if pending:
            text, used, strays = _decoded_singly(pending, self._single, end=True)
            self._right += used - len(text)
            self._strays += strays
            yield encoded(text)[0], len(text)
        if self._right or self._only_utf8:
            self._say_strays()
        else:
            self._decoding.encoding = shown(self._single)
            self._remark(f"encoding guessed: {self._decoding.encoding}")

    def _say_strays(self) -> None:
        if self._strays:
            bytes_are = "1 byte is" if self._strays == 1 else f"{self._strays:,} bytes are"
            self._remark(f"{bytes_are} not UTF-8; read as {shown(self._single)}")

    def _other(self, name: str, first: bytes, weak: int, *, guessed: bool = False) -> Iterator[Chunk]:
        """Decode text in encoding `name`, but its UTF-8 lines as what they are."""
        self._decoding.encoding = shown(name)
        if guessed:
            self._remark(f"encoding guessed: {shown(name)}")
        decoder = _Decoder(name)
        need = min(weak, encoding.least(name))
        pending = b""
        inside = False
        lines = 0
        for block in chain([first] if first else [], self._blocks):
            data = pending + block
            cut = data.rfind(b"\n") + 1
            if not cut and len(data) < BLOCK:
                pending = data
                continue
            # A line longer than a block is decoded as it comes.
            cut = cut or len(data)
            text, found = _by_lines(data[:cut], decoder, name, need, inside=inside)
            lines += found
            pending = data[cut:]
            inside = not data.endswith(b"\n", 0, cut)
            yield encoded(text)[0], len(text)
        text, found = _by_lines(pending, decoder, name, need, inside=inside)
        text += decoder.end()
        if text:
            yield encoded(text)[0], len(text)
        if lines + found:
            self._remark(f"{lines + found:,} lines are UTF-8, and read as such")
        decoder.report(self._remark)


def _by_lines(data: bytes, decoder: "_Decoder", name: str, need: int, *, inside: bool) -> tuple[str, int]:
    """Return the text of whole lines, and how many of them are UTF-8. `inside`: the first is the rest of a line."""
    start = data.find(b"\n") + 1 if inside else 0
    spans = encoding.utf8_lines(data[start:], name, need) if not inside or start else []
    if not spans:
        return decoder.decode(data), 0
    parts: list[str] = []
    at = 0
    for begin, end in spans:
        parts += (decoder.decode(data[at : start + begin]), data[start + begin : start + end].decode())
        at = start + end
    parts.append(decoder.decode(data[at:]))
    return "".join(parts), len(spans)


def _decoded(blocks: Iterator[bytes], name: str, remark: Remark, decoding: Decoding) -> Iterator[Chunk]:
    """Decode all of a text in one encoding. Raises Unusable when that gives no text."""
    decoding.encoding = shown(name)
    decoder = _Decoder(name)
    text = decoder.decode(next(blocks, b""))
    if encoding.binary_text(text[: encoding.LOOKED_AT]):
        raise Unusable("a binary file", "Convert it to text first.")
    for block in chain(blocks, [None]):
        if text:
            yield encoded(text)[0], len(text)
        text = decoder.end() if block is None else decoder.decode(block)
    if text:
        yield encoded(text)[0], len(text)
    decoder.report(remark)


class _Decoder:
    """Decodes one encoding. Invalid bytes become U+FFFD, in Windows-1252 the Latin-1 character; they are counted."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._decoder = codecs.getincrementaldecoder(name)(_SINGLE if name == "cp1252" else "replace")
        self._replaced = 0

    def decode(self, data: bytes, *, final: bool = False) -> str:
        _strays.characters = _characters("cp1252")
        text = self._decoder.decode(data, final)
        if not text.isascii():
            self._replaced += text.count("\ufffd")
        return text

    def end(self) -> str:
        return self.decode(b"", final=True)

    def report(self, remark: Remark) -> None:
        if self._replaced:
            places = "1 place is" if self._replaced == 1 else f"{self._replaced:,} places are"
            remark(f"{places} not valid {shown(self._name)}; shown as U+FFFD")


class _Strays(threading.local):
    count = 0
    characters: Sequence[str] = ()


_strays = _Strays()
"""The number of bytes that the error handler has decoded in this thread, and how it decodes them."""


def _decoded_singly(data: bytes, name: str, *, end: bool = False) -> tuple[str, int, int]:
    """Decode UTF-8, and stray bytes in encoding `name`.

    Return the text, the number of bytes used, and of those the stray ones.
    """
    before = _strays.count
    _strays.characters = _characters(name)
    text, used = codecs.utf_8_decode(data, _SINGLE, end)
    return text, used, _strays.count - before


def _single(error: UnicodeError) -> tuple[str, int]:
    """Decode one byte by itself. A codec error handler."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    _strays.count += 1
    return _strays.characters[error.object[error.start]], error.start + 1


@cache
def _characters(name: str) -> list[str]:
    """Return the character of each byte; where the encoding has none, that of Latin-1."""
    return [bytes([byte]).decode(name, "ignore") or chr(byte) for byte in range(256)]


_SINGLE = "durable_rlm_single"
codecs.register_error(_SINGLE, _single)
