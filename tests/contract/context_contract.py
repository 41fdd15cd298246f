"""The part of the session contract about `rlm_query(…, context=…)`: contexts that a cell passes to child runs.

A test class inherits from it, beside `session_contract.SessionContract`.
"""

import json
from pathlib import Path

import pytest

from durable_rlm.kernel.results import CellResult
from durable_rlm.kernel.session import Answered, Cell, ContextFiles, Kernels, KernelSession, KernelSpec
from durable_rlm.nodes.input.ingest import ingest
from durable_rlm.nodes.input.source import from_text, from_texts
from durable_rlm.state.blobs.store import Blobs
from durable_rlm.state.input.child_context import PostedContext, PostedPart, hand_over
from durable_rlm.state.input.context import ContextRef, context_files
from durable_rlm.state.input.index import document_line, document_lines, entry_of
from tests.contract.in_process_extractor import InProcessExtractor
from tests.contract.session_contract import Store, run

TEXT = "".join(f"{number}: größer als 日本語 𝄞\n" for number in range(2_000))
TEXTS = [("a", "first " * 400), ("b", "zweiter, grün " * 300), ("c", "3"), ("d", "")]


async def handed(session: KernelSession, *blocks: str) -> list[PostedContext | None]:
    """Run a cell, which must succeed, and return the contexts of its calls."""
    await session.begin(Cell(1, blocks))
    contexts: list[PostedContext | None] = []
    while (call := await session.next_call()) is not None:
        assert call.kind == "rlm"
        contexts.append(call.context)
        await session.deliver(call.id, Answered("fine"))
    result = await session.result()
    assert result.status == "ok", result
    return contexts


