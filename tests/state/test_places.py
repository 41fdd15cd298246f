"""Places of a text: what it was made from is found, in whatever form it was sent, and nothing that was not sent is."""

import json
import random
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from durable_rlm.state.blobs.range_index import RangeIndex
from durable_rlm.state.evidence.places import Cut, Placed, placed

Document = tuple[str, int, int]
LICENSE = "Licensed under the terms that stand in the file next to this one, and under no other terms at all.\n" * 3
QUESTION = "Which duties does the tenant have? Answer in one sentence.\n\n"


@cache
def prose(seed: str, size: int, letters: str = "abcdefghijklmnopqrstuvwxyz") -> str:
    """Return lines of words that no other seed gives."""
    chance = random.Random(seed)
    lines: list[str] = []
    while sum(map(len, lines)) < size:
        words = ["".join(chance.choices(letters, k=chance.randint(2, 9))) for _ in range(chance.randint(1, 14))]
        lines.append(" ".join(words) + "\n")
    return "".join(lines)[:size]


CLAUSE = prose("clause", 700)


@dataclass(frozen=True)
class Corpus:
    """Documents as they are stored."""

    texts: dict[str, str]
    documents: list[Document]
    index: RangeIndex

    def placed(self, body: str, hints: Sequence[Cut] = ()) -> Placed:
        return placed(body.encode(), self.index, self.documents, hints)

    def names(self, found: Placed) -> set[str]:
        """Return the names of the documents in which ranges are."""
        return {
            name for name, first, last in self.documents for start, end in found.ranges if start < last and end > first
        }

    def bytes_of(self, name: str, start: int, end: int) -> tuple[int, int]:
        [first] = [first for other, first, _ in self.documents if other == name]
        text = self.texts[name]
        return first + len(text[:start].encode()), first + len(text[:end].encode())


def stored(folder: Path, texts: dict[str, str]) -> Corpus:
    pack = b""
    documents: list[Document] = []
    for name, text in texts.items():
        documents.append((name, len(pack), len(pack) + len(text.encode())))
        pack += text.encode()
    path = folder / "pack"
    path.write_bytes(pack)
    return Corpus(texts, documents, RangeIndex.of(path))


