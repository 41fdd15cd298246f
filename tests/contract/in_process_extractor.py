"""An extractor without a reader process, for tests of the rest. Nothing of it stops a reader that hangs or dies."""

import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager

from durable_rlm.nodes.input.draft import ReadOptions
from durable_rlm.nodes.input.extraction import Check, Extraction, checked
from durable_rlm.nodes.input.formats import Format
from durable_rlm.nodes.input.reading_task import Task, extract


class InProcessExtractor:
    """Reads files in this process, one at a time."""

    ahead = 0

    @contextmanager
    def extract(
        self, descriptor: int, size: int, name: str, form: Format, options: ReadOptions, check: Check
    ) -> Generator[Extraction]:
        """Read the open file (`extraction.Extractor`)."""
        with (
            os.fdopen(os.dup(descriptor), "rb") as file,
            tempfile.TemporaryFile() as text,
            tempfile.TemporaryFile() as facts,
        ):
            file.seek(0)
            extract(Task(options), file, size, name, form, text, facts)
            check()
            yield checked(text, facts)
