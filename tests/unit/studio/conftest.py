"""Commands run in this process, with a home of their own."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from durable_rlm.studio.main import main


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


Rlm = Callable[..., Done]


@pytest.fixture
def rlm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Rlm:
    """`rlm(…)` runs a command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("RLM_HOME", "RLM_MODEL", "RLM_SUB_MODEL"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str) -> Done:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        captured = capsys.readouterr()
        code = ended.value.code
        return Done(code if isinstance(code, int) else 0, captured.out, captured.err)

    return run


HOSTILE = {
    "escape": "\x1b[2J\x1b]0;owned\x07",
    "C1": "\x9b31m",
    "overwrite": "safe\rrm -rf",
    "bidi": "\u202etxt.exe\u202c\u2066",
    "no width": "pass\u200bword\u2060\ufeff",
    "tags": "\U000e0041\U000e0042",
    "separators": "a\u2028b\u2029c",
    "backspace": "a\b\b\bb\x7f",
    "surrogate": "\ud800",
    "blank letter": "\u3164\u115f",
}
"""Texts that a terminal must never be sent as they are, by what they try."""
