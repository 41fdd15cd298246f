"""Final values come out as JSON without loss, and in words what has no form there."""

import dataclasses
import datetime as dt
import enum
import json
import math
import uuid
from collections import Counter, OrderedDict, defaultdict, deque
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pydantic
import pytest

from durable_rlm.kernel.inside import answer_value
from durable_rlm.kernel.inside.answer_value import AnswerTooLarge, plain
from durable_rlm.kernel.inside.final import as_json


class Color(enum.Enum):
    RED = "red"


class Text(enum.StrEnum):
    A = "a"


@dataclasses.dataclass
class Point:
    x: int
    when: dt.date


class Model(pydantic.BaseModel):
    price: Decimal
    tags: set[str]


class Pair(NamedTuple):
    left: Any
    right: Any


BERLIN = dt.timezone(dt.timedelta(hours=2))
VALUES: list[tuple[Any, Any]] = [
    (dt.date(2024, 2, 29), "2024-02-29"),
    (dt.datetime(2024, 2, 29, 1, 2, 3, 4, BERLIN), "2024-02-29T01:02:03.000004+02:00"),
    (dt.time(1, 2), "01:02:00"),
    (dt.timedelta(days=1, seconds=3.5), "P1DT3.5S"),
    (-dt.timedelta(minutes=90), "-PT1H30M"),
    (dt.timedelta(), "PT0S"),
    (Decimal("1.10"), "1.10"),
    (Decimal("NaN"), None),
    (Fraction(1, 3), "1/3"),
    (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (PurePosixPath("/a/b"), "/a/b"),
    (Color.RED, "red"),
    (Text.A, "a"),
    (Point(1, dt.date(2024, 1, 1)), {"x": 1, "when": "2024-01-01"}),
    (Model(price=Decimal("2.50"), tags={"b", "a"}), {"price": "2.50", "tags": ["a", "b"]}),
    (Pair(1, (2,)), {"left": 1, "right": [2]}),
    ({3, 10, 2}, [2, 3, 10]),
    (deque([1, 2]), [1, 2]),
    (Counter("aab"), {"a": 2, "b": 1}),
    (defaultdict(list, {"a": [1]}), {"a": [1]}),
    (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
    ({True: "d", 2.5: "b", None: "c"}, {"true": "d", "2.5": "b", "null": "c"}),
    ({dt.date(2024, 1, 1): 1, Color.RED: 2, ("a", 1): 3}, {"2024-01-01": 1, "red": 2, "a / 1": 3}),
    ([math.nan, 1.5], [None, 1.5]),
    ({"a": 1}.items(), [["a", 1]]),
    (range(3), [0, 1, 2]),
    (np.arange(4).reshape(2, 2), [[0, 1], [2, 3]]),
    ([np.float64(1.5), np.int8(3), np.bool_(True), np.str_("x")], [1.5, 3, True, "x"]),
    (np.array(["2024-01-01", "NaT"], "M8[D]"), ["2024-01-01", None]),
    (np.timedelta64(90, "s"), "PT1M30S"),
    (np.array([(1, "a")], [("n", int), ("s", "U1")]), [{"n": 1, "s": "a"}]),
    ([pd.NA, pd.NaT, pd.Timestamp("2024-01-01", tz="UTC")], [None, None, "2024-01-01T00:00:00+00:00"]),
    ({"summary": "s", "table": pd.DataFrame({"a": [1, 2]})}, {"summary": "s", "table": [{"a": 1}, {"a": 2}]}),
    ({"column": pd.Series([1, 2])}, {"column": [1, 2]}),
]


@pytest.mark.parametrize(("value", "form"), VALUES, ids=range(len(VALUES)))
def test_a_value_with_an_equal_form_in_json_has_it(value: Any, form: Any) -> None:
    assert plain(value) == (form, "")
    assert json.loads(json.dumps([form])) == [form]


def test_a_value_without_a_form_is_named_with_its_place_and_what_to_write() -> None:
    value = {"rows": [1, {"blob": Pair(b"x", 1)}], "f": math.inf}
    form, problem = plain(value)
    assert form == {"rows": [1, {"blob": {"left": "b'x'", "right": 1}}], "f": None}
    assert "value['rows'][1]['blob'].left is bytes, which have no JSON form: .decode() it, or base64" in problem
    assert "value['f'] is infinite" in problem


def test_many_problems_are_counted() -> None:
    assert plain([1j] * 10)[1].endswith("; and 7 more")


def test_keys_of_the_same_text_are_a_problem_and_both_stay() -> None:
    form, problem = plain({1: "a", "1": "b"})
    assert form == {"1": "a", "1 (2)": "b"} and "several keys with the text '1'" in problem


def test_the_text_of_a_value_without_a_form_keeps_its_type() -> None:
    said = as_json(object)
    assert (said["value"], said["text_of"]) == ("<class 'object'>", "type") and said["problem"]
    assert as_json(math.inf)["value"] == "inf"


def test_a_value_in_itself_and_a_deep_one_end() -> None:
    circle: list[Any] = []
    circle.append(circle)
    form, problem = plain(circle)
    assert "nested more than 100 deep" in problem and json.dumps(form)


def test_an_answer_has_a_greatest_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_value, "MOST_VALUES", 100)
    with pytest.raises(AnswerTooLarge, match=r"100 values.*FINAL\(df\)"):
        plain([[0] * 60, [0] * 60])
    monkeypatch.setattr(answer_value, "MOST_CHARACTERS", 10)
    with pytest.raises(AnswerTooLarge, match="characters"):
        plain(["x" * 6, "x" * 6])


def test_a_hook_comes_before_every_other_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(answer_value.HOOKS, Point, lambda point: f"[^{point.x}]")
    assert plain([Point(3, dt.date.today())]) == (["[^3]"], "")
