"""Write a run's answer where `-o` and `--files` say, once it has ended and while its home is open."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...state.errors import StoreError, cli_command
from ...state.wording import counted, megabytes
from ..terminal.escape import safe
from .answer_folder import AnswerFolder, listing
from .files import AnswerFile
from .shown_answer import is_too_large, shown_answer

if TYPE_CHECKING:
    from ...graph.run import Run
    from ...graph.runner import Runner


@dataclass
class Delivery:
    """The places for an answer, checked before the run begins, and what became of them."""

    file: AnswerFile | None = None
    folder: AnswerFolder | None = None
    lines: list[str] = field(default_factory=list[str])
    """Lines to show about what was written."""
    problems: list[StoreError] = field(default_factory=list[StoreError])
    """Errors of what could not be written, which stays saved with the run."""
    files: list[dict[str, Any]] | None = None
    """The files as `--json` lists them, once they are written."""

    @classmethod
    def to(cls, output: Path | None, files: Path | None) -> "Delivery":
        """Return the delivery to the file of `-o` and the folder of `--files`. Raises UsageError."""
        file = AnswerFile(output, saved="") if output and str(output) != "-" else None
        return cls(file, AnswerFolder(files) if files else None)

    async def deliver(self, runner: "Runner", run: "Run") -> None:
        """Write the answer, if there is one."""
        if run.status != "answered":
            return
        try:
            if self.file:
                self.lines += await self._write(self.file, runner, run)
            elif is_too_large(run.answer):
                raise StoreError(
                    f"The answer is a table of {run.answer['table']['rows']:,} rows, too large to print.",
                    hint=f"{cli_command('resume', run.thread_id, '-o', 'FILE.csv')} writes every row.",
                )
        except StoreError as failed:
            self.problems.append(failed)
        try:
            if self.folder and run.files:
                await self._write_files(self.folder, runner, run)
            elif self.folder:
                self.lines.append(f"The answer comes with no files, so {safe(str(self.folder.path))} is not made.")
        except StoreError as failed:
            self.problems.append(failed)

    async def _write(self, file: AnswerFile, runner: "Runner", run: "Run") -> list[str]:
        # A table is read again, a batch at a time and with the types of its columns.
        table = await runner.exports.table(run.thread_id) if isinstance(run.answer, list | dict) else None
        if table is None:
            in_markdown = file.path.suffix.lower() == ".md"
            answer = run.answer if file.is_data(run.answer) else shown_answer(run, in_markdown=in_markdown)
            return await asyncio.to_thread(file.write, answer)
        return await asyncio.to_thread(file.write_table, table)

    async def _write_files(self, folder: AnswerFolder, runner: "Runner", run: "Run") -> None:
        files = await runner.exports.files(run.thread_id)
        self.files, left_out = await asyncio.to_thread(folder.write, files)
        self.lines += listing(self.files, folder.path)
        self.problems += [StoreError(why) for why in left_out]


def beside(run: "Run", delivery: Delivery) -> str | None:
    """Return a line about files that the answer has and nobody asked for; None when there are none."""
    if not run.files or delivery.folder:
        return None
    size = megabytes(sum(file["size"] for file in run.files))
    return f"The answer comes with {counted(len(run.files), 'file')} ({size}), which --files DIR writes."
