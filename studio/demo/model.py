"""The demo's offline stand-in for a model (`scripted:PATH` of the interface): it works by rules and costs nothing.

`root` plays a root model that probes the input, finds places with code, asks about each of them, asks again where the
answers leave something open, and answers. `sub` answers from the excerpt in its prompt by the rules in `corpus.py`,
for any excerpt.
"""

import asyncio
import itertools
import json
import os
import re
import signal
import zlib

# An absolute import: this file is run as a script, which has no package of its own.
from durable_rlm.studio.demo.corpus import judge

_PROBE = """\
Before planning I look at what there is.

```repl
import os
import re

print(type(context).__name__, "-", len(context), "documents,", f"{context.total_chars:,}", "characters")
print(context.names[:4], "...", context.names[-4:])
root = os.path.commonpath(context.names) + "/"
library = [document for document in context if not re.search(r"/tests?/", document.name)]
print(len(library), "of them without tests;", sum("DeprecationWarning" in d.text for d in library), "name the warning")
```
"""

_FIND = """\
{documents} Python files. Where a deprecation warning is raised can be found exactly, by code: I parse the files and
keep every call that warns, with the function that it stands in. What each warning means is for sub-calls.

```repl
import ast
from collections import Counter

FUNCTIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)

def calls_that_warn(node, scope=()):
    for child in ast.iter_child_nodes(node):
        inner = (*scope, child) if isinstance(child, FUNCTIONS) else scope
        if isinstance(child, ast.Call):
            name = ast.unparse(child.func).rsplit(".", 1)[-1]
            if name == "_deprecated" or (name.startswith("warn") and "DeprecationWarning" in ast.unparse(child)):
                yield child, inner
        yield from calls_that_warn(child, inner)

places = []
for document in library:
    text = document.text
    if "DeprecationWarning" in text or "_deprecated(" in text:
        lines = text.splitlines()
        for call, scope in calls_that_warn(ast.parse(text)):
            where = ".".join(one.name for one in scope) or "module level"
            near = "\\n".join(lines[max(0, call.lineno - 2) : call.end_lineno])
            function = scope[-1] if scope else call
            first = max(function.lineno - 1, call.lineno - 40)
            wide = "\\n".join(lines[first if scope else max(0, call.lineno - 12) : call.end_lineno + 3])
            places.append((document.name.removeprefix(root), call.lineno, where, near, wide))
print(len(places), "places in", len({place[0] for place in places}), "files")
print(Counter(place[0] for place in places).most_common(5))
print(places[0][3])
```
"""

_ASK = """\
{places} places in {files} files. Each is judged by a sub-call of its own, all in one batch, with a short typed answer.

```repl
def value(kind):
    return {"type": [kind, "null"]}

schema = {
    "type": "object",
    "properties": {"what": value("string"), "instead": value("string"), "removed_in": value("string")},
    "required": ["what", "instead", "removed_in"],
}

def question(name, line, where, excerpt):
    return (
        "This code of Python's standard library warns that something is deprecated. What is (the name that its user "
        "would write), what should be used instead, and in which version will it be removed? null where the excerpt "
        f"does not say.\\nFile: {name}, line {line}, in {where}\\n<excerpt>\\n{excerpt}\\n</excerpt>"
    )

prompts = [question(name, line, where, near) for name, line, where, near, wide in places]
verdicts = llm_query_batched(prompts, schema=schema)
failed = sum(not verdict for verdict in verdicts)
unclear = [at for at, verdict in enumerate(verdicts) if verdict and not verdict["instead"]]
print(len(verdicts) - failed, "answers,", failed, "failed;", len(unclear), "name no replacement")
print(verdicts[:3])
```
"""

_LOOK_AGAIN = """\
{unclear} name no replacement, perhaps because it stands further up, in the docstring. I ask about those again, with
the whole function, and check every answer by code: a name or a version that the source does not hold is not taken.

```repl
again = llm_query_batched([question(*places[at][:3], places[at][4]) for at in unclear], schema=schema)
for at, verdict in zip(unclear, again):
    if verdict:
        verdicts[at] = {key: verdict[key] or verdicts[at][key] for key in verdict}

def holds(text, claim):
    return all(word in text for word in re.findall(r"\\w+", claim))

rejected = 0
for (name, line, where, near, wide), verdict in zip(places, verdicts):
    for key in ("instead", "removed_in"):
        claim = verdict[key] if verdict else None
        if claim and not holds(near + wide, claim.replace(".", " ")):
            verdict[key], rejected = None, rejected + 1
replaced = sum(bool(verdict and verdict["instead"]) for verdict in verdicts)
versions = Counter(verdict["removed_in"] for verdict in verdicts if verdict and verdict["removed_in"])
target = versions.most_common(1)[0][0] if versions else "3.14"
print(replaced, "with a replacement,", versions.total(), "with a version;", rejected, "claims rejected")
```
"""

