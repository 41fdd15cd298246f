"""CPU time for finding from which parts of the input prompts were made: `python -m bench.evidence.places [PROMPTS]`.

Over 100 MB of documents, with prompts of 4 KB and of 30 KB: as they are, as JSON, with numbered lines, with parts that
several documents have and the cut of a kernel to decide, and of nothing but repetitions.
"""

import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from durable_rlm.state.blobs.range_index import RangeIndex
from durable_rlm.state.evidence.places import Cut, Document, placed

_DOCUMENTS, _SIZE = 1000, 100_000
_SIZES = (4 << 10, 30 << 10)
Made = tuple[str, Sequence[Cut]]


def _corpus(folder: Path) -> tuple[list[str], list[Document], RangeIndex]:
    chance = random.Random(1)
    words = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(2, 9))) for _ in range(30_000)]
    texts: list[str] = []
    documents: list[Document] = []
    at = 0
    for number in range(_DOCUMENTS):
        lines = (" ".join(chance.choices(words, k=12)) + "\n" for _ in range(_SIZE // 78))
        text = "".join(lines)
        if number % 10 == 9:
            # Every tenth document has a part of the one before.
            text = text[:20_000] + texts[-1][20_000:60_000] + text[60_000:]
        texts.append(text)
        documents.append((f"document {number}.txt", at, at + len(text)))
        at += len(text)
    (folder / "pack").write_bytes("".join(texts).encode())
    return texts, documents, RangeIndex.of(folder / "pack")


def _kinds(texts: Sequence[str], chance: random.Random, size: int) -> dict[str, Callable[[], Made]]:
    def part(number: int, start: int) -> tuple[str, list[Cut]]:
        return texts[number][start : start + size], [(f"document {number}.txt", start, start + size)]

    def unique() -> str:
        return part(10 * chance.randrange(_DOCUMENTS // 10), chance.randrange(60_000))[0]

    def equal() -> Made:
        text, hints = part(10 * chance.randrange(_DOCUMENTS // 10) + 9, 20_000 + chance.randrange(40_000 - size))
        return f"Question?\n\n{text}\n", hints

    return {
        "a slice": lambda: (f"Question?\n\n{unique()}\n\nAnswer:", ()),
        "JSON": lambda: (json.dumps({"question": "What?", "text": unique()}), ()),
        "numbered lines": lambda: ("\n".join(f"{n}: {line}" for n, line in enumerate(unique().split("\n"), 1)), ()),
        "a part of two, and its cut": equal,
        "a part of two": lambda: (equal()[0], ()),
        "nothing of the input": lambda: (unique()[::-1], ()),
        "repetitions": lambda: ("the same line again and again\n" * (size // 30), ()),
    }


def main() -> None:
    """Print milliseconds of CPU a prompt, and the share of the prompts that is placed."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as folder:
        texts, documents, index = _corpus(Path(folder))
        for size in _SIZES:
            for kind, make in _kinds(texts, random.Random(2), size).items():
                made = [make() for _ in range(count)]
                bodies = [(text.encode(), hints) for text, hints in made]
                began = time.process_time()
                found = [placed(body, index, documents, hints) for body, hints in bodies]
                seconds = time.process_time() - began
                share = sum(one.placed for one in found) / sum(one.size for one in found)
                print(f"{size >> 10:>3} KB, {kind:<28} {1000 * seconds / count:>7.3f} ms, {share:>4.0%} placed")


if __name__ == "__main__":
    main()
