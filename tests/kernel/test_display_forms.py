"""Display forms: what a page shows of a value, made within a room and without code of the value's own."""

import dataclasses
import datetime as dt
import enum
import json
import tracemalloc
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple, NoReturn

import pytest
from pydantic import BaseModel

from durable_rlm.kernel.inside.display_forms import display_form, display_forms
from durable_rlm.kernel.inside.protocol import MAX_DISPLAYS


class Point(NamedTuple):
    x: int
    y: int


class Colour(enum.Enum):
    RED = 1


@dataclasses.dataclass
class Invoice:
    number: int
    lines: list[str]


@dataclasses.dataclass(slots=True)
class Slotted:
    number: int


class Model(BaseModel):
    number: int
    name: str = "n"


class Ended(BaseException):
    """Raised by whatever must not be called."""


def fails(*_: Any, **__: Any) -> NoReturn:
    raise Ended


class Meta(type):
    __hash__ = __eq__ = __instancecheck__ = __subclasscheck__ = __getattribute__ = fails  # type: ignore[assignment]


class Hostile:
    __len__ = __iter__ = __str__ = __repr__ = __hash__ = __eq__ = __format__ = __getattribute__ = fails  # type: ignore[assignment]
    __class__ = __dict__ = property(fails)  # type: ignore[assignment]


def hostile_kind() -> type:
    """Return a class whose metaclass is hostile: pytest would look into one of the module."""
    return Meta("HostileKind", (), {})


class HostileDict(dict[Any, Any]):
    __len__ = __iter__ = items = keys = values = get = __getitem__ = __repr__ = fails  # type: ignore[assignment]


class HostileList(list[Any]):
    __len__ = __iter__ = __getitem__ = __repr__ = fails  # type: ignore[assignment]


class HostileTuple(tuple[Any, ...]):
    __len__ = __iter__ = __getitem__ = __repr__ = fails  # type: ignore[assignment]


class HostileText(str):
    __len__ = __iter__ = __getitem__ = __repr__ = __str__ = encode = __format__ = fails  # type: ignore[assignment]


class HostileInt(int):
    __repr__ = __str__ = bit_length = __format__ = __index__ = __abs__ = fails  # type: ignore[assignment]


def size(form: Any) -> int:
    return len(json.dumps(form, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))


def value(text: str) -> dict[str, Any]:
    return {"kind": "value", "text": text}


def text(said: str) -> dict[str, Any]:
    return {"kind": "text", "text": said, "length": len(said)}


@pytest.mark.parametrize(
    ("one", "form"),
    [
        (1, value("1")),
        (None, value("None")),
        (True, value("True")),
        (1.5, value("1.5")),
        (float("nan"), value("nan")),
        (float("-inf"), value("-inf")),
        ([10**10_000], {"kind": "list", "items": [value("<int of about 10,000 digits>")], "length": 1}),
        (Colour.RED, value("Colour.RED")),
        (b"ab\0", value("b'ab\\x00'")),
        (Decimal("1.50"), value("1.50")),
        (dt.datetime(2024, 5, 6, 7, 8, tzinfo=dt.UTC), value("2024-05-06 07:08:00+00:00")),
        (ValueError("no", 1), value("ValueError('no', 1)")),
        (len, value("<function len>")),
        (int, value("<class int>")),
        ((n for n in range(3)), value("<generator>")),
        ("words", text("words")),
        ([1, "a"], {"kind": "list", "items": [value("1"), text("a")], "length": 2}),
        ((), {"kind": "list", "items": [], "length": 0}),
        ({3, 1, 2}, {"kind": "list", "items": [value("1"), value("2"), value("3")], "length": 3}),
        (deque([1]), {"kind": "list", "items": [value("1")], "length": 1}),
        (OrderedDict(a=1), {"kind": "map", "items": [["a", value("1")]], "length": 1}),
        (Counter("aa"), {"kind": "map", "items": [["a", value("2")]], "length": 1}),
        ({(1, "x"): None}, {"kind": "map", "items": [["(1, 'x')", value("None")]], "length": 1}),
        (Point(1, 2), {"kind": "map", "items": [["x", value("1")], ["y", value("2")]], "length": 2}),
        (Slotted(7), {"kind": "map", "items": [["number", value("7")]], "length": 1}),
        (Model(number=7), {"kind": "map", "items": [["number", value("7")], ["name", text("n")]], "length": 2}),
    ],
)
def test_each_kind_of_value_has_its_form(one: Any, form: dict[str, Any]) -> None:
    assert display_form(one) == form


