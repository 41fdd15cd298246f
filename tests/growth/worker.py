"""Time a function on generated worst cases of two sizes (`python -m tests.growth.worker FUNCTION`).

A process of its own, because a regular expression that backtracks can only be killed.
"""

import contextlib
import gc
import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

SIZE, TIMES = 10_000, 4
"""Characters of the smaller input, and how many times as long the larger one is."""

CHARACTERS = " \t\n\r\\\"'`~<>[](){}|&;:=,.#@%!?*+-_/0a\x1b\u202e\ud800\x00é"
PIECES = (
    *(
        "```",
        "```python\n",
        "```\n",
        "~~~\n",
        "````\n```\n",
        '"""',
        "'''",
        "\\\n",
        "# ",
        "x = ",
        "a=b=",
        "f(",
        "lambda:",
    ),
    *("<think>", "</think>", "<think", "< think >", "[THINK]", "<|channel|>", "<|channel|>a<|message|>", "<|end|>"),
    *(
        "<s>",
        "</s>",
        "<tool_call>",
        "<code>",
        "<python>\n",
        "</code>",
        "<script",
        "<style>",
        "<!doctype html>",
        "&amp;",
    ),
    *("FINAL(", "FINAL_VAR('", "answer[", "llm_query(", "The answer is ", "model ", "schema ", "context window ", "1,"),
    *("Bearer ", "api-key=", "://", "://@", "sk-", "In [1]: ", "%time ", "!ls\n", "name?", "x.y.z", "- ", "1. ", "> "),
    *(
        "0x1",
        "Retry",
        "a b ",
        "ab ",
        "\r\n",
        "é ",
        "not supported",
        "--",
        "rlm ",
        "`rlm ",
        "`a",
        "| ",
        '{"a":',
        "[1,",
        "{,",
    ),
    *(
        "def f():\n ",
        "class A:\n ",
        "if x:\n ",
        "@a\n",
        "(a,",
        "a if b else ",
        "not ",
        "-",
        "await ",
        "f'{",
        "x[",
        "1+",
        "a.b",
    ),
)

ENDINGS = ("", "x", "\n", "```", '"', "!", "\x00")


