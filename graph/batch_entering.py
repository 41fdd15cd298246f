"""Questions of a batch: all of them are checked, their inputs are read, and their runs are entered at once.

Nothing is entered before everything has been checked, and what is wrong is reported for all questions together.
"""

import asyncio
import contextlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import ValidationError

from ..nodes.direct import check_direct, fits_one_call
from ..nodes.models.schema_validation import check_schema
from ..nodes.models.work_limit import SchemaInvalid, off_loop
from ..nodes.notify.targets import check_targets
from ..nodes.runtime.concurrency import run_levels
from ..nodes.runtime.dependencies import Dependencies
from ..state.blobs.store import Blobs
from ..state.db.connection import Unit
from ..state.errors import InputError, RlmError, RunBusy, ThreadExists, UsageError, cli_command
from ..state.input.context import ContextRef
from ..state.settings import RunSettings, first_problem, saved_settings
from ..state.threads import Thread
from .batch import OnQuestionEvent, Question, QuestionsRefused
from .create import (
    check_name,
    check_question,
    check_room,
    check_same_input,
    check_same_run,
    check_settings,
    entering_run,
    given_digest,
    read_while_preparing,
    within_time,
)
from .intake import Given, from_stdin, store_input


@dataclass(frozen=True)
class Entered:
    """A question whose run is in the index of runs."""

    question: Question
    thread_id: str
    new: bool
    """True when this call has entered it."""
    answered: bool
    levels: int
    """The number of levels of runs with kernels that it may have; 0: it has no kernel."""


@dataclass
class _Asked:
    """A question that is checked, with its run if there is one."""

    question: Question
    thread_id: str
    settings: RunSettings
    given: Given | None
    digest: str
    row: Thread | None = None
    reference: ContextRef | None = None


