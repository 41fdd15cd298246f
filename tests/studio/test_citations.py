"""Citations on the command line: footnotes, passages with their surroundings, and what was not found."""

import asyncio
import json
from pathlib import Path

import pytest

from durable_rlm import Runner
from tests.contract.citing_kernel import CitingKernels
from tests.graph.test_citations import LEASE, LYING, OTHER, TRUE, finish, posted
from tests.scripts import write_script
from tests.studio.conftest import Rlm

VALUE = finish({"rent": "[^1]"}, posted("lease.txt", TRUE))
TEXT = finish("So it is [^1] [^2].", posted("lease.txt", TRUE), (2, "other.txt", 0, 5, "\x1b[31mx"))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lease.txt").write_text(LEASE)
    (tmp_path / "other.txt").write_text(OTHER)

    async def fill() -> None:
        async with Runner.open(tmp_path / "home", kernels=CitingKernels()) as runner:
            for thread, reply in (("value", VALUE), ("false", LYING), ("text", TEXT)):
                model = write_script(tmp_path / f"{thread}.py", [reply])
                files = [Path("lease.txt"), Path("other.txt")]
                assert (await runner.run("What?", files, model=model, thread=thread)).status == "answered"

    asyncio.run(fill())
    return tmp_path / "home"


def test_a_text_has_footnotes_on_stdout_and_in_its_file(rlm: Rlm, home: Path) -> None:
    lines = [
        f'[^1]: "{TRUE}" — lease.txt line 2',
        '[^2]: "\x1b[31mx" — NOT FOUND in other.txt',
    ]
    done = rlm("resume", "text", "--home", str(home))
    assert done.out.splitlines() == ["So it is [^1] [^2].", "", *lines]
    rlm("resume", "text", "--home", str(home), "-o", "answer.txt")
    assert Path("answer.txt").read_text().splitlines() == ["So it is [^1] [^2].", "", *lines]
    rlm("resume", "text", "--home", str(home), "-o", "answer.md")
    written = [line.replace("[31m", "\\[31m") for line in lines]
    assert Path("answer.md").read_text().splitlines() == ["So it is [^1] [^2].", "", *written], "it formats nothing"


@pytest.mark.parametrize("name", ["answer.json", "answer.csv"])
def test_a_text_that_is_written_as_json_has_its_footnotes_on_stderr(rlm: Rlm, home: Path, name: str) -> None:
    done = rlm("resume", "text", "--home", str(home), "-o", name)
    assert json.loads(Path("answer.json").read_text()) == "So it is [^1] [^2]."
    assert f'[^1]: "{TRUE}" — lease.txt line 2' in done.err


def test_a_value_stays_json_and_its_citations_are_on_stderr(rlm: Rlm, home: Path) -> None:
    done = rlm("resume", "value", "--home", str(home))
    assert json.loads(done.out) == {"rent": "[^1]"} and f'[^1]: "{TRUE}" — lease.txt line 2' in done.err
    document = json.loads(rlm("resume", "value", "--home", str(home), "--json").out)
    assert [(one["id"], one["place"], one["verified"]) for one in document["citations"]] == [
        (1, "lease.txt line 2", True)
    ]


def test_a_passage_is_shown_with_the_lines_around_it(rlm: Rlm, home: Path) -> None:
    done = rlm("show", "text", "--citations", "--home", str(home))
    assert done.out.splitlines() == [
        "── [^1] lease.txt line 2 · line 2, column 18",
        "  1. Parties",
        f"> Der Mieter zahlt **{TRUE}** im Voraus.",
        "  Die Kaution beträgt drei Mieten.",
        "",
        "── [^2] NOT FOUND in other.txt",
        "> \\x1b[31mx",
        "",
        "2 citations, 1 NOT FOUND in the input.",
    ]


def test_one_citation_is_chosen_by_its_number(rlm: Rlm, home: Path) -> None:
    for words in (["text", "--citations", "1"], ["--citations", "1"]):
        [one] = json.loads(rlm("show", *words, "--home", str(home), "--json").out)
        assert (one["id"], one["before"][-17:], one["after"][:10]) == (1, "Der Mieter zahlt ", " im Voraus")
    none = rlm("show", "text", "--citations", "7", "--home", str(home))
    assert none.code == 2 and "no citation [^7]" in none.err


def test_flags_that_do_not_go_together_are_refused(rlm: Rlm, home: Path) -> None:
    assert rlm("show", "text", "1", "--home", str(home)).code == 2
    assert rlm("show", "text", "--citations", "--step", "1", "--home", str(home)).code == 2


def test_show_counts_what_was_not_found(rlm: Rlm, home: Path) -> None:
    out = rlm("show", "false", "--home", str(home)).out
    assert "1 citation, 1 of them NOT FOUND in the input: rlm show false --citations" in out