def payloads(size: int) -> Mapping[str, str]:
    """Return texts of that many characters, each of one repeated piece and an ending, by a name."""
    found: dict[str, str] = {}
    for piece in (*CHARACTERS, *PIECES):
        for ending in ENDINGS if len(piece) == 1 else ENDINGS[:2]:
            found[f"{piece!a} … {ending!a}"] = piece * (size // len(piece)) + ending
    words = ["word", "```", '"', "(", "<think>", "\n", "  ", "=", "'''", "FINAL(", "-", "x"]
    mixed = " ".join(words[(at * at + at // 7) % len(words)] for at in range(size // 4))[:size]
    found["mixed"] = mixed
    found["lines"] = "\n".join(f"line {at} = {at % 97}" for at in range(size // 12))
    for prefix in ("```python\n", "<think>", "```\n", '"', "# ", "<html>"):
        for piece in (" ", "\n", "`", "a ", "```\n", "</", "'", '"', "(", "\\"):
            found[f"{prefix!a} + {piece!a} …"] = prefix + piece * (size // len(piece))
    return found


def functions() -> dict[str, Callable[[str], Any]]:
    """Return the functions that work on a text of a kernel, a model, a server or a client, by name."""
    return {**_of_nodes(), **_of_readers(), **_of_matching()}


def _of_matching() -> dict[str, Callable[[str], Any]]:
    from durable_rlm.matching import folding, quotations, search_words
    from durable_rlm.state.blobs.texts import well_formed
    from durable_rlm.state.call_search.query import Query

    words = "the quick (brown) fox-jumps over 10-20 lazy dogs \u201c...\u201d\n" * 200

    def find_in(text: str) -> None:
        pages = range(0, len(text), 1_000)
        for quote in ('word "x" ... and-so on', f"{text[:90]}ab c", "a" * 100 + "b", "0x1 not supported … line 7"):
            quotations.find(text, quote, pages=pages)

    return {
        "fold": folding.Folded,
        "find_in": find_in,
        "find_in_other_script": lambda text: find_in(f"日{text}"),
        "folded_words": lambda text: search_words.folded_words(f"日{well_formed(text)}"),
        "found_in": lambda text: Query(("line", search_words.folded(text[:200]))).found_in(f"日{text}"),
        "find_quote": lambda text: quotations.find(words, f"{text} fox"),
        "nearest_in": lambda text: quotations.nearest(text, f"{text[:200]} word 0x1 line 7"),
        "nearest_to_quote": lambda text: quotations.nearest(words, f"{text} fox"),
        "same": lambda text: quotations.same(text, f"{text} … {text[:-1]}"),
    }


def _of_nodes() -> dict[str, Callable[[str], Any]]:
    from durable_rlm.nodes.approval import code_policy, ipython_commands
    from durable_rlm.nodes.models import error_words, errors, redaction, schema_validation, server_limits, tokens
    from durable_rlm.nodes.prompts import direct, observation
    from durable_rlm.nodes.replies import extract_code, repetition, tagged_code, thoughts
    from durable_rlm.nodes.replies.python_source import SourceJudge, looks_like_code, without_ipython_lines
    from durable_rlm.nodes.runtime import untrusted_text

    policies: Any = ["writes", "imports", "calls"]
    schema = {"type": "array"}

    def parse(text: str) -> Any:
        try:
            return schema_validation.parse(text, schema)
        except ValueError:
            return None

    return {
        "read_reply": extract_code.read_reply,
        "narrates_between_blocks": extract_code.narrates_between_blocks,
        "take_off_thoughts": thoughts.take_off_thoughts,
        "tagged_code": lambda text: tagged_code.tagged_code(text, SourceJudge()),
        "repeats_itself": repetition.repeats_itself,
        "without_ipython_lines": without_ipython_lines,
        "looks_like_code": looks_like_code,
        "reasons_to_look": lambda text: code_policy.reasons_to_look([text], policies),
        "commands_in": lambda text: ipython_commands.commands_in(text, parses=False),
        "parse": parse,
        "server_words": lambda text: error_words.server_words({"error": {"message": text}}),
        "classify": lambda text: errors.classify(Exception(text[:4_000])),
        "window_in": server_limits.window_in,
        "learn": lambda text: server_limits.ServerLimits().learn(text, 4_000, 100),
        "redact": redaction.redact,
        "estimate_tokens": tokens.estimate_tokens,
        "declined": direct.declined,
        "without_thoughts": direct.without_thoughts,
        "notices": lambda text: observation.notices([]),
        "visible": untrusted_text.visible,
        "cut_output": untrusted_text.cut_output,
        "fenced": untrusted_text.fenced,
        "shortened": lambda text: untrusted_text.shortened(text, 200),
        "shortened_line": lambda text: untrusted_text.shortened_line(text, 200),
    }


def _of_readers() -> dict[str, Callable[[str], Any]]:
    from durable_rlm.graph import diff
    from durable_rlm.nodes.evidence import quoted_passages
    from durable_rlm.nodes.input import delimiter, encoding, guess
    from durable_rlm.nodes.input.draft import Unusable
    from durable_rlm.nodes.input.text import decoded
    from durable_rlm.studio.approval import hidden_characters, quoted
    from durable_rlm.studio.terminal import escape, printed_commands

    def as_bytes(text: str) -> bytes:
        return text.encode("utf-8", "surrogatepass")

    def decoded_or_refused(text: str) -> Any:
        with contextlib.suppress(Unusable):
            return decoded(b"\xe9" + as_bytes(text))

    return {
        "passages_in": lambda text: [quoted_passages.fragments_of(one) for one in quoted_passages.passages_in(text)],
        "safe": escape.safe,
        "safe_line": lambda text: escape.safe_line(text, 80),
        "safe_lines": lambda text: escape.safe_lines(text, 20),
        "safe_json": escape.safe_json,
        "marked": lambda text: hidden_characters.warning(hidden_characters.marked(text, code=True).hidden),
        "coloured": lambda text: quoted.coloured(hidden_characters.marked(text, code=True)),
        "framed": lambda text: list(quoted.framed(quoted.plain(hidden_characters.marked(text)), 80, numbered=True)),
        "pasteable": printed_commands.pasteable,
        "line_by_line": lambda text: diff._line_by_line(text, text[::-1]),
        "guess": lambda text: guess.guess(as_bytes(text)),
        "evidence": lambda text: encoding.evidence(b"\xe9" + as_bytes(text)),
        "utf8_lines": lambda text: encoding.utf8_lines(as_bytes(text), "cp1252", 2),
        "declared": lambda text: encoding.declared(as_bytes(text)),
        "delimiter": lambda text: delimiter.delimiter(as_bytes(text)),
        "decoded": decoded_or_refused,
        "binary": lambda text: encoding.binary(as_bytes(text)[:4_096]),
    }


def seconds(function: Callable[[str], Any], text: str) -> float:
    """Return the CPU time of the faster of two calls, without collections of what others have left."""
    took: list[float] = []
    gc.collect()
    gc.disable()
    try:
        for _ in range(2):
            begun = time.process_time()
            function(text)
            took.append(time.process_time() - begun)
            if took[-1] < 0.01:
                break
    finally:
        gc.enable()
    return min(took)


def main(name: str) -> None:
    """Print `[payload, seconds, seconds of one that is TIMES as long]` for each worst case."""
    function, larger = functions()[name], payloads(SIZE * TIMES)
    for what, text in payloads(SIZE).items():
        sys.stdout.write(f"{json.dumps([what])}\n")
        sys.stdout.flush()
        took = seconds(function, larger[what])
        first = seconds(function, text) if took > 0.03 else 0.0
        sys.stdout.write(f"{json.dumps([what, first, took])}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
