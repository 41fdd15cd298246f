"""A scripted model that works on the contracts: looks, asks, makes a mistake, asks again, answers with quotations.

Served on loopback (`sample_home.py`), so that calls have a price.
"""

import asyncio
import json
import re
import zlib
from typing import Any

PACE = 0.4
"""Seconds that the root model thinks about a turn."""
TURNS = [
    """Let me see what there is before I plan anything.

```repl
print(len(context), "documents")
for document in list(context)[:4]:
    print(document.name, len(document.text))
print(context[0].text[:400])
```
""",
    """The contracts have numbered sections. Code finds the one on termination; only its meaning needs a model.

```repl
import re
HEAD = re.compile(r"^\\d+\\. Term and termination$", re.M)
clauses = {}
for document in context:
    found = HEAD.search(document.text)
    if found and not document.name.endswith("yarrow.txt"):
        clauses[document.name] = document.text[found.start() : found.start() + 1500]
print(len(clauses), "clauses; the longest has", max(map(len, clauses.values())), "characters")
```
""",
    """Each clause is judged by a call of its own.

```repl
import json
PROMPT = "May this contract be ended without notice? Answer as JSON: without_notice, quote.\\n"
prompts = [f"{PROMPT}Contract: {name}\\n{text}" for name, text in clauses.items()]
verdicts = {}
for name, answer in zip(clauses, llm_query_batched(prompts)):
    if answer:
        verdicts[name] = json.loads(answer)
print(len(verdicts), "judged,", len(clauses) - len(verdicts), "failed")
```
""",
    """I put them into a table and look at those that are unclear.

```repl
table = [{"contract": name, **verdict} for name, verdict in verdicts.items()]
print(sum(row["without_notice"] is True for row in table), "yes")
print(unclear[:3])
```
""",
    """`unclear` was never set. I set it now, and ask about those again with more of the text around the clause.

```repl
unclear = [name for name in clauses if name not in verdicts or verdicts[name]["without_notice"] is None]
texts = {document.name: document.text for document in context}
for name in unclear:
    text = texts[name]
    at = text.index("Term and termination")
    try:
        verdicts[name] = json.loads(llm_query(f"{PROMPT}Again: {name}\\n{text[at - 200 : at + 3000]}"))
    except SubCallError as error:
        print(name, error)
del prompts
print(len(unclear), "asked again;", len(verdicts), "judged")
```
""",
    """Every quotation is looked up in its contract. I answer.

```repl
found = []
for name, verdict in sorted(verdicts.items()):
    if verdict["without_notice"]:
        try:
            found.append((name, cite(name, verdict["quote"])))
        except QuoteNotFound:
            print("not in the source:", name)
lines = [f"**{len(found)} of {len(context)} contracts** can be ended without notice.", "",
         "| contract | its words |", "|---|---|"]
lines += [f"| `{name}` | “{citation.quote}” {citation} |" for name, citation in found]
FINAL("\\n".join(lines), citations=[citation for _, citation in found])
```
""",
]


async def root(messages: list[dict[str, str]]) -> str:
    """Return the reply of the turn that the messages ask for."""
    await asyncio.sleep(PACE)
    told = [int(turn) for one in messages for turn in re.findall(r"^\[Turn (\d+)\]", one["content"], re.M)]
    return TURNS[min(max(told, default=0), len(TURNS) - 1)]


async def sub(prompt: str) -> str:
    """Return the verdict on one contract; some fail the first time."""
    number = zlib.crc32(prompt.encode())
    await asyncio.sleep(PACE / 3 * (1 + number % 7))
    again = "Again: " in prompt
    if number % 9 == 3 and not again:
        raise RuntimeError("the server closed the connection")
    clause = re.search(r"^\d+\.2  (.*(?:terminate|end this|ends).*)$", prompt, re.M)
    verdict: dict[str, Any] = {"without_notice": None, "quote": None}
    if clause and (again or number % 11 != 5):
        quote = re.search(r"[^.]*without (?:prior )?notice[^.]*\.", clause[1])
        verdict = {"without_notice": bool(quote), "quote": quote[0].strip() if quote else None}
    return json.dumps(verdict)


HALVES = """Two sub-RLMs read one half each.

```repl
names = [document.name for document in context]
halves = [names[: len(names) // 2], names[len(names) // 2 :]]
questions = [f"Sum up the duties of the {half} half." for half in ("first", "second")]
reports = rlm_query_batched(questions, context=context)
FINAL("\\n\\n".join(str(report) for report in reports))
```
"""
REPORT = """I read three of them and ask for a summary of each.

```repl
summaries = llm_query_batched([f"Sum up in a sentence.\\n{document.text[:3000]}" for document in list(context)[:3]])
FINAL("\\n".join(f"- {summary}" for summary in summaries))
```
"""


async def root_of_halves(messages: list[dict[str, str]]) -> str:
    """Return the reply of a run that asks sub-RLMs, and of those."""
    await asyncio.sleep(PACE)
    asked = " ".join(one["content"] for one in messages if one["role"] == "user")
    return REPORT if "Sum up the duties" in asked else HALVES


async def summary(prompt: str) -> str:
    """Return a summary of one contract."""
    await asyncio.sleep(PACE / 2 * (1 + zlib.crc32(prompt.encode()) % 3))
    return "A services agreement with thirteen numbered sections and an initial term."