def test_records_with_the_same_fields_are_a_table() -> None:
    for records in (
        [{"number": n, "lines": ["a", "b"]} for n in range(3)],
        [Invoice(n, ["a", "b"]) for n in range(3)],
    ):
        assert display_form(records) == {
            "kind": "table",
            "columns": ["number", "lines"],
            "rows": [[n, "['a', 'b']"] for n in range(3)],
            "length": 3,
            "width": 2,
        }
    assert display_form([{"a": 1}, {"b": 1}])["kind"] == "list", "their keys differ"
    assert display_form([{"a": 1}])["kind"] == "list", "one record is no table"
    rows = [[1 << 60, float("nan"), float("inf"), None, True, "x" * 200]]
    names = ["big", "nan", "inf", "none", "yes", "long"]
    shown = display_form([dict(zip(names, rows[0], strict=True))] * 2)["rows"][0]
    assert shown == [str(1 << 60), None, "inf", None, True, "x" * 79 + "…"]


def test_frames_of_pandas_are_tables_with_their_true_size() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"n": range(1000), "at": pandas.date_range("2024", periods=1000), "of": ["x", None] * 500})
    shown = display_form(frame)
    assert (shown["kind"], shown["columns"], shown["length"], shown["width"]) == ("table", ["n", "at", "of"], 1000, 3)
    assert shown["rows"][:2] == [[0, "2024-01-01 00:00:00", "x"], [1, "2024-01-02 00:00:00", None]] and shown["cut"]
    by_name = display_form(pandas.DataFrame({"n": [1, 2]}, index=pandas.Index(["a", "b"], name="who")))
    assert (by_name["columns"], by_name["rows"], by_name["width"]) == (["who", "n"], [["a", 1], ["b", 2]], 2)
    wide = display_form(pandas.DataFrame([[0] * 5000]))
    assert wide["width"] == 5000 and wide["cut"] and len(wide["columns"]) == len(wide["rows"][0])
    series = display_form(pandas.Series([1.5, None], index=["a", "b"], name="score"))
    assert (series["columns"], series["rows"]) == (["index", "score"], [["a", 1.5], ["b", None]])


def test_frames_of_polars_and_tables_of_arrow_are_tables() -> None:
    polars, arrow = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    for frame in (polars.DataFrame({"n": [1, 2], "s": ["a", None]}), arrow.table({"n": [1, 2], "s": ["a", None]})):
        assert display_form(frame) == {
            **{"kind": "table", "columns": ["n", "s"], "rows": [[1, "a"], [2, None]]},
            **{"length": 2, "width": 2},
        }
    assert display_form(polars.Series("s", [1]))["columns"] == ["s"]


def test_arrays_of_two_dimensions_are_tables_and_of_one_are_lists() -> None:
    numpy = pytest.importorskip("numpy")
    shown = display_form(numpy.arange(6).reshape(2, 3))
    assert (shown["columns"], shown["rows"]) == (["0", "1", "2"], [[0, 1, 2], [3, 4, 5]])
    assert display_form(numpy.arange(2)) == {"kind": "list", "items": [value("0"), value("1")], "length": 2}
    assert display_form(numpy.float32(1.5)) == value("1.5")
    named = numpy.array([(1, "a")], dtype=[("n", int), ("s", "U1")])
    assert (display_form(named)["columns"], display_form(named)["rows"]) == (["n", "s"], [[1, "a"]])


def test_a_long_text_is_shown_by_its_beginning_and_its_end() -> None:
    shown = display_form("begin " + "x" * 1_000_000 + " end", 400)
    assert shown["text"].startswith("begin x") and shown["text"].endswith("x end") and " … " in shown["text"]
    assert (shown["length"], shown["cut"]) == (1_000_010, True)


