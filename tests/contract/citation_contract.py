"""The part of the session contract about `cite`: citations of a final value, and their numbers after a restore.

A test class inherits from it, beside `session_contract.SessionContract`.
"""

from pathlib import Path

from durable_rlm.kernel.results import PostedCitation
from durable_rlm.kernel.session import ContextFiles, Kernels, KernelSession, KernelSpec
from durable_rlm.nodes.input.ingest import ingest
from durable_rlm.nodes.input.source import from_texts
from durable_rlm.state.blobs.store import Blobs
from durable_rlm.state.input.context import context_files
from tests.contract.in_process_extractor import InProcessExtractor
from tests.contract.session_contract import Store, run

TEXTS = [("a.md", "# Scope\nThe seller delivers the “go-\nods”.\n"), ("b.txt", "Grüße: the buyer pays.\n")]


class CitationContract:
    """The promises of a session about citations."""

    async def test_citations_are_posted_with_the_answer_and_keep_their_numbers_in_a_restored_kernel(
        self, kernels: Kernels, tmp_path: Path
    ) -> None:
        blobs, store = Blobs(tmp_path / "blobs"), Store()
        ref = ingest(from_texts(TEXTS), blobs, InProcessExtractor())

        async def start() -> KernelSession:
            return await kernels.start(KernelSpec("thread", ContextFiles(*context_files(ref, blobs))))

        session = await start()
        store.keep(await run(session, "goods = cite(context['a.md'], 'delivers the \"goods\"')\nprint(repr(goods))"))
        result = await run(session, "paid = cite(context, 'buyer pays')\nprint(goods, paid)", turn=2)
        assert result.output == "[^1] [^2]\n", result
        assert [variable.name for variable in result.variables] == ["context", "goods", "paid"]
        store.keep(result)
        await session.close()

        fresh = await start()
        restored = await fresh.restore(list(store.groups.values()), store.batches())
        assert not restored.lost
        again = "print(cite('b.txt', 'buyer pays'), cite(context, 'seller'), goods, goods.quote)"
        result = await run(fresh, again, turn=3)
        assert result.output == "[^2] [^3] [^1] delivers the “go-\nods”\n", result
        result = await run(fresh, "FINAL({'x': f'Sold {goods}', 'y': [paid]})", turn=4)
        assert result.final is not None and result.final.value == {"x": "Sold [^1]", "y": ["[^2]"]}
        assert result.final.citations == (
            PostedCitation(1, "a.md", 19, 41, "delivers the “go-\nods”", "folded"),
            PostedCitation(2, "b.txt", 11, 21, "buyer pays", "exact"),
        )
        missing = "try:\n    cite(context, 'buyer steals')\nexcept QuoteNotFound as error:\n    print(error.nearest)"
        assert (await run(fresh, missing, turn=5)).output.startswith("buyer pays")
