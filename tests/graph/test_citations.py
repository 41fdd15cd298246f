"""Citations of answers: checked against the stored input, kept with the run, and required if the user wants it."""

import json
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Run, Runner
from durable_rlm.graph.maintenance import collect_garbage
from durable_rlm.nodes.evidence import citations
from durable_rlm.state.errors import UsageError
from tests.contract.citing_kernel import CitingKernels
from tests.scripts import repl, write_script

LEASE = "1. Parties\nDer Mieter zahlt 1.200 € – jeden Monat im Voraus.\nDie Kaution beträgt drei Mieten.\n"
OTHER = "The tenant pays 1200 a month in advance.\n"
TRUE = "1.200 € – jeden Monat"


def posted(document: str, quote: str, number: int = 1, text: str = LEASE) -> tuple[int, str, int, int, str]:
    start = text.find(quote)
    return number, document, start, start + len(quote), quote


def finish(value: Any, *citations: tuple[int, str, int, int, str]) -> str:
    return repl(f"str(context)\n_posted = {list(citations)!r}\nFINAL({value!r})")


HONEST = finish('He pays "1.200 € – jeden Monat" [^1].', posted("lease.txt", TRUE))
LYING = finish('He pays "2.400 € – jeden Monat" [^1].', (1, "lease.txt", 28, 49, "2.400 € – jeden Monat"))
BARE = finish("He pays 1.200 €.")


@pytest.fixture
async def runner(tmp_path: Path) -> AsyncGenerator[Runner]:
    async with Runner.open(tmp_path / "home", kernels=CitingKernels()) as runner:
        yield runner


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lease.txt").write_text(LEASE)
    (tmp_path / "other.txt").write_text(OTHER)
    return [Path("lease.txt"), Path("other.txt")]


async def ask(runner: Runner, tmp_path: Path, files: Any, *replies: str, **settings: Any) -> Run:
    model = write_script(tmp_path / "m.py", list(replies))
    return await runner.run("What does he pay?", files, model=model, thread="t", **settings)


async def notes(runner: Runner) -> list[str]:
    return [" ".join(turn["notes"]) for turn in (await runner.queries.show("t", runner.graph))["turns"]]


async def test_an_answer_has_its_citations_with_their_places(runner: Runner, tmp_path: Path, files: list[Path]) -> None:
    run = await ask(runner, tmp_path, files, HONEST)
    start = LEASE.index(TRUE)
    assert run.citations == [
        {
            **{"id": 1, "document": "lease.txt", "start": start, "end": start + len(TRUE), "line": 2, "column": 18},
            **{"page": None, "place": "lease.txt line 2", "quote": TRUE, "how": "exact", "verified": True},
        }
    ]
    assert json.dumps(run.to_json()) and (await runner.resume("t")).citations == run.citations
    assert (await runner.queries.show("t", runner.graph))["citations"] == run.citations


async def test_citations_of_a_kernel_that_lies_are_marked_with_one_notice(
    runner: Runner, tmp_path: Path, files: list[Path]
) -> None:
    lies = [
        posted("lease.txt", TRUE),
        posted("other.txt", TRUE, 2),
        (3, "lease.txt", 0, 1 << 50, "1. Parties"),
        (4, "lease.txt", 28, 49, "2.400 € – jeden Monat"),
        (1, "lease.txt", 0, 1, "1"),
        (5, "../../etc/passwd", 0, 4, "root"),
    ]
    said: list[str] = []
    model = write_script(tmp_path / "m.py", [finish("[^1] [^2] [^3] [^4]", *lies)])
    run = await runner.run("What?", files, model=model, on_event=lambda one: said.append(one.get("text", "")))
    assert [(one["id"], one["verified"]) for one in run.citations] == [
        *((1, True), (1, False), (2, False), (3, False), (4, False), (5, False))
    ]
    assert [one for one in said if one] == ["5 of 6 citations NOT FOUND in the input."] and run.status == "answered"


async def test_a_text_that_was_given_can_be_cited(runner: Runner, tmp_path: Path) -> None:
    run = await ask(runner, tmp_path, LEASE, finish({"pays": "[^1]"}, posted("text", TRUE)))
    assert [(one["place"], one["verified"]) for one in run.citations] == [("text line 2", True)]


async def test_an_answer_without_citations_has_none(runner: Runner, tmp_path: Path, files: list[Path]) -> None:
    assert (await ask(runner, tmp_path, files, BARE)).citations == []


# --- --require-citations


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (BARE, "it cites nothing"),
        (LYING, '[^1]: other words stand there (lease.txt): "2.400 € – jeden Monat"'),
        (
            finish('Er "zahlt 2.400 € an jedem Tag" [^1].', posted("lease.txt", TRUE)),
            'it quotes what no citation has: "zahlt 2.400 € an jedem Tag"',
        ),
        (finish("So it is [^1] [^7].", posted("lease.txt", TRUE)), "[^7] is the marker of no citation"),
    ],
)
async def test_an_answer_that_is_not_proved_goes_back_with_what_to_write(
    runner: Runner, tmp_path: Path, files: list[Path], reply: str, why: str
) -> None:
    run = await ask(runner, tmp_path, files, reply, HONEST, require_citations=True)
    assert (run.status, run.turns, [one["verified"] for one in run.citations]) == ("answered", 2, [True])
    first, second = await notes(runner)
    assert "FINAL was sent back" in first and why in first and "c = cite(context['lease.txt']," in first
    assert "sent back" not in second and (await runner.queries.show("t", runner.graph))["note"] is None


