"""Bytes of any encoding become UTF-8, in pieces of any size; binary data is refused."""

import codecs
import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_rlm.nodes.input.draft import Unusable
from durable_rlm.nodes.input.text import utf8_chunks

POLISH = "Zażółć gęślą jaźń. Proszę bardzo, to jest dłuższy tekst, który ma wiele polskich liter.\n"
RUSSIAN = "Съешь же ещё этих мягких французских булок, да выпей чаю. Это русский текст.\n"
JAPANESE = "日本語の文章がここにあります。今日は天気がいいですね。カタカナもあります。\n"
FRENCH = "Le café est très bon à Noël, déjà vu où ça ? « Voilà » — l’été.\n"


def blocks(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


def decoded(data: bytes, size: int = 1 << 20) -> tuple[str, list[str]]:
    """Return the text and the remarks. Checks that each chunk is whole UTF-8 of the stated number of characters."""
    remarks: list[str] = []
    parts: list[str] = []
    for chunk, chars in utf8_chunks(blocks(data, size), remarks.append):
        parts.append(chunk.decode())
        assert len(parts[-1]) == chars
    return "".join(parts), remarks


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])), st.integers(1, 9))
def test_utf8_passes_unchanged_in_pieces_of_any_size(text: str, size: int) -> None:
    assert decoded(text.encode(), size) == (text.removeprefix("\ufeff"), [])


@pytest.mark.parametrize(
    ("mark", "name"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
def test_a_byte_order_mark_selects_the_encoding_and_is_not_part_of_the_text(mark: bytes, name: str) -> None:
    text = "naïve 日本 😀\r\n" * 1000
    assert decoded(mark + text.encode(name), 4096 + 2) == (text, [])


@pytest.mark.parametrize("name", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_wide_text_without_a_mark_is_recognized_by_its_zero_bytes(name: str) -> None:
    text = "A file from Windows, naïve\r\n" * 100
    assert decoded(text.encode(name)) == (text, [f"read as {name.upper()}"])


def test_line_ends_and_late_zero_characters_are_kept() -> None:
    text = "a\r\nb\rc\n" * 20_000 + "\0\0 tail\0"
    assert decoded(text.encode()) == (text, [])


@pytest.mark.parametrize(
    ("text", "name", "shown"),
    [
        (FRENCH, "cp1252", "Windows-1252"),
        ("café", "cp1252", "Windows-1252"),
        ("El niño comió piñas en España mañana", "cp1252", "Windows-1252"),
        (POLISH, "cp1250", "cp1250"),
        (RUSSIAN * 10, "cp1251", "cp1251"),
        (RUSSIAN, "koi8_r", "koi8_r"),
        (JAPANESE * 20, "cp932", "Shift JIS"),
        (JAPANESE * 20, "euc_jp", "euc_jp"),
    ],
)
def test_other_encodings_are_recognized_and_noted(text: str, name: str, shown: str) -> None:
    assert decoded(text.encode(name)) == (text, [f"read as {shown}"])


def test_an_encoding_is_recognized_even_after_megabytes_of_ascii() -> None:
    text = "plain ASCII line\n" * 200_000 + RUSSIAN * 10
    assert decoded(text.encode("cp1251")) == (text, ["read as cp1251"])


def test_bytes_that_windows_1252_lacks_are_kept_as_latin_1() -> None:
    text = FRENCH * 10 + "plain\n" * 10_000
    assert decoded(text.encode("cp1252") + b"\x81\xe9") == (text + "\x81é", ["read as Windows-1252"])


@pytest.mark.parametrize("size", [1, 2, 7, 1 << 20])
def test_an_invalid_byte_in_utf8_does_not_affect_the_rest(size: int) -> None:
    data = ("Übergrößenträger 日本語 " * 10).encode()
    text, remarks = decoded(data + b"\xe9\xff " + data + b"\xc3", size)
    good = data.decode()
    assert text == f"{good}éÿ {good}Ã"
    assert remarks == ["not all UTF-8; the other bytes read as Windows-1252"]


def test_damaged_utf16_is_decoded_and_noted() -> None:
    text, remarks = decoded(codecs.BOM_UTF16_LE + "hello wide world".encode("utf-16-le") + b"\x00\xd8!")
    assert text == "hello wide world\ufffd"
    assert remarks == ["some bytes were no UTF-16 and are shown as U+FFFD"]


@pytest.mark.parametrize(
    "data",
    [
        b"\x7fELF\x02\x01\x01\0\0\0\0",
        b"text and then\0",
        b"x" * 60_000 + b"\0",
        bytes(range(1, 256)) * 10,
        b"\x01\x02\x03\x04ab" * 100,
        codecs.BOM_UTF16_LE + random.Random(1).randbytes(9000),
        codecs.BOM_UTF32_BE + random.Random(1).randbytes(9000),
    ],
)
def test_binary_data_is_refused_before_any_output(data: bytes) -> None:
    with pytest.raises(Unusable, match="a binary file"):
        next(utf8_chunks(blocks(data, 1 << 20), print))


def test_random_bytes_are_binary() -> None:
    for seed in range(50):
        data = random.Random(seed).randbytes(4096).replace(b"\0", b"\xff")
        with pytest.raises(Unusable):
            decoded(data)


@pytest.mark.parametrize(
    "text",
    [
        "\x1b[31mred\x1b[0m terminal log\r\n" * 50,
        "8=FIX.4.2\x019=178\x0135=8\x0149=PHLX\x01" * 50,  # controls between fields
        "page one\fpage two\b\t",
        "",
        "\n",
    ],
)
def test_text_with_some_control_characters_is_text(text: str) -> None:
    assert decoded(text.encode()) == (text, [])
