"""The part of the session contract about `map_query`: what it asks, what it takes, and what it returns."""

import json
import re
from collections.abc import Callable
from typing import Any

from durable_rlm.kernel.results import CellResult
from durable_rlm.kernel.session import Answered, Cell, Failed, KernelSession, PostedCall

Answer = Callable[[dict[int, str]], Any]
"""Returns what a model answers to a prompt with these items; a Failed for a call that fails."""
LABELS = "schema=['good', 'bad']"


def items_in(prompt: str) -> dict[int, str]:
    """Return the items of a prompt by their numbers."""
    lines = {int(number): text for number, text in re.findall(r"^(\d+): (item \w+.*)$", prompt, re.M)}
    return lines or {
        int(number): text for number, text in re.findall(r'<item number="(\d+)">\n(.*?)\n</item>', prompt, re.S)
    }


async def mapped(session: KernelSession, code: str, answer: Answer) -> tuple[list[PostedCall], CellResult]:
    """Run a cell whose calls are answered. Return them and its result."""
    await session.begin(Cell(1, (code,)))
    calls: list[PostedCall] = []
    while (call := await session.next_call()) is not None:
        calls.append(call)
        said = answer(items_in(call.prompt))
        await session.deliver(call.id, said if isinstance(said, Failed) else Answered(said))
    return calls, await session.result()


def label(text: str) -> str:
    return "bad" if "7" in text else "good"


def all_labels(items: dict[int, str]) -> dict[str, str]:
    return {str(number): label(text) for number, text in items.items()}