class ContextContract:
    """The promises of a session about contexts that are passed to child runs."""

    @pytest.fixture
    def blobs(self, tmp_path: Path) -> Blobs:
        return Blobs(tmp_path / "blobs")

    @pytest.fixture
    def text(self, blobs: Blobs) -> ContextRef:
        return ingest(from_text(TEXT), blobs, InProcessExtractor())

    @pytest.fixture
    def documents(self, blobs: Blobs) -> ContextRef:
        return ingest(from_texts(TEXTS), blobs, InProcessExtractor())

    async def parent(self, kernels: Kernels, ref: ContextRef, blobs: Blobs) -> KernelSession:
        """Start a kernel whose input is `ref`."""
        files = ContextFiles(*context_files(ref, blobs), handed="digest" in ref, text=ref["kind"] == "text")
        return await kernels.start(KernelSpec("thread", files, sub_rlms=True))

    async def child(self, kernels: Kernels, context: PostedContext | None, caller: ContextRef, blobs: Blobs) -> str:
        """Return the value of `context` in the kernel of a child run that is passed `context`."""
        assert context is not None
        session = await self.parent(kernels, hand_over(context, caller, blobs), blobs)
        seen = "[context] if isinstance(context, str) else [[d.name, d.text, d.meta, len(d)] for d in context]"
        result = await run(session, f"import json\nprint(json.dumps({seen}))")
        assert result.status == "ok", result
        return json.loads(result.output)

    async def test_a_slice_of_the_input_is_sent_as_a_range(
        self, kernels: Kernels, text: ContextRef, blobs: Blobs
    ) -> None:
        session = await self.parent(kernels, text, blobs)
        [context, second, last] = await handed(
            session,
            "own = context\ncontext = 'rebound'\nrlm_query('q', context=own[10_000:30_000])",
            "rlm_query_batched(['q', 'p'], context=[own[11_000:31_000], own[-5_000:]])",
        )
        pack = blobs.read(text["pack"]).decode()
        for part, wanted in [(context, TEXT[10_000:30_000]), (second, TEXT[11_000:31_000]), (last, TEXT[-5_000:])]:
            assert part and part.kind == "text" and part.parts[0].text is None
            assert blobs.read(text["pack"])[part.parts[0].start : part.parts[0].end].decode() == wanted
        assert pack == TEXT
        assert await self.child(kernels, second, text, blobs) == [TEXT[11_000:31_000]]

    async def test_the_whole_input_is_sent_as_a_reference(
        self, kernels: Kernels, text: ContextRef, documents: ContextRef, blobs: Blobs
    ) -> None:
        for ref in (text, documents):
            session = await self.parent(kernels, ref, blobs)
            contexts = await handed(session, "rlm_query('q', context)\nawait arlm_query('q', context[:])")
            assert contexts == [PostedContext("own")] * 2

    async def test_a_new_text_is_sent_whole(self, kernels: Kernels, text: ContextRef, blobs: Blobs) -> None:
        session = await self.parent(kernels, text, blobs)
        code = "new = context[:3_000].upper()\nrlm_query('q', context=new)\nrlm_query('q', context=context[:20])"
        new, short = await handed(session, code)
        assert new == PostedContext("text", (PostedPart(text=TEXT[:3_000].upper()),))
        assert short == PostedContext("text", (PostedPart(text=TEXT[:20]),))
        assert await self.child(kernels, new, text, blobs) == [TEXT[:3_000].upper()]

    async def test_documents_are_sent_as_ranges_with_their_names_and_metadata(
        self, kernels: Kernels, documents: ContextRef, blobs: Blobs
    ) -> None:
        session = await self.parent(kernels, documents, blobs)
        one, some, mixed, cut = await handed(
            session,
            "rlm_query('q', context=context['b'])",
            "rlm_query('q', context=context[1:])",
            "context[0].meta['seen'] = 1\nfirst = context[0]\nfirst.meta['page'] = 7",
            "rlm_query('q', context=(first, 'new', context['c']))",
            "rlm_query('q', context=context['b'].text[100:2_000])",
        )
        ranges = [(0, 2_400), (2_400, 6_900), (6_900, 6_901), (6_901, 6_901)]
        parts = [PostedPart(name, None, *at) for (name, _), at in zip(TEXTS, ranges, strict=True)]
        assert one == PostedContext("text", (parts[1],))
        assert some == PostedContext("documents", tuple(parts[1:]))
        first = PostedPart("a", None, 0, 2_400, {"page": 7})
        assert mixed == PostedContext("documents", (first, PostedPart("2", "new"), parts[2]))
        assert cut is not None and cut.parts[0].text is None
        assert await self.child(kernels, one, documents, blobs) == [TEXTS[1][1]]
        assert await self.child(kernels, some, documents, blobs) == [[n, t, {}, len(t)] for n, t in TEXTS[1:]]
        seen = [["a", TEXTS[0][1], {"page": 7}, 2_400], ["2", "new", {}, 3], ["c", "3", {}, 1]]
        assert await self.child(kernels, mixed, documents, blobs) == seen
        assert await self.child(kernels, cut, documents, blobs) == [TEXTS[1][1][100:2_000]]

    async def test_a_child_can_pass_its_context_to_its_own_children(
        self, kernels: Kernels, text: ContextRef, documents: ContextRef, blobs: Blobs
    ) -> None:
        part = len("".join(TEXT[:7_000]).encode())
        ref = hand_over(PostedContext("text", (PostedPart(start=part, end=text["bytes"]),)), text, blobs)
        session = await self.parent(kernels, ref, blobs)
        [context] = await handed(session, "rlm_query('q', context=context[1_000:9_000])")
        assert context is not None and context.parts[0].text is None
        assert await self.child(kernels, context, ref, blobs) == [TEXT[8_000:16_000]]

        some = PostedContext("documents", (PostedPart("b", start=2_400, end=6_900), PostedPart("c", "3")))
        for posted in (some, PostedContext("documents", some.parts[:1])):
            ref = hand_over(posted, documents, blobs)
            session = await self.parent(kernels, ref, blobs)
            [context] = await handed(session, "rlm_query('q', context=[context[0], context[0].text[:2_000]])")
            assert context is not None and all(part.text is None for part in context.parts)
            seen = [["b", TEXTS[1][1], {}, 4_200], ["2", TEXTS[1][1][:2_000], {}, 2_000]]
            assert await self.child(kernels, context, ref, blobs) == seen

    async def test_documents_in_the_variables_of_a_child_are_restored(
        self, kernels: Kernels, documents: ContextRef, blobs: Blobs
    ) -> None:
        posted = PostedContext("documents", (PostedPart("b", start=2_400, end=6_900), PostedPart("c", "3")))
        ref = hand_over(posted, documents, blobs)
        session = await self.parent(kernels, ref, blobs)
        store = Store()
        store.keep(await run(session, "kept = {'one': context['b'], 'all': context, 'some': context[1:]}"))
        assert not any(b"zweiter" in chunk for chunk in store.chunks.values()), "references are saved, not texts"
        other = await self.parent(kernels, ref, blobs)
        assert (await other.restore(list(store.groups.values()), store.batches())).lost == {}
        seen = "kept['all'] is context, kept['some'][0].text, kept['one'].text == context[0].text, len(kept['one'])"
        assert (await run(other, seen)).output == "(True, '3', True, 4200)\n"
        assert await handed(other, "rlm_query('q', kept['all'])") == [PostedContext("own")]

    async def test_a_document_keeps_its_name_and_places_in_a_child(
        self, kernels: Kernels, documents: ContextRef, text: ContextRef, blobs: Blobs
    ) -> None:
        lines = document_lines(blobs.read(documents["index"]))[:2]
        placed = b"".join(document_line(entry_of(line), '{"pages": {"at": [0, 8]}}') for line in lines)
        caller = documents.copy()
        caller["index"] = blobs.put(placed)
        session = await self.parent(kernels, caller, blobs)
        one, some = await handed(
            session, "kept = context[1]\nrlm_query('q', context=kept)\nrlm_query('q', context=[context[0]])"
        )
        asked = "context.name, context.page(2)[:5], context.line_of(3), type(context[:9]).__name__"
        for posted, see, wanted in [
            (one, asked, "('b', ' grün', 1, 'str')"),
            (some, "context[0].name, len(context[0].pages), context[0].page(1)", "('a', 2, 'first fi')"),
        ]:
            assert posted is not None
            child = await self.parent(kernels, hand_over(posted, caller, blobs), blobs)
            assert (await run(child, see)).output == wanted + "\n"
        session = await self.parent(kernels, text, blobs)
        assert (await run(session, "context.name, context.lines(2, 2), context.skipped")).output == (
            "('text', '1: größer als 日本語 𝄞\\n', [])\n"
        )

    async def test_a_batch_has_one_context_for_all_or_one_for_each(
        self, kernels: Kernels, documents: ContextRef, blobs: Blobs
    ) -> None:
        session = await self.parent(kernels, documents, blobs)
        contexts = await handed(
            session,
            "rlm_query_batched(['q', 'p'], context=context[2:])",
            "rlm_query_batched(['q', 'p'], context=[None, ['x']])",
            "rlm_query_batched(['q', 'p'])",
        )
        both = PostedContext("documents", (PostedPart("c", None, 6_900, 6_901), PostedPart("d", None, 6_901, 6_901)))
        assert contexts == [both, both, None, PostedContext("documents", (PostedPart("1", "x"),)), None, None]

    @pytest.mark.parametrize(
        ("context", "message"),
        [
            ("{'a': 1}", "not a dict; make it a text"),
            ("['x', 5]", "in this list there is a int"),
            ("[['x'], ['y']]", "in this list there is a list"),
        ],
    )
    async def test_an_invalid_context_is_refused_with_the_valid_types(
        self, kernels: Kernels, context: str, message: str
    ) -> None:
        for sub_rlms in (True, False):
            session = await kernels.start(KernelSpec("thread", sub_rlms=sub_rlms))
            result: CellResult = await run(session, f"rlm_query('q', context={context})")
            assert result.error is not None and result.error.name == "TypeError"
            assert message in result.error.message and "a list of documents and str" in result.error.message

    async def test_without_sub_rlms_the_context_is_appended_to_the_prompt(
        self, kernels: Kernels, documents: ContextRef, blobs: Blobs
    ) -> None:
        files = ContextFiles(*context_files(documents, blobs))
        session = await kernels.start(KernelSpec("thread", files))
        code = "for one in ('text', context['c'], context[2:], ['x', context['c']]):\n    print(rlm_query('q', one))"
        result = await run(session, code)
        assert result.output == "Q\n\nTEXT\nQ\n\n3\nQ\n\n3\n\n\nQ\n\nX\n\n3\n"

    async def test_a_call_and_the_output_say_which_parts_of_documents_they_are_made_from(
        self, kernels: Kernels, documents: ContextRef, blobs: Blobs
    ) -> None:
        session = await self.parent(kernels, documents, blobs)
        await session.begin(Cell(1, ("p = f'Which? {context[0][600:900]}'\nllm_query(p)\nprint(context[1][40:90])",)))
        call = await session.next_call()
        assert call is not None and call.origin.ranges == (("a", 600, 900),) and call.origin.line == 2
        await session.deliver(call.id, Answered("fine"))
        result = await session.result()
        assert result.seen == (("b", 40, 90),), result
