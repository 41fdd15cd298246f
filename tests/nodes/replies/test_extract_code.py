"""Code in replies of models: the blocks that run, and the nudge when none does."""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_rlm.nodes.replies.extract_code import NUDGES, Reading, Reason, read_reply
from durable_rlm.nodes.replies.thoughts import take_off_thoughts


def read(reply: str, *, truncated: bool = False) -> Reading:
    """Read a reply as it arrives, its thoughts included."""
    spoken = take_off_thoughts(reply)
    return read_reply(spoken.text, truncated=truncated, thought=bool(spoken.thoughts))


@dataclass(frozen=True)
class Case:
    """A reply, the blocks it must run, and the reason of its nudge."""

    name: str
    reply: str
    blocks: tuple[str, ...] = ()
    reason: Reason | None = None
    truncated: bool = False


TICKS = "```"
NESTED = 'prompt = f"""Answer in this form:\n```json\n{{"label": "x"}}\n```\nText: {piece}"""\nprint(len(prompt))'

TAGS = [
    Case(f"tag {tag!r}", f"{TICKS}{tag}\nprint(1)\n{TICKS}", ("print(1)",))
    for tag in (
        "repl",
        "python",
        "py",
        "python3",
        "ipython",
        "Python",
        "REPL",
        "tool_code",
        "",
        " python ",
        'python title="x"',
        'python title="f(x)" linenums',
        "{python}",
        "{python, echo=FALSE}",
        "{.python .numberLines}",
        "python:main.py",
        "python3.11",
    )
]

SHAPES = [
    Case("tildes", "~~~python\nprint(1)\n~~~", ("print(1)",)),
    Case("bare tildes", "~~~\nprint(1)\n~~~", ("print(1)",)),
    Case("backticks do not close tildes", "~~~repl\nx = '''\n```\n'''\n~~~", ("x = '''\n```\n'''",)),
    Case("longer fence", "````repl\nprint(1)\n````", ("print(1)",)),
    Case("closing fence longer than the opening one", "```repl\nprint(1)\n`````", ("print(1)",)),
    Case("closing fence too short", "````repl\nprint(1)\n```\nDone.", ("print(1)",)),
    Case("fence nested in a longer one", f"````repl\n{NESTED}\n````", (NESTED,)),
    Case("fences of the same length in a string", f"```repl\n{NESTED}\n```", (NESTED,)),
    Case(
        "many inner fences",
        f"```repl\ns = '''\n{'```' + chr(10):s}{('x' + chr(10) + '```' + chr(10)) * 99}'''\n```",
        ("s = '''\n```\n" + "x\n```\n" * 99 + "'''",),
    ),
    Case("inner fences and no closing one", f"Run it.\n```repl\n{NESTED}\n", (NESTED,)),
    Case("inner fences in two blocks", f"```repl\n{NESTED}\n```\nand\n```repl\n{NESTED}\n```", (NESTED, NESTED)),
    Case(
        "inner fences before a syntax error",
        "```repl\ns = '''\n```\n'''\nx = = 1\n```",
        ("s = '''\n```\n'''\nx = = 1",),
    ),
    Case(
        "inner Python fence in a prompt",
        "```repl\nask('''Write\n```python\nf()\n```\nonly''')\n```",
        ("ask('''Write\n```python\nf()\n```\nonly''')",),
    ),
    Case(
        "indented in a list",
        "1. Look:\n   ```repl\n   for x in a:\n       print(x)\n   ```",
        ("for x in a:\n    print(x)",),
    ),
    Case("behind a list marker", "- ```python\n  print(1)\n  ```", ("print(1)",)),
    Case("code indented more than its fence", "```repl\n    x = 1\n    print(x)\n```", ("x = 1\nprint(x)",)),
    Case(
        "indented, with a string at the margin",
        "  ```repl\n  s = '''\na'''\n  print(s)\n  ```",
        ("s = '''\na'''\nprint(s)",),
    ),
    Case("indented with tabs", "\t```repl\n\tprint(1)\n\t```", ("print(1)",)),
    Case("CRLF", "Look:\r\n```repl\r\nx = 1\r\nprint(x)\r\n```\r\nBye", ("x = 1\nprint(x)",)),
    Case("lone CR", "```repl\rprint(1)\r```", ("print(1)",)),
    Case("spaces behind the fences", "```repl   \nprint(1)\n```   \n", ("print(1)",)),
    Case(
        "text behind the closing fence",
        "```repl\nprint(1)\n``` This prints one.\nThen:\n```repl\nprint(2)\n```",
        ("print(1)", "print(2)"),
    ),
    Case("text glued to the closing fence", "```repl\nprint(1)\n```Then we wait.", ("print(1)",)),
    Case(
        "text glued, then another block",
        "```repl\nprint(1)\n```Then\n\n```repl\nprint(2)\n```",
        ("print(1)", "print(2)"),
    ),
    Case("closing fence at the end of a code line", "```repl\nprint(1)```\nThis prints one.", ("print(1)",)),
    Case("opening fence at the end of a sentence", "Let me look: ```repl\nprint(1)\n```", ("print(1)",)),
    Case("code on the opening line", "```python import re\nprint(re)\n```", ("import re\nprint(re)",)),
    Case("call on the opening line", "```repl FINAL(42)\n```", ("FINAL(42)\n",)),
    Case("a block of one line", "```repl FINAL(42)```", ("FINAL(42)",)),
    Case("a bare block of one line", "```FINAL(42)```", ("FINAL(42)",)),
    Case(
        "several blocks in order",
        "```repl\na = 1\n```\nthen\n```python\nb = f(a)\n```\n```py\nprint(b)\n```",
        ("a = 1", "b = f(a)", "print(b)"),
    ),
    Case("unclosed last block", "```repl\na = 1\n```\n```repl\nprint(a)\n", ("a = 1", "print(a)")),
    Case("unclosed, with half a fence", "```repl\nprint(1)\n``", ("print(1)",)),
    Case("unclosed before the next one", "```repl\nx = 1\n```repl\nprint(x)\n```", ("x = 1", "print(x)")),
    Case("wrapped in a bare fence", "```\n```repl\nprint(1)\n```\n```", ("print(1)",)),
    Case("only a fence", "```repl", reason="prose"),
    Case("empty block", "```repl\n```", reason="prose"),
    Case("empty block beside code", "```repl\n```\n```repl\nprint(1)\n```", ("print(1)",)),
    Case(
        "syntax errors run, so that the model sees them",
        "```repl\nx = = 1\n```\nand\n```repl\nprint(2)\n```",
        ("x = = 1", "print(2)"),
    ),
    Case("inline code is no block", "Use `print(1)` or ```print(2)``` here.", reason="prose"),
    Case("a fence in a comment", "```repl\nx = 1  # not ```\nprint(x)\n```", ("x = 1  # not ```\nprint(x)",)),
    Case("a stray fence", "The result:\n```\n\nIt is next:\n```repl\nprint(1)\n```", ("print(1)",)),
    Case("a fence that prose ends with", "I write ```repl\nand then code.\n```repl\nprint(1)\n```", ("print(1)",)),
    Case("byte order mark", "\ufeff```repl\nprint(1)\n```", ("print(1)",)),
]