class MapQueryContract:
    """The promises of a session about `map_query`."""

    async def test_every_item_gets_its_value_in_one_batch_of_packs(self, session: KernelSession) -> None:
        code = (
            f"found = map_query([f'item n{{n}}' for n in range(250)], 'Judge.', {LABELS}, key=lambda i: i[6:])\n"
            "print(len(found), found.count('bad'), found.failures, found.by_key['17'], found[8], found.values == found)"
        )
        calls, result = await mapped(session, code, all_labels)
        assert result.output == "250 43 [] bad good True\n", result.error
        assert 3 <= len(calls) <= 10 and calls[0].rest == len(calls)
        assert all(1 <= len(items_in(call.prompt)) <= 100 for call in calls)
        assert all(list(items_in(call.prompt)) == list(range(1, len(items_in(call.prompt)) + 1)) for call in calls)
        assert '"good", "bad"' in calls[0].prompt and calls[0].prompt.startswith("Judge.")

    async def test_missing_and_wrong_values_are_asked_for_again_and_are_then_failures(
        self, session: KernelSession
    ) -> None:
        def careless(items: dict[int, str]) -> Any:
            kept = {n: label(text) for n, text in items.items() if "item n3" not in text or len(items) < 3}
            return {n: "perhaps" if items[n] == "item n5" else value for n, value in kept.items()}

        code = f"found = map_query([f'item n{{n}}' for n in range(8)], 'Judge.', {LABELS})\nfound, found.failures"
        calls, result = await mapped(session, code, careless)
        assert "[1 of 8 items without a value: item 5: 'perhaps' is not one of 'good', 'bad']" in result.output
        assert "'good', 'good', None, 'good', 'bad'" in result.output and "index=5, item='item n5'" in result.output
        assert [sorted(items_in(call.prompt).values()) for call in calls[1:]] == [["item n3", "item n5"], ["item n5"]]
        assert "1: the answer has no entry for it" in calls[1].prompt

    async def test_answers_of_other_forms_are_understood(self, session: KernelSession) -> None:
        forms: list[Answer] = [
            all_labels,
            lambda items: [{"number": n, "value": label(text)} for n, text in items.items()],
            lambda items: {"items": [{"item": str(n), "value": label(text)} for n, text in items.items()]},
            lambda items: [label(text) for text in items.values()],
            lambda items: {"answers": {f"item {n}": f" {label(text).title()}. " for n, text in items.items()}},
            lambda items: all_labels(items) | {"9": "good", "note": "all are done"},
        ]
        for form in forms:
            calls, result = await mapped(session, f"map_query(['item a', 'item 7'], 'Judge.', {LABELS})", form)
            assert (len(calls), result.output) == (1, "['good', 'bad']\n"), form({1: "item a", 2: "item 7"})

    async def test_values_are_checked_against_a_schema_or_a_pydantic_class(self, session: KernelSession) -> None:
        said = iter([{"1": {"n": "x"}}, {"1": {"n": -1}}, {"1": {"n": 4}}] * 2)
        schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 0}}, "required": ["n"]}
        calls, result = await mapped(session, f"map_query(['item a'], 'Count.', {schema})", lambda _: next(said))
        assert (len(calls), result.output) == (3, "[{'n': 4}]\n")
        assert "not of type integer" in calls[1].prompt and "-1 is less than 0" in calls[2].prompt
        code = "from pydantic import BaseModel, PositiveInt\nclass One(BaseModel):\n    n: PositiveInt\n"
        calls, result = await mapped(session, code + "map_query(['item a'], 'Count.', One)", lambda _: next(said))
        assert (len(calls), result.output) == (3, "[One(n=4)]\n")

    async def test_a_quotation_that_is_not_in_the_item_is_asked_for_again(self, session: KernelSession) -> None:
        def invents(items: dict[int, str]) -> Any:
            return {n: {"value": "good", "quote": "item" if "n1" in text else "invented"} for n, text in items.items()}

        code = f"found = map_query(['item n1', 'item n2'], 'Judge.', {LABELS}, quote=True)\nfound, found.quotes"
        calls, result = await mapped(session, code, invents)
        assert len(calls) == 3 and "its quotation is not in the item: 'invented'" in calls[1].prompt
        assert "item 1: its quotation is not in the item: 'invented'" in result.output
        assert "(['good', None], ['item', None])" in result.output

    async def test_values_from_before_the_budget_was_spent_are_kept(self, session: KernelSession) -> None:
        code = (
            f"try:\n    map_query([f'item n{{n}}' for n in range(250)], 'Judge.', {LABELS}, key=str)\n"
            "except BudgetExceeded as error:\n    print(len(error.partial), error.partial.by_key['item n0'],"
            " len(error.partial.failures) > 100, error.partial.failures[-1].why)"
        )

        def first_only(items: dict[int, str]) -> Any:
            return all_labels(items) if "item n0" in items.values() else Failed("budget", "it is spent")

        _, result = await mapped(session, code, first_only)
        assert result.output == "250 good True the call failed: it is spent\n", result

    async def test_a_call_that_fails_is_made_again_in_smaller_packs(self, session: KernelSession) -> None:
        def fails(items: dict[int, str]) -> Any:
            return Failed("model", "too long") if len(items) > 25 else all_labels(items)

        code = f"found = map_query([f'item n{{n}}' for n in range(80)], 'Judge.', {LABELS})\nfound.failures"
        calls, result = await mapped(session, code, fails)
        assert result.output == "[]\n" and len(calls) >= 5

    async def test_arguments_that_cannot_be_used_are_refused_before_a_call(self, session: KernelSession) -> None:
        for code, message in {
            "map_query('text', 'Judge.')": "items are a list, not a str; chunks",
            "map_query(['x ' * 100_000], 'Judge.')": "cut documents with chunks",
            "map_query(['a', 'b'], 'Judge.', key=len)": "have the same key 1",
            "map_query(['a', 'b'], 'Judge.', key=['a'])": "1 keys for 2 items",
            "map_query(['a'], 'Judge.', schema=7)": "list of labels",
            "map_query(['a'], 'Judge.', schema=[])": "list has labels",
            "map_query(['a'], 7)": "the instruction is a str",
            "map_query(['a'], 'Judge.', max_tokens=0)": "from 1 on",
        }.items():
            calls, result = await mapped(session, code, all_labels)
            assert not calls and result.error and message in result.error.message, (code, result.error)

    async def test_items_may_be_a_dict_texts_of_many_lines_or_json(self, session: KernelSession) -> None:
        code = f"map_query({{'a': 'item 1\\nline', 'b': {{'x': 7}}}}, 'Judge.', {LABELS}).by_key"
        calls, result = await mapped(session, code, all_labels)
        assert result.output == "{'a': 'good', 'b': 'bad'}\n"
        assert items_in(calls[0].prompt) == {1: "item 1\nline", 2: json.dumps({"x": 7})}

    async def test_the_result_is_saved_and_ends_a_run_as_a_list(self, session: KernelSession) -> None:
        _, result = await mapped(
            session, f"found = map_query(['item a'], 'Judge.', {LABELS})\nFINAL(found)", all_labels
        )
        assert result.final is not None and result.final.value == ["good"] and result.unsaved is None
