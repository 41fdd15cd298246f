"""The dialogue on the terminal: typed input and the resulting decision. The editor is a small program."""

import io
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from durable_rlm.state.errors import UsageError
from durable_rlm.studio.approval.editor import edited, editor_command
from durable_rlm.studio.approval.reviewers import Answer
from durable_rlm.studio.approval.terminal import TerminalReviewer
from tests.studio.approval.requests_shown import answer, budget, calls, code, pending, spend

Says = Callable[..., Answer | None]
Editor = Callable[[str], Path]
APPROVED = {"type": "approve"}


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch) -> Says:
    """Return the reviewer's answer to these actions for a typed text: `says(typed, *actions)`."""

    def decide(typed: str, *actions: dict[str, Any]) -> Answer | None:
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        return TerminalReviewer().decide(pending(*actions))

    return decide


@pytest.fixture
def editor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Editor:
    """Install an editor that runs `code` on `path` and `text`: `editor(code)` returns the file recording its call."""
    noted = tmp_path / "noted"

    def install(body: str) -> Path:
        program = tmp_path / "an editor.py"
        program.write_text(
            "import os, pathlib, sys\n"
            "path = pathlib.Path(sys.argv[-1])\n"
            "text = path.read_bytes().decode('utf-8', 'surrogatepass')\n"
            f"seen = pathlib.Path({str(noted)!r})\n"
            "time = len(seen.read_text().split('\\0')) if seen.exists() else 1\n"
            "mode = oct(path.stat().st_mode)[-3:] + oct(path.parent.stat().st_mode)[-3:]\n"
            "with seen.open('a') as file: file.write(f'{path}:{mode}:{sys.argv[1:-1]}\\0')\n" + body
        )
        monkeypatch.delenv("VISUAL", raising=False)
        monkeypatch.setenv("EDITOR", f"'{sys.executable}' '{program}' --wait")
        return noted

    return install


def decisions(of: Answer | None) -> list[dict[str, Any]]:
    assert of is not None
    return of.decisions


