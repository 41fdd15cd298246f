"""One extractor over one folder, as a process of its own: `python adapters.py NAME FOLDER TEXTS`.

It writes the text of each file into the folder TEXTS, and prints `RESULT` with the number of files that gave one. It
imports nothing of the project but what it measures, because others run in an environment of their own.
"""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Texts = Iterator[tuple[str, str]]
"""Names of files and their texts."""


def ours(folder: Path) -> Texts:
    """Read as `rlm run` does, and yield each document with its metadata under its file's name."""
    import tempfile

    from durable_rlm.graph.intake import open_extractor
    from durable_rlm.kernel.host.confined_programs import open_programs
    from durable_rlm.kernel.inside.context import Documents
    from durable_rlm.nodes.input.ingest import ingest
    from durable_rlm.nodes.input.paths import expand
    from durable_rlm.state.blobs.store import Blobs
    from durable_rlm.state.input.context import context_files
    from durable_rlm.state.settings import RunSettings

    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        with open_extractor(open_programs, RunSettings(), home, keep=False) as extractor:
            blobs = Blobs(home / "blobs")
            reference = ingest(expand([folder]), blobs, extractor)
        pack, index, _, _ = context_files(reference, blobs)
        for document in Documents(str(pack), str(index)):
            yield (Path.cwd() / document.name).relative_to(folder).parts[0], f"{document.text} {document.meta}"


def markitdown(folder: Path) -> Texts:
    """Convert each file by markitdown."""
    from markitdown import MarkItDown

    converter: Any = MarkItDown()
    return _each(folder, lambda path: converter.convert(str(path)).text_content)


def kreuzberg(folder: Path) -> Texts:
    """Extract each file by kreuzberg."""
    import kreuzberg as extractor

    return _each(folder, lambda path: extractor.extract_file_sync(str(path)).content)


def _each(folder: Path, text_of: Callable[[Path], Any]) -> Texts:
    for path in sorted(folder.iterdir()):
        try:
            text = str(text_of(path) or "")
        except Exception as error:  # what cannot be read counts as nothing found
            print(f"{path.name}: {type(error).__name__}", file=sys.stderr)
            continue
        yield path.name, text


def main() -> None:
    """Run the extractor that the first argument names."""
    name, folder, texts = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    named: dict[str, Callable[[Path], Texts]] = {"ours": ours, "markitdown": markitdown, "kreuzberg": kreuzberg}
    files: set[str] = set()
    for file, text in named[name](folder):
        files.add(file)
        with (texts / f"{file}.txt").open("a", encoding="utf-8", errors="replace") as out:
            out.write(text)
    print("RESULT", json.dumps({"files": len(files)}))


if __name__ == "__main__":
    main()