@pytest.fixture(scope="module")
def leases(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Eight leases with the same clause, after their own text of different lengths."""
    texts = {
        f"lease {at}.txt": prose(f"before {at}", 3000 + 37 * at) + CLAUSE + prose(f"after {at}", 2000)
        for at in range(8)
    }
    return stored(tmp_path_factory.mktemp("leases"), texts)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Files of many kinds: with the same beginning, twice the same, in other letters, as code, as JSON, short ones."""
    texts = {f"src/m{at}.py": LICENSE + prose(f"code {at}", 900) for at in range(60)}
    texts |= {f"copy {at}.txt": prose("copy", 5000) for at in range(3)}
    texts |= {f"{at}.txt": prose(f"cyrillic {at}", 3000, "абвгдежзийклмнопрстуфхцчшщыэюя日𝄞") for at in range(4)}
    texts |= {f"{at}.json": json.dumps({"text": prose(f"json {at}", 2000), "at": at}, indent=2) for at in range(4)}
    texts |= {f"note {at}.md": prose(f"note {at}", 300) for at in range(10)}
    texts |= {f"lease {at}.txt": prose(f"lease {at}", 2000 + at) + CLAUSE + prose("end", 400) for at in range(6)}
    return stored(tmp_path_factory.mktemp("library"), texts)


def numbered(text: str, form: str) -> str:
    return "\n".join(form.format(number, line) for number, line in enumerate(text.split("\n"), 17))


FORMS: dict[str, Callable[[str], str]] = {
    "slice": str,
    "f-string": lambda text: f"{QUESTION}<text>{text}</text>\nAnswer:",
    "JSON": lambda text: json.dumps({"question": QUESTION, "texts": [text]}),
    "JSON as it is": lambda text: json.dumps([{"text": text}], ensure_ascii=False, indent=2),
    "JSON in words": lambda text: f'Look at "this":\n{json.dumps(text)}\nwhat does it say?',
    "JSON in JSON": lambda text: json.dumps({"prompt": json.dumps({"text": text})}),
    "repr": lambda text: f"Here it is: {text!r}.",
    "12: numbers": lambda text: QUESTION + numbered(text, "{}: {}"),
    "tab numbers": lambda text: QUESTION + numbered(text, "{:6}\t{}"),
    "bar numbers": lambda text: QUESTION + numbered(text, "{:>4} | {}"),
    "bracket numbers": lambda text: QUESTION + numbered(text, "[{}] {}"),
    "dot numbers": lambda text: QUESTION + numbered(text, "{}. {}"),
    "numbers in JSON": lambda text: json.dumps({"question": QUESTION, "lines": numbered(text, "{}: {}")}),
    "quoted": lambda text: QUESTION + textwrap.indent(text, "> ", lambda _: True),
    "quoted as names and beginnings are": lambda text: QUESTION + textwrap.indent(text, "| ", lambda _: True),
    "indented": lambda text: QUESTION + textwrap.indent(text, "    "),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("name", "start", "end"),
    [("src/m7.py", 300, 1150), ("2.txt", 100, 2900), ("1.json", 0, 2000), ("note 3.md", 0, 300)],
)
def test_a_slice_is_found_in_every_form_in_which_it_is_sent(
    library: Corpus, form: str, name: str, start: int, end: int
) -> None:
    found = library.placed(FORMS[form](library.texts[name][start:end]))
    first, last = library.bytes_of(name, start, end)
    assert library.names(found) == {name}
    assert sum(end - start for start, end in found.ranges) == pytest.approx(last - first, rel=0.05)
    assert all(first - 32 <= start and end <= last + 32 for start, end in found.ranges)
    assert found.placed <= found.size


@pytest.mark.parametrize("offset", range(0, 128, 9))
def test_a_slice_of_191_bytes_is_found_wherever_it_begins(leases: Corpus, offset: int) -> None:
    text = leases.texts["lease 3.txt"]
    found = leases.placed(f"{QUESTION}'{text[offset : offset + 191]}'?")
    [(start, end)] = found.ranges
    first, last = leases.bytes_of("lease 3.txt", offset, offset + 191)
    assert (start, end) == (first, last)
    assert found.placed == 191


def test_text_that_is_not_of_the_input_is_not_placed(leases: Corpus) -> None:
    assert leases.placed(prose("other", 3000)) == Placed(size=3000)
    text = leases.texts["lease 1.txt"]
    assert leases.placed(text.upper()).ranges == []
    assert leases.placed(" ".join(text.split())).placed < 0.1 * len(text)


def test_a_clause_of_eight_documents_is_not_placed_when_nothing_tells_which_was_sent(leases: Corpus) -> None:
    assert leases.placed(QUESTION + CLAUSE + "\nAnswer:") == Placed(size=len(QUESTION + CLAUSE) + 8)


@pytest.mark.parametrize("at", range(8))
def test_the_cut_of_the_kernel_decides_between_equal_clauses(leases: Corpus, at: int) -> None:
    name = f"lease {at}.txt"
    start = 3000 + 37 * at
    found = leases.placed(QUESTION + CLAUSE, [(name, start, start + 700)])
    assert found.ranges == [leases.bytes_of(name, start, start + 700)]
    # A document that was read whole decides too, and one that has nothing of the text does not.
    assert leases.placed(QUESTION + CLAUSE, [(name, 0, 1 << 30)]).ranges == found.ranges
    assert leases.placed(QUESTION + CLAUSE, [(name, 0, 900)]).ranges == []
    assert leases.placed(QUESTION + CLAUSE, [("unknown.txt", 0, 9000)]).ranges == []


def test_two_documents_that_may_have_been_cut_decide_nothing(leases: Corpus) -> None:
    hints = [("lease 2.txt", 0, 6000), ("lease 5.txt", 0, 6000)]
    assert leases.placed(QUESTION + CLAUSE, hints).ranges == []


def test_equal_clauses_of_as_many_documents_are_all_placed(leases: Corpus) -> None:
    hints = [(f"lease {at}.txt", 3000 + 37 * at, 3700 + 37 * at) for at in (1, 4, 6)]
    found = leases.placed("\n---\n".join([CLAUSE] * 3), hints)
    assert found.ranges == [leases.bytes_of(*hint) for hint in hints]


@pytest.mark.parametrize(
    "header",
    [
        "=== {} ===\n",
        "File: {}\nPage 3\n\n",
        "Compare lease 1.txt with the others.\n\n{}:\n",
        '[{{"name": "{}", "text": "',
        "lease 1.txt says nothing of it.\n\nFrom {}, section 2:\n\n",
    ],
)
def test_the_document_that_is_named_before_a_passage_decides(leases: Corpus, header: str) -> None:
    found = leases.placed(f"{header.format('lease 5.txt')}{CLAUSE}\n")
    assert leases.names(found) == {"lease 5.txt"}


@pytest.mark.parametrize(
    "header",
    [
        "lease 4.txt, lease 5.txt\n",
        "- lease 4.txt\n- lease 5.txt\n\n",
        "lease 4.txt\nlease 5.txt\n\n",
        "1. lease 4.txt\n\n2. lease 5.txt\n\n",
        "lease 5.txt.bak\n",
        "other/lease 5.txt\n",
        "lease 5.txt (2)\n",
        f"lease 5.txt\n{prose('between', 500)}\n",
    ],
)
def test_names_that_say_nothing_of_a_passage_decide_nothing(leases: Corpus, header: str) -> None:
    assert leases.placed(header + CLAUSE).ranges == []


def test_each_passage_is_of_the_document_that_is_named_before_it(leases: Corpus) -> None:
    found = leases.placed("".join(f"\n## lease {at}.txt\n{CLAUSE}" for at in (6, 2, 3)))
    assert leases.names(found) == {"lease 6.txt", "lease 2.txt", "lease 3.txt"}


def test_the_document_from_which_the_rest_was_made_decides(leases: Corpus) -> None:
    own = leases.texts["lease 4.txt"][1000:1500]
    assert leases.names(leases.placed(f"{own}\n[…]\n{CLAUSE}\nAnswer:")) == {"lease 4.txt"}


def test_the_longer_passage_counts(leases: Corpus) -> None:
    text = leases.texts["lease 4.txt"]
    found = leases.placed(QUESTION + text[2700:4200])
    assert found.ranges == [leases.bytes_of("lease 4.txt", 2700, 4200)]


def test_a_few_more_equal_bytes_are_chance(leases: Corpus) -> None:
    # The text behind the clause begins as one of the documents goes on.
    after = leases.texts["lease 6.txt"][3000 + 37 * 6 + 700 :][:9]
    assert leases.placed(QUESTION + CLAUSE + after + "?").ranges == []


def test_a_beginning_that_sixty_files_have_belongs_to_the_file_behind_it(library: Corpus) -> None:
    found = library.placed(QUESTION + library.texts["src/m42.py"])
    assert found.ranges == [library.bytes_of("src/m42.py", 0, len(library.texts["src/m42.py"]))]
    assert library.placed(QUESTION + LICENSE).ranges == []


def test_a_copy_of_a_whole_document_is_placed_by_its_cut_alone(library: Corpus) -> None:
    text = prose("copy", 5000)
    assert library.placed(text).ranges == []
    assert library.names(library.placed(text, [("copy 1.txt", 0, 5000)])) == {"copy 1.txt"}


def test_short_lines_are_found_when_the_kernel_cut_them(leases: Corpus) -> None:
    text = leases.texts["lease 2.txt"]
    lines = [line for line in text.split("\n") if 30 <= len(line) < 120][:20:2]
    hints = [("lease 2.txt", text.index(line), text.index(line) + len(line)) for line in lines]
    body = QUESTION + "".join(f"lease 2.txt:{9 * at}: {line}\n" for at, line in enumerate(lines))
    assert leases.placed(body).ranges == []
    found = leases.placed(body, hints)
    assert found.ranges == [leases.bytes_of(*hint) for hint in hints]


def test_lines_of_a_document_that_was_only_read_whole_are_not_found(leases: Corpus) -> None:
    line = max(leases.texts["lease 2.txt"].split("\n"), key=len)[:120]
    assert leases.placed(line, [("lease 2.txt", 0, len(leases.texts["lease 2.txt"]))]).ranges == []


def test_ranges_end_where_documents_do(leases: Corpus) -> None:
    both = leases.texts["lease 0.txt"][-800:] + leases.texts["lease 1.txt"][:60]
    found = leases.placed(QUESTION + both)
    size = len(leases.texts["lease 0.txt"])
    assert found.ranges == [leases.bytes_of("lease 0.txt", size - 800, size)]


@pytest.mark.parametrize("seed", range(60))
def test_no_document_counts_that_was_not_sent(library: Corpus, seed: int) -> None:
    chance = random.Random(seed)
    parts: list[str] = []
    sent: set[str] = set()
    hints: list[Cut] = []
    wanted = 0
    for _ in range(chance.randint(1, 6)):
        name = chance.choice(list(library.texts))
        text = library.texts[name]
        start = chance.randrange(max(1, len(text) - 250))
        end = min(len(text), start + chance.choice([191, 250, 800, 5000]))
        form = chance.choice(list(FORMS))
        parts.append(chance.choice(["", f"{name}\n", "---\n"]) + FORMS[form](text[start:end]))
        sent.add(name)
        if len(text[start:end].encode()) >= 191:
            first, last = library.bytes_of(name, start, end)
            wanted += last - first
        if chance.random() < 0.5:
            hints.append((name, start, end))
    found = library.placed("\n\n".join(parts), hints)
    assert library.names(found) <= sent
    assert sum(end - start for start, end in found.ranges) <= 1.05 * wanted


HOSTILE = {
    "one letter": "a" * 60_000,
    "one line": "the same line again and again\n" * 2_000,
    "escapes": "\\" * 60_000,
    "pairs": '\\"' * 30_000,
    "units": "\\u0430" * 10_000,
    "numbers": "1: \n" * 15_000,
    "quotations": "> > > \n" * 9_000,
    "blanks": "    \n" * 12_000,
    "nothing": "",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_repetitions_are_looked_at_within_bounds(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = stored(tmp_path, {"a": HOSTILE[kind] + "x", "b": HOSTILE[kind][:-1] + "y", "c": "z" + HOSTILE[kind]})
    import durable_rlm.state.evidence.matches as module

    looks = 0
    pread = module.os.pread

    def counted(descriptor: int, size: int, offset: int) -> bytes:
        nonlocal looks
        looks += 1
        return pread(descriptor, size, offset)

    monkeypatch.setattr(module.os, "pread", counted)
    found = corpus.placed(HOSTILE[kind])
    assert looks < 50_000
    assert all(start < end for start, end in found.ranges)


@pytest.mark.parametrize("offset", range(0, 512, 37))
def test_a_passage_too_short_for_all_its_places_to_be_known_counts_for_no_document(leases: Corpus, offset: int) -> None:
    assert leases.placed(QUESTION + CLAUSE[offset : offset + 150]).ranges == []


def test_a_short_passage_of_documents_that_were_read_counts_where_one_of_them_has_it(leases: Corpus) -> None:
    hints = [(f"lease {at}.txt", 0, 5000) for at in (1, 2)]
    for offset in range(0, 512, 37):
        assert leases.placed(QUESTION + CLAUSE[offset : offset + 150], hints).ranges == []
    found = leases.placed(QUESTION + leases.texts["lease 2.txt"][256:406], hints)
    assert leases.names(found) == {"lease 2.txt"}


def test_a_cut_that_is_in_the_text_as_a_whole_beats_one_of_which_a_part_is(leases: Corpus) -> None:
    hints = [("lease 1.txt", 3037, 3737), ("lease 4.txt", 2900, 4000), ("lease 6.txt", 0, 6000)]
    assert leases.names(leases.placed(QUESTION + CLAUSE, hints)) == {"lease 1.txt"}


def test_a_passage_is_not_of_the_document_beside_it_where_the_order_is_another(leases: Corpus) -> None:
    hints = [(f"lease {at}.txt", 3000 + 37 * at, 3700 + 37 * at) for at in (1, 4)]
    before, after = (leases.texts["lease 1.txt"][start : start + 300] for start in (1000, 4500))
    assert leases.names(leases.placed(f"{before}\n---\n{CLAUSE}\n---\n{after}", hints)) == {"lease 1.txt"}
    [one, other] = leases.placed(f"{before}\n---\n{after}\n---\n{CLAUSE}", hints).ranges
    assert one[1] - one[0] < 400 and other[1] - other[0] < 400


FORMS_OF_ROWS: dict[str, Callable[[list[str]], str]] = {
    "JSON": lambda row: json.dumps(dict(zip(("id", "text", "when", "amount"), row, strict=True))),
    "words": lambda row: "; ".join(f"{name} = {cell}" for name, cell in zip("abcd", row, strict=True)),
    "Markdown": lambda row: "| " + " | ".join(row) + " |",
    "list": str,
}


@pytest.mark.parametrize("form", FORMS_OF_ROWS)
def test_a_row_is_found_by_its_cells_where_code_has_cut_it(tmp_path: Path, form: str) -> None:
    rows = [[str(at), prose(f"row {at}", 40).replace("\n", " ").strip(), f"2024-0{at}-01", "12"] for at in range(1, 9)]
    text = "".join(",".join(row) + "\n" for row in rows)
    corpus = stored(tmp_path, {"a.csv": text, "b.csv": text.replace("2024", "2023")})
    start = text.index(",".join(rows[3]))
    said = FORMS_OF_ROWS[form](rows[3])
    size = len(",".join(rows[3]))
    [(first, last)] = corpus.placed(QUESTION + said, [("a.csv", start, start + size)]).ranges
    assert (first - start, last - start) == pytest.approx((0, size), abs=3)
    assert corpus.placed(QUESTION + said).ranges == []
    assert corpus.placed(QUESTION + said.upper(), [("a.csv", start, start + size)]).ranges == []


def test_the_text_of_a_record_is_found_without_its_escapes(tmp_path: Path) -> None:
    said = 'He said "no".\nZürich, 3 o\'clock: ' + prose("said", 80)
    record = json.dumps({"id": 7, "text": said, "who": "me"})
    corpus = stored(tmp_path, {"a.jsonl": f'{{"id": 6}}\n{record}\n', "b.jsonl": f"{record}\n"})
    [(first, last)] = corpus.placed(f"{QUESTION}{said}", [("a.jsonl", 10, 10 + len(record))]).ranges
    assert f'{{"id": 6}}\n{record}\n'[first:last] == json.dumps(said)[1:-1]


def test_lines_that_code_split_and_joined_are_found_in_a_file_with_carriage_returns(tmp_path: Path) -> None:
    text = prose("crlf", 2000).replace("\n", "\r\n")
    corpus = stored(tmp_path, {"a.txt": text, "b.txt": prose("other", 500)})
    part = text[200:1400]
    for body in ("\n".join(part.splitlines()), "\n".join(f"{at}: {one}" for at, one in enumerate(part.splitlines()))):
        [(first, last)] = corpus.placed(QUESTION + body).ranges
        assert (first, last) == pytest.approx((200, 1400), abs=3)


def test_a_cut_of_white_space_is_no_passage(tmp_path: Path) -> None:
    corpus = stored(tmp_path, {"a.txt": " " * 300 + "a line of words that is alone in this file   \n" + " " * 300})
    assert corpus.placed("a question" + " " * 40, [("a.txt", 0, 100), ("a.txt", 360, 600)]).ranges == []
    found = corpus.placed("It says: a line of words that is alone in this file.", [("a.txt", 290, 400)])
    assert found.placed == len("a line of words that is alone in this file")