class Entering:
    """One call's way from questions to runs in the index."""

    def __init__(self, deps: Dependencies, settings: RunSettings, on_event: OnQuestionEvent) -> None:
        self._deps = deps
        self._settings = settings
        self._on_event = on_event
        self._problems: list[tuple[str, str]] = []

    async def enter(self, questions: Sequence[Question], context: Given | None, prefix: str) -> list[Entered]:
        """Enter all questions that have no run yet, in one transaction, and return all in their order.

        Raises QuestionsRefused, UsageError, InputError for the shared input, ModelSetupError, NoSandbox,
        KernelStartFailed, and RunBusy while another call asks them, all with nothing saved.
        """
        await check_settings(self._settings)
        asked = [one for question in questions if (one := await self._checked(question, context, prefix))]
        self._find_duplicates(questions)
        await self._find_runs(asked, prefix)
        self._refuse(questions)
        await self._refuse_twice(asked)
        if any(one.row is None for one in asked):
            check_targets(self._settings.notify, self._settings.notify_key, self._deps.stores.home.parent)
            await check_room(self._settings, self._deps)
        await self._read_inputs(asked, context)
        while True:
            self._refuse(questions)
            new = [one for one in asked if one.row is None]
            await self._check_fitting(new)
            units = [unit for one in new if (unit := self._unit(one))]
            self._refuse(questions)
            try:
                await self._commit(units)
            except ThreadExists:
                # Another process has entered some of them in the meantime.
                await self._find_runs(new, prefix)
                continue
            return [_entered(one) for one in asked]

    async def _commit(self, units: Sequence[Unit]) -> None:
        """Enter the runs, all or none. Raises ThreadExists, StoreError."""
        entering = asyncio.ensure_future(self._deps.stores.database.commit(partial(_together, units), "batch-entered"))
        try:
            await asyncio.shield(entering)
        except asyncio.CancelledError:
            # A transaction that is under way is not undone: then nobody may report that nothing was saved.
            with contextlib.suppress(RlmError):
                await entering
                self._on_event("", {"event": "begun", "thread_id": ""})
            raise

    def _refuse(self, questions: Sequence[Question]) -> None:
        if self._problems:
            order = {question.id: number for number, question in enumerate(questions)}
            problems = sorted(self._problems, key=lambda problem: order[problem[0]])
            raise QuestionsRefused(problems, len(questions))

    async def _refuse_twice(self, asked: Sequence[_Asked]) -> None:
        """Raise RunBusy while a process asks these questions: two would each have the whole budget and all places."""
        left = [one.thread_id for one in asked if one.row and one.row.status != "answered"]
        holders = await self._deps.stores.leases.in_batches(left)
        if holders:
            process = next(iter(holders.values())).get("pid")
            raise RunBusy(
                f"Process {process} asks these questions now ({len(holders):,} under way).",
                hint=f"{cli_command('list', '--running')} shows them, {cli_command('stop', '--all')} stops all. "
                "Afterwards the same command prints the answers.",
            )

    def _note(self, question: Question, error: RlmError) -> None:
        said, hint = error.message.removesuffix("."), error.hint
        if isinstance(error, ThreadExists):
            # The same for hundreds of questions: the caller says it once.
            hint = ""
        self._problems.append((question.id, f"{said}. {hint}".strip()))

    def _find_duplicates(self, questions: Sequence[Question]) -> None:
        seen: set[str] = set()
        for question in questions:
            if question.id in seen:
                self._problems.append((question.id, "Another question has the same id."))
            seen.add(question.id)

    async def _checked(self, question: Question, context: Given | None, prefix: str) -> _Asked | None:
        """Return the question if it can be asked, apart from its run and its input; else note why not."""
        given = context if question.paths is None else list(question.paths)
        try:
            thread_id = check_name(prefix + question.id)
            check_question(question.question)
            if question.paths is not None and (not question.paths or "-" in question.paths):
                raise UsageError(
                    "Its own paths are empty or name standard input.", hint="Name files, or leave out `paths`."
                )
            settings = await self._settings_of(question)
        except RlmError as error:
            self._note(question, error)
            return None
        return _Asked(question, thread_id, settings, given, given_digest(given))

    async def _settings_of(self, question: Question) -> RunSettings:
        """Return the settings of its run. Raises UsageError for a schema that cannot be used."""
        if question.schema is None:
            return self._settings
        try:
            settings = RunSettings.model_validate(
                {**self._settings.model_dump(by_alias=True), "schema": dict(question.schema)}
            )
            await off_loop(check_schema, settings.answer_schema or {})
        except ValidationError as error:
            raise UsageError(first_problem(error, {"schema": None})) from error
        except SchemaInvalid as error:
            raise UsageError(f"Its schema cannot be used: {error}.") from error
        return settings

    async def _find_runs(self, asked: Sequence[_Asked], prefix: str) -> None:
        """Find the runs that the questions have already, and note those that ask something else."""
        threads = self._deps.stores.threads
        known = set(await threads.named_like(prefix))
        for one in asked:
            if one.thread_id not in known:
                continue
            try:
                one.row = await threads.get(one.thread_id)
                _check_same(one, one.row)
                check_same_input(one.row, one.reference)
            except RlmError as error:
                self._note(one.question, error)

    async def _read_inputs(self, asked: Sequence[_Asked], context: Given | None) -> None:
        """Read each input once, and note the questions whose own input cannot be used or has changed."""
        # A text that was given cannot have changed; files may have.
        wanted = [one for one in asked if one.given is not None and not (isinstance(one.given, str) and one.row)]
        inputs: dict[str, _Asked] = {}
        for one in wanted:
            inputs.setdefault(one.digest, one)
        shared = given_digest(context)
        found: dict[str, ContextRef | InputError] = {}

        async def read(agreed: threading.Event | None) -> None:
            left = inputs
            while left:
                await read_all(left, agreed)
                # Reading all of them may take hours, and until the runs are entered only its age keeps an input.
                kept = await asyncio.to_thread(_touched, found, self._deps.stores.blobs)
                left = {digest: one for digest, one in inputs.items() if digest not in kept}
                if shared in left and from_stdin(context):
                    raise InputError(
                        "The input was freed by `rlm gc` while other inputs were read, and standard input has ended.",
                        hint="Give the same input again.",
                    )

        async def read_all(left: dict[str, _Asked], agreed: threading.Event | None) -> None:
            for digest, one in left.items():
                assert one.given is not None
                on_event = partial(self._on_event, "" if digest == shared else one.question.id)
                try:
                    found[digest] = await store_input(one.given, self._deps, self._settings, on_event, agreed)
                except InputError as error:
                    if digest == shared:
                        raise
                    found[digest] = error

        if any(one.row is None or one.row.status != "answered" for one in asked):
            await read_while_preparing(self._deps, self._settings, read, ahead=not from_stdin(context))
        else:
            await within_time(self._settings, read(None))
        for one in wanted:
            self._take_input(one, found[one.digest])

    def _take_input(self, one: _Asked, found: ContextRef | InputError) -> None:
        try:
            if isinstance(found, InputError):
                raise found
            if one.row:
                check_same_input(one.row, found)
            one.reference = found
        except RlmError as error:
            self._note(one.question, error)

    async def _check_fitting(self, new: Sequence[_Asked]) -> None:
        """Note the new questions whose input is too large for one call, where they have to be asked in one."""
        for one in new:
            try:
                await check_direct(one.question.question, one.reference, one.settings, self._deps.stores)
            except RlmError as error:
                self._note(one.question, error)
        for one in new[:1]:
            first = one.question.question
            if one.settings.mode == "rlm" and await fits_one_call(
                first, one.reference, one.settings, self._deps.stores
            ):
                self._on_event("", {"event": "one_call"})

    def _unit(self, one: _Asked) -> Unit | None:
        try:
            return entering_run(
                self._deps,
                one.thread_id,
                question=one.question.question,
                given=one.digest,
                reference=one.reference,
                settings=one.settings,
            )
        except RlmError as error:
            self._note(one.question, error)
            return None


def _touched(found: Mapping[str, ContextRef | InputError], blobs: Blobs) -> set[str]:
    """Touch the inputs that were stored. Return the digests of all but those that were freed meanwhile."""
    return {
        digest
        for digest, one in found.items()
        if isinstance(one, InputError) or all(blobs.touch(name) for name in (one["pack"], one["index"]) if name)
    }


def _check_same(one: _Asked, row: Thread) -> None:
    """Check that the run asks the same as the question. Raises ThreadExists."""
    check_same_run(row, one.question.question, one.digest)
    if row.start.get("settings", {}).get("schema") != one.settings.frozen()["schema"]:
        raise ThreadExists(
            f"The thread {row.thread_id} exists and asks for an answer of another form (`schema`).",
            hint="Ask under another id, or with the schema that it was begun with.",
        )


def _entered(one: _Asked) -> Entered:
    row = one.row
    settings = saved_settings(row.start.get("settings", {})) if row else one.settings
    levels = 0 if settings.mode == "direct" else run_levels(settings)
    return Entered(one.question, one.thread_id, row is None, row is not None and row.status == "answered", levels)


def _together(units: Sequence[Unit], connection: Any) -> None:
    for unit in units:
        unit(connection)
