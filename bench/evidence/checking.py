"""What it takes to check 1,000 citations in 100 MB and to find their places: `python -m bench.evidence.checking`.

CPU seconds of this process; the input is in the page cache and its hash was checked, as at the end of a run.
"""

import random
import tempfile
import time
from pathlib import Path

from durable_rlm.kernel.results import PostedCitation
from durable_rlm.nodes.evidence.citations import _checked
from tests.cited_input import stored

SIZE = 100_000_000
CITATIONS = 1_000


def texts(documents: int, line: str) -> dict[str, str]:
    """Return so many documents of 100 MB together."""
    lines = [f"{number:>9} {line}\n" for number in range(SIZE // documents // (len(line.encode()) + 11))]
    return {f"d{number}.txt": f"{number}\n{''.join(lines)}" for number in range(documents)}


def measured(name: str, given: dict[str, str]) -> str:
    """Check citations at random places, one of ten false, and return what it took."""
    chosen, names = random.Random(7), list(given)
    posted: list[PostedCitation] = []
    for number in range(CITATIONS):
        document = chosen.choice(names)
        start = chosen.randrange(len(given[document]) - 200)
        quote = given[document][start : start + 200]
        quote = quote if number % 10 else quote[::-1]
        posted.append(PostedCitation(number, document, start, start + 200, quote, "exact"))
    with tempfile.TemporaryDirectory() as folder:
        reference, blobs = stored(Path(folder), dict(given))
        given.clear()
        began = time.process_time()
        found = _checked(posted, reference, blobs)
        took = time.process_time() - began
    verified = sum(one["verified"] for one, _ in found)
    return f"{name:<28} {took:5.2f} s CPU, {verified} of {len(found)} verified"


def main() -> None:
    """Print a line for each kind of input."""
    plain, wide = "The tenant shall pay the rent in advance.", "Der Mieter zahlt 1.200 € größtenteils 日本."
    for name, documents, line in [
        *(("one document, ASCII", 1, plain), ("one document, not ASCII", 1, wide)),
        *(("10,000 documents, ASCII", 10_000, plain), ("10,000 documents, not ASCII", 10_000, wide)),
    ]:
        print(measured(name, texts(documents, line)))


if __name__ == "__main__":
    main()
