"""The demo's offline stand-in for a model: rules, no intelligence, and no money.

`root` plays a root model that probes, greps with code, asks about each place in one batch, checks and answers.
`sub` reads the excerpt in its prompt and answers from it, whatever the excerpt is.
"""

import ast
import asyncio
import json
import re

_PROBE = """\
Let me look at what there is before planning.

```repl
print(type(context).__name__, len(context), "documents,", f"{context.total_chars:,}", "characters")
print(context.names[:5], "...", context.names[-5:])
print(context[0].text[:200])
```
"""

_FIND = """\
Source files. The places that warn can be found exactly, with code; what each one means is for sub-calls.

```repl
import re
from collections import Counter

pattern = re.compile(r"DeprecationWarning|warnings\\._deprecated\\(")
call = re.compile(r"\\bwarn(ings\\.warn|_explicit)?\\(|warnings\\._deprecated\\(")
places = []
for document in context:
    lines = document.text.splitlines()
    for number, line in enumerate(lines):
        if pattern.search(line) and not line.lstrip().startswith(("#", "import", "except")):
            excerpt = "\\n".join(lines[max(0, number - 8) : number + 4])
            if call.search(excerpt):
                places.append((document.name, number + 1, excerpt))
print(len(places), "places in", len({name for name, _, _ in places}), "files")
print(Counter(name for name, _, _ in places).most_common(5))
print(places[0][2])
```
"""

_ASK = """\
Now every place is judged by a sub-call, all in one batch, with short typed answers.

```repl
schema = {
    "type": "object",
    "required": ["deprecated", "instead"],
    "properties": {"deprecated": {"type": ["string", "null"]}, "instead": {"type": ["string", "null"]}},
}
prompts = [
    f"This is an excerpt of {name} around line {number}. What does it warn is deprecated, and what should be "
    f"used instead? null where it does not say.\\n<excerpt>\\n{excerpt}\\n</excerpt>"
    for name, number, excerpt in places
]
verdicts = llm_query_batched(prompts, schema=schema)
told = [(place, verdict) for place, verdict in zip(places, verdicts) if verdict]
print(len(told), "answers,", sum(1 for _, verdict in told if verdict["instead"]), "name a replacement")
print(told[:2])
```
"""

_FINISH = """\
Checked: every place has an answer. Putting it together.

```repl
assert len(told) == len(places), "some places have no answer"
modules = Counter(name.split("/")[0].removesuffix(".py") for name, _, _ in places)
replaced = sorted({(v["deprecated"], v["instead"]) for _, v in told if v["deprecated"] and v["instead"]})
lines = [
    f"{len(places)} places warn of something deprecated.",
    "Most of them in: " + ", ".join(f"{module} ({count})" for module, count in modules.most_common(6)) + ".",
    f"{len(replaced)} replacements are named:",
    *(f"- {old} -> {new}" for old, new in replaced),
]
FINAL("\\n".join(lines))
```
"""

_TURNS = (_PROBE, _FIND, _ASK, _FINISH)
_INSTEAD = re.compile(r"[Uu]se (?:the )?(.{3,60}?) instead|instead,? use (?:the )?(.{3,60}?)(?:[.;,]|$)|[Uu]se (\S+)")
_WHAT = re.compile(r"(?:The |the )?(\S+(?: \S+){0,5}?) (?:is|are|was|has been) (?:deprecated|removed)")


def root(messages: list[dict[str, str]]) -> str:
    """The turn that follows those the root was told of."""
    done = [int(number) for message in messages for number in re.findall(r"^\[Turn (\d+)\]", message["content"], re.M)]
    return _TURNS[min(max(done, default=0), len(_TURNS) - 1)]


async def sub(prompt: str) -> str:
    """What the excerpt in the prompt says, by rules; as slow as a quick model, so that there is something to see."""
    await asyncio.sleep(0.3 + (len(prompt) % 10) / 10)
    excerpt = prompt.partition("<excerpt>\n")[2].partition("\n</excerpt>")[0]
    message = " ".join(_strings(excerpt))
    instead = next((group for found in _INSTEAD.finditer(message) for group in found.groups() if group), None)
    what = _WHAT.search(message)
    return json.dumps({"deprecated": _clean(what[1]) if what else None, "instead": _clean(instead)})


def _strings(code: str) -> list[str]:
    """The string literals of an excerpt, which need not be whole Python."""
    found: list[str] = []
    for literal in re.findall(r"""f?("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')""", code):
        try:
            found.append(str(ast.literal_eval(literal)).strip())
        except (ValueError, SyntaxError):
            continue
    return found


def _clean(text: str | None) -> str | None:
    return text.strip(" .,;:'\"`") or None if text else None
