"""A single text with a name and places: a str everywhere, in memory once, saved by reference."""

import copy
import hashlib
import json
import operator
import pickle  # noqa: TID251 - a kernel may unpickle its own variables
import re
import string
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from durable_rlm.kernel.inside import context_text as module
from durable_rlm.kernel.inside.child_context import Handing, Places
from durable_rlm.kernel.inside.context_file import Pack
from durable_rlm.kernel.inside.context_text import TextDocument, open_text
from durable_rlm.kernel.inside.final import as_json
from durable_rlm.kernel.inside.repl import KernelRepl
from durable_rlm.kernel.inside.variables import describe, quoted
from tests.kernel.documents import draft_of, packed, text_document

TEXT = "Größe 日本 𝄞\nzwei, drei\r\n" * 100


@pytest.fixture
def context(tmp_path: Path) -> TextDocument:
    return text_document(tmp_path, draft_of(TEXT, name="a/größe.txt", path="/data/größe.txt"))


def test_it_has_a_name_metadata_and_its_text(context: TextDocument) -> None:
    assert (context.name, context.meta) == ("a/größe.txt", {"kind": "text", "path": "/data/größe.txt"})
    assert context.text is context
    assert (context.skipped, context.notes) == ([], [])


def test_it_is_a_str_in_every_way(context: TextDocument) -> None:
    assert isinstance(context, str) and context == TEXT and operator.eq(TEXT, context) and context != TEXT[1:]
    assert (
        hash(context) == hash(TEXT)
        and {TEXT: 1}[context] == 1
        and {context: 1}.get(cast("Any", TEXT)) == 1
        and context in {TEXT}
    )
    assert (len(context), bool(context), context[0], context[-3:], context[::-1]) == (
        *(len(TEXT), True, TEXT[0], TEXT[-3:], TEXT[::-1]),
    )
    assert f"{context}" == f"{context!s}" == str(context) == "%s" % context == TEXT  # noqa: UP031
    assert f"{context:>10}" == f"{TEXT:>10}" and repr(context) == repr(TEXT) and f"{context!r}" == repr(TEXT)
    assert context + "x" == TEXT + "x" and "x" + context == "x" + TEXT and context * 2 == TEXT * 2
    assert json.loads(json.dumps({"t": [context]})) == {"t": [TEXT]} and json.dumps({context: 1}) == json.dumps(
        {TEXT: 1}
    )
    assert re.findall(r"\w+", context) == re.findall(r"\w+", TEXT) and re.sub("zwei", "2", context) == TEXT.replace(
        "zwei", "2"
    )
    assert "".join([context, "x"]) == TEXT + "x" and context.encode() == TEXT.encode()
    assert sorted([context, "A"]) == ["A", TEXT] and context < "H" and list(context) == list(TEXT)
    assert string.Template("$t").substitute(t=context) == TEXT and as_json(context) == {"value": TEXT}
    assert sys.intern(context[:5]) == TEXT[:5] and int(TextDocument("7")) == 7


def test_whatever_is_made_of_it_is_a_plain_str(context: TextDocument) -> None:
    made = [
        context[:],
        context[1:5],
        context[3],
        context.upper(),
        context.strip(),
        context.replace("q", "q"),
        "" + context,
    ]
    made += [*context.split("\n"), *context.partition("zwei"), *re.findall(".*", context), context.lines(1, 2)]
    assert {type(one) for one in made} == {str}


def test_copies_and_str_of_it_take_no_memory(context: TextDocument) -> None:
    assert str(context) is copy.copy(context) is copy.deepcopy(context) is context
    assert copy.deepcopy([context, {"a": context}])[0] is context


def test_pickles_are_references(context: TextDocument, tmp_path: Path) -> None:
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        data = pickle.dumps([context, context], protocol)
        assert len(data) < 400 + 2 * len(str(tmp_path))
        one, other = pickle.loads(data)  # noqa: S301
        assert one is other is context, "a text that is in memory is not read again"
    context.meta["mine"] = 1
    data = pickle.dumps(context)
    context.meta["mine"] = 2
    again = pickle.loads(data)  # noqa: S301
    assert (again == TEXT, again.meta["mine"], again.name, again.lines(2, 2)) == (
        True,
        1,
        context.name,
        "zwei, drei\r\n",
    )


