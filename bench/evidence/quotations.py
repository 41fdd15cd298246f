"""CPU seconds for a quotation in 100 MB of text, and for one that is not there: `python -m bench.evidence.quotations`.

CPU time, so that other work on the machine counts little. `--mb` sets another size.
"""

import argparse
import random
import resource
import time
from collections.abc import Callable
from typing import Any

from durable_rlm.matching.folding_tables import tables
from durable_rlm.matching.quotations import find, nearest

WORDS = [
    "the",
    "quick",
    "brown",
    "fox",
    "jumps",
    "over",
    "lazy",
    "dogs",
    "payment",
    "within",
    "thirty",
    "days",
    "of",
    "the",
    "invoice",
    "clause",
]
NEEDLE = "NEEDLE of “proof”, end-\nless ﬁnal price"
QUOTE = 'NEEDLE of "proof", endless final price'
ORDINARY = 'payment of "proof", endless final price within the clause'
"""A quotation that begins with words which are everywhere in the text."""


def units() -> dict[str, str]:
    """Return a piece of each kind of text."""
    chosen = random.Random(7)

    def words(count: int) -> str:
        return " ".join(chosen.choice(WORDS) for _ in range(count))

    return {
        "ASCII": "\n".join(words(9) for _ in range(200)) + "\n",
        "typographic": "\n".join(f"The parties’ “{words(7)}” – ﬁnal agree-\nment" for _ in range(200)) + "\n",
        "Cyrillic": "Стороны договорились о порядке оплаты услуг в течение тридцати дней\n" * 100,
        "Chinese": "双方同意在收到发票后三十天内付款。\n" * 100,
        "hyphens": "a-" * 1000,
        "blanks": "N" + " " * 1000,
        "marks": "e\u0301" * 1000,
        "one letter": "N" * 2000,
    }


def took(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the CPU seconds of some work, and what it returned."""
    begun = time.process_time()
    result = work()
    return time.process_time() - begun, result


def main() -> None:
    """Print a line for each kind of text."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=int, default=100, help="MB of text of each kind")
    size = parser.parse_args().mb * 1_000_000
    print(f"tables made in {took(tables)[0]:.2f} s CPU")
    print(f"{'text':<14}{'exact':>9}{'folded':>9}{'ordinary':>10}{'omission':>10}{'missing':>9}{'nearest':>9}   s CPU")
    for name, unit in units().items():
        text = unit * (size // len(unit.encode()))
        at = len(text) * 9 // 10
        needle, ordinary = NEEDLE, ORDINARY.replace('"proof"', "“proof”").replace("endless", "end-\nless")
        if text.isascii():
            needle, ordinary = (
                one.replace("“", '"').replace("”", '"').replace("ﬁ", "fi") for one in (needle, ordinary)
            )
        text = f"{text[:at]}\n{needle}\n{ordinary}\n{text[at:]}"
        exact, found = took(lambda text=text, needle=needle: find(text, needle))
        assert found and found.how == "exact", name
        folded, found = took(lambda text=text: find(text, QUOTE))
        assert found and text[found.start : found.end] == needle, name
        frequent, found = took(lambda text=text: find(text, ORDINARY))
        assert found and text[found.start : found.end] == ordinary, name
        omitted, found = took(lambda text=text: find(text, 'NEEDLE of "proof" … final price'))
        assert found and found.how == "folded with an omission", name
        missing, found = took(lambda text=text: find(text, 'NEEDLE of "truth", endless final price'))
        assert found is None, name
        near, _ = took(lambda text=text: nearest(text, 'NEEDLE of "truth", endless final price'))
        print(
            f"{name:<14}{exact:>9.2f}{folded:>9.2f}{frequent:>10.2f}{omitted:>10.2f}{missing:>9.2f}{near:>9.2f}",
            flush=True,
        )
        del text
    print(f"peak RSS {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MB")


if __name__ == "__main__":
    main()
