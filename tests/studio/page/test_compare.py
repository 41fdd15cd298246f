"""Compare: two runs or steps side by side, asked by HTTP."""

import pytest

from durable_rlm.studio.page.rendering import templates
from durable_rlm.studio.page.side_by_side import MOST_LINES, SideRow, side_by_side

from .conftest import Page
from .saved_runs import HOSTILE


async def test_a_fork_is_compared_with_its_origin_from_the_first_difference_on(page: Page) -> None:
    screen = await page.get("/compare?a=contracts&b=stricter")
    assert screen.status == 200
    assert "Turns 1 to 4 are the same; after that a person has set variables otherwise." in screen.text
    [edit] = screen.find("//ul[@class='edits']/li")
    assert " ".join(edit.text_content().split()).startswith("verdicts after turn 4: in stricter {'one.txt': 'no'}")
    assert "Question" in screen.text and screen.links["the other way round"].endswith("/compare?a=stricter&b=contracts")


async def test_two_steps_of_a_run_show_turns_variables_calls_and_answer(page: Page) -> None:
    screen = await page.get("/compare?a=contracts@1&b=contracts")
    titles = [one.text_content() for one in screen.find("//h2")]
    assert {"Turns", "Variables", "Calls", "Answer"} <= set(titles)
    assert screen.find("//article[@id='turn-3']//tr[@class='added']//code[text()='1 / 0']")
    [rows] = screen.find("//section[@aria-labelledby='variables']//table[caption][.//th='verdict']")
    assert rows.find("caption").text_content() == "2 rows and 2 columns"
    assert "1 call" not in screen.find("//section[@aria-labelledby='calls']/p")[0].text_content()
    assert "3 calls only now" in screen.text and "this one fails" in screen.text
    assert "only now" in screen.find("//h3[@id='turn-2-title']")[0].text_content()


async def test_a_run_compared_with_itself_does_not_differ(page: Page) -> None:
    screen = await page.get("/compare?a=contracts&b=contracts")
    assert "Nothing differs." in screen.text and not screen.find("//article")


async def test_without_two_names_the_page_asks_for_them(page: Page) -> None:
    screen = await page.get("/compare?a=contracts")
    assert screen.status == 200 and screen.find("//input[@name='a']/@value") == ["contracts"]
    assert "Name two runs" in screen.text


@pytest.mark.parametrize(
    ("b", "said"),
    [
        ("nobody", "no run named nobody"),
        ("contracts@99", "no step 99"),
        ("contracts@x", "no run named"),
        ("@", "no run"),
    ],
)
async def test_an_unknown_run_or_step_is_not_found(page: Page, b: str, said: str) -> None:
    screen = await page.get("/compare", params={"a": "contracts", "b": b})
    assert screen.status == 404 and said in screen.text


async def test_hostile_texts_are_only_texts(page: Page) -> None:
    screen = await page.get("/compare", params={"a": "hostile@1", "b": "hostile"})
    assert screen.status == 200
    assert not screen.find("//main//script | //main//img | //*[@onclick] | //*[@style]")
    assert "\u202e" not in screen.html and "\x1b" not in screen.html
    asked = await page.get("/compare", params={"a": HOSTILE})
    assert asked.status == 200 and asked.find("//input[@name='a']/@value")


async def test_turns_are_shown_by_pages(page: Page) -> None:
    screen = await page.get("/compare?a=contracts@1&b=contracts&after=4")
    assert [one.get("id") for one in screen.find("//article[starts-with(@id, 'turn-')]")] == ["turn-5"]
    assert (await page.get("/compare?a=contracts@1&b=contracts&after=-1")).status == 200


def test_equal_lines_stand_beside_each_other_and_long_runs_of_them_are_folded() -> None:
    same = [f"line {n}" for n in range(20)]
    rows = side_by_side("\n".join(["old", *same]), "\n".join(["new", *same, "more"]))
    assert rows[0] == SideRow("changed", "old", "new") and rows[-1] == SideRow("added", None, "more")
    assert [row.kind for row in rows[1:-1]] == ["same"] * 3 + ["folded"] + ["same"] * 3 and rows[4].lines == 14


def test_the_work_for_two_texts_is_bounded() -> None:
    rows = side_by_side("\n" * 99_999, "x\n" * 100_000)
    assert len(rows) == MOST_LINES + 1 and rows[-1] == SideRow("folded", None, None, 100_000 - MOST_LINES)
    alike = side_by_side("a\nb\n" * 200, "b\na\n" * 200)
    assert len(alike) <= MOST_LINES + 1


def test_each_kind_of_form_is_html_that_says_what_is_cut() -> None:
    value = templates().get_template("parts/value.html").module.value  # pyright: ignore
    evil = {"kind": "value", "text": "<script>"}
    assert str(value(evil)).strip() == '<code class="form-value">&lt;script&gt;</code>'
    assert "no form of it was saved" in value(None)
    text = value({"kind": "text", "text": "a … b\0", "length": 5000, "cut": True})
    assert "the beginning and the end of 5,000 characters" in text and "\\u0000" in text and "\0" not in text
    table = {
        "kind": "table",
        "columns": ["<b>"],
        "rows": [[1], [None], ["<i>"]],
        "length": 1000,
        "width": 9,
        "cut": True,
    }
    shown = value(table, "rows")
    assert "1,000 rows and 9 columns: the first 3 rows and 1 column are shown" in shown
    assert '<th scope="col">&lt;b&gt;</th>' in shown and "&lt;i&gt;" in shown and '<td class="r">1</td>' in shown
    nested = {
        "kind": "map",
        "items": [["<k>", {"kind": "list", "items": [evil], "length": 7, "cut": True}]],
        "length": 1,
    }
    shown = value(nested)
    assert "<details" in shown and "7 items, the first 1 are shown" in shown and "&lt;k&gt;" in shown
    assert "<script>" not in shown
    assert "empty" in value({"kind": "list", "items": [], "length": 0})


async def test_the_answers_stand_among_the_first_things_that_differ(own_page: Page) -> None:
    screen = await own_page.get("/compare?a=contracts&b=failed")
    [row] = screen.find("//table[@class='sides']//tr[th='Answer']")
    assert [cell.text_content()[:7] for cell in row.findall("td")] == ["**one.t", "none ye"]
