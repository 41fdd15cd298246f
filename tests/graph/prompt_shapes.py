"""Documents, and cells that send parts of them in prompts of every form. Each says what it sends (`sent_parts.py`)."""

import json
import random


def prose(seed: str, lines: int, letters: str = "abcdefghijklmnoprstuvwz", end: str = "\n") -> str:
    """Return lines of words that no other seed gives."""
    chance = random.Random(seed)
    return "".join(
        " ".join("".join(chance.choices(letters, k=chance.randint(3, 8))) for _ in range(chance.randint(6, 11))) + end
        for _ in range(lines)
    )


CLAUSE = prose("clause", 8)
FIRST = {f"lease {at}.txt": prose(f"before {at}", 14) for at in range(8)}
GUIDES = [
    f"# Guide {at}\n\n{prose(f'intro {at}', 4)}\n## Scope {at}\n\n{prose(f'scope {at}', 5)}\n"
    f"## Ending\n\n{CLAUSE}\n## Costs\n\n{prose(f'costs {at}', 5)}"
    for at in range(3)
]


def table(seed: int) -> str:
    chance = random.Random(seed)
    rows = [f"{at},{prose(f'cell {seed} {at}', 1).strip()},{chance.randrange(10**6)}" for at in range(20)]
    shared = [f"{at},{prose(f'shared {at}', 1).strip()},{at * 7}" for at in range(20, 40)]
    return "\n".join(["id,text,amount", *rows, *shared]) + "\n"


def log(seed: int) -> str:
    own = [{"id": at, "text": prose(f"event {seed} {at}", 2)} for at in range(12)]
    shared = [{"id": at, "text": prose(f"shared event {at}", 2)} for at in range(12, 18)]
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in own + shared)


TEXTS = {
    **{name: before + CLAUSE + prose(f"after {name}", 9) for name, before in FIRST.items()},
    **{f"guide {at}.md": text for at, text in enumerate(GUIDES)},
    **{f"table {at}.csv": table(at) for at in range(2)},
    **{f"log {at}.jsonl": log(at) for at in range(2)},
    "cyrillic.txt": prose("cyrillic", 20, "абвгдежзийклмнопрстуфхцчшщыэюя"),
    "cjk.txt": prose("cjk", 20, "日本語文章検索対象範囲資料契約条項終了期限金額支払"),
    "emoji.txt": prose("emoji", 20, "abcé😀😁🚀🌍👩"),
    "crlf.txt": prose("crlf", 20, end="\r\n"),
    "copy 0.txt": prose("copy", 16),
    "copy 1.txt": prose("copy", 16),
}
FIRST_CELL = f"""
from tests.graph.sent_parts import begin, sent, sent_lines
import json
CLAUSE = {CLAUSE!r}
doc = {{name.rpartition('/')[2]: context[name] for name in context.names}}
leases = [doc[name] for name in {list(FIRST)}]
def clause(d):
    at = d.find(CLAUSE[:60])
    return at, at + len(CLAUSE)
"""
ANSWER = json.dumps({str(number): "yes" for number in range(1, 101)})