@pytest.mark.parametrize("room", [72, 100, 160, 500, MAX_DISPLAYS])
@pytest.mark.parametrize(
    "one",
    [
        "\0" * 10_000,
        "\U0001f512\ud800" * 5_000,
        ["\0" * 100] * 100,
        {f"{n}" * 50: {"\n" * n: n} for n in range(100)},
        [{"a" * 100: n, "b": "\0" * n} for n in range(100)],
        [[[[[[[[1]]]]]]]] * 20,
        {"a": [{"b": "c" * 1000}] * 1000},
        Decimal("1" * 5_000),
        dict.fromkeys(range(100_000)),
    ],
    ids=[*"abcdefghi"],
)
def test_a_form_takes_no_more_than_its_room_and_says_that_it_is_cut(one: Any, room: int) -> None:
    shown = display_form(one, room)
    assert size(shown) <= room and shown["cut"]


@pytest.mark.parametrize("kind", [list, tuple, deque, set, dict])
def test_of_a_large_container_only_the_beginning_is_read(kind: Any) -> None:
    large = kind.fromkeys(range(400_000)) if kind is dict else kind(range(400_000))
    tracemalloc.start()
    try:
        assert display_form(large)["length"] == 400_000
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_small_values_are_whole_and_large_ones_share_the_rest() -> None:
    values = {"n": 1, "words": "some words", "big": "x" * 100_000, "list": list(range(100_000)), "yes": True}
    shown = display_forms(values, {})
    assert size(shown) <= MAX_DISPLAYS
    assert [name for name, form in shown.items() if form and "cut" not in form] == ["n", "words", "yes"]
    big, listed = shown["big"], shown["list"]
    assert big and listed and size(big) > 1_500 and size(listed) > 1_500


def test_values_without_room_are_named_and_beyond_that_others_are_said_to_have_changed() -> None:
    few = display_forms({f"n{at:03}": at for at in range(80)}, {})
    assert size(few) <= MAX_DISPLAYS and len(few) == 80 and few["n000"] == value("0") and few["n079"] is None
    many = display_forms({f"{at:05}" * 20: at for at in range(10_000)}, {})
    assert size(many) <= MAX_DISPLAYS and many["…"] is None
    assert all(form == value(str(int(name[:5]))) for name, form in many.items() if form)


@pytest.mark.parametrize(
    ("made", "form"),
    [
        (lambda: Hostile(), value("<Hostile>")),
        (lambda: hostile_kind()(), value("<HostileKind>")),
        (lambda: hostile_kind(), value("<class HostileKind>")),
        (lambda: [Hostile()], {"kind": "list", "items": [value("<Hostile>")], "length": 1}),
        (lambda: HostileDict(a=1), {"kind": "map", "items": [["a", value("1")]], "length": 1}),
        (lambda: HostileList([1]), {"kind": "list", "items": [value("1")], "length": 1}),
        (lambda: HostileTuple([1]), {"kind": "list", "items": [value("1")], "length": 1}),
        (lambda: HostileText("words"), text("words")),
        (lambda: HostileInt(5), value("5")),
        (lambda: {"k": HostileText("v")}, {"kind": "map", "items": [["k", text("v")]], "length": 1}),
        (lambda: ValueError(Hostile()), value("ValueError(<Hostile>)")),
    ],
)
def test_no_code_of_a_value_runs(made: Callable[[], Any], form: dict[str, Any]) -> None:
    assert display_form(made()) == form


def test_a_value_that_holds_itself_and_one_nested_deep_have_a_form() -> None:
    cycle: list[Any] = [1]
    cycle.append(cycle)
    deep: list[Any] = []
    for _ in range(50_000):
        deep = [deep]
    assert all(display_form(one)["cut"] and size(display_form(one)) <= MAX_DISPLAYS for one in (cycle, deep))


def test_a_value_without_parts_is_shown_by_its_preview() -> None:
    assert display_forms({"f": object()}, {"f": "<a connection>"}) == {"f": value("<a connection>")}
