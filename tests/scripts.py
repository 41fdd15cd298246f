"""Scripted models for tests: a list of root replies, one for each turn, and a function for sub-calls."""

import json
import textwrap
from pathlib import Path
from typing import Any


def write_script(path: Path, replies: list[str], sub: str = "return prompt.upper()") -> str:
    """Write a script whose n-th root turn replies `replies[n]`. Returns the model's name.

    The turn is read from the `[Turn n]` marks in the request, so a resumed run continues in order.
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
    """Return a reply with one block of code."""
    return f"Let me see.\n```repl\n{textwrap.dedent(code).strip()}\n```\n"


class Asked:
    """The requests that a script receives from now on, from any process."""

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
        """The prompts of sub-calls, sorted: a cell may send them in any order."""
        return sorted(what for kind, what in self._lines() if kind == "sub")

    @property
    def roots(self) -> list[str]:
        """The requests of root turns in order, each as one text."""
        return ["\n\n".join(one["content"] for one in what) for kind, what in self._lines() if kind == "root"]

    def __len__(self) -> int:
        return len(self._lines())

    def _lines(self) -> list[Any]:
        text = self._log.read_text() if self._log.exists() else ""
        return [json.loads(line) for line in text.splitlines()]