_FINISH = """\
{replaced} of them name a replacement. Counts by code, meanings from the sub-calls. One more call picks the places that
somebody has to look at who moves to the version that takes most away; then I put all of it together.

```repl
def package(name):
    return name.split("/")[0].removesuffix(".py")

def listed(pairs):
    return ", ".join(f"{name} ({count})" for name, count in pairs)

def by_number(version):
    return [int(part) for part in version.split(".")]

counts = Counter(package(place[0]) for place in places)
going, swaps = {}, {}
leaving = []
for (name, line, *_), verdict in zip(places, verdicts):
    if verdict and verdict["removed_in"]:
        going.setdefault(verdict["removed_in"], set()).add(verdict["what"])
        if verdict["instead"]:
            at = f"{name}:{line}: {verdict['what']}, use {verdict['instead']}"
            leaving.append(f"{at} (removed in {verdict['removed_in']})")
    if verdict and verdict["instead"]:
        swaps.setdefault(package(name), {})[verdict["what"]] = verdict["instead"]

chosen = llm_query(
    f"Somebody moves a program to Python {target}. Which three of these have to be looked at first? Repeat their lines "
    "as they are.\\n<places>\\n" + "\\n".join(leaving) + "\\n</places>",
    schema={
        "type": "object",
        "properties": {"lines": {"type": "array", "items": {"type": "string"}}},
        "required": ["lines"],
    },
)
report = [
    f"{len(places)} places in {len({place[0] for place in places})} files warn that something is deprecated; "
    f"{replaced} of them say what to use instead.",
    f"Most are in {listed(counts.most_common(6))}.",
    "Removals: " + ", ".join(f"{count} in {version}" for version, count in
                             sorted(versions.items(), key=lambda one: by_number(one[0]))) + ".",
    f"Look first, when you move to Python {target}:",
    *(f"  {line}" for line in chosen["lines"] if line in leaving),
    "",
    "To be removed:",
    *(f"- in {version}: {', '.join(sorted(going[version]))}" for version in sorted(going, key=by_number)),
    "",
    "What replaces what:",
    *(f"- {name}: {'; '.join(f'{old} → {new}' for old, new in sorted(swaps[name].items()))}" for name in sorted(swaps)),
]
FINAL("\\n".join(report))
```
"""

_TURNS = (_PROBE, _FIND, _ASK, _LOOK_AGAIN, _FINISH)
_SAID = {
    "documents": r"- (\d+) documents",
    "places": r"(\d+) places in",
    "files": r"places in (\d+) files",
    "unclear": r"(\d+) name no replacement",
    "replaced": r"(\d+) with a replacement",
}


KILL_AFTER = "RLM_DEMO_KILL_AFTER"
"""The environment variable with the number of sub-calls that are answered before the process kills itself."""
_answered = itertools.count(1)


async def root(messages: list[dict[str, str]]) -> str:
    """Return the reply of the turn after those in `messages`; its prose quotes the output of the last one.

    Raises RuntimeError when there is no more turn in the script, or the last cell ended in an error.
    """
    await asyncio.sleep(0.3)
    turns = [int(number) for one in messages for number in re.findall(r"^\[Turn (\d+)\]", one["content"], re.MULTILINE)]
    turn = max(turns, default=0)
    if turn >= len(_TURNS):
        raise RuntimeError("the demo's script has no more turns, and its answer was not taken")
    reply, output = _TURNS[turn], messages[-1]["content"]
    if turns and "ended in an error" in output.partition("\n")[0]:
        raise RuntimeError("the demo's script has no rule for a cell that fails")
    for name, pattern in _SAID.items():
        found = re.search(pattern, output)
        reply = reply.replace(f"{{{name}}}", found[1] if found else "Some")
    return reply


async def sub(prompt: str) -> str:
    """Return an answer found in the text of the prompt, nearly as slowly as a quick model, for something to be seen.

    Kills the process after as many answers as the variable `KILL_AFTER` says, if it is set.
    """
    await asyncio.sleep(0.1 + zlib.crc32(prompt.encode()) % 400 / 1000)
    if KILL_AFTER in os.environ and next(_answered) > int(os.environ[KILL_AFTER]):
        os.kill(os.getpid(), signal.SIGKILL)
    if places := re.search(r"to Python (\S+)\..*<places>\n(.*)\n</places>", prompt, re.DOTALL):
        return json.dumps({"lines": looked_at_first(places[2].splitlines(), places[1])})
    place = re.search(r"^File: (\S+), line \d+, in (.+)$", prompt, re.MULTILINE)
    excerpt = re.search(r"<excerpt>\n(.*)\n</excerpt>", prompt, re.DOTALL)
    if place is None or excerpt is None:
        return json.dumps({"what": None, "instead": None, "removed_in": None})
    return json.dumps(judge(place[1], place[2], excerpt[1]))


def looked_at_first(places: list[str], version: str) -> list[str]:
    """Return up to three lines that name a removal in this version, from different files as far as possible."""
    found = [(line, removed[1]) for line in places if (removed := re.search(r"\(removed in ([\d.]+)\)$", line))]
    gone = [line for line, removed in found if _number(removed) == _number(version)] or places
    by_file = {line.partition(":")[0]: line for line in reversed(gone)}
    return list(dict.fromkeys([*reversed(by_file.values()), *gone]))[:3]


def _number(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]
