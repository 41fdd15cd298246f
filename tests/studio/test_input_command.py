"""`rlm input` and `rlm show --input`: a person sees every file, and why one is not read."""

import asyncio
import json
from pathlib import Path

import pytest

from durable_rlm import Runner
from tests.contract.in_memory_kernel import MemoryKernels
from tests.scripts import repl, write_script
from tests.studio.conftest import Rlm

KEYS = ["path", "kind", "bytes", "encoding", "documents", "pages", "chars", "tokens", "losses", "skipped", "cost_usd"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a text, a table, a binary file and a hidden file."""
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.txt").write_text("one\ntwo\nthree\n")
    (folder / "b.csv").write_text("id,text\n1,refund\n")
    (folder / "c.bin").write_bytes(bytes(range(256)) * 8)
    (folder / ".env").write_text("SECRET=1\n")
    return folder


def test_every_file_is_listed_with_its_size_and_tokens_or_why_it_is_skipped(rlm: Rlm, folder: Path) -> None:
    done = rlm("input", "docs", "--json")
    files = json.loads(done.out)
    assert done.code == 0 and [sorted(one) for one in files] == [sorted(KEYS)] * 3
    assert [(one["path"], one["bytes"], one["documents"]) for one in files] == [
        ("docs/a.txt", 14, 1),
        ("docs/b.csv", 17, 1),
        ("docs/c.bin", 2048, 0),
    ]
    assert files[0]["tokens"] > 0 and files[0]["skipped"] is None and files[0]["cost_usd"] is None
    assert "binary" in files[2]["skipped"]


def test_a_table_and_a_sentence_say_it_to_a_person(rlm: Rlm, folder: Path) -> None:
    done = rlm("input", "docs", "--model", "openai:gpt-5-mini", "--price", "1000,0")
    assert "docs/a.txt" in done.out and "skipped: " in done.out and "1 hidden" in done.out
    assert "2 files read: 2 documents, 31 characters" in done.err and "1 file skipped" in done.err
    assert "reading it all once costs about $0.0" in done.err and "openai:gpt-5-mini" in done.err


def test_nothing_is_saved_and_no_home_is_made(rlm: Rlm, folder: Path, tmp_path: Path) -> None:
    rlm("input", "docs")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["docs"]


def test_hidden_files_are_read_only_when_asked_for(rlm: Rlm, folder: Path) -> None:
    assert ".env" not in rlm("input", "docs", "--json").out
    assert "docs/.env" in rlm("input", "docs", "--json", "--hidden").out


def test_a_single_file_that_gives_nothing_is_listed_and_the_status_is_2(rlm: Rlm, folder: Path) -> None:
    done = rlm("input", "docs/c.bin", "--json")
    assert done.code == 2 and json.loads(done.out)[0]["skipped"]
    missing = rlm("input", "missing.txt")
    assert missing.code == 2 and "missing.txt" in missing.err


@pytest.mark.parametrize("given", ["hunter2", "env:", "file:"])
def test_a_password_is_never_given_itself_and_never_repeated(rlm: Rlm, folder: Path, given: str) -> None:
    done = rlm("input", "docs", "--password", given)
    assert done.code == 2 and "env:NAME or file:PATH" in done.err and "hunter2" not in done.err + done.out


def test_a_password_that_is_not_there_is_an_error(rlm: Rlm, folder: Path) -> None:
    assert "RLM_NO_SUCH of --password is not set" in rlm("input", "docs", "--password", "env:RLM_NO_SUCH").err
    assert "no file" in rlm("input", "docs", "--password", "file:nowhere").err


def test_an_unknown_encoding_is_an_error(rlm: Rlm, folder: Path) -> None:
    done = rlm("input", "docs", "--encoding", "nonsense")
    assert done.code == 2 and "no encoding named nonsense" in done.err


@pytest.fixture
def home(tmp_path: Path, folder: Path) -> Path:
    """A home with a run over the folder."""
    home = tmp_path / "home"
    model = write_script(tmp_path / "m.py", [repl("FINAL(str(len(context)))")])

    async def fill() -> None:
        async with Runner.open(home, kernels=MemoryKernels()) as runner:
            run = await runner.run("What?", [folder], thread="over-docs", model=model)
            assert run.status in ("answered", "failed"), run

    asyncio.run(fill())
    return home


def test_a_run_shows_what_was_read_of_its_input(rlm: Rlm, home: Path) -> None:
    done = rlm("show", "over-docs", "--input", "--json", "--home", str(home))
    files = json.loads(done.out)
    assert [Path(one["path"]).name for one in files] == ["a.txt", "b.csv", "c.bin"]
    assert [one["skipped"] is None for one in files] == [True, True, False]
    assert "a.txt" in rlm("show", "over-docs", "--input", "--home", str(home)).out


def test_a_document_is_shown_whole_or_by_lines_with_their_numbers(rlm: Rlm, home: Path) -> None:
    show = ("show", "over-docs", "--home", str(home), "--document", "a.txt")
    assert rlm(*show).out == "one\ntwo\nthree\n"
    assert rlm(*show, "--lines", "2-3").out == "2  two\n3  three\n"
    found = json.loads(rlm(*show, "--lines", "2", "--json").out)
    assert (found["text"], found["lines"]) == ("two\n", [2, 2])


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--document", "nothing.txt"), "No document is named nothing.txt"),
        (("--document", "a.txt", "--lines", "7-9"), "3 lines"),
        (("--document", "a.txt", "--lines", "x"), "such as 12 or 120-140"),
        (("--document", "a.txt", "--page", "1"), "page"),
        (("--lines", "1"), "need --document"),
        (("--document", "a.txt", "--lines", "1", "--page", "1"), "not both"),
        (("--input", "--step", "1"), "--step"),
    ],
)
def test_a_document_line_or_page_that_there_is_not_is_an_error_that_says_so(
    rlm: Rlm, home: Path, flags: tuple[str, ...], said: str
) -> None:
    done = rlm("show", "over-docs", "--home", str(home), *flags)
    assert done.code == 2 and said in done.err


def test_a_home_that_came_with_the_folder_neither_gives_texts_nor_gets_any(
    rlm: Rlm, home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (folder / "offer.eml").write_text("Subject: Offer\n\nThe price.\n")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "nobody"))
    home.rename(tmp_path / ".rlm")
    rlm("input", "docs")
    assert not (tmp_path / ".rlm" / "extracted").exists()
    rlm("input", "docs", "--home", ".rlm")
    assert (tmp_path / ".rlm" / "extracted").exists()
