"""`rlm export --format html`: a run as one file that needs nothing else and runs nothing."""

import asyncio
import contextlib
import json
import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

import lxml.html
import pytest

from durable_rlm import Runner
from durable_rlm.studio.main import main
from durable_rlm.studio.page.export import inputs
from tests.contract.in_memory_kernel import MemoryKernels
from tests.scripts import repl, write_script

SECRET = "sk-very-secret-&-1234"
INPUT = {
    **{"one": "The key is under the mat.\n<script>x</script>\n", "two": "Nothing of the kind stands here."},
    "three": "A third document without a key in it.",
    "never": "Nobody has read this document.",
}
"""The documents. The root model is shown the beginnings of the first three."""
CELLS = [
    f"The key is {SECRET}.\n" + repl("texts = {d.name: d.text for d in context if d.name in ('one.txt', 'two.txt')}"),
    repl("answers = llm_query_batched([f'Is it here?\\n{text}' for text in texts.values()])\nprint(answers)"),
    repl("FINAL('It is in one.txt.[^1]', citations=[cite('one.txt', 'The key is under the mat.')])"),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    given = folder / "given"
    given.mkdir()
    for name, text in INPUT.items():
        (given / f"{name}.txt").write_text(text)
    script = write_script(folder / "model.py", CELLS, f"return 'yes, {SECRET}'")

    async def fill() -> None:
        paths = [Path(f"{name}.txt") for name in INPUT]
        async with Runner.open(folder / "home", kernels=MemoryKernels()) as runner:
            await runner.run("Where is the key?", paths, model=script, thread="key")

    with contextlib.chdir(given):
        asyncio.run(fill())
    return folder / "home"


def export(home: Path, *flags: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--home", str(home), "export", "key", *flags])
    assert ended.value.code in (0, None)


def exported(home: Path, path: Path, *flags: str) -> tuple[str, Any]:
    export(home, "--format", "html", "-o", str(path), *flags)
    html = path.read_text("utf-8")
    return html, lxml.html.fromstring(html)


def test_nothing_in_it_runs_and_nothing_is_fetched(home: Path, tmp_path: Path) -> None:
    html, document = exported(home, tmp_path / "key.html")
    assert not document.xpath("//script | //link | //img | //iframe | //form | //@style | //@src")
    [policy] = document.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")
    [style] = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    digest = b64encode(sha256(style.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def test_every_link_leads_to_a_place_in_the_file(home: Path, tmp_path: Path) -> None:
    _, document = exported(home, tmp_path / "key.html")
    links = set(document.xpath("//a/@href"))
    assert links >= {"#turn-2", "#calls-of-2", "#passage-1", "#input"}
    assert {link[1:] for link in links} <= set(document.xpath("//@id"))


def test_it_has_the_answer_its_evidence_turns_calls_and_input(home: Path, tmp_path: Path) -> None:
    _, document = exported(home, tmp_path / "key.html")
    text = " ".join(document.text_content().split())
    for said in (
        *("It is in one.txt.", "No model has seen 1 of 4 documents: never.txt", "1 of 1 citation found in the input"),
        *(
            "Turn 3",
            "answers = llm_query_batched",
            "Is it here? Nothing of the kind",
            "never.txt",
            "not seen",
            "Nobody has read this",
        ),
    ):
        assert said in text, said
    [seen] = [one.text_content() for one in document.xpath("//mark[@class='seen']") if "mat" in one.text_content()]
    assert "<script>x</script>" in seen


def test_it_is_the_same_each_time(home: Path, tmp_path: Path) -> None:
    first, _ = exported(home, tmp_path / "one.html")
    again, _ = exported(home, tmp_path / "two.html")
    assert first == again


def test_without_the_input_its_texts_and_the_prompts_are_gone(home: Path, tmp_path: Path) -> None:
    html, document = exported(home, tmp_path / "key.html", "--no-input")
    assert "Nobody has read this" not in html
    assert "Is it here?\nNothing of" not in html
    assert "Prompts are left out" in html
    assert document.xpath("//a[@class='cite']/@href")[0] == "#citation-1"


def test_secrets_of_the_environment_are_replaced(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before, _ = exported(home, tmp_path / "before.html")
    assert "sk-very-secret" in before
    monkeypatch.setenv("MY_API_KEY", SECRET)
    html, _ = exported(home, tmp_path / "key.html")
    assert "sk-very-secret" not in html
    assert "replaced by marks" in capsys.readouterr().err


def test_calls_beyond_a_number_are_left_out_and_said(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    html, _ = exported(home, tmp_path / "key.html", "--most-calls", "1", "--json")
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert (found["path"], found["bytes"]) == (str(tmp_path / "key.html"), len(html.encode()))
    assert (found["turns"], found["calls"], found["calls_left_out"], found["documents"]) == (3, 1, 1, 4)
    assert "1 call left out: --most-calls has more." in printed.err
    assert "… 1 more call" in html


def test_parts_of_documents_that_are_left_out_are_said(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "MOST_OF_ONE", 10)
    exported(home, tmp_path / "key.html")
    said = "left out of the page: of a document it has the first 200 KB, of all of them 5 MB."
    assert said in capsys.readouterr().err


def test_an_existing_file_is_replaced_and_a_pipe_gets_it_too(
    home: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    (tmp_path / "key.html").write_text("old")
    html, _ = exported(home, tmp_path / "key.html")
    capfdbinary.readouterr()
    export(home, "--format", "html")
    assert capfdbinary.readouterr().out.decode() == html


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "Say what to export"),
        (["--format", "pdf"], "There is no format 'pdf'"),
        (["--format", "html", "--var", "texts"], "Say what to export"),
        (["--format", "html", "--step", "3"], "--step"),
        (["--format", "html", "--json"], "needs -o FILE"),
        (["--var", "texts", "--no-input"], "go with --format html"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(
    home: Path, flags: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--home", str(home), "export", "key", *flags])
    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert said in printed.err + printed.out
