"""Build the root's system prompt from text files by depth, models and answer schema.

Its advice follows what the paper (arXiv 2512.24601, system prompts and failure notes in its appendix) and reproductions
of it found to work: probe first, code for the exact and models for meaning, few large sub-prompts, finishing in code.
Deeper recursion is described as an exception: reproductions found models overthinking with it (arXiv 2603.02615).

The prompt is a function of the run's settings and models alone, so that it is the same in each turn and the servers'
prompt caches hold it. It is sent with each turn, so what only some runs need is only in theirs.
"""

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from string import Template
from typing import Any

from ..models.sub_model import ASSUMED_WINDOW, SubModel
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
    sub_model: SubModel | None = None,
    instructions: str = "",
) -> str:
    """Return the system prompt of a root.

    `depth`: levels of sub-calls below this root (0: none, 1: plain model calls, 2 and more: `rlm_query` starts
    workers). `model`: the root's own name, which selects the note for its family. `models`: names that code may pass as
    `model=`; listed when there is a choice. `answer_schema`: the JSON Schema that the answer must match. `packages`:
    modules that code can import beside the standard library, as far as is known. `sub_model`: the model that answers
    sub-calls, which decides how much to put into a prompt. `instructions`: the user's own, which end the prompt. Raises
    ValueError for a negative depth.
    """
    if depth < 0:
        raise ValueError(f"depth {depth} is negative")
    alone = depth == 0
    parts = [prompt_text("root.md")]
    parts += [prompt_text("depth_0.md")] if alone else _sub_calls(depth, models, sub_model or SubModel())
    if packages:
        parts.append(f"- To import, beside the standard library: {', '.join(packages)}. Count on no other package.\n")
    parts += [
        prompt_text("working.md"),
        prompt_text("working_alone.md")
        if alone
        else _filled("working_calls.md", characters=f"{(sub_model or SubModel()).pack:,}"),
        prompt_text("finishing.md"),
    ]
    if answer_schema is not None:
        parts.append(
            f"\n# Form of the answer\nThe final value must match this JSON Schema:\n{_schema(answer_schema)}\n"
        )
    if addendum := family_addendum(model):
        parts.append(f"\n# Note\n{addendum}\n")
    parts.append(users_instructions(instructions))
    return "".join(parts)


def _sub_calls(depth: int, models: Sequence[str], sub_model: SubModel) -> list[str]:
    """Return the explanation of the functions that ask models."""
    known = "" if sub_model.window else " (assumed: its window is not known)"
    asked = _filled(
        "sub_calls.md",
        model=f"`{one_line(sub_model.name, 100)}`" if sub_model.name else "a model",
        window=f"{sub_model.window or ASSUMED_WINDOW:,} tokens, its answer included{known}",
    )
    parts = [asked, prompt_text(f"depth_{min(depth, 2)}.md")]
    if len(models) > 1:
        names = ", ".join(f'"{one_line(name, 100)}"' for name in models[:_MOST_MODELS])
        parts.append(f"- `model=` may be one of {names}; leave it out for the usual one.\n")
    return parts


def users_instructions(text: str) -> str:
    """Return the part of a system prompt that holds the user's own instructions; empty when there are none."""
    if not text.strip():
        return ""
    said = "These come from the user. Follow them wherever the question does not ask for something else."
    return f"\n# Instructions of the user\n{said}\n\n{text.strip()}\n"


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
    """Return the patterns of each family, and what its switches say. Raises KeyError for one that is not defined."""
    data = tomllib.loads(prompt_text("families.toml"))
    return [
        (
            [re.compile(pattern) for pattern in family["patterns"]],
            " ".join(data["switches"][switch] for switch in family["switches"]),
        )
        for family in data["family"]
    ]


def _filled(name: str, **values: str) -> str:
    """Return the text of a file in this folder with values in the place of `$name`."""
    return Template(prompt_text(name)).substitute(values)


@cache
def prompt_text(name: str) -> str:
    """Return the text of a file in this folder."""
    return files(__package__ or "").joinpath(name).read_text(encoding="utf-8")


def _schema(schema: Mapping[str, Any]) -> str:
    text = json.dumps(schema, ensure_ascii=False)
    if len(text) <= _LONGEST_SCHEMA:
        return text
    return f"{text[:_LONGEST_SCHEMA]} … (cut; a value that does not match is refused, saying why)"
