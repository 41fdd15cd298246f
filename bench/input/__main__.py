"""Seconds, MB/s and memory for reading folders of each kind; and words found beside markitdown and kreuzberg.

`make bench-input`, about ten minutes. `--beside` installs the others into `bench/.environment-input` (400 MB) for that.
"""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

from bench.beside.processes import Ran, run
from bench.input import corpora
from tests.nodes.input.corpus import Sample

_RESULTS = Path(__file__).parents[1] / ".results" / "input"
_ENVIRONMENT = Path(__file__).parents[1] / ".environment-input"
_RLM = Path(sys.executable).with_name("rlm")


def reading(name: str, folder: Path, *, twice: bool = False) -> None:
    """Measure `rlm input` over a folder, a second time with the texts that the first has kept, and print a line."""
    home = _RESULTS / f"home-{name}"
    shutil.rmtree(home, ignore_errors=True)
    if twice:
        home.mkdir()
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    for again in range(1 + twice):
        ran = _input(folder, home)
        what = f"{name}, again" if again else name
        print(
            f"{what:<34} {ran.seconds:>7.1f} s {size / 1e6 / ran.seconds:>9.1f} MB/s {ran.proportional:>7.0f} MB peak"
        )


def _input(folder: Path, home: Path) -> Ran:
    command = [str(_RLM), "input", str(folder), "--json", "--home", str(home)]
    return run(command, _RESULTS / "log", patience=1800)


def words(name: str, python: Path, folder: Path, samples: list[Sample]) -> None:
    """Measure an extractor over the office files, and print the share of planted words that it finds."""
    texts = _RESULTS / f"texts-{name}"
    shutil.rmtree(texts, ignore_errors=True)
    texts.mkdir(parents=True)
    adapter = Path(__file__).with_name("adapters.py")
    ran = run([str(python), str(adapter), name, str(folder), str(texts)], _RESULTS / "log", patience=3600)
    found = planted = 0
    for sample in samples:
        path = texts / f"{sample.name}.txt"
        there = set(corpora.WORD.findall(path.read_text(errors="replace"))) if path.exists() else set[str]()
        wanted = list(corpora.words(sample))
        planted += len(wanted)
        found += sum(word in there for word in wanted)
    share = 100 * found / max(1, planted)
    print(f"{name:<34} {ran.seconds:>7.1f} s {ran.proportional:>9.0f} MB peak {share:>7.2f} % of {planted:,} words")


def others() -> Path:
    """Return the Python of the environment of the others, which is made once. Raises CalledProcessError."""
    python, wanted = _ENVIRONMENT / "bin" / "python", Path(__file__).with_name("requirements.txt")
    stamp = _ENVIRONMENT / "requirements.txt"
    if not stamp.exists() or stamp.read_text() != wanted.read_text():
        subprocess.run([sys.executable, "-m", "venv", str(_ENVIRONMENT)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", "-r", str(wanted)], check=True)
        stamp.write_text(wanted.read_text())
    return python


def main() -> None:
    """Make the folders and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--beside", action="store_true", help="measure markitdown and kreuzberg too")
    parser.add_argument("--files", type=int, default=1000, help="office files (default: 1000)")
    parser.add_argument("--size", type=int, default=1 << 30, help="bytes of text (default: 1 GiB)")
    given = parser.parse_args()
    _RESULTS.mkdir(parents=True, exist_ok=True)
    text, office, reports, mixed = (_fresh(name) for name in ("text", "office", "pdfs", "photos"))
    corpora.plain(text / "text.txt", given.size)
    samples = corpora.office(office, given.files)
    corpora.pdfs(reports)
    corpora.mostly_unread(mixed, 10 * given.size, 0.01)
    reading("plain text", text)
    reading(f"{len(samples):,} files of all formats", office, twice=True)
    reading("100 PDFs of 30 pages", reports, twice=True)
    reading("10 × as much, 1 % readable", mixed)
    words("ours", Path(sys.executable), office, samples)
    if given.beside:
        python = others()
        for name in ("markitdown", "kreuzberg"):
            words(name, python, office, samples)
    print(json.dumps({"files": len(samples), "planted": sum(len(one.planted) for one in samples)}))


def _fresh(name: str) -> Path:
    folder = _RESULTS / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


if __name__ == "__main__":
    main()