OTHERS = [
    *(
        Case(f"{tag} never runs", f"```{tag}\nprint(1)\n```", reason="prose")
        for tag in ("json", "text", "bash", "sql", "markdown", "output", "javascript", "diff", "c++")
    ),
    Case("output beside code", "```repl\nprint(1)\n```\n```output\n1\n```", ("print(1)",)),
    Case("Markdown that quotes Python", "```markdown\n# Plan\n```python\nrm()\n```\nend\n```", reason="prose"),
    Case("a longer Markdown fence that quotes Python", "````markdown\n```python\nrm()\n```\n````", reason="prose"),
    Case("text that quotes Python", "```text\n```repl\nrm()\n```\n```\n```repl\nprint(1)\n```", ("print(1)",)),
    Case("JSON that was not closed", '```json\n{"a": 1}\n\n```repl\nprint(1)\n```', ("print(1)",)),
    Case("text that was not closed", "```text\nplan\n\n```repl\nprint(1)\n```", ("print(1)",)),
    Case("unclosed JSON", '```json\n{"a": 1}', reason="prose"),
]

BARE = [
    Case("bare JSON", '```\n{"a": [1, 2], "b": -3}\n```', reason="prose"),
    Case("bare list", "```\n['a', 'b']\n```", reason="prose"),
    Case("bare prose", "```\nThe plan: read it all\n```", reason="prose"),
    Case("bare output beside code", "```repl\nprint(n)\n```\nwhich shows\n```\nn = 17\n```", ("print(n)",)),
    Case("bare repr beside code", "```repl\nprint(c)\n```\n```\nCounter({'a': 3})\n```", ("print(c)",)),
    Case("bare number beside code", "```repl\nprint(c)\n```\n```\n42\n```", ("print(c)",)),
    Case("bare label beside code", "```repl\nprint(c)\n```\n```\nTotal: 42\n```", ("print(c)",)),
    Case("bare code beside code", "```repl\na = 1\n```\n```\nprint(a)\n```", ("a = 1", "print(a)")),
    Case(
        "bare answer",
        '```\nanswer["content"] = "42"\nanswer["ready"] = True\n```',
        ('answer["content"] = "42"\nanswer["ready"] = True',),
    ),
    Case(
        "bare code that does not parse, alone",
        "```\nfor x in context:\n  print(x\n```",
        ("for x in context:\n  print(x",),
    ),
    Case(
        "bare code that does not parse, beside code",
        "```repl\nprint(1)\n```\n```\nfor x in y:\n  print(x\n```",
        ("print(1)",),
    ),
    Case("bare assignment alone", "```\nx = 5\n```", ("x = 5",)),
    Case(
        "bare traceback beside code",
        "```repl\nf()\n```\n```\nTraceback (most recent call last):\n  File\n```",
        ("f()",),
    ),
]

