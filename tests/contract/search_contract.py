"""The contract of searches: a kernel's searches are answered beside its calls, by the function of its spec."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from durable_rlm.kernel import cell as cells
from durable_rlm.kernel.search import SearchHit, SearchQuery
from durable_rlm.kernel.session import Answered, Cell, ContextFiles, Kernels, KernelSpec
from durable_rlm.state.errors import RlmError
from tests.contract.session_contract import Store, run
from tests.kernel.documents import draft_of, packed

TEXTS = {"a.txt": "grün\nthe payment clause\n", "b.txt": "nothing here\n", "c.txt": "one\ntwo payments\nthree\n"}


class Service:
    """A search that finds what it is given, and records what it was asked."""

    def __init__(self, *hits: SearchHit) -> None:
        self.hits = hits
        self.asked: list[SearchQuery] = []
        self.at_once = self.most_at_once = 0
        self.cancelled = 0
        self.release = asyncio.Event()

    async def __call__(self, query: SearchQuery) -> Sequence[SearchHit]:
        self.asked.append(query)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(0)
            if query.words == "wait":
                await self.release.wait()
            if query.words == "refuse":
                raise RlmError("There is no index.")
            if query.words == "break":
                raise ZeroDivisionError
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.at_once -= 1
        return self.hits


def spec(folder: Path, service: Service | None, **more: object) -> KernelSpec:
    """Return the spec of a kernel over TEXTS."""
    pack, index = packed(folder, [draft_of(text, name=name) for name, text in TEXTS.items()])
    return KernelSpec("thread", ContextFiles(Path(pack), Path(index)), search=service, **more)  # type: ignore[arg-type]


PAYMENT = SearchHit(0, 0, 25, 0, 1, 2.5)
PAYMENTS = SearchHit(2, 38, 61, 0, 1, 1.5)


class SearchContract:
    """The promises of a session about searches. `kernels` is a fixture of the implementation."""

    async def test_a_search_is_answered_beside_the_calls_even_without_sub_calls(
        self, kernels: Kernels, tmp_path: Path
    ) -> None:
        service = Service(PAYMENT, PAYMENTS)
        session = await kernels.start(spec(tmp_path, service, sub_calls=False))
        await session.begin(Cell(1, ("found = context.search('payment  clause', k=7)\nprint(found)",)))
        assert await session.next_call() is None
        result = await session.result()
        assert result.output == (
            "<Hit 2.5 a.txt line 2: grün the payment clause>\n<Hit 1.5 c.txt line 2: one two payments three>\n"
        )
        assert service.asked == [SearchQuery("payment clause", 7)]

    async def test_a_hit_has_its_document_place_and_text(self, kernels: Kernels, tmp_path: Path) -> None:
        session = await kernels.start(spec(tmp_path, Service(PAYMENTS)))
        result = await run(
            session,
            "[hit] = context.search('payments')",
            "print(hit, hit.name, hit.line, hit.place, hit.score, hit.start, hit.end, len(hit))",
            "print(hit.document == context['c.txt'], hit.document[hit.start:hit.end] == hit.text)",
        )
        assert result.output == ("c.txt line 2: one two payments three c.txt 2 line 2 1.5 0 23 23\nTrue True\n"), (
            result.error
        )

    async def test_slices_and_documents_search_only_their_part_of_the_input(
        self, kernels: Kernels, tmp_path: Path
    ) -> None:
        service = Service(PAYMENTS)
        session = await kernels.start(spec(tmp_path, service))
        result = await run(
            session, "print(context[1:].search('x'), context[::2].search('x'), context['c.txt'].search('x'))"
        )
        assert result.output.count("c.txt line 1") == 3, result
        assert [one.ranges for one in service.asked] == [((25, 61),), ((0, 25), (38, 61)), ((38, 61),)]

    async def test_hits_are_saved_and_restored_as_other_variables_are(self, kernels: Kernels, tmp_path: Path) -> None:
        session, store = await kernels.start(spec(tmp_path, Service(PAYMENT))), Store()
        store.keep(
            await run(session, "found = context.search('payment')\nlines = list(context.grep('two', context=1))")
        )
        other = await kernels.start(spec(tmp_path, Service()))
        assert (await other.restore(list(store.groups.values()), store.batches())).lost == {}
        shown = "print(found, found[0].text == context[0].text, found[:1] == found, lines[0].before, lines[0].document)"
        assert (await run(other, shown)).output == (
            "<Hit 2.5 a.txt line 2: grün the payment clause> True True ['one'] one\ntwo payments\nthree\n\n"
        )

    async def test_searches_from_many_threads_are_answered_one_at_a_time(
        self, kernels: Kernels, tmp_path: Path
    ) -> None:
        service = Service(PAYMENT)
        session = await kernels.start(spec(tmp_path, service))
        result = await run(
            session,
            "from concurrent.futures import ThreadPoolExecutor\n"
            "with ThreadPoolExecutor(8) as pool:\n"
            "    found = list(pool.map(context.search, [f'w{i}' for i in range(40)]))\n"
            "print(len(found), llm_query('and a call'))",
        )
        assert result.output == "40 AND A CALL\n", result
        assert service.most_at_once == 1 and len(service.asked) == 40

    async def test_a_search_that_is_impossible_is_an_error_of_the_code_in_words(
        self, kernels: Kernels, tmp_path: Path
    ) -> None:
        session = await kernels.start(spec(tmp_path, Service()))
        for words, message in (("refuse", "There is no index."), ("break", "the search failed")):
            error = (await run(session, f"context.search({words!r})")).error
            assert error is not None and error.name == "SearchUnavailable" and message in error.message
        assert (await run(session, "print(context.search('x'))")).output == "[]\n"
        without = await kernels.start(spec(tmp_path, None))
        error = (await run(without, "context.search('x')")).error
        assert error is not None and "no input that can be searched" in error.message

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            ("search('w ' * 65)", "at most 64 words"),
            ("search('w' * 101)", "at most 100 characters"),
            ("search('w', k=0)", "from 1 to 1,000"),
            ("search('w', k=1001)", "from 1 to 1,000"),
        ],
    )
    async def test_a_search_of_great_length_is_refused_in_the_kernel(
        self, kernels: Kernels, tmp_path: Path, call: str, message: str
    ) -> None:
        service = Service()
        session = await kernels.start(spec(tmp_path, service))
        error = (await run(session, f"context.{call}")).error
        assert error is not None and message in error.message and not service.asked

    async def test_waiting_for_a_search_does_not_count_towards_the_cell_timeout(
        self, kernels: Kernels, tmp_path: Path
    ) -> None:
        session = await kernels.start(spec(tmp_path, service := Service(), cell_timeout=0.2))
        await session.begin(Cell(1, ("context.search('wait')",)))
        while not service.asked:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)  # the promise is about time that passes
        service.release.set()
        assert (await session.result()).status == "ok"

    async def test_a_search_is_cancelled_when_its_cell_ends(self, kernels: Kernels, tmp_path: Path) -> None:
        session = await kernels.start(spec(tmp_path, service := Service()))
        await session.begin(
            Cell(
                1,
                (
                    "import threading\n"
                    "def wait():\n    try:\n        context.search('wait')\n    except RuntimeError:\n        pass\n"
                    "threading.Thread(target=wait, daemon=True).start()\n"
                    "llm_query('until it has begun')",
                ),
            )
        )
        call = await session.next_call()
        assert call is not None
        while not service.asked:
            await asyncio.sleep(0.01)
        await session.deliver(call.id, Answered(""))
        await session.result()
        await asyncio.sleep(0)
        assert service.cancelled == 1

    async def test_searches_of_a_cell_may_take_only_so_long(
        self, kernels: Kernels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cells, "MOST_SEARCHING", -1.0)
        session = await kernels.start(spec(tmp_path, service := Service()))
        swallow = "while True:\n    try:\n        context.search('x')\n    except RuntimeError:\n        pass"
        result = await run(session, swallow)
        assert result.error is not None and "refusals" in result.error.message and not service.asked
