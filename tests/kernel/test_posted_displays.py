"""Display forms that a kernel posts are hostile: what is no form is not stored, and harms nothing else."""

import json
from typing import Any

import pytest

from durable_rlm.kernel.inside.display_forms import display_forms
from durable_rlm.kernel.inside.protocol import MAX_DISPLAYS
from durable_rlm.kernel.messages import parse_ended
from durable_rlm.kernel.posted_displays import displays_text

FINE = {"kind": "value", "text": "1"}


def parsed(displays: Any) -> dict[str, Any]:
    result = parse_ended(json.dumps({"output": "kept", "snapshot": {}, "displays": displays}))
    assert result.output == "kept"
    return dict(result.displays)


def nested(levels: int) -> dict[str, Any]:
    form: dict[str, Any] = FINE
    for _ in range(levels):
        form = {"kind": "list", "items": [form], "length": 1}
    return form


def test_forms_that_a_kernel_makes_come_through_as_they_are() -> None:
    deep: list[Any] = []
    for _ in range(20):
        deep = [deep]
    table = [{"n": n, "s": "é\0", "f": n / 3} for n in range(50)]
    values = {"n": 1, "text": "x" * 10_000, "table": table, "deep": deep, "map": {"a": [1]}, "z": None}
    made = display_forms(values, {})
    assert parsed(made) == made


def test_lone_surrogates_are_replaced_and_the_text_can_be_stored() -> None:
    forms = parsed({"a\ud800": {"kind": "text", "text": "\ud800\0", "length": 2}})
    assert forms == {"a\ufffd": {"kind": "text", "text": "\ufffd\0", "length": 2}}
    displays_text(forms).encode()


def test_unknown_keys_are_left_out() -> None:
    assert parsed({"a": {**FINE, "other": ["x"] * 10_000, "cut": "yes"}, "b": None}) == {"a": FINE, "b": None}


@pytest.mark.parametrize(
    "displays",
    [
        *("text", 1, [FINE], {"a": "text"}, {"a": [FINE]}, {"a": {}}, {"a": {"kind": "other"}}, {"a": {"kind": []}}),
        {"a": {"kind": "value", "text": 1}},
        {"a": {"kind": "value", "text": "x" * (MAX_DISPLAYS + 1)}},
        {"a": {"kind": "value", "text": "\U0001f512" * (MAX_DISPLAYS // 2)}},
        {"a": {"kind": "text", "text": "x"}},
        {"a": {"kind": "text", "text": "x", "length": -1}},
        {"a": {"kind": "text", "text": "x", "length": True}},
        {"a": {"kind": "text", "text": "x", "length": 10**30}},
        {"a": {"kind": "text", "text": "x", "length": 1.5}},
        {"a": {"kind": "list", "items": {}, "length": 1}},
        {"a": {"kind": "list", "items": [1] * 3, "length": 1}},
        {"a": {"kind": "list", "items": [FINE] * 100_000, "length": 1}},
        {"a": {"kind": "map", "items": [["k"]], "length": 1}},
        {"a": {"kind": "map", "items": [[1, FINE]], "length": 1}},
        {"a": {"kind": "table", "columns": ["a"], "rows": [[1, 2]], "length": 1, "width": 1}},
        {"a": {"kind": "table", "columns": [1], "rows": [], "length": 1, "width": 1}},
        {"a": {"kind": "table", "columns": ["a"], "rows": [[{}]], "length": 1, "width": 1}},
        {"a": {"kind": "table", "columns": ["a"], "rows": [[10**30]], "length": 1, "width": 1}},
        {"a": {"kind": "table", "columns": [], "rows": [[]] * 1_000_000, "length": 1, "width": 1}},
        {"a": nested(90)},
        {f"n{at}": None for at in range(2_000)},
        {"x" * 5_000: None},
    ],
    ids=range(29),
)
def test_anything_else_than_a_form_costs_the_forms_and_no_other_part(displays: Any) -> None:
    assert parsed({"fine": FINE, **displays} if isinstance(displays, dict) else displays) == {}
