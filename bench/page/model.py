"""The scripted model of a large run. It is copied into the home that is made, with its sizes beside it.

Prose and prompts have words of several languages, so that what is searched for is as varied as what people write.
"""

import asyncio
import itertools
import json
import random
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SIZES: dict[str, Any] = json.loads(Path(__file__).with_name("sizes.json").read_text())
SEED, WORDS = int(SIZES["seed"]), " ".join(SIZES["words"])
TURNS, CALLS, CHILDREN = int(SIZES["turns"]), int(SIZES["calls"]), int(SIZES["children"])
ANSWER, OWN, CUT = int(SIZES["answer"]), int(SIZES["own"]), int(SIZES["cut"])
"""Characters of an answer, of what code adds to a prompt, and of what a prompt is cut from the input."""
FAILING = 211
"""One call in so many fails."""
WRONG_EVERY = 37
"""One turn in so many ends with an error."""
CHILD_CALLS = 4


def prose(rng: random.Random, length: int) -> str:
    """Return that many characters of sentences."""
    words = WORDS.split()
    summed = list(itertools.accumulate(1 / (rank + 3) for rank in range(len(words))))
    sentences: list[str] = []
    while length > 0:
        sentence = " ".join(rng.choices(words, cum_weights=summed, k=rng.randint(6, 18)))
        sentences.append(f"{sentence[0].upper()}{sentence[1:]}.")
        length -= len(sentences[-1]) + 1
    return " ".join(sentences)


_MOST = 200_000
_PROSE = prose(random.Random(SIZES["seed"]), _MOST + 2 * max(ANSWER, OWN))


def part(seed: int, length: int) -> str:
    """Return that many characters of prose, others for each seed."""
    begin = (seed * 7919) % _MOST
    return _PROSE[begin : begin + length]


def root(messages: Sequence[dict[str, str]]) -> str:
    """Return the reply of a root model: of the run, or of a sub-RLM."""
    told = [int(n) for one in messages for n in re.findall(r"^\[Turn (\d+)\]", one["content"], re.MULTILINE)]
    turn = max(told, default=0) + 1
    if any(one["role"] == "user" and "Read part" in one["content"] for one in messages):
        return _child(turn)
    return _last() if turn > TURNS else _turn(turn)


def _turn(turn: int) -> str:
    first = (turn - 1) * CALLS // TURNS
    count = turn * CALLS // TURNS - first
    children = turn * CHILDREN // TURNS - (turn - 1) * CHILDREN // TURNS
    code = [
        *(["totals, notes, pages = {}, [], {'seen': []}"] if turn == 1 else []),
        f"picked = cut({first}, {count})" if turn > 1 else f"{_CUT}\npicked = cut({first}, {count})",
        f"said = llm_query_batched([asked({first} + n, text) for n, text in enumerate(picked)])",
        "good = [str(one) for one in said if one]",
        f"totals[{turn}] = sum(one.startswith('Yes') for one in good)",
        f"notes.append({{'part': {turn}, 'answers': len(good), 'first': good[0][:60] if good else None}})",
        "notes[:-40] = []",
        f"print('part {turn}:', totals[{turn}], 'of', len(said), 'windows need a second look')",
    ]
    if children:
        code += [
            f"deeper = rlm_query_batched([f'Read part {turn}.{{n}}: what is it about?' for n in range({children})],",
            f"    context=[cut({first} + n, 1)[0] * 4 for n in range({children})])",
            f"pages['deeper {turn % 25}'] = [str(one)[:200] for one in deeper]",
        ]
    if turn % WRONG_EVERY == 0:
        code.append(f"print(notes[{turn * 1000}])")
    return f"Look at part {turn} of {TURNS} for clauses that need a notice. {part(turn, 240)}\n\n" + _fenced(code)


# Windows at equal distances over all documents, each asked about with words of the code's own.
_CUT = f"""
import random
sizes = [len(doc) for doc in context]
prose = ' '.join(random.Random({SEED}).choices({WORDS!r}.split(), k=40_000))

def cut(first, count):
    found = []
    for n in range(first, first + count):
        at = n * (sum(sizes) - len(sizes) * {CUT}) // {max(CALLS, 1)}
        for doc, size in zip(context, sizes):
            if at < size - {CUT}:
                break
            at -= max(0, size - {CUT})
        found.append(doc[at : at + {CUT}])
    return found

def asked(n, text):
    begin = n * 7919 % (len(prose) - {OWN})
    return f"Window {{n}}: does this need a notice? Yes or no, and why.\\n\\n{{text}}\\n\\n" + prose[begin : begin + {OWN}]
"""


def _child(turn: int) -> str:
    if turn == 1:
        code = [
            f"parts = [context[i * 300 : i * 300 + 1500] for i in range({CHILD_CALLS})]",
            "seen = llm_query_batched([f'Sum up in a sentence.\\n\\n{one}' for one in parts])",
            "print(len(seen), 'parts summed up')",
        ]
        return f"Read the part in {CHILD_CALLS} pieces.\n\n" + _fenced(code)
    return "All pieces are read.\n\n" + _fenced(["FINAL(' '.join(str(one) for one in seen)[:400])"])


def _last() -> str:
    code = [
        "lines = ['# Contracts that can be ended', '', '| part | windows |', '|---|---|']",
        "lines += [f'| {number} | {total} |' for number, total in list(totals.items())[:30]]",
        "quotes = [cite(context[n], context[n][200:320]) for n in range(min(12, len(context)))]",
        "FINAL('\\n'.join([*lines, '', f'{sum(totals.values())} windows in {len(totals)} parts need a notice.']), citations=quotes)",
    ]
    return "Every part is read, so this is the answer.\n\n" + _fenced(code)


def _fenced(code: Sequence[str]) -> str:
    return "```repl\n" + "\n".join(code) + "\n```"


async def sub(prompt: str) -> str:
    """Return the answer of a sub-call, which is always the same for a prompt."""
    seed = zlib.crc32(prompt.encode())
    await asyncio.sleep(seed % 20 / 1e4)
    if seed % FAILING == 7:
        raise RuntimeError("the model is overloaded")
    return ("Yes. " if seed % 5 == 0 else "No. ") + part(seed, max(1, ANSWER - 5))
