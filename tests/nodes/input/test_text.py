"""Bytes of any encoding become UTF-8, in pieces of any size; binary data is refused."""

import codecs
import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_rlm.nodes.input.draft import Unusable
from durable_rlm.nodes.input.text import utf8_chunks

RUSSIAN = "Съешь же ещё этих мягких французских булок, да выпей чаю. Это русский текст.\n"
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
    assert decoded(text.encode(name)) == (text, [f"encoding guessed: {name[:6].upper()}"])


def test_line_ends_and_late_zero_characters_are_kept() -> None:
    text = "a\r\nb\rc\n" * 20_000 + "\0\0 tail\0"
    assert decoded(text.encode()) == (text, [])


def test_an_encoding_is_recognized_even_after_megabytes_of_ascii() -> None:
    text = "plain ASCII line\n" * 200_000 + RUSSIAN * 10
    assert decoded(text.encode("cp1251")) == (text, ["encoding guessed: Windows-1251"])


def test_the_text_beyond_a_block_counts_for_its_encoding() -> None:
    text = "Д\n" + "plain ASCII line\n" * 100_000 + RUSSIAN * 10
    assert decoded(text.encode("koi8_r")) == (text, ["encoding guessed: KOI8-R"])


def test_text_without_blanks_is_utf8_with_a_stray_byte_in_every_line() -> None:
    line = "日本語の文章がここにあります今日は天気がいいですね".encode()
    text, remarks = decoded((line + b"\xff" + line + b"\n") * 50)
    assert text == f"{line.decode()}ÿ{line.decode()}\n" * 50
    assert remarks == ["50 bytes are not UTF-8; read as Windows-1252"]


def test_a_line_with_one_valid_letter_is_utf8_where_such_lines_are_not_rare() -> None:
    data = ("é\n".encode() + "Договор вступает в силу\n".encode("cp1251")) * 20
    assert decoded(data)[0] == "é\nДоговор вступает в силу\n" * 20


def test_an_encoding_may_begin_long_after_a_stray_byte() -> None:
    start = b"caf\xe9\n" + b"plain ASCII line\n" * 500_000
    text, remarks = decoded(start + (RUSSIAN * 10).encode("koi8_r"))
    assert text == start.decode("cp1252") + RUSSIAN * 10
    assert remarks == ["1 byte is not UTF-8; read as Windows-1252", "encoding guessed: KOI8-R"]


@pytest.mark.parametrize("name", ["cp1251", "koi8_r", "cp1252"])
def test_an_encoding_holds_for_the_whole_file_and_utf8_lines_are_utf8(name: str) -> None:
    text = {"cp1252": FRENCH}.get(name, RUSSIAN) * 1000
    later = ("Größe – 日本語 в строке\n" * 3).encode()
    accidents = {"cp1251": "ЕЁ\n", "koi8_r": "её\n", "cp1252": "qualité\xa0»\n"}[name]
    data = (text + accidents).encode(name) * 20 + later + text.encode(name)
    result, remarks = decoded(data)
    assert result == (text + accidents) * 20 + later.decode() + text
    assert remarks[1:] == ["3 lines are UTF-8, and read as such"]


def test_bytes_that_windows_1252_lacks_are_kept_as_latin_1() -> None:
    text = FRENCH * 10 + "plain\n" * 10_000
    assert decoded(text.encode("cp1252") + b"\x81\xe9") == (text + "\x81é", ["encoding guessed: Windows-1252"])


@pytest.mark.parametrize("size", [1, 2, 7, 1 << 20])
def test_an_invalid_byte_in_utf8_does_not_affect_the_rest(size: int) -> None:
    data = ("Übergrößenträger 日本語 " * 10).encode()
    text, remarks = decoded(data + b"\xe9\xff " + data + b"\xc3", size)
    good = data.decode()
    assert text == f"{good}éÿ {good}Ã"
    assert remarks == ["3 bytes are not UTF-8; read as Windows-1252"]


LINES = st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40), min_size=2, max_size=20)


@given(
    LINES, st.lists(st.tuples(st.integers(0, 999), st.integers(0, 99), st.integers(0x80, 0xFF)), max_size=4), st.data()
)
def test_stray_bytes_change_no_other_line(
    lines: list[str], strays: list[tuple[int, int, int]], data: st.DataObject
) -> None:
    # As many valid characters as strays: with fewer it is not "UTF-8 with stray bytes".
    lines.append("größer – 日本語")
    written = [line.encode() for line in lines]
    hit: set[int] = set()
    for line, place, byte in strays:
        at = line % (len(lines) - 1)
        cut = len(lines[at][: place % (len(lines[at]) + 1)].encode()) if at not in hit else len(written[at])
        written[at] = written[at][:cut] + bytes([byte]) + written[at][cut:]
        hit.add(at)
    text, _ = decoded(b"\n".join(written), data.draw(st.sampled_from([1, 3, 1 << 20])))
    result = text.removeprefix("\ufeff").split("\n")
    expected = "\n".join(lines).removeprefix("\ufeff").split("\n")
    assert len(result) == len(lines)
    assert [one for at, one in enumerate(result) if at not in hit] == [
        one for at, one in enumerate(expected) if at not in hit
    ]


def test_a_stray_byte_long_before_the_first_other_accent_changes_nothing() -> None:
    good = "plain line\n" * 500_000 + "Grüße – naïve café “x”\n" * 200
    text, remarks = decoded(b"caf\xe9\n" + good.encode())
    assert text == f"café\n{good}"
    assert remarks == ["1 byte is not UTF-8; read as Windows-1252"]


@pytest.mark.parametrize("line", ["ungültig", "договор"])
def test_lines_of_two_encodings_in_one_log_are_both_right(line: str) -> None:
    name = {"ungültig": "cp1252", "договор": "cp1251"}[line]
    good = "ok – größer: договор 12\n"
    text, _ = decoded((good.encode() + f"{line}\n".encode(name)) * 200)
    assert text == (good + f"{line}\n") * 200


def test_damaged_utf16_is_decoded_and_noted() -> None:
    text, remarks = decoded(codecs.BOM_UTF16_LE + "hello wide world".encode("utf-16-le") + b"\x00\xd8!")
    assert text == "hello wide world\ufffd"
    assert remarks == ["1 place is not valid UTF-16; shown as U+FFFD"]


@pytest.mark.parametrize(
    "data",
    [
        b"\x7fELF\x02\x01\x01\0\0\0\0",
        b"text and then\0",
        b"\0" * 5000,
        b"".join(number.to_bytes(8, "little") for number in range(32, 120)),
        b"x\0\0\0y\0\0\0" + b"\x01\0\0\0" * 50,
        b"".join(bytes([number * 7 % 256, number * 13 % 200]) for number in range(1, 200)) + b"a\0" * 20,
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
        "2026-01-01 start\n" + "\0" * 40 + "2026-01-01 after a power cut: NUL bytes in a log\n",
        "\0" * (1 << 17) + "a log that begins with blocks that were never written\n",
        "the name of one file\0and the next file's name\0" * 20,
        "x" * 60_000 + "\0",
        "a line with a NUL \0 late\nand one more\n",
        "",
        "\n",
    ],
)
def test_text_with_some_control_characters_is_text(text: str) -> None:
    assert decoded(text.encode()) == (text, [])