IPYTHON = [
    Case("line magic", "```repl\n%time f()\n```", ("%time f()",)),
    Case(
        "bare magic and shell",
        "```\n%pip list\n!ls -l\nfiles = !ls\nprint(files)\n```",
        ("%pip list\n!ls -l\nfiles = !ls\nprint(files)",),
    ),
    Case("help", "```\ncontext?\n```", ("context?",)),
    Case("cell magic", "```repl\n%%time\nf()\n```", ("%%time\nf()",)),
    Case("magic before inner fences", f"```repl\n%time f()\n{NESTED}\n```", (f"%time f()\n{NESTED}",)),
    Case(
        "top-level await",
        "```\nr = await asyncio.gather(*[allm_query(p) for p in ps])\n```",
        ("r = await asyncio.gather(*[allm_query(p) for p in ps])",),
    ),
    Case("a percent line that is Python", "```\nprint('%d'\n  % x)\n```", ("print('%d'\n  % x)",)),
]

THOUGHTS = [
    Case("thought before code", "<think>\nMaybe\n```repl\nrm()\n```\n</think>\n```repl\nprint(1)\n```", ("print(1)",)),
    Case("thinking before code", "<thinking>```repl\nrm()\n```\n</thinking>```repl\nprint(1)\n```", ("print(1)",)),
    Case(
        "thought between blocks",
        "```repl\na = 1\n```\n<think>no\n```repl\nrm()\n```\n</think>\n```repl\nprint(a)\n```",
        ("a = 1", "print(a)"),
    ),
    Case(
        "the opening tag is in the prompt", "Hm.\n```repl\nrm()\n```\n</think>\n```repl\nprint(1)\n```", ("print(1)",)
    ),
    Case("thought never closed", "<think>\n```repl\nrm()\n```\n", reason="thinking"),
    Case("thought cut off", "<think>\n```repl\nrm()\n```\n", reason="cut", truncated=True),
    Case("thought and nothing else", "<think>Let me see.</think>\n\n", reason="thinking"),
    Case("thought and an answer", "<think>Let me see.</think>\nThe answer is 42.", reason="answer-in-prose"),
    Case("an answer that is only thought", "<think>FINAL(42)?</think>\nI go on.", reason="prose"),
    Case(
        "tags in code",
        "```repl\ns = '''\n<think>\n'''\nprint(s)\n```\n```repl\nprint(2)\n```",
        ("s = '''\n<think>\n'''\nprint(s)", "print(2)"),
    ),
]

ELSEWHERE = [
    Case("in a code element", "Thought: count.\n<code>\nn = 3\nFINAL(n)\n</code>", ("n = 3\nFINAL(n)",)),
    Case("in an execute element", "<execute>print(1)</execute>", ("print(1)",)),
    Case(
        "in a tool call in XML",
        'I look.\n<invoke name="repl">\n<parameter name="title">x</parameter>\n'
        '<parameter name="code">\nprint(1)\n</parameter>\n</invoke>',
        ("print(1)",),
    ),
    Case("in JSON", '{"thought": "hm", "code": "print(1)"}', ("print(1)",)),
    Case("in a tool call in JSON", '{"name": "repl", "arguments": {"code": "print(1)"}}', ("print(1)",)),
    Case("two elements", "<code>a = 1</code> and <code>print(a)</code>", ("a = 1", "print(a)")),
    Case("no Python in an element", "<code>SELECT * FROM t</code>", reason="prose"),
    Case("a value in an element", "The answer is in <code>n</code>.", reason="answer-in-prose"),
    Case("a fenced block counts before an element", "<code>a()</code>\n```repl\nb()\n```", ("b()",)),
    Case("an element that is not closed", "<code>print(1)", reason="prose"),
]

