"""Cuts: a call says from which parts of the input its prompt was made, as far as code shows it, and no more."""

import json
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from durable_rlm.kernel.inside import cuts as module
from durable_rlm.kernel.inside import cuts_in_prompts
from durable_rlm.kernel.inside.context import Documents
from durable_rlm.kernel.messages import MAX_SEEN, parse_ended
from durable_rlm.kernel.results import CellResult
from durable_rlm.kernel.session import Answered, Cell, ContextFiles, KernelSpec
from durable_rlm.kernel.untrusted_json import BadMessage
from durable_rlm.state.blobs.range_index import RangeIndex
from durable_rlm.state.evidence.places import placed
from tests.contract.in_memory_kernel import MemoryKernels, MemorySession
from tests.kernel.documents import draft_of, packed

CLAUSE = "The tenant returns the rooms swept clean, with all keys, on the last day of the lease at noon. " * 4
FIRST, SIZE = 900, len(CLAUSE)


def prose(seed: int) -> str:
    chance = random.Random(seed)
    words = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyzü", k=6)) for _ in range(130)]
    return "".join(word + ("\n" if at % 9 == 8 else " ") for at, word in enumerate(words))[:FIRST]


LEASES = {f"lease {at}.txt": prose(at) + CLAUSE + prose(at + 100) for at in range(8)}


class Asked:
    """A kernel with eight leases, and where the texts that it sent and printed are from."""

    def __init__(self, session: MemorySession, documents: Documents, index: RangeIndex) -> None:
        self._session = session
        self._index = index
        self._documents = [(one.name, *one.stored()[1:]) for one in documents]
        self.calls: list[tuple[str, tuple[tuple[str, int, int], ...]]] = []
        self.output = ""
        self.seen: tuple[tuple[str, int, int], ...] = ()

    async def run(self, code: str) -> None:
        """Run a cell, of which all calls are answered."""
        self.calls.clear()
        await self._session.begin(Cell(1, (code,)))
        while (call := await self._session.next_call()) is not None:
            self.calls.append((call.prompt, call.origin.ranges))
            await self._session.deliver(call.id, Answered("yes"))
        result: CellResult = await self._session.result()
        assert result.error is None, result.error
        self.output, self.seen = result.output, result.seen

    def sent(self) -> list[list[str]]:
        """Return the names of the documents of which parts are in each prompt, as the host finds them."""
        return [self._names(prompt, ranges) for prompt, ranges in self.calls]

    def shown(self) -> list[str]:
        return self._names(self.output, self.seen)

    def _names(self, text: str, hints: tuple[tuple[str, int, int], ...]) -> list[str]:
        found = placed(text.encode(), self._index, self._documents, hints).ranges
        return [name for name, first, last in self._documents if any(a < last and b > first for a, b in found)]


@pytest.fixture
async def leases(tmp_path: Path) -> AsyncIterator[Asked]:
    pack, index = packed(tmp_path, [draft_of(text, name=name) for name, text in LEASES.items()])
    kernels = MemoryKernels()
    await kernels.start(KernelSpec("thread", context=ContextFiles(Path(pack), Path(index), text=False)))
    yield Asked(kernels.sessions[0], Documents(pack, index), RangeIndex.of(Path(pack)))
    await kernels.close()


EACH = [[name] for name in LEASES]
PART = f"{FIRST}:{FIRST + SIZE}"


