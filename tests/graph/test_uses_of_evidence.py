"""The uses that people have: answers over code, contracts, tables, papers, tickets and an agent's history.

Every quotation of an answer is found in the input, with its line, page, clause, cell or message; what is not there is
caught, by the code that cites it or by the host. Real files, real readers; scripted models, and kernels in memory.
"""

import io
import json
from collections.abc import AsyncGenerator, Iterable
from pathlib import Path
from typing import Any

import docx
import openpyxl
import pytest

from durable_rlm import Run, Runner
from tests.contract.in_memory_kernel import MemoryKernels
from tests.nodes.input.corpus.agent_history import claude, lines
from tests.nodes.input.pdf_files import Pdf
from tests.scripts import repl, write_script

pytestmark = pytest.mark.processes
"""Documents are read in processes of their own."""


def contract() -> bytes:
    document = docx.Document()
    document.add_heading("Lease", 1)
    document.add_paragraph("Between the landlord and the tenant.")
    document.add_heading("4.2 Termination", 2)
    document.add_paragraph("Either party may terminate with “three months’ notice” to the end of a quarter.")
    made = io.BytesIO()
    document.save(made)
    return made.getvalue()


def prices() -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Prices"
    for row in (["Part", "Price"], ["bolt", 12], ["gearbox, heavy", 4200]):
        sheet.append(row)
    made = io.BytesIO()
    book.save(made)
    return made.getvalue()


def paper() -> bytes:
    made = Pdf()
    for text in ("We study recall at scale.", "The model forgets the middle of its con-", "Threats to validity."):
        made.page(f"BT /F 12 Tf 50 700 Td ({text}) Tj ET")
    return made.bytes()


FILES = {
    "app/server.py": b"import os\n\n\ndef start(port):\n    return listen(port)  # no timeout is set here\n",
    "contract.docx": contract(),
    "prices.xlsx": prices(),
    "paper.pdf": paper(),
    "tickets.jsonl": b"".join(
        json.dumps({"id": n, "text": f"ticket {n}: the app {'crashes on start' if n == 2 else 'is slow'}"}).encode()
        + b"\n"
        for n in range(4)
    ),
    "history.jsonl": lines(
        claude("user", "Please move the parser."), claude("assistant", "I moved it, and the tests pass.")
    ),
}
USES = {
    "code": ('[hit] = context.grep("no timeout")', "cite(hit.document, hit.line)", "app/server.py line 5"),
    "contracts": (
        '[doc] = [d for d in context if d.name.endswith(".docx")]',
        "cite(doc, '\"three months\\' notice\"')",
        "contract.docx § 4.2 Termination",
    ),
    "tables": ("", 'cite("prices.xlsx", "4200")', "prices.xlsx Prices!B3"),
    "papers": ("", 'cite("paper.pdf", "forgets the middle")', "paper.pdf page 2"),
    "tickets": ("", 'cite("tickets.jsonl", "crashes on start")', "tickets.jsonl line 3"),
    "history": ("", 'cite("history.jsonl", "the tests pass")', "history.jsonl message 2"),
}
"""By the use: code that looks, code that cites, and the place of the citation."""


@pytest.fixture
async def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Runner]:
    folder = tmp_path / "files"
    for name, data in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    monkeypatch.chdir(folder)
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
        yield runner


async def ask(runner: Runner, tmp_path: Path, *cells: str, files: Iterable[str] = FILES, **settings: Any) -> Run:
    model = write_script(tmp_path / "m.py", [repl(cell) for cell in cells])
    return await runner.run("What do they say?", [Path(name) for name in files], model=model, thread="t", **settings)


async def notes(runner: Runner) -> str:
    return "\n".join(note for turn in (await runner.queries.show("t", runner.graph))["turns"] for note in turn["notes"])


async def test_each_use_has_an_answer_whose_quotations_are_found_with_their_places(
    runner: Runner, tmp_path: Path
) -> None:
    look = "\n".join(f"{looks}\nfound[{use!r}] = {cites}" for use, (looks, cites, _) in USES.items())
    finish = 'FINAL({"findings": [{"use": use, "source": one} for use, one in found.items()]})'
    run = await ask(runner, tmp_path, f"found = {{}}\n{look}\nprint(found)", finish, require_citations=True)
    assert run.status == "answered", run.error
    assert (await runner.queries.show("t", runner.graph))["note"] is None
    sources = {one["use"]: one["source"] for one in run.answer["findings"]}
    cited = {f"[^{one['id']}]": one for one in run.citations}
    assert {use: cited[source]["place"] for use, source in sources.items()} == {
        use: one[2] for use, one in USES.items()
    }
    assert all(one["verified"] for one in run.citations)
    assert cited[sources["contracts"]]["quote"] == "“three months’ notice”", "the words of the source, not of the model"
    assert cited[sources["papers"]]["page"] == 2
    values = (await runner.graph.aget_state({"configurable": {"thread_id": "t"}})).values
    assert values["citations"] == run.citations, "LangGraph's callers have them too"


async def test_a_quotation_that_is_not_there_is_refused_with_the_nearest_passage(
    runner: Runner, tmp_path: Path
) -> None:
    false = 'try:\n    cite("contract.docx", "terminate with two weeks notice to the end of a month")\n'
    cell = f"{false}except QuoteNotFound as error:\n    print(error)\nprint(len(str(context)))"
    run = await ask(runner, tmp_path, cell, "FINAL('none')")
    assert run.status == "answered"
    [first, _] = (await runner.queries.show("t", runner.graph))["turns"]
    assert "three months’ notice" in first["output"]


async def test_a_quotation_from_the_wrong_document_is_refused(runner: Runner, tmp_path: Path) -> None:
    cell = (
        'try:\n    cite("prices.xlsx", "crashes on start")\nexcept QuoteNotFound as error:\n    print("refused", error)'
    )
    await ask(runner, tmp_path, f"print(context.names)\n{cell}", "FINAL(1)")
    [first, _] = (await runner.queries.show("t", runner.graph))["turns"]
    assert "refused" in first["output"]


async def test_an_invented_quotation_goes_back_to_the_model_and_is_marked_when_it_stays(
    runner: Runner, tmp_path: Path
) -> None:
    invented = "print(str(context)[:10])\nFINAL('It says \"you may terminate at any time without notice\".')"
    run = await ask(runner, tmp_path, invented, invented, invented, require_citations=True)
    assert run.status == "answered"
    assert run.turns == 3
    assert (await runner.queries.show("t", runner.graph))["note"] == "not all that it quotes was found in the input"
    assert "you may terminate at any time" in await notes(runner)


async def test_documents_that_no_model_was_shown_are_named_before_the_run_ends(runner: Runner, tmp_path: Path) -> None:
    names = [f"minutes-{number}.txt" for number in range(6)]
    for name in names:
        Path(name).write_text("".join(f"{name} line {line}: they agreed on number {line}.\n" for line in range(9)))
    half = "said = llm_query_batched([f'Summarise: {d.text}' for d in list(context)[:4]])\nFINAL(said)"
    run = await ask(runner, tmp_path, half, "FINAL(said)", files=names)
    assert run.status == "answered"
    assert "2 of 6" in await notes(runner)
    assert 0 < (run.usage.get("coverage") or 0) < 1
    found = await runner.queries.coverage("t")
    assert found is not None
    assert {one["name"] for one in found["read"] if not one["coverage"]} == set(names[4:])