NOTHING = [
    Case("empty", "", reason="empty"),
    Case("white space", " \n\t\r\n", reason="empty"),
    Case("prose", "I will look at the context first.", reason="prose"),
    Case("FINAL in prose", "FINAL(42)", reason="answer-in-prose"),
    Case("FINAL_VAR in prose", "Done.\nFINAL_VAR(result)", reason="answer-in-prose"),
    Case("answer in prose", "After all this, the answer is 42.", reason="answer-in-prose"),
    Case("bold answer", "**Answer:** 42", reason="answer-in-prose"),
    Case("FINAL in a text block", "```text\nFINAL(42)\n```", reason="answer-in-prose"),
    Case("FINAL beside code is ignored", "```repl\nprint(1)\n```\nFINAL(42)", ("print(1)",)),
    Case("answer beside code is ignored", "The answer is 42.\n```repl\nprint(1)\n```", ("print(1)",)),
]

CUT = [
    Case("half a block", "```repl\nfor x in range(", reason="cut", truncated=True),
    Case("half a block behind a whole one", "```repl\na = 1\n```\n```repl\nprint(a", ("a = 1",), "cut", truncated=True),
    Case("cut between statements", "```repl\na = 1\nprint(a)\n", ("a = 1\nprint(a)",), truncated=True),
    Case("cut in a string with fences", "```repl\ns = '''\n```json\n{}\n```\nmore", reason="cut", truncated=True),
    Case("cut in prose behind code", "```repl\na = 1\n```\nNow we wai", ("a = 1",), truncated=True),
    Case("cut in prose", "I will begin by reading the fir", reason="cut", truncated=True),
    Case("cut before anything", "", reason="cut", truncated=True),
    Case("half a bare block", "```\nfor x in range(", reason="cut", truncated=True),
    Case("half a block that nothing cut", "```repl\nfor x in range(", ("for x in range(",)),
]

CASES = [*TAGS, *SHAPES, *OTHERS, *BARE, *IPYTHON, *THOUGHTS, *ELSEWHERE, *NOTHING, *CUT]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_reply_runs_exactly_its_code(case: Case) -> None:
    reading = read(case.reply, truncated=case.truncated)

    assert reading.blocks == case.blocks
    assert reading.reason == case.reason
    assert reading.nudge == (NUDGES[case.reason] if case.reason else None)


def test_the_notes_name_the_parts_that_do_not_run() -> None:
    reading = read_reply("```json\n{}\n```\n```repl\nprint(n)\n```\n```\n42\n```\nFINAL(42)")

    json_note, bare_note, final_note = reading.notes
    assert "json" in json_note
    assert "without a tag" in bare_note
    assert "FINAL" in final_note and "ignored" in final_note


def test_a_nudge_for_an_answer_in_prose_says_where_the_answer_belongs() -> None:
    nudge = read_reply("FINAL(42)").nudge

    assert nudge and "FINAL" in nudge and "```repl" in nudge


def test_nul_bytes_and_lone_surrogates_are_replaced() -> None:
    reading = read_reply("```repl\nx = '\x00\ud800'\nprint(x)\n```\n\udfff")

    assert reading.blocks == ("x = '\ufffd\ufffd'\nprint(x)",)
    "".join(reading.blocks).encode()


def test_reading_a_reply_emits_no_warning_of_the_parser() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_reply("```\nprint('\\d', 1 is 1)\n```").blocks == ("print('\\d', 1 is 1)",)


@pytest.mark.parametrize("code", ["(" * 5_000, "-" * 90_000 + "1", "a" + ".a" * 40_000, "[" * 90 + "]" * 90])
def test_code_too_deep_for_the_parser_is_read_without_a_crash(code: str) -> None:
    assert read(f"```repl\n{code}\n```").blocks == (code,)