RAW = {
    "a slice of 191 characters": "d = leases[3]; sent(d, 400, 591); llm_query(d[400:591])",
    "slices of all sizes in f-strings": (
        "d = leases[2]\nfor size in (191, 250, 400, 999):\n"
        "    sent(d, 7 * size % 300, 7 * size % 300 + size)\n"
        "    llm_query(f'What does it say?\\n<text>{d[7 * size % 300 : 7 * size % 300 + size]}</text>\\nAnswer:')"
    ),
    "pieces of several documents, joined": (
        "for d in leases[1:4]: sent(d, 100, 500)\nllm_query('\\n---\\n'.join(d[100:500] for d in leases[1:4]))"
    ),
    "lines with their numbers": (
        "d = leases[5]; sent_lines(d, 2, 9); llm_query('Q\\n' + d.lines(2, 9, numbered=True))"
    ),
    "lines that code numbers": (
        "d = leases[6]; sent_lines(d, 1, 10)\n"
        "llm_query('\\n'.join(f'{n}: {line}' for n, line in enumerate(d.text.splitlines()[:10], 1)))"
    ),
    "a dict as JSON": (
        "d = leases[4]; sent(d, 50, 700); llm_query(json.dumps({'name': 'x', 'text': d[50:700], 'n': [1, 2]}))"
    ),
    "a list of slices as JSON, as it is": (
        "for d in leases[5:7]: sent(d, 0, 600)\n"
        "llm_query('Q\\n' + json.dumps([{'text': d[:600]} for d in leases[5:7]], ensure_ascii=False, indent=1))"
    ),
    "a repr in an f-string": "d = leases[7]; sent(d, 0, 500); llm_query(f'{d[:500]!r}')",
    "a document as the second argument": "d = leases[0]; sent(d); llm_query('Sum up', d)",
    "a document as context=": "d = leases[1]; sent(d); llm_query('Sum up', context=d)",
    "a list of documents as context=": "for d in leases[:2]: sent(d)\nllm_query('Sum up', context=leases[:2])",
    "Cyrillic": "d = doc['cyrillic.txt']; sent(d, 30, 400); llm_query('Q ' + d[30:400])",
    "Cyrillic in JSON": "d = doc['cyrillic.txt']; sent(d, 30, 400); llm_query(json.dumps([d[30:400]]))",
    "CJK": "d = doc['cjk.txt']; sent(d, 30, 200); llm_query('Q ' + d[30:200])",
    "CJK in JSON": "d = doc['cjk.txt']; sent(d, 3, 300); llm_query(json.dumps({'t': d[3:300]}))",
    "emoji": "d = doc['emoji.txt']; sent(d, 30, 300); llm_query('Q ' + d[30:300])",
    "emoji in JSON": "d = doc['emoji.txt']; sent(d, 31, 300); llm_query(json.dumps({'t': d[31:300]}))",
    "CRLF": "d = doc['crlf.txt']; sent(d, 30, 600); llm_query('Q ' + d[30:600])",
    "CRLF in JSON": "d = doc['crlf.txt']; sent(d, 30, 600); llm_query(json.dumps([d[30:600]]))",
    "CRLF lines joined": (
        "d = doc['crlf.txt']; sent_lines(d, 2, 8); llm_query('Q\\n' + '\\n'.join(d.text.splitlines()[1:8]))"
    ),
    "a page of a document by lines": "d = doc['cjk.txt']; sent_lines(d, 3, 9); llm_query(d.lines(3, 9))",
}
PARTS = {
    "chunks": (
        "for c in chunks(leases[:3], max_chars=400):\n    sent(c.document, c.start, c.end)\n    llm_query(f'Q: {c}')"
    ),
    "chunks in a batch": (
        "found = chunks(leases[3:5], max_chars=500)\n"
        "for c in found: sent(c.document, c.start, c.end)\nllm_query_batched([f'Q: {c.text}' for c in found])"
    ),
    "some chunks of many": (
        "found = chunks(leases, max_chars=300)\n"
        "for c in found[5:7]: sent(c.document, c.start, c.end)\nllm_query_batched([str(c) for c in found[5:7]])"
    ),
    "chunks of headings": (
        "found = chunks([doc['guide 1.md']], max_chars=900, by='heading')\n"
        "for c in found[1:3]: sent(c.document, c.start, c.end)\nllm_query_batched([c.text for c in found[1:3]])"
    ),
    "a chunk as context=": (
        "c = chunks(leases[5], max_chars=600)[1]; sent(c.document, c.start, c.end); llm_query('Q', context=c)"
    ),
    "a chunk in JSON": (
        "c = chunks(leases[6], max_chars=600)[0]; sent(c.document, c.start, c.end)\n"
        "llm_query(json.dumps({'part': c.text}))"
    ),
    "packs of chunks": (
        "found = chunks(leases[:4], max_chars=300)\n"
        "for c in found: sent(c.document, c.start, c.end)\n"
        "llm_query_batched(['\\n---\\n'.join(map(str, some)) for some in pack(found, max_chars=900)])"
    ),
    "map_query over chunks": (
        "found = chunks(leases[:4], max_chars=300)\n"
        "for c in found: sent(c.document, c.start, c.end)\nmap_query(found, 'Judge.')"
    ),
    "map_query over the equal chunks of four": (
        "found = [chunks(d, max_chars=10_000)[0] for d in leases[4:]]\n"
        "for c in found: sent(c.document, c.start, c.end)\nmap_query(found, 'Judge.')"
    ),
    "map_query over lines": (
        "lines = doc['cjk.txt'].text.splitlines()[4:14]; sent_lines(doc['cjk.txt'], 5, 14)\nmap_query(lines, 'Judge.')"
    ),
    "map_query over records": ("d = doc['log 0.jsonl']; sent(d, 0, len(d)); map_query(list(d.records()), 'Judge.')"),
    "map_query over some records that two have": (
        "d = doc['log 1.jsonl']; sent_lines(d, 13, 18); map_query(list(d.records())[12:], 'Judge.')"
    ),
    "records' texts": (
        "d = doc['log 0.jsonl']; some = [r['text'] for r in d.records()][:4]\n"
        "for t in some: at = d.find(json.dumps(t)[1:-1]); sent(d, at, at + len(json.dumps(t)) - 2)\n"
        "llm_query_batched([f'Q {t}' for t in some])"
    ),
    "records of CSV": (
        "d = doc['table 0.csv']\nfor n in range(2, 12): at = d.find(list(d.records())[n - 2]['text']); "
        "sent(d, at, at + len(list(d.records())[n - 2]['text']))\n"
        "llm_query('\\n'.join(r['text'] for r in list(d.records())[:10]))"
    ),
    "rows of CSV, joined": (
        "d = doc['table 0.csv']; sent_lines(d, 4, 9)\nllm_query('\\n'.join(','.join(r) for r in list(d.rows())[3:9]))"
    ),
    "rows that two tables have": (
        "d = doc['table 1.csv']; sent_lines(d, 24, 33)\n"
        "llm_query('\\n'.join(','.join(r) for r in list(d.rows())[23:33]))"
    ),
    "map_query over rows": (
        "d = doc['table 1.csv']; some = list(d.rows())[5:15]\n"
        "for r in some: sent(d, r.start + len(r[0]) + 1, r.end - len(r[2]) - 1)\n"
        "map_query([r[1] for r in some], 'Judge.')"
    ),
    "lines of grep": (
        "found = list(context.grep(CLAUSE[:30], files='*lease 3.txt')) + list(leases[6].grep('a', limit=8))\n"
        "for f in found: sent(f.document, f.start, f.end)\nllm_query('\\n'.join(f.line for f in found))"
    ),
    "lines of grep, as tuples": (
        "found = list(doc['crlf.txt'].grep('a', limit=6))\n"
        "for f in found: sent(f.document, f.start, f.end)\nllm_query('\\n'.join(f'{n}:{i}: {t}' for n, i, t in found))"
    ),
    "sections": (
        "some = doc['guide 2.md'].sections()[1:3]\n"
        "for s in some: sent(s.document, s.start, s.end)\nllm_query_batched([f'Q {s.text}' for s in some])"
    ),
    "the same section of three": (
        "some = [doc[f'guide {n}.md'].sections()[2] for n in (2, 0)]\n"
        "for s in some: sent(s.document, s.start, s.end)\nfor s in some: llm_query(f'Q {s}')"
    ),
}
EQUAL = {
    "a slice of one of eight": "d = leases[5]; sent(d, *clause(d)); llm_query(f'Q {d[slice(*clause(d))]}')",
    "a slice of each of eight": (
        "for d in leases: sent(d, *clause(d))\nllm_query_batched([f'Q {d[slice(*clause(d))]}' for d in leases])"
    ),
    "lines of one of eight": "d = leases[2]; sent_lines(d, 15, 22); llm_query(d.lines(15, 22))",
    "numbered lines of one of eight": "d = leases[6]; sent_lines(d, 15, 22); llm_query(d.lines(15, 22, numbered=True))",
    "a section of one of three": (
        "s = doc['guide 1.md'].sections()[2]; sent(s.document, s.start, s.end); llm_query(s.text)"
    ),
    "grep in one of eight": (
        "found = list(leases[4].grep('|'.join(line[:20] for line in CLAUSE.splitlines())))\n"
        "for f in found: sent(f.document, f.start, f.end)\nllm_query('\\n'.join(f.line for f in found))"
    ),
    "a chunk of one of eight": (
        "[c] = [c for c in chunks(leases[7], max_chars=300) if c.text in CLAUSE][:1]\n"
        "sent(c.document, c.start, c.end); llm_query(f'Q {c}')"
    ),
    "chunks that are equal, in a batch": (
        "found = [next(c for c in chunks(d, max_chars=300) if c.text in CLAUSE) for d in leases[:3]]\n"
        "for c in found: sent(c.document, c.start, c.end)\nllm_query_batched([f'Q {c}' for c in found])"
    ),
    "JSON of one of eight": (
        "d = leases[1]; sent(d, *clause(d)); llm_query(json.dumps({'text': d[slice(*clause(d))]}))"
    ),
    "one of two copies": "d = doc['copy 1.txt']; sent(d); llm_query(f'Q {d}')",
    "both copies": "for d in (doc['copy 0.txt'], doc['copy 1.txt']): sent(d); llm_query(f'Q {d.text}')",
    "short chunks of both copies": (
        "found = chunks([doc['copy 0.txt'], doc['copy 1.txt']], max_chars=70)\n"
        "for c in found: sent(c.document, c.start, c.end)\nllm_query_batched([f'Question: {c}' for c in found])"
    ),
    "a part of one of two copies": "d = doc['copy 0.txt']; sent(d, 200, 600); llm_query(d[200:600])",
}
SHOWN = {
    "the beginning of a document": "d = leases[3]; sent(d, 0, 900); print(d[:900])",
    "the value of the last line": "d = doc['emoji.txt']; sent(d, 10, 400); d[10:400]",
    "a clause of one of eight": "d = leases[2]; sent_lines(d, 15, 22); print(d.lines(15, 22, numbered=True))",
    "a repr of a clause": "d = leases[6]; sent_lines(d, 15, 22); d.lines(15, 22)",
    "lines of grep, printed": (
        "found = list(leases[4].grep('|'.join(line[:20] for line in CLAUSE.splitlines())))\n"
        "for f in found: sent(f.document, f.start, f.end); print(f)"
    ),
    "rows, printed": "d = doc['table 1.csv']; sent_lines(d, 24, 33)\nfor r in list(d.rows())[23:33]: print(r)",
    "records, printed": "d = doc['log 1.jsonl']; sent_lines(d, 14, 17)\nfor r in list(d.records())[13:17]: print(r)",
    "a chunk of one of eight": (
        "[c] = [c for c in chunks(leases[7], max_chars=300) if c.text in CLAUSE][:1]\n"
        "sent(c.document, c.start, c.end); print(c)"
    ),
    "a whole document": "d = doc['copy 1.txt']; sent(d); print(d)",
    "CRLF lines": "d = doc['crlf.txt']; sent_lines(d, 3, 9); print(d.lines(3, 9))",
}
CHANGED = {
    "wrapped anew": "import textwrap; llm_query('\\n'.join(textwrap.wrap(leases[3][:900], 30)))",
    "lower-cased": "llm_query(doc['emoji.txt'].text.upper())",
    "one word a line": "llm_query('\\n'.join(leases[3].split()))",
    "words from several documents": "llm_query(' '.join(d.split()[n] for n in range(20) for d in leases))",
    "backwards": "llm_query(leases[3].text[::-1])",
}
"""Prompts that are made of the input and hold nothing of it as it is."""
GROUPS = {"raw": RAW, "parts": PARTS, "equal": EQUAL, "shown": SHOWN, "changed": CHANGED}
