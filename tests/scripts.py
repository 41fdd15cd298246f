"""Scripted models for tests: a list of root replies, one a turn, and a function for sub-calls."""

import textwrap
from pathlib import Path


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