@pytest.mark.parametrize("typed", ["a\n", "approve\n", " A \n", "\nwhat?\nyes\na\n"])
def test_the_prompt_repeats_until_there_is_a_decision(
    says: Says, typed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    of = says(typed, code("a = 1"))
    assert of == Answer("i1", pending(code("a = 1")).waiting[0].shown, [APPROVED])
    out, err = capsys.readouterr()
    assert out == "" and "1 │ a = 1" in err and "[a]pprove · [e]dit · [r]eject · res[p]ond · [s]kip > " in err
    assert err.count("[a]pprove") == typed.count("\n")


def test_rejecting_and_responding_require_words(says: Says) -> None:
    assert decisions(says("r\nIt is wrong. \n", code("a"))) == [{"type": "reject", "message": "It is wrong."}]
    assert decisions(says("p\n42\n", calls("p"))) == [{"type": "respond", "message": "42"}]
    # Without words the prompt repeats.
    assert decisions(says("r\n\np\n\na\n", code("a"))) == [APPROVED]


@pytest.mark.parametrize("typed", ["s\n", "skip\n", "q\n", "quit\n", "", "r\n", "huh\n"])
def test_skipping_and_the_end_of_the_input_decide_nothing(
    says: Says, typed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert says(typed, code("a")) is None
    assert "Nothing was decided: the run waits." in capsys.readouterr().err


def test_ctrl_c_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(io.StringIO):
        def readline(self, size: int | None = -1) -> str:
            raise KeyboardInterrupt

    monkeypatch.setattr(sys, "stdin", Interrupted())
    assert TerminalReviewer().decide(pending(code("a"))) is None


def test_several_requests_are_decided_in_turn_and_sent_together(says: Says, capsys: pytest.CaptureFixture[str]) -> None:
    several = [code("first = 1"), code("second = 2"), answer("third")]
    assert decisions(says("r\nno\na\np\nmore\n", *several)) == [
        {"type": "reject", "message": "no"},
        APPROVED,
        {"type": "respond", "message": "more"},
    ]
    err = capsys.readouterr().err
    assert err.index("first = 1") < err.index("Why?") < err.index("second = 2") < err.index("third")
    assert "approve [all] 3" in err and "approve [all] 2" in err and "approve [all] 1" not in err
    assert decisions(says("r\nno\nall\n", *several)) == [{"type": "reject", "message": "no"}, APPROVED, APPROVED]
    assert says("a\na\ns\n", *several) is None, "no part of it is sent"
    assert says("all\n", code("a")) is None, "`all` is only for several"


def test_only_allowed_decisions_are_offered(says: Says, capsys: pytest.CaptureFixture[str]) -> None:
    assert decisions(says("p\nrespond\na\n", spend())) == [APPROVED]
    err = capsys.readouterr().err
    assert "res[p]ond" not in err and "[r]eject: it answers with what it has" in err
    says("a\n", budget())
    assert "[a]pprove: it answers now · [e]dit the limit: it continues · [r]eject: it stops" in capsys.readouterr().err


def test_code_is_edited_in_the_users_editor(says: Says, editor: Editor) -> None:
    noted = editor("path.write_text(text.replace('1', '2') + '\\n')")
    of = decisions(says("e\n", code("a = 1")))
    assert of == [{"type": "edit", "edited_action": {"name": "execute_code", "args": {"code": "a = 2"}}}]
    path, mode, arguments = noted.read_text().removesuffix("\0").split(":")
    assert path.endswith(".py") and mode == "600700" and arguments == "['--wait']"
    assert not Path(path).exists() and not Path(path).parent.exists()


def test_arguments_are_edited_as_json(says: Says, editor: Editor) -> None:
    noted = editor("path.write_text(text.replace('20', '50'))")
    [of] = decisions(says("e\n", budget()))
    assert of["edited_action"] == {"name": "budget", "args": {"limit": 50}}
    assert ".json:" in noted.read_text()


def test_an_unusable_edit_is_reported_and_can_be_edited_further(
    says: Says, editor: Editor, capsys: pytest.CaptureFixture[str]
) -> None:
    editor("path.write_text(text + ' = (' if time == 1 else text.removesuffix(' = (') + ' = 3')")
    [of] = decisions(says("e\ny\n", code("a")))
    assert of["edited_action"]["args"] == {"code": "a = 3"}
    assert "is not Python: line 1" in capsys.readouterr().err


def test_an_unusable_edit_can_be_discarded(says: Says, editor: Editor) -> None:
    editor("path.write_text('= =')")
    assert decisions(says("e\nn\na\n", code("a"))) == [APPROVED]


def test_after_an_edit_without_changes_the_prompt_repeats(
    says: Says, editor: Editor, capsys: pytest.CaptureFixture[str]
) -> None:
    # Editors add a newline at the end.
    editor("path.write_text(text if text.endswith('\\n') else text + '\\n')")
    assert decisions(says("e\na\n", code("a"))) == [APPROVED]
    assert decisions(says("e\na\n", budget())) == [APPROVED]
    assert capsys.readouterr().err.count("Nothing was changed.") == 2


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("sys.exit(3)", "ended with status 3"),
        ("path.write_bytes(b'\\xff')", "not UTF-8"),
        ("path.unlink()", "No such file"),
    ],
)
def test_a_failing_editor_leaves_the_request_undecided(
    says: Says, editor: Editor, body: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    editor(body)
    assert decisions(says("e\nn\na\n", code("a"))) == [APPROVED]
    assert why in capsys.readouterr().err


@pytest.mark.parametrize("text", ["a\r\nb\r\n", "'\ud800'", "\ufeffa", "a\x0cb\u2028", "", "\n\n"])
def test_an_unedited_text_is_returned_byte_for_byte(editor: Editor, text: str) -> None:
    editor("")
    assert edited(text, ".py") == text


def test_the_editor_is_visual_then_editor_then_vi(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VISUAL", "code --wait 'a b'")
    monkeypatch.setenv("EDITOR", "nano")
    assert editor_command() == ["code", "--wait", "a b"]
    monkeypatch.setenv("VISUAL", " ")
    assert editor_command() == ["nano"]
    monkeypatch.setenv("EDITOR", "'")
    with pytest.raises(UsageError, match="EDITOR"):
        editor_command()
    monkeypatch.setenv("EDITOR", "")
    vi = tmp_path / "vi"
    vi.touch()
    vi.chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert editor_command() == ["vi"]
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(UsageError, match="No editor"):
        editor_command()


def test_a_missing_editor_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISUAL", "/nowhere/editor")
    with pytest.raises(UsageError, match="could not be used"):
        edited("a", ".py")


# -- more than a screen


@pytest.fixture
def pager(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Install a pager that copies what it shows. Returns the copy's path, with the file's mode in its last line."""
    seen = tmp_path / "seen"
    program = tmp_path / "a pager.py"
    program.write_text(
        f"import os, sys\ntext = open(sys.argv[-1]).read()\nmode = oct(os.stat(sys.argv[-1]).st_mode)[-3:]\n"
        f"open({str(seen)!r}, 'w').write(text + mode)"
    )
    monkeypatch.setenv("PAGER", f"'{sys.executable}' '{program}'")
    return seen


def test_all_of_a_large_request_is_seen_in_the_pager(
    says: Says, pager: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    prompts = [f"prompt {n} {'x' * 500}" for n in range(100)]
    assert decisions(says("v\na\n", calls(*prompts))) == [APPROVED]
    screen = capfd.readouterr().err
    assert "prompt 30 " in screen and "prompt 60 " not in screen
    assert "── and 60 more sub-calls not shown here" in screen and "[v]iew all of it" in screen
    text = pager.read_text()
    assert all(f"prompt {n} " in text for n in range(100)) and text.endswith("600")


def test_without_a_pager_all_of_it_is_printed(
    says: Says, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PAGER", "/no/such/pager")
    says("view\n", calls("a" * 30_000 + "the end", "b"))
    screen = capfd.readouterr().err
    assert "the first 20,000 are shown" in screen and screen.count("the end") == 1


def test_a_request_that_fits_the_screen_offers_nothing_to_view(
    says: Says, pager: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert decisions(says("v\na\n", calls("short"))) == [APPROVED]
    assert "[v]iew" not in capfd.readouterr().err and not pager.exists()