@pytest.mark.parametrize(
    "code",
    [
        f"prompts = []\nfor d in context: prompts.append(f'Q\\n{{d[{PART}]}}')\nllm_query_batched(prompts)",
        f"for d in context: llm_query(f'Q\\n{{d[{PART}]}}')",
        f"for d in context: llm_query('Q', d[{PART}])",
        f"for d in context: llm_query(f'Q\\n{{d.text[{PART}]}}')",
        f"llm_query_batched([f'Q\\n{{d.text[{PART}]}}' for d in context])",
        f"llm_query_batched(['Q'] * 8, context=[d[{PART}] for d in context])",
        f"for d in context:\n    t = d.text\n    for _ in 'ab': llm_query(t[{PART}])",
        "import json\nfor d in context: llm_query(json.dumps({'text': d[" + PART + "]}))",
        f"for name in context.names: llm_query(context[name][{PART}])",
        "for d in context: llm_query(d)",
        "llm_query_batched([f'Q {d}' for d in context])",
    ],
)
async def test_the_same_clause_of_eight_documents_counts_for_the_one_it_was_cut_from(leases: Asked, code: str) -> None:
    await leases.run(code)
    each = [one for one in EACH for _ in range(len(leases.calls) // 8)]
    assert leases.sent() == each


async def test_calls_of_threads_are_made_from_the_cuts_of_their_threads(leases: Asked) -> None:
    await leases.run(
        "from concurrent.futures import ThreadPoolExecutor\n"
        f"with ThreadPoolExecutor(4) as pool: list(pool.map(lambda d: llm_query(d.name[0] + d[{PART}]), context))"
    )
    assert sorted(leases.sent()) == EACH


async def test_calls_that_are_awaited_together_count_for_no_wrong_document(leases: Asked) -> None:
    await leases.run(f"import asyncio\nawait asyncio.gather(*(allm_query(d[{PART}]) for d in context[:3]))")
    assert all(set(names) <= {"lease 0.txt", "lease 1.txt", "lease 2.txt"} for names in leases.sent())
    await leases.run("await asyncio.gather(*(allm_query(d[100:800]) for d in context[:3]))")
    assert sorted(leases.sent()) == EACH[:3]


async def test_cuts_joined_in_one_prompt_are_all_of_it(leases: Asked) -> None:
    await leases.run(f"llm_query('\\n---\\n'.join(d[{PART}] for d in context[2:5]))")
    assert leases.sent() == [["lease 2.txt", "lease 3.txt", "lease 4.txt"]]
    await leases.run(f"import json\nllm_query(json.dumps([d[{PART}] for d in context[5:7]]))")
    assert leases.sent() == [["lease 5.txt", "lease 6.txt"]]


@pytest.mark.parametrize(
    "code",
    [
        # Nothing tells which of the pieces each prompt has.
        f"parts = [d[{PART}] for d in context]\nfor p in reversed(parts): llm_query(p)",
        f"parts = [d.text[{PART}] for d in context]\nfor p in reversed(parts): llm_query(p)",
        f"texts = [d.text for d in context]\nlen(context[5].text)\nllm_query(texts[2][{PART}])",
        f"parts = [d[{PART}] for d in context]\nllm_query_batched([parts[3], parts[1]])",
    ],
)
async def test_no_document_counts_where_nothing_tells_which_one_was_used(leases: Asked, code: str) -> None:
    await leases.run(code)
    assert leases.calls and leases.sent() == [[]] * len(leases.calls)


async def test_a_piece_is_not_taken_for_the_nearest_of_equal_ones(leases: Asked) -> None:
    await leases.run(f"parts = [(d[{PART}], [d[at : at + 90] for at in range(40)]) for d in context]\nllm_query('Q?')")
    await leases.run("llm_query(parts[0][1][3])\nllm_query(parts[5][0])")
    assert leases.sent()[1] == []


async def test_a_piece_that_one_document_alone_has_needs_no_order(leases: Asked) -> None:
    await leases.run("parts = [d[100:140] for d in context]\nfor p in reversed(parts): llm_query(p)")
    assert leases.sent() == EACH[::-1]


async def test_pieces_of_an_earlier_cell_are_known(leases: Asked) -> None:
    await leases.run("parts = [d[100:150] for d in context]")
    await leases.run("llm_query(parts[6])")
    assert leases.sent() == [["lease 6.txt"]]


async def test_hits_of_grep_are_lines_of_their_documents(leases: Asked) -> None:
    word = LEASES["lease 4.txt"].split()[20]
    await leases.run(
        f"hits = list(context.grep({word!r}))\nllm_query('\\n'.join(f'{{n}}:{{i}}: {{line}}' for n, i, line in hits))"
    )
    assert leases.sent() == [["lease 4.txt"]]


async def test_numbered_lines_are_of_their_document(leases: Asked) -> None:
    await leases.run("llm_query(context[3].lines(2, 3, numbered=True))")
    text = LEASES["lease 3.txt"]
    [(_, [(name, start, end)])] = leases.calls
    assert name == "lease 3.txt"
    assert text[start:end] == "".join(line + "\n" for line in text.split("\n")[1:3])
    assert leases.sent() == [["lease 3.txt"]]


async def test_the_output_says_what_it_shows(leases: Asked) -> None:
    await leases.run(f"print(context[2][{PART}])")
    assert leases.shown() == ["lease 2.txt"]
    await leases.run(f"context[4][{PART}]")
    assert leases.shown() == ["lease 4.txt"]
    await leases.run(f"len(context[1][{PART}])")
    assert leases.seen == ()


async def test_no_call_fails_and_no_cell_is_lost_because_of_it(leases: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("code has replaced this")

    monkeypatch.setattr(cuts_in_prompts, "_in_order", broken)
    await leases.run(f"print(llm_query(context[2][{PART}]))")
    assert leases.output == "yes\n" and leases.seen == () and leases.calls[0][1] == ()


async def test_cuts_are_not_kept_without_a_bound(leases: Asked) -> None:
    await leases.run("for at in range(40_000): context[0][at % 700 : at % 700 + 40]")
    assert len(module._cuts) <= 1 << 15
    await leases.run("llm_query('\\n'.join(context[0][at : at + 20] for at in range(0, 800, 25)))")
    assert 1 <= len(leases.calls[0][1]) <= 32


@pytest.mark.parametrize(
    "seen", [[["a", 1]], [["a", -1, 2]], [["a", 1, 1 << 60]], [[1, 1, 2]], [["a", 1, 2]] * (MAX_SEEN + 1), "a", 7]
)
def test_the_parts_that_are_seen_are_parsed_as_hostile_data(seen: object) -> None:
    ended = {"output": "", "snapshot": {}, "seen": seen}
    with pytest.raises(BadMessage):
        parse_ended(json.dumps(ended), [])


def test_ranges_that_end_before_they_begin_are_not_seen() -> None:
    ended = {"output": "", "snapshot": {}, "seen": [["a", 5, 2], ["b", 1, 3]]}
    assert parse_ended(json.dumps(ended), []).seen == (("b", 1, 3),)


def test_ranges_of_an_output_are_not_saved_with_names_of_any_size() -> None:
    def seen(name: str) -> object:
        said = {"output": "", "snapshot": {}, "seen": [[name, 0, 5], [name, 5, 5]] * 500}
        return parse_ended(json.dumps(said)).seen

    assert seen("a.txt") == (("a.txt", 0, 5),) * 500
    assert seen("n" * 10_000) == ()


async def test_threads_of_a_cell_are_not_taken_to_use_what_earlier_cells_have_cut(leases: Asked) -> None:
    await leases.run(f"llm_query(context[6][{PART}])")
    await leases.run(
        "from concurrent.futures import ThreadPoolExecutor\ntexts = [d.text for d in context[:3]]\n"
        f"with ThreadPoolExecutor(2) as pool: list(pool.map(lambda t: llm_query(t[{PART}]), texts))"
    )
    assert leases.sent() == [[]] * 3


async def test_an_old_cut_does_not_count_where_documents_that_were_read_have_it_too(leases: Asked) -> None:
    await leases.run(f"part = context[6][{PART}]\nllm_query('Q')")
    await leases.run("llm_query(part)")
    assert leases.sent() == [["lease 6.txt"]]
    await leases.run(f"texts = [d.text for d in context[:2]]\nllm_query(texts[1][{PART}])")
    assert leases.sent() == [[]]


async def test_documents_that_were_read_are_not_paired_with_prompts_of_others(leases: Asked) -> None:
    await leases.run(
        f"texts = [context[2].text, context[5].text]\nllm_query_batched([texts[1][{PART}], texts[0][100:400]])"
    )
    assert leases.sent() == [[], ["lease 2.txt"]]


async def test_a_stripped_text_is_the_cut_that_it_was(leases: Asked) -> None:
    await leases.run(f"for d in context[:2]: d.text\nllm_query(context[4][{FIRST - 1}:{FIRST + SIZE}].strip())")
    assert leases.sent() == [["lease 4.txt"]]


async def test_a_part_of_a_chunk_is_cut_from_its_document(leases: Asked) -> None:
    await leases.run(f"c = chunks(context[3], max_chars=5000)[0]\nllm_query(c[{PART}])\nprint(next(c.grep('swept')))")
    assert leases.sent() == [["lease 3.txt"]]
    text = LEASES["lease 3.txt"]
    line = next(line for line in text.split("\n") if "swept" in line)
    assert line in [text[start:end] for name, start, end in leases.seen if name == "lease 3.txt"]


async def test_an_old_cut_that_says_nothing_leaves_it_to_no_other_document(leases: Asked) -> None:
    await leases.run(
        f"texts = [d.text for d in context[:2]]\npart = context[6][{PART}]\nllm_query('Q')\nllm_query('Q')"
    )
    await leases.run("context[1].text\nllm_query('Q')\nllm_query(part)")
    assert leases.sent() == [[], []]
