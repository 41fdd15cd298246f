"""Scripted models for tests: a list of root replies, one a turn, and a function for sub-calls."""

import json
import textwrap
from pathlib import Path
from typing import Any


def write_script(path: Path, replies: list[str], sub: str = "return prompt.upper()") -> str:
    """A script whose n-th root turn replies `replies[n]`; returns the model's name.

    The turn is told by the `[Turn n]` marks of what the root was told, so a resumed run goes on in order.
    """
    body = f"""
    import re

    REPLIES = {replies!r}

    def root(messages):
        marks = [int(n) for m in messages for n in re.findall(r"\\[Turn (\\d+)\\]", m["content"])]
        marks += [int(n) for m in messages for n in re.findall(r"^Turn (\\d+) \\(", m["content"], re.M)]
        done = max(marks, default=0)
        if done >= len(REPLIES):
            raise RuntimeError(f"the script has {{len(REPLIES)}} replies and turn {{done + 1}} was asked for")
        return REPLIES[done]

    def sub(prompt):
        {sub}
    """
    path.write_text(textwrap.dedent(body))
    return f"scripted:{path}"


def repl(code: str) -> str:
    """A reply with one block of code."""
    return f"Let me see.\n```repl\n{textwrap.dedent(code).strip()}\n```\n"


class Asked:
    """What a script was asked, whoever asks it, from now on."""

    def __init__(self, model: str) -> None:
        script = Path(model.removeprefix("scripted:"))
        self._log = script.with_suffix(".asked")
        self._log.unlink(missing_ok=True)
        note = f"""
        import json as _json
        _root, _sub = root, sub

        def _note(kind, what):
            with open({str(self._log)!r}, "a") as log:
                log.write(_json.dumps([kind, what]) + "\\n")

        def root(messages):
            _note("root", messages)
            return _root(messages)

        def sub(prompt):
            _note("sub", prompt)
            return _sub(prompt)
        """
        script.write_text(script.read_text() + textwrap.dedent(note))

    @property
    def prompts(self) -> list[str]:
        """Prompts of sub-calls, sorted: a cell may ask them in any order."""
        return sorted(what for kind, what in self._lines() if kind == "sub")

    @property
    def roots(self) -> list[str]:
        """Requests of root turns in order, each as one text."""
        return ["\n\n".join(one["content"] for one in what) for kind, what in self._lines() if kind == "root"]

    def __len__(self) -> int:
        return len(self._lines())

    def _lines(self) -> list[Any]:
        text = self._log.read_text() if self._log.exists() else ""
        return [json.loads(line) for line in text.splitlines()]
