"""A new run from the page: what is typed and sent becomes the command, and nothing that was typed is lost."""

from pathlib import Path
from typing import Any

import pytest

from durable_rlm.studio.page.program import Outcome, Program
from durable_rlm.studio.page.uploads import Uploads, relative_name

from .conftest import Page
from .saved_runs import HOSTILE
from .test_actions import hidden

Call = tuple[tuple[str, ...], dict[str, str]]


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """Record the commands, with the texts of the files that they name by their names."""
    calls: list[Call] = []

    async def call(self: Program, command: str, *words: str, arguments: Any = ()) -> Outcome:
        files = {
            str(file.relative_to(Path(path).parent)): file.read_text()
            for path in arguments[1 if command == "run" else 0 :]
            for file in ([Path(path)] if Path(path).is_file() else Path(path).rglob("*"))
            if file.is_file()
        }
        calls.append(((command, *words, *(one for one in arguments if not Path(one).exists())), files))
        survey = [
            {
                "path": "a.txt",
                "kind": "text",
                "documents": 1,
                "tokens": 7,
                "cost_usd": 0.1,
                "losses": [],
                "skipped": None,
            }
        ]
        return Outcome(0, {"thread_id": "begun"} if command == "run" else {"value": survey})

    monkeypatch.setattr(Program, "call", call)
    return calls


async def test_a_question_over_paths_begins_a_run(page: Page, begun: list[Call]) -> None:
    form = {
        "question": "Why?\r\n",
        "paths": "contracts/\r\n -x \r\n",
        "model": "openai:m",
        "max_cost": "2",
        "name": "n",
    }
    done = await page.post("/new", form | {"approve": "calls>100", "option": "a=1\nb=2"}, files={"files": ("", b"")})
    assert (done.status, done.headers["location"]) == (303, "/runs/begun")
    [(words, files)] = begun
    assert words == (
        *("run", "--detach", "--model=openai:m", "--max-cost=2", "--option=a=1", "--option=b=2"),
        *("--approve=calls>100", "--thread=n", "Why?", "contracts/", "-x"),
    )
    assert files == {}


async def test_sent_files_are_read_under_the_names_that_they_were_sent_with_and_then_deleted(
    page: Page, begun: list[Call]
) -> None:
    files = [("files", ("mail/one.txt", b"1")), ("files", ("two.txt", b"2")), ("files", ("two.txt", b"3"))]
    await page.post("/new", {"question": "Why?"}, files=files)
    [(_, read)] = begun
    assert read == {"mail/one.txt": "1", "two.txt": "2", "two (2).txt": "3"}
    uploads: Uploads = page.client._transport.app.state.uploads  # type: ignore[attr-defined]
    assert uploads._folders == {}


@pytest.mark.parametrize("names", [["é" * 199], ["a", "a/b.txt"]])
async def test_sent_files_that_cannot_be_kept_are_refused_and_deleted(page: Page, names: list[str]) -> None:
    files = [("files", (name, b"x")) for name in names]
    refused = await page.post("/new", {"question": "Which?"}, files=files)
    assert (refused.status, "cannot be kept" in refused.text) == (422, True)
    uploads: Uploads = page.client._transport.app.state.uploads  # type: ignore[attr-defined]
    assert uploads._folders == {}


async def test_a_survey_of_the_input_is_shown_before_anything_is_paid_and_sent_files_are_kept(
    page: Page, begun: list[Call]
) -> None:
    looked = await page.post("/new", {"question": "Why?", "look": "yes"}, files={"files": ("a.txt", b"kept")})
    assert "It would read 1 document, 7 tokens" in looked.text
    # A form is longer than a window: below it nobody would see what has come.
    assert looked.find("//section[@aria-labelledby='survey-title']/following-sibling::form")
    assert looked.find("//textarea[@name='question']")[0].text.strip() == "Why?"
    assert "1 file sent: a.txt" in looked.text
    await page.post("/new", {"question": "Why?", **hidden(looked)}, files={"files": ("", b"")})
    assert [(words[0], files) for words, files in begun] == [("input", {"a.txt": "kept"}), ("run", {"a.txt": "kept"})]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"paths": "kept"}, "There is no question yet."),
        ({"question": "x" * 200_000}, "too long"),
        ({"question": "kept", "look": "yes"}, "There is nothing to look at yet."),
    ],
)
async def test_a_form_that_cannot_be_done_is_refused_with_what_was_typed(
    page: Page, begun: list[Call], typed: dict[str, str], said: str
) -> None:
    refused = await page.post("/new", typed, files={"files": ("", b"")})
    assert (refused.status, said in refused.text, begun) == (422, True, [])
    shown = {one.get("name"): (one.text or "").strip() for one in refused.find("//textarea")}
    assert all(shown[name] == value for name, value in typed.items() if name in shown)


async def test_a_refusal_of_the_command_is_shown_with_what_was_typed(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def call(self: Program, command: str, *words: str, arguments: Any = ()) -> Outcome:
        return Outcome(2, {"error": {"message": f"No model: {HOSTILE}", "hint": "Name one."}})

    monkeypatch.setattr(Program, "call", call)
    refused = await page.post("/new", {"question": HOSTILE, "model": HOSTILE}, files={"files": ("", b"")})
    assert (refused.status, "Name one." in refused.text) == (422, True)
    assert refused.find("//main//script | //main//img | //*[@onerror]") == []


async def test_models_of_earlier_runs_are_offered(page: Page) -> None:
    assert any("contracts.py" in name for name in (await page.get("/new")).find("//datalist/option/@value"))


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/passwd", "etc/passwd"),
        ("/etc/passwd", "etc/passwd"),
        ("C:\\papers\\a.pdf", "C:/papers/a.pdf"),
        (".env", "env"),
        ("...", "_"),
        ("a\x00b\n.txt", "a_b_.txt"),
        ("", "file"),
        ("/".join("abcdefghij"), "c/d/e/f/g/h/i/j"),
    ],
)
def test_no_name_of_a_sent_file_leads_out_of_its_folder(sent: str, kept: str) -> None:
    assert str(relative_name(sent)) == kept
    assert ".." not in relative_name(sent).parts