BIG = 5_000_000
HOSTILE: dict[str, Callable[[], str]] = {
    "bare fences": lambda: "```\n" * (BIG // 4),
    "fences 50 apart": lambda: ("```\n" + "x = (1\n" * 7) * 100_000,
    "openers": lambda: ("```repl\n" + "x" * 40 + "\n") * 100_000,
    "openers, one far end": lambda: "```repl\n" * 999 + "x\n" * (BIG // 2) + "```",
    "openers in sentences": lambda: "so ```repl\n" * 999 + "x = 1\n" * (BIG // 6),
    "escaped quotes": lambda: ('```repl\n\\"""\n```\n' + "x" * 30 + "\n") * 100_000,
    "one long line": lambda: "`" * BIG,
    "ticks and spaces": lambda: "``` " * (BIG // 4),
    "lines of spaces": lambda: (" " * 1_000 + "\n") * (BIG // 1_000),
    "newlines": lambda: "\n" * BIG,
    "one big block": lambda: "```repl\n" + "x = f(1, a[2]) + 3\n" * (BIG // 19) + "```",
    "one big open string": lambda: "```repl\ns = '''" + "```\n" * (BIG // 4),
    "attributes": lambda: "```python " + "a" * BIG + "(\nprint(1)\n```",
    "thoughts": lambda: "<think>\n" * (BIG // 8),
    "closed thoughts": lambda: "<think></think>\n" * (BIG // 16),
    "elements": lambda: "<code>" * (BIG // 6),
    "closed elements": lambda: "<code>a()</code>\n" * (BIG // 17),
    "parameters": lambda: '<parameter name="x">' * (BIG // 20),
    "list markers": lambda: "- " * (BIG // 2) + "```python\n1\n```",
    "long prefixes": lambda: "```repl\n" * 500 + " x" * (BIG // 2) + "```\n" + "```repl\n" * 400,
    "other languages": lambda: "```json\n" * (BIG // 8),
    "quoting": lambda: "```text\n```x\n" * (BIG // 13),
    "growing fences": lambda: "\n".join("`" * n for n in range(3, 3_000)),
    "prose": lambda: "the final answe " * (BIG // 16),
    "backslashes": lambda: "```repl\nx = '''" + "\\" * BIG,
    "deep": lambda: ("```repl\n" + "(" * 199 + "\n```\n") * 20_000,
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE.keys())
def test_five_hostile_megabytes_are_read_in_less_than_one_and_a_half_seconds(hostile: Callable[[], str]) -> None:
    reply = hostile()
    started = time.process_time()
    read(reply)
    read(reply, truncated=True)

    assert (time.process_time() - started) / 2 < 1.5


FENCES = ["```", "```repl\n", "```python", "````", "~~~", "\n```\n", "```json\n", "`", "<think>", "</think>", "- "]
BITS = ["\n", "'''", '"""', "print(1)", "x = ", "  ", "\x00", "\ud800", "\r", "%", "!ls", "{", "(", "FINAL(", "#", "\\"]
PIECES = st.sampled_from(FENCES + BITS)


@settings(deadline=None)
@given(st.lists(PIECES | st.text(max_size=5), max_size=60).map("".join), st.booleans())
def test_reading_never_raises_and_gives_code_or_a_nudge(reply: str, truncated: bool) -> None:
    reading = read(reply, truncated=truncated)

    assert reading.blocks or reading.nudge
    assert all(block.strip() for block in reading.blocks)
    "".join((*reading.blocks, *reading.notes)).encode()


PLAIN = ["x = 1", "print('a')", "for i in y:\n    f(i)\n\n    g()", "", "def f():\n\treturn '\\''", "if a: pass"]
FENCED = [
    "s = '''\n```\n'''",
    't = """a\n```python\nb()\n```\n"""',
    "# ```",
    "v = '''\n  ~~~\n</think>\n'''",
    "u = 'é'",
]
LINES = st.sampled_from(PLAIN + FENCED)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(LINES, min_size=1, max_size=6).map("\n".join), min_size=1, max_size=4))
def test_fenced_blocks_come_back_exactly(blocks: list[str]) -> None:
    blocks = [block for block in blocks if block.strip()]
    reply = "First.\n" + "\nThen.\n".join(f"```repl\n{block}\n```" for block in blocks)

    assert read(reply).blocks == tuple(blocks)


@settings(deadline=None)
@given(st.text(st.characters(exclude_characters="`~\r\x00", exclude_categories=["Cs"]), min_size=1))
def test_text_without_fences_comes_back_exactly(code: str) -> None:
    code = f"x{code}"
    assert read(f"```repl\n{code}\n```").blocks == (code,)