async def test_the_third_answer_counts_and_is_marked(runner: Runner, tmp_path: Path, files: list[Path]) -> None:
    run = await ask(runner, tmp_path, files, LYING, BARE, LYING, require_citations=True)
    assert (run.status, run.turns, [one["verified"] for one in run.citations]) == ("answered", 3, [False])
    shown = await runner.queries.show("t", runner.graph)
    assert shown["note"] == "not all that it quotes was found in the input"


async def test_nothing_is_sent_back_in_the_last_turn(runner: Runner, tmp_path: Path, files: list[Path]) -> None:
    run = await ask(runner, tmp_path, files, BARE, require_citations=True, max_turns=1)
    assert (run.status, run.turns, run.answer) == ("answered", 1, "He pays 1.200 €.")
    assert "not all" in (await runner.queries.show("t", runner.graph))["note"]


async def test_a_resume_goes_on_counting(runner: Runner, tmp_path: Path, files: list[Path]) -> None:
    run = await ask(runner, tmp_path, files, BARE, "no code", require_citations=True, max_turns=2)
    assert run.status == "budget"
    write_script(tmp_path / "m.py", [BARE, "no code", BARE, BARE])
    run = await runner.resume("t", max_turns=9)
    assert (run.status, run.turns) == ("answered", 4)


async def test_a_quotation_of_the_question_needs_no_citation(runner: Runner, tmp_path: Path, files: list[Path]) -> None:
    reply = finish('You ask "what does he pay": [^1]', posted("lease.txt", TRUE))
    assert (await ask(runner, tmp_path, files, reply, require_citations=True)).turns == 1


async def test_citations_go_with_code(runner: Runner, tmp_path: Path, files: list[Path]) -> None:
    with pytest.raises(UsageError, match="--mode direct runs none"):
        await ask(runner, tmp_path, files, BARE, require_citations=True, mode="direct")
    run = await ask(runner, tmp_path, files, HONEST, require_citations=True, mode="auto")
    assert (run.turns, run.status) == (1, "answered")


async def test_without_an_input_nothing_is_asked_for(runner: Runner, tmp_path: Path) -> None:
    model = write_script(tmp_path / "m.py", [repl("FINAL(42)")])
    run = await runner.run("How many?", model=model, require_citations=True)
    assert (run.status, run.answer, run.turns) == ("answered", 42, 1)


# --- approval, forks, deletion


async def test_an_approval_shows_the_citations_and_is_of_them(
    runner: Runner, tmp_path: Path, files: list[Path]
) -> None:
    run = await ask(runner, tmp_path, files, HONEST, approve="final")
    [action] = run.interrupts[0]["value"]["action_requests"]
    assert [one["verified"] for one in action["args"]["citations"]] == [True]
    run = await runner.decide("t", [{"type": "approve"}])
    assert (run.status, len(run.citations)) == ("answered", 1)


async def test_an_edited_answer_keeps_the_citations(runner: Runner, tmp_path: Path, files: list[Path]) -> None:
    run = await ask(runner, tmp_path, files, HONEST, approve="final")
    edited = {"type": "edit", "edited_action": {"name": "final_answer", "args": {"answer": "Much [^1]."}}}
    run = await runner.decide("t", [edited])
    assert (run.status, run.answer, len(run.citations)) == ("answered", "Much [^1].", 1)


async def test_forks_and_garbage_collection_keep_the_citations(tmp_path: Path, files: list[Path]) -> None:
    home = tmp_path / "home"
    async with Runner.open(home, kernels=CitingKernels()) as runner:
        run = await ask(runner, tmp_path, files, HONEST)
        last = (await runner.queries.steps("t"))[-1]["step"]
        assert (await runner.fork("t", last, into="f")).citations == run.citations
        await runner.delete("t")
    # No process has the home open, so all that is not needed is freed.
    assert (await collect_garbage(home)).freed
    async with Runner.open(home, kernels=CitingKernels()) as runner:
        assert (await runner.resume("f")).citations == run.citations
        assert (await runner.verify("f")).ok


async def test_verify_checks_the_citations_of_an_answer_again(
    runner: Runner, tmp_path: Path, files: list[Path]
) -> None:
    await ask(runner, tmp_path, files, finish("[^1] [^2]", posted("lease.txt", TRUE), posted("other.txt", TRUE, 2)))
    report = await runner.verify("t")
    assert report.ok and report.checked["citation"].records == 1


def all_verified(cited: Sequence[Any], texts: object) -> list[str]:
    del texts
    return [""] * len(cited)


async def test_verify_names_a_citation_that_does_not_stand_in_the_input(
    runner: Runner, tmp_path: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A program with a mistake, or somebody who can write rows, says that a lie was verified.
    monkeypatch.setattr(citations, "faults_of", all_verified)
    await ask(runner, tmp_path, files, LYING)
    [problem] = (await runner.verify("t")).problems
    assert (problem.kind, problem.name, problem.fault) == (
        *("citation", "[^1]", "is not in the input: other words stand there"),
    )


async def test_a_sub_rlm_hands_its_caller_words_and_no_numbers(
    runner: Runner, tmp_path: Path, files: list[Path]
) -> None:
    child = finish("He pays [^1].", posted("lease.txt", TRUE))
    parent = repl("FINAL(rlm_query('What does he pay?', context=context))")
    model = write_script(tmp_path / "m.py", [child])
    root = write_script(tmp_path / "root.py", [parent])
    run = await runner.run("Ask", files, model=root, sub_model=model, max_depth=2)
    assert run.answer == f'He pays ["{TRUE}" (lease.txt, line 2)].' and run.citations == []
