"""A home of runs with hostile texts in every field, at the beginning and the end of texts of a megabyte, too."""

import asyncio
import shutil
from pathlib import Path

from durable_rlm import Runner
from tests.contract.citing_kernel import CitingKernels
from tests.damage import behind
from tests.scripts import write_script

NAME = "<img src=x onerror=alert(2)>'\"&?#% \u202eeman\u202c"
"""A name: of a run, of a document, of a variable, of a column."""
MARK = (
    "<b class=row onclick=alert(3)>[x](javascript:alert(4))</b> ![x](http://127.0.0.1:1/x.png) <style>*{display:none}"
)
BROKEN = "\x00\x1b]0;gone\x07\u2028\u200b\ud800\U000e0041 </textarea></script></template><!--"
WORD = "W" * 1_000_000
EVIL = f"{MARK} {BROKEN} \u2066\u2069{NAME} {{{{7*7}}}} {{% x %}} ${{x}} \\u003cscript\\u003e"
"""One line that breaks out wherever something lets it."""
SAID = EVIL.replace("\ud800", "")
"""It as a question, which has to be UTF-8."""
LONG = f"{EVIL}\n{WORD}\n{EVIL}"

_SUB = """
        if "fail" in prompt:
            raise ValueError(prompt)
        return prompt
"""
_CELLS = [
    f"""
bad, long = {EVIL!r}, {LONG!r}
globals()[bad] = bad
table = [{{bad: bad, "b": [bad]}}, {{bad: 1, "b": None}}]
nested = {{bad: {{bad: [bad, (bad, {{bad}})]}}}}
print(long)
llm_query_batched([bad, "fail " + bad, long, "fail " + long])
# {EVIL.encode("unicode_escape").decode()}
""",
    "bad += 'x'\nraise ValueError(long)",
    """
class Bad:
    def __repr__(self):
        return EVIL
shown, bad = Bad(), 1
_posted = [(1, DOCUMENT, 0, 9, EVIL), (2, EVIL, 0, 5, EVIL)]
""",
    "import pathlib\nFINAL(LONG + '[^1] [^2]')",
]


def _reply(code: str) -> str:
    given = code.replace("EVIL", repr(EVIL)).replace("LONG", repr(LONG))
    return f"{EVIL}\n\n{MARK}\n```repl\n{given.strip()}\n```\n"


def make_home(folder: Path) -> Path:
    """Create the home, and return its folder.

    Its runs: `evil` (answered), one whose name is `NAME`, and `code`, `calls` and `final`, which wait for a person.
    """
    home, given = folder / "home", folder / "given"
    given.mkdir()
    document = given / f"{NAME.replace('/', '')}.txt"
    document.write_text(EVIL.encode("utf-8", "replace").decode() + "\n", "utf-8")
    (given / "long.txt").write_text(LONG, "utf-8", "replace")

    def script(name: str, cells: list[str]) -> str:
        replies = [_reply(cell.replace("DOCUMENT", repr(str(document)))) for cell in cells]
        return write_script(folder / f"{name}.py", replies, _SUB)

    async def fill() -> None:
        async with Runner.open(home, kernels=CitingKernels()) as runner:
            paths = [given]
            await runner.run(SAID, paths, model=script(NAME.replace("/", ""), _CELLS), thread="evil")
            await runner.run(SAID + WORD[:900_000], paths, model=script("named", _CELLS[-1:]), thread=NAME)
            for gate in ("code", "calls", "final"):
                model = script(gate, _CELLS[:1] if gate != "final" else _CELLS[-1:])
                await runner.run(SAID, paths, model=model, thread=gate, approve=[gate])

    asyncio.run(fill())
    return home


_TEXTS = {
    "threads": ("question", "model", "error"),
    "steps": ("kind", "summary"),
    "turns": ("summary", "flags", "status"),
    "executions": ("reason", "outcome", "detail"),
    "calls": ("kind", "model", "error_kind", "error", "parameters", "attempt_log"),
}
"""Columns that hold words."""


def copy_spoilt(home: Path, folder: Path) -> Path:
    """Copy the home, with hostile words in rows that only damage puts there. Return the copy."""
    shutil.copytree(home, folder)
    with behind(folder) as base:
        for table, columns in _TEXTS.items():
            for column in columns:
                base.execute(f"UPDATE {table} SET {column} = ? WHERE thread_id != 'code'", (SAID,))
        base.execute("UPDATE executions SET detail = ? WHERE thread_id = 'code'", (SAID,))
        base.commit()
    return folder
