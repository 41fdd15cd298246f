"""Build the root's system prompt from text files by depth, model and answer schema.

Its advice follows what the paper (arXiv 2512.24601, system prompts and failure notes in its appendix) and reproductions
of it found to work: probe first, code for the exact and models for meaning, few large sub-prompts, finishing in code.
Deeper recursion is described as an exception: reproductions found models overthinking with it (arXiv 2603.02615).
"""

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from ..runtime.untrusted_text import one_line

_MOST_MODELS = 10
_LONGEST_SCHEMA = 8_000


def system_prompt(
    *,
    depth: int,
    model: str = "",
    models: Sequence[str] = (),
    answer_schema: Mapping[str, Any] | None = None,
    packages: Sequence[str] = (),
) -> str:
    """Return the system prompt of a root.

    `depth`: levels of sub-calls below this root (0: none, 1: plain model calls, 2 and more: `rlm_query` starts
    workers). `model`: the root's own name, which selects the note for its family. `models`: names that code may pass as
    `model=`; listed when there is a choice. `answer_schema`: the JSON Schema that the answer must match. `packages`:
    modules that code can import beside the standard library, as far as is known. Raises ValueError for a negative
    depth.
    """
    if depth < 0:
        raise ValueError(f"depth {depth} is negative")
    alone = depth == 0
    parts = [prompt_text("root.md")]
    parts += (
        [prompt_text("depth_0.md")]
        if alone
        else [prompt_text("sub_calls.md"), prompt_text(f"depth_{min(depth, 2)}.md")]
    )
    if not alone and len(models) > 1:
        names = ", ".join(f'"{one_line(name, 100)}"' for name in models[:_MOST_MODELS])
        parts.append(f"- `model=` may be one of {names}; leave it out for the usual one.\n")
    if packages:
        parts.append(f"- To import, beside the standard library: {', '.join(packages)}. Count on no other package.\n")
    parts += [
        prompt_text("working.md"),
        prompt_text("working_alone.md" if alone else "working_calls.md"),
        prompt_text("finishing.md"),
    ]
    if answer_schema is not None:
        parts.append(
            f"\n# Form of the answer\nThe final value must match this JSON Schema:\n{_schema(answer_schema)}\n"
        )
    if addendum := family_addendum(model):
        parts.append(f"\n# Note\n{addendum}\n")
    return "".join(parts)


def family_addendum(model: str) -> str:
    """Return the note for the family of `model` (`provider:name`), or an empty string."""
    provider, _, name = model.lower().rpartition(":")
    if provider == "scripted":
        return ""
    for patterns, text in _families():
        if any(pattern.search(name) for pattern in patterns):
            return text
    return ""


@cache
def _families() -> list[tuple[list[re.Pattern[str]], str]]:
    families = tomllib.loads(prompt_text("families.toml"))["family"]
    return [([re.compile(pattern) for pattern in family["patterns"]], family["text"]) for family in families]


@cache
def prompt_text(name: str) -> str:
    """Return the text of a file in this folder."""
    return files(__package__ or "").joinpath(name).read_text(encoding="utf-8")


def _schema(schema: Mapping[str, Any]) -> str:
    text = json.dumps(schema, ensure_ascii=False)
    if len(text) <= _LONGEST_SCHEMA:
        return text
    return f"{text[:_LONGEST_SCHEMA]} … (cut; a value that does not match is refused, saying why)"