def test_a_text_of_its_class_that_is_not_the_input_has_no_places() -> None:
    other = TextDocument("a\nb", "mine")
    assert pickle.loads(pickle.dumps(other)) == other  # noqa: S301
    with pytest.raises(LookupError, match="made from another one"):
        other.lines(1, 1)
    assert list(other.pages) == []


@pytest.mark.parametrize("last", ["", "é", "日", "𝄞"])
@pytest.mark.parametrize("body", ["plain\n", "größe\n", "größe 日\n", "größe 𝄞\n"])
@pytest.mark.parametrize("start", [0, 6])
def test_a_long_text_is_read_as_it_was_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, last: str, start: int
) -> None:
    assert module._KNOWN, "CPython's texts are laid out in another way: the reading of long ones takes twice"
    for name, value in {"_LONG": 10, "_PIECE": 7, "_LOOKED_AT": 2}.items():
        monkeypatch.setattr(module, name, value)
    text = body * 50 + last
    pack, index = packed(tmp_path, [draft_of(text)])
    Path(pack).write_bytes(b"before" * (start // 6) + text.encode())
    read = open_text(pack, index, start, start + len(text.encode()))
    assert isinstance(read, TextDocument)
    assert read == text and hash(read) == hash(text) and read.isascii() == text.isascii() and read[:] == text
    assert (
        max(read[:]) == max(text) and read.encode() == text.encode() and sys.getsizeof(read[:]) == sys.getsizeof(text)
    )


@pytest.mark.parametrize("body", ["plain\n", "größe\n", "größe 日\n", "größe 𝄞\n"])
@pytest.mark.parametrize("long", [10, 1000])
def test_a_text_without_an_index_is_a_document_without_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, long: int
) -> None:
    for name, value in {"_LONG": long, "_PIECE": 7}.items():
        monkeypatch.setattr(module, name, value)
    text = body * 9
    (tmp_path / "pack").write_bytes(b"before" + text.encode())
    read = open_text(str(tmp_path / "pack"), "", 6, 6 + len(text.encode()))
    assert isinstance(read, TextDocument) and read == text and (read.name, read.meta) == ("", {})
    assert read.lines(2, 2) == body and [line.number for line in read.grep("l|g")] == list(range(1, 10))
    assert pickle.loads(pickle.dumps(read)) is read  # noqa: S301
    assert Handing("", None).over([read]).posted["parts"] == [{"name": "1", "meta": {}, "text": text}]


@pytest.mark.parametrize("chars", [0, 99, 101, 200])
@pytest.mark.parametrize("char", ["x", "é", "日"])
def test_an_index_that_miscounts_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, char: str, chars: int
) -> None:
    monkeypatch.setattr(module, "_LONG", 10)
    draft = draft_of(char * 100)
    draft.chars = chars
    with pytest.raises(ValueError, match=r"shorter|structure|assign"):
        text_document(tmp_path, draft)


def test_text_that_is_no_utf8_or_was_cut_short_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LONG", 10)
    pack, index = packed(tmp_path, [draft_of("é" * 50)])
    with pytest.raises(UnicodeDecodeError):
        open_text(pack, index, 1, 100)
    with pytest.raises(ValueError, match="outside the pack"):
        open_text(pack, index, 0, 101)


def _no_room(*_: object) -> str:
    raise MemoryError


