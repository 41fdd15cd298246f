"""One turn of a run, read without the others: it says what the whole run says of it."""

import asyncio
from pathlib import Path

import pytest

from durable_rlm import Runner
from durable_rlm.graph.one_turn import OneTurn, prose_of, turn_of_run
from durable_rlm.graph.saved_states import SavedCheckpoints
from durable_rlm.state.open_home import open_home
from durable_rlm.state.saved_turns import steps_of_turn
from durable_rlm.state.stores import Stores
from tests.contract.in_memory_kernel import MemoryKernels
from tests.scripts import repl, write_script

REPLIES = [
    "I count.\n" + repl("numbers = [1, 2]\nprint(numbers)"),
    "I ask.\n" + repl("answers = llm_query_batched(['a', 'b'])\n\nextra = llm_query('c')\ndel numbers"),
    "Only words.",
    repl("answers = [*answers, 'd']"),
    repl("FINAL(answers)"),
]


async def _run(home: Path, folder: Path) -> None:
    script = write_script(folder / "model.py", REPLIES, "return prompt.upper()")
    async with Runner.open(home, kernels=MemoryKernels()) as runner:
        await runner.run("Which letters?", model=script, thread="letters")
        steps = await runner.queries.steps("letters")
        step = max(one["step"] for one in steps if (one["kind"], one["turn"]) == ("execute_code", 2))
        await runner.fork("letters", step, set={"extra": "Z"}, into="other")
        await runner.resume("other")


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("letters")
    asyncio.run(_run(folder / "home", folder))
    return folder / "home"


async def _turn(stores: Stores, thread: str, number: int) -> OneTurn | None:
    return await turn_of_run(stores, SavedCheckpoints(stores), await stores.threads.look(thread), number)


@pytest.mark.parametrize("thread", ["letters", "other"])
async def test_each_turn_agrees_with_the_whole_run(letters: Path, thread: str) -> None:
    async with Runner.open(letters, kernels=MemoryKernels()) as runner:
        whole = await runner.queries.show(thread, runner.graph)
    async with open_home(letters) as stores:
        for one in whole["turns"]:
            found = await _turn(stores, thread, one["turn"])
            assert found is not None
            assert [block.code for block in found.blocks] == one["code"]
            facts = found.record.get("status"), found.output, found.record.get("error"), found.record.get("seconds")
            assert facts == (one["status"], one["output"], one["error"], one["seconds"])
            assert found.record.get("nudge") == one["nudge"]
            after = {known.name: known.now for known in found.variables if known.now and known.name != "context"}
            if one["status"] is not None:
                assert after == {known["name"]: known for known in one["variables"] if known["name"] != "context"}


async def test_calls_stand_at_the_lines_that_made_them(letters: Path) -> None:
    async with open_home(letters) as stores:
        for thread in ("letters", "other"):
            found = await _turn(stores, thread, 2)
            assert found is not None
            [block] = found.blocks
            assert {line: calls.calls for line, calls in block.calls.items()} == {1: 2, 3: 1}
            assert found.unplaced == []


async def test_variables_are_added_changed_and_removed_by_a_turn(letters: Path) -> None:
    async with open_home(letters) as stores:
        second, fourth = await _turn(stores, "letters", 2), await _turn(stores, "letters", 4)
    assert second is not None
    assert fourth is not None
    assert {one.name: one.change for one in second.variables if one.change} == {
        **{"answers": "added", "extra": "added", "numbers": "removed"}
    }
    # The turn before it had no code: what it is compared with is the turn before that.
    [answers] = [one for one in fourth.variables if one.name == "answers"]
    assert (answers.change, answers.was and answers.was["size"], answers.now and answers.now["size"]) == (
        "changed",
        2,
        3,
    )


async def test_a_person_who_set_a_variable_is_named_and_the_turn_after_is_not_blamed(letters: Path) -> None:
    async with open_home(letters) as stores:
        second, third = await _turn(stores, "other", 2), await _turn(stores, "other", 4)
    assert second is not None
    assert third is not None
    assert [note for note in second.notes if "A person set" in note] == [
        "A person set variables after this turn: extra = 'Z'"
    ]
    assert next(one.change for one in third.variables if one.name == "extra") == ""


async def test_only_what_was_not_sent_before_is_read(letters: Path) -> None:
    async with open_home(letters) as stores:
        first, second = await _turn(stores, "letters", 1), await _turn(stores, "letters", 2)
    assert first is not None
    assert second is not None
    assert [one.role for one in first.told if one.text is not None] == ["system", "user"]
    assert [(one.role, one.text is None) for one in second.told] == [
        *[("system", True), ("user", True), ("assistant", True), ("user", False)]
    ]


async def test_there_is_no_turn_before_the_first_and_behind_the_last(letters: Path) -> None:
    async with open_home(letters) as stores:
        assert [await _turn(stores, "letters", number) for number in (0, 6, 1 << 70)] == [None, None, None]


async def test_the_steps_of_a_turn_are_those_that_led_to_the_next_one(letters: Path) -> None:
    async with open_home(letters) as stores:
        saved = await steps_of_turn(stores.database, "letters", 2)
        kinds = [one.step.kind for one in saved.steps]
        assert (kinds[0], kinds[-1], {one.step.turn for one in saved.steps}) == ("plan", "execute_code", {2})
        assert saved.values["turn"] == 2


def test_prose_is_what_is_left_of_a_reply_without_its_code() -> None:
    assert prose_of("First.\n```repl\nprint(1)\n```\nThen.\n```repl\nprint(2)\n```") == "First.\n\nThen."
