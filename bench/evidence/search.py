"""Search in a made corpus of so many MB: building the index, and queries, with both engines or one.

`python -m bench.evidence.search [MB [fts5|tantivy]]`
"""

import bisect
import itertools
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from durable_rlm.state.search.build import Source, command
from durable_rlm.state.search.files import IndexFiles
from durable_rlm.state.search.index import Index
from durable_rlm.state.search.words import Engine

WORDS, LINES = 60_000, 20_000
NEEDLE = "zyxw quokka payment clause 双方同意在收到发票后三十天内付款\n"


def corpus(path: Path, megabytes: int) -> list[str]:
    """Write a text whose words are as frequent as those of a language, and return them, the most frequent first."""
    chance = random.Random(1)
    words = ["".join(chance.choices("abcdefghijklmnoprstuvw", k=chance.randint(2, 10))) for _ in range(WORDS)]
    summed = list(itertools.accumulate(1 / (rank + 5) for rank in range(WORDS)))
    draws = (bisect.bisect(summed, chance.random() * summed[-1]) for _ in itertools.count())
    lines = [" ".join(words[min(next(draws), WORDS - 1)] for _ in range(14)) + "\n" for _ in range(LINES)]
    with path.open("w", encoding="utf-8") as file:
        written = 0
        while written < megabytes * 1_000_000:
            written += file.write("".join(chance.choices(lines, k=1_000)))
        file.write(NEEDLE)
    return words


def cpu(who: int) -> float:
    """Return the CPU seconds of this process, or of its children that have ended."""
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def built(folder: Path, pack: Path, engine: Engine) -> Path:
    """Build the index as a run does, and print what that takes."""
    files = IndexFiles(folder / "search")
    files.make()
    source = Source(str(pack), "", 0, pack.stat().st_size)
    began, before = time.perf_counter(), cpu(resource.RUSAGE_CHILDREN)
    subprocess.run(
        command(files.path("n", engine), files.partial(engine), source, "n", engine),
        stdin=os.openpty()[1],
        stdout=subprocess.DEVNULL,
        check=True,
    )
    wall, used = time.perf_counter() - began, cpu(resource.RUSAGE_CHILDREN) - before
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    path = files.path("n", engine)
    share = sum(one.stat().st_size for one in ([path] if path.is_file() else path.iterdir())) / source.end
    print(f"{engine}: build: {used:.1f} s CPU, {wall:.1f} s wall, peak {peak:.0f} MB, {share:.0%} of the text")
    return path


def searched(path: Path, words: list[str], engine: Engine) -> None:
    """Search, and print what that takes."""
    began, used = time.perf_counter(), time.process_time()
    index = Index.open(path, "n", engine)
    wall, used = time.perf_counter() - began, time.process_time() - used
    print(f"opening: {used * 1000:.1f} ms CPU, {wall * 1000:.1f} ms wall")
    queries = {
        "two rare words": "quokka payment",
        "three less rare words": f"{words[2_000]} {words[900]} {words[30_000]}",
        "a frequent word and a rare one": f"{words[0]} quokka",
        "three words, each in most passages": f"{words[0]} {words[1]} {words[2]}",
        "without blanks": "发票后三十天",
    }
    for what, query in queries.items():
        began, used = time.perf_counter(), time.process_time()
        found = index.search(query, 20)
        wall, used = time.perf_counter() - began, time.process_time() - used
        print(f"{what}: {used * 1000:.1f} ms CPU, {wall * 1000:.1f} ms wall, {len(found)} hits")
    index.close()
    print(f"peak of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


def main() -> None:
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    engines: tuple[Engine, ...] = ("fts5", "tantivy")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        words = corpus(folder / "pack", megabytes)
        for engine in engines:
            if engine in (sys.argv[2:] or engines):
                searched(built(folder, folder / "pack", engine), words, engine)


if __name__ == "__main__":
    main()