def test_with_little_memory_it_is_a_plain_str(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack, index = packed(tmp_path, [draft_of("x" * 100)])
    monkeypatch.setattr(module, "_LONG", 10)
    monkeypatch.setattr(module, "new_str", _no_room)
    assert type(open_text(pack, index, 0, 100)) is str


def _never(_: object) -> str:
    pytest.fail("the whole text was quoted")


def test_previews_do_not_quote_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = text_document(tmp_path, draft_of("x" * 1_000_000, name="x.txt"))
    [about] = describe({"context": context}, ())
    assert about["size"] == 1_000_000 and len(about["preview"]) < 130 and about["preview"].startswith("'xxx")
    monkeypatch.setattr(TextDocument, "__repr__", _never)
    assert len(quoted(context)) < 70 and describe({"context": context}, ())


def test_it_is_handed_on_as_the_own_input_or_with_its_name(context: TextDocument, tmp_path: Path) -> None:
    pack = Pack.open(str(tmp_path / "pack"))
    handing = Handing(context, Places(pack, lambda: [(0, pack.size)]))
    for whole in (context, context[:], str(context), copy.copy(context)):
        assert handing.over(whole).posted == {"kind": "own", "parts": []}
    parts: Any = handing.over([context]).posted["parts"]
    [part] = parts
    assert part == {"name": "a/größe.txt", "meta": context.meta, "start": 0, "end": len(TEXT.encode())}
    parts = handing.over(context[:1_500]).posted["parts"]
    assert parts[0]["name"] == ""
    parts = handing.over([TextDocument("other", "mine")]).posted["parts"]
    [mine] = parts
    assert mine == {"name": "mine", "meta": {}, "text": "other"} and type(mine["text"]) is str


# --- in a REPL


def repl(pack: str, index: str | None) -> tuple[dict[str, Any], KernelRepl]:
    names: dict[str, Any] = {"__name__": "__main__"}
    setup = {"pack": pack, "index": index, "text": True, "start": 0, "end": None}
    setup |= {"sub_calls": True, "sub_rlms": True, "models": [], "prompt_tokens": 1000}
    return names, KernelRepl(names, lambda: None, setup, own_process=False)


def ran(code: str, names: dict[str, Any], kernel: KernelRepl) -> tuple[list[dict[str, Any]], dict[str, bytes]]:
    """Run a cell. Return the saved groups and their chunks."""
    kernel.begin([], [code])
    exec(code, names)
    taken, chunks = kernel.snapshot([code])
    assert "error" not in taken, taken
    return taken["groups"], {hashlib.sha256(chunk).hexdigest(): chunk for chunk in chunks}


def test_a_snapshot_has_the_input_by_name(tmp_path: Path) -> None:
    paths = packed(tmp_path, [draft_of(TEXT * 50, name="a.txt")])
    names, kernel = repl(*paths)
    code = "import copy\ndoc = context\nheld = {'one': [context], 'two': copy.deepcopy(context), 'three': str(context)}"
    groups, chunks = ran(code, names, kernel)
    assert sum(map(len, chunks.values())) < 2_000 and not any("Größe".encode() in one for one in chunks.values())
    assert [group["lost"] for group in groups] == [{}] * len(groups)
    other, second = repl(*paths)
    second.restore(groups, chunks)
    context = other["context"]
    assert all(one is context for one in (other["doc"], other["held"]["one"][0], other["held"]["two"]))
    assert other["held"]["three"] is context and context.name == "a.txt"
    assert second.compare(groups, chunks) == {"other": []}


def test_an_input_without_an_index_is_a_text_without_a_name(tmp_path: Path) -> None:
    pack, _ = packed(tmp_path, [draft_of("old")])
    names, _ = repl(pack, None)
    assert (names["context"], names["context"].name) == ("old", "")


def test_pages_rows_and_sections_in_variables_are_restored(tmp_path: Path) -> None:
    draft = draft_of("", "XLSX", "a.xlsx")
    draft.mark("pages", "iv")
    draft.mark("sheets", "S")
    draft.mark("sections", "T", level=2)
    draft.mark_row(3, [2, 4])
    draft.write("größer\t日本\n")
    paths = packed(tmp_path, [draft])
    names, kernel = repl(*paths)
    code = "kept = [context.page(1), next(context.rows()), context.sections()[0], context.pages]"
    groups, chunks = ran(code, names, kernel)
    other, second = repl(*paths)
    assert second.restore(groups, chunks)["lost"] == {}
    page, row, section, pages = other["kept"]
    assert (page, page.number, page.label, pages[0].label) == ("größer\t日本\n", 1, "iv", "iv")
    assert (row, row.number, row.sheet, row.addresses, row.lines) == (["größer", "日本"], 3, "S", ["B3", "D3"], (1, 1))
    assert (section.title, section.level, section.text, section.line) == ("T", 2, "größer\t日本\n", 1)
